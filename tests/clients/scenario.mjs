// What both TypeScript clients do with a server, given a way to call a tool.
import { readFileSync } from 'node:fs';

export const programs = JSON.parse(readFileSync(new URL('./programs.json', import.meta.url), 'utf8'));

const seen = (result) => ({ isError: result.isError ?? false, text: result.content[0].text, structured: result.structuredContent ?? null });

export async function play(client, call) {
  const progress = [];
  const onprogress = ({ progress: done, message }) => progress.push([done, message]);
  const tools = await client.listTools();
  const two = await call('execute', { code: programs.two });
  const fails = await call('execute', { code: programs.fails });
  const slow = await call('execute', { code: programs.slow }, { onprogress });
  const big = await call('execute', { code: programs.big });
  const started = await call('execute', { code: programs.slow, waitForResult: false });
  const polled = await call('task_get', { taskId: started.structuredContent.taskId, waitMs: 10000 });
  const endless = await call('execute', { code: programs.endless, waitForResult: false });
  const cancelled = await call('task_cancel', { taskId: endless.structuredContent.taskId });
  const listed = await call('task_list', {});
  const bad = await call('execute', { code: programs.two, timeout: 5 });
  const answers = Object.entries({ two, fails, slow, big, polled, cancelled, listed, bad }).map(([name, result]) => [name, seen(result)]);
  return { tools: tools.tools.map((tool) => tool.name), progress, ...Object.fromEntries(answers) };
}
