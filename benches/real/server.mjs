// `airlock serve` on a folder of its own, and programs that run on it.
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const META = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': {} };

// Tools of a page, and descriptions that are asked for at once.
const PAGE = 200;
const AT_ONCE = 8;

export class Server {
  // `upstreams` are tables of TOML.
  static async start(binary, folder, upstreams) {
    const config = join(folder, 'airlock.toml');
    // Every call is allowed, those that the profile asks about too.
    writeFileSync(join(folder, 'policy.yaml'), 'all_tools: {rules: [{action: allow}]}\n');
    writeFileSync(config, `[server]\nlisten = "127.0.0.1:0"\n[store]\nurl = "sqlite://${join(folder, 'airlock.db')}"\n`
      + `[limits]\nrequests_per_minute = 0\n[policy]\nprofile = "open"\nfiles = ["policy.yaml"]\n${upstreams}`);
    const log = openSync(join(folder, 'log.txt'), 'a');
    const child = spawn(binary, ['--config', config, 'serve'], { stdio: ['ignore', 'ignore', log] });
    closeSync(log);
    const server = new Server(folder, child);
    await server.until('it listens', 60_000, () => {
      if (child.exitCode !== null) throw new Error(`the server ended: ${readFileSync(join(folder, 'log.txt'), 'utf8')}`);
      try {
        const instance = JSON.parse(readFileSync(join(folder, 'airlock.db.instance.json'), 'utf8'));
        if (instance.pid === child.pid) Object.assign(server, { url: instance.url, token: instance.token });
      } catch { /* not there yet */ }
      return server.url;
    });
    return server;
  }

  constructor(folder, child) {
    Object.assign(this, { folder, child });
  }

  async until(what, ms, condition) {
    const end = Date.now() + ms;
    while (Date.now() < end) {
      const found = await condition();
      if (found) return found;
      await new Promise((done) => setTimeout(done, 100));
    }
    throw new Error(`not within ${ms} ms: ${what}`);
  }

  // The state of every upstream, once none is connecting.
  async settled(ms) {
    return this.until('the upstreams settle', ms, async () => {
      const { upstreams } = await (await fetch(`${this.url}/healthz`)).json();
      return upstreams.every((upstream) => upstream.status !== 'connecting') && upstreams;
    });
  }

  // The result of a program.
  async run(code) {
    const body = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'execute', arguments: { code, resultTimeoutMs: 600_000 }, _meta: META } };
    const headers = {
      accept: 'application/json, text/event-stream', 'content-type': 'application/json',
      'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'execute',
    };
    const text = await (await fetch(`${this.url}/mcp`, { method: 'POST', headers, body: JSON.stringify(body) })).text();
    const data = text.startsWith('{') ? text : text.split('\n').filter((line) => line.startsWith('data:')).map((line) => line.slice(5)).findLast((line) => line.includes('"id":1'));
    const { result, error } = JSON.parse(data);
    if (error || result.structuredContent.status !== 'completed') throw new Error(`a program failed: ${JSON.stringify(error ?? result.structuredContent).slice(0, 2_000)}`);
    return result.structuredContent.result;
  }

  // What the owner reads at this path of `/v1`.
  async owner(path) {
    const answer = await fetch(`${this.url}/v1${path}`, { headers: { authorization: `Bearer ${this.token}` } });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  }

  // `{ path, route, arguments, fields }` of every tool of an upstream.
  async tools(namespace) {
    const paths = [];
    let cursor;
    do {
      const query = new URLSearchParams({ namespace, limit: PAGE, ...(cursor && { cursor }) });
      const page = await this.owner(`/tools?${query}`);
      paths.push(...page.results.map(({ path }) => path));
      cursor = page.nextCursor;
    } while (cursor);
    const all = new Array(paths.length);
    let next = 0;
    const work = async () => {
      while (next < paths.length) {
        const at = next++;
        all[at] = described(await this.owner(`/tools/${encodeURIComponent(paths[at])}`));
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    return all;
  }

  // Most memory that the server held, in MiB.
  peak() {
    try {
      return Math.round(Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${this.child.pid}/status`, 'utf8'))[1]) / 1024);
    } catch {
      return 0;
    }
  }

  async stop() {
    const ended = new Promise((done) => this.child.once('exit', done));
    if (this.child.exitCode !== null) return;
    this.child.kill('SIGTERM');
    await ended;
  }
}

// A tool with the names of its arguments, and of the fields of its body.
function described({ path, description, inputSchema }) {
  const fieldsOf = (schema, depth = 0) => {
    if (!schema || depth > 8) return [];
    const name = schema.$ref?.split('/').pop().replaceAll('~1', '/').replaceAll('~0', '~');
    if (name !== undefined) return fieldsOf(inputSchema.$defs?.[name], depth + 1);
    const parts = ['allOf', 'anyOf', 'oneOf'].flatMap((key) => schema[key] ?? []);
    return [...Object.keys(schema.properties ?? {}), ...parts.flatMap((part) => fieldsOf(part, depth + 1))];
  };
  const body = inputSchema.properties?.body;
  return { path, route: description.trim().split('\n').pop(), arguments: Object.keys(inputSchema.properties ?? {}), fields: body && [...new Set(fieldsOf(body))] };
}
