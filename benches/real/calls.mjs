// Calls operations through Airlock against Prism, which answers as the document describes and judges each request.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { parsed } from './documents.mjs';
import { Reading } from './reading.mjs';
import { Sampler } from './sample.mjs';
import { Server } from './server.mjs';

const TOKEN = 'a-token-for-the-mock';
const ROUTE = /^(\S+) (.*)$/s;

// Passes requests on to the Prism of the document that their path begins with, and keeps what it said.
class Relay {
  static async start() {
    const relay = new Relay();
    relay.server = createServer((incoming, outgoing) => relay.pass(incoming, outgoing));
    relay.server.listen(0, '127.0.0.1');
    await once(relay.server, 'listening');
    relay.port = relay.server.address().port;
    return relay;
  }

  seen = [];
  prisms = new Map();

  pass(incoming, outgoing) {
    const [, id, path] = /^\/(d\d+)(\/.*)?$/s.exec(incoming.url) ?? [];
    const options = { host: '127.0.0.1', port: this.prisms.get(id) ?? 1, method: incoming.method, path: path ?? '/', headers: incoming.headers };
    const passed = request(options, (answer) => {
      const parts = [];
      answer.on('data', (part) => parts.push(part));
      answer.on('end', () => {
        this.seen.push({ method: incoming.method, url: path, status: answer.statusCode, violations: answer.headers['sl-violations'], text: Buffer.concat(parts).toString().slice(0, 500) });
        const { 'transfer-encoding': _, connection: __, ...headers } = answer.headers;
        outgoing.writeHead(answer.statusCode, headers);
        outgoing.end(Buffer.concat(parts));
      });
    });
    passed.on('error', (error) => {
      this.seen.push({ method: incoming.method, url: path, status: 0, text: String(error) });
      outgoing.destroy();
    });
    incoming.pipe(passed);
  }
}

// The port of Prism on a document; undefined where it does not start.
async function prism(modules, path, port) {
  const child = spawn(process.execPath, [join(modules, '@stoplight/prism-cli/dist/index.js'), 'mock', '-p', String(port), '-v', 'silent', path], { stdio: 'ignore' });
  for (const end = Date.now() + 30_000; Date.now() < end && child.exitCode === null;) {
    try {
      await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(2_000) });
      return child;
    } catch {
      await new Promise((done) => setTimeout(done, 200));
    }
  }
  child.kill('SIGKILL');
  return undefined;
}

function auth(scheme) {
  const value = '{ env = "REAL_DOCUMENTS_TOKEN" }';
  if (!scheme) return '';
  if (scheme.type === 'apiKey') return `auth = { api_key = { ${scheme.in} = ${JSON.stringify(scheme.name)}, value = ${value} } }\n`;
  if (scheme.type === 'basic' || scheme.scheme === 'basic') return `auth = { basic = { user = "me", password = ${value} } }\n`;
  return `auth = { bearer = ${value} }\n`;
}

const same = (one, other) => JSON.stringify(one ?? null) === JSON.stringify(other ?? null);

// Prism knows no path with a query or a fragment in it, and none whose variables hold slashes; it reads no list or object of a multipart form.
const isKnownToPrism = (operation) => !/[#?]/.test(operation.path)
  && !operation.arguments.some(({ parameter }) => parameter['x-ms-skip-url-encoding'] || parameter.allowReserved)
  && !Object.keys(operation.content).some((kind) => kind.startsWith('multipart/'));

// The operations that are called, with their arguments: spread over the document, with the scheme that most of them need.
function chosen(reading, sampler, most) {
  const all = reading.operations().filter((operation) => !operation.servers && operation.method !== 'trace' && isKnownToPrism(operation));
  const callable = all.filter((operation) => operation.arguments.every(({ name, place, kind }) => kind !== 'credential' || reading.keys.has(`${place} ${name.toLowerCase()}`)));
  const schemes = callable.map((operation) => reading.credential(operation));
  const counted = schemes.map((scheme) => [scheme, schemes.filter((other) => same(scheme, other)).length]);
  const scheme = counted.sort(([, one], [, other]) => other - one)[0]?.[0];
  if (scheme === undefined) return { operations: [] };
  const alike = callable.filter((operation) => [scheme, null].some((known) => same(known, reading.credential(operation))));
  // An upstream has one credential; what needs several is not called.
  const isAnother = ({ name, place, kind, parameter }) => kind === 'credential' && parameter.required === true && !(scheme?.name === name && scheme.in === place);
  const fitting = alike.filter((operation) => !operation.arguments.some(isAnother));
  const every = Math.max(1, Math.floor(fitting.length / most));
  const operations = [];
  for (let at = 0; at < fitting.length && operations.length < most; at += every) {
    const args = sampler.arguments(fitting[at], true) ?? sampler.arguments(fitting[at], false);
    if (args) operations.push({ operation: fitting[at], args });
  }
  return { scheme, operations };
}

// Calls up to `most` operations of each of these documents.
export async function calls(binary, modules, documents, most) {
  const relay = await Relay.start();
  const result = { documents: 0, prismFails: [], called: 0, accepted: 0, answerOdd: 0, mockFailed: 0, refusedByService: [], refusedByAirlock: [] };
  let port = 20_000 + (process.pid % 20_000);
  for (let at = 0; at < documents.length; at += 20) {
    const batch = [];
    for (const document of documents.slice(at, at + 20)) {
      const value = parsed(document, modules);
      const reading = new Reading(value);
      const { scheme, operations } = chosen(reading, new Sampler(modules, reading), most);
      if (operations.length > 0) batch.push({ ...document, scheme, operations });
    }
    const folder = mkdtempSync(join(tmpdir(), 'airlock-real-'));
    const tables = batch.map(({ id, path, scheme }) => `[upstreams.${id}]\nkind = "openapi"\nspec = ${JSON.stringify(path)}\n`
      + `base_url = "http://127.0.0.1:${relay.port}/${id}"\nallow_private = true\nstart_timeout_ms = 600000\n${auth(scheme)}`);
    process.env.REAL_DOCUMENTS_TOKEN = TOKEN;
    const server = await Server.start(binary, folder, tables.join(''));
    try {
      await server.settled(600_000);
      for (const { id, name, path, operations } of batch) {
        port += 1;
        const mock = await prism(modules, path, port);
        if (!mock) {
          result.prismFails.push(name);
          continue;
        }
        relay.prisms.set(id, port);
        result.documents += 1;
        const tools = new Map((await server.tools(id)).map((tool) => [tool.route, tool.path]));
        for (const { operation, args } of operations) {
          const route = `${operation.method.toUpperCase()} ${operation.path}`;
          const tool = tools.get(route);
          if (!tool) continue;
          relay.seen.length = 0;
          const answer = await server.run(`
            try { await tools[${JSON.stringify(tool)}](JSON.parse(${JSON.stringify(JSON.stringify(args))})); return {}; }
            catch (error) { return { refused: \`\${error.name} \${error.code ?? ''} \${error.status ?? ''}: \${error.message}\` }; }`);
          judge(result, `${name} ${route}`, args, answer, relay.seen);
        }
        mock.kill('SIGKILL');
      }
    } finally {
      await server.stop();
      rmSync(folder, { recursive: true });
    }
  }
  relay.server.close();
  return result;
}

function judge(result, call, args, answer, seen) {
  result.called += 1;
  const last = seen.at(-1);
  const shown = JSON.stringify(args).slice(0, 300);
  // Airlock sends nothing for a while to a service that broke several connections in a row.
  if (!last && /upstream_unavailable/.test(answer.refused)) return void (result.mockFailed += 1);
  if (!last) return void result.refusedByAirlock.push({ call, why: answer.refused ?? 'nothing was sent', args: shown });
  // Of the request, not of the mock's own answer.
  const wrong = JSON.parse(last.violations ?? '[]').filter((one) => one.location?.[0] === 'request' && one.severity === 'Error');
  const isRefused = wrong.length > 0 || [401, 404, 405, 415, 422].includes(last.status) && /stoplight\.io\/prism|NO_|UNPROCESSABLE|UNAUTHORIZED/.test(last.text);
  if (isRefused) return void result.refusedByService.push({ call, url: last.url, status: last.status, why: JSON.stringify(wrong).slice(0, 400), text: last.text.slice(0, 300), args: shown });
  result.accepted += 1;
  if (answer.refused) result.answerOdd += 1;
}
