// A TypeScript client that stays connected: each line of standard input is a call, `{ name, arguments }`; each line of standard output its
// answer, `{ isError, text, structured, progress }`, or `{ failure }` where the client threw. The first line says that it is connected.
import { createInterface } from 'node:readline';

const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

export async function stay(client, call) {
  say({ connected: true });
  for await (const line of createInterface({ input: process.stdin })) {
    const { name, arguments: input } = JSON.parse(line);
    const progress = [];
    try {
      const result = await call(name, input, { onprogress: ({ message }) => progress.push(message) });
      say({ isError: result.isError ?? false, text: result.content[0].text, structured: result.structuredContent ?? null, progress });
    } catch (error) {
      say({ failure: String(error), progress });
    }
  }
  await client.close();
}
