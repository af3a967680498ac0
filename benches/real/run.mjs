// Imports real OpenAPI documents with a real binary, compares what came of them with an own reading, and calls a sample against Prism.
// `node run.mjs --binary FILE [--cache DIR] [--out FILE] [--only REGEX] [--every N] [--prism N] [--calls N]`; see benches/README.md.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { calls } from './calls.mjs';
import { compare } from './compare.mjs';
import { documents, parsed } from './documents.mjs';
import { Reading } from './reading.mjs';
import { Server } from './server.mjs';

const HERE = dirname(fileURLToPath(import.meta.url));
// What one server imports at a time.
const BATCH_DOCUMENTS = 40;
const BATCH_BYTES = 40 * 1024 * 1024;

const { values: options } = parseArgs({
  options: {
    binary: { type: 'string' },
    cache: { type: 'string', default: join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'airlock/real-documents') },
    out: { type: 'string' },
    only: { type: 'string' },
    every: { type: 'string', default: '1' },
    prism: { type: 'string', default: '100' },
    calls: { type: 'string', default: '8' },
  },
});
if (!options.binary) {
  console.error('which binary? --binary FILE');
  process.exit(2);
}

function install(cache) {
  mkdirSync(cache, { recursive: true });
  for (const file of ['package.json', 'package-lock.json']) {
    const kept = join(cache, file);
    let known = '';
    try { known = readFileSync(kept, 'utf8'); } catch { /* the first time */ }
    if (known === readFileSync(join(HERE, file), 'utf8')) continue;
    cpSync(join(HERE, file), kept);
    rmSync(join(cache, 'node_modules'), { recursive: true, force: true });
  }
  const modules = join(cache, 'node_modules');
  try { readFileSync(join(modules, '.package-lock.json')); } catch {
    execFileSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: cache, stdio: 'inherit' });
  }
  return modules;
}

function batches(all) {
  const out = [];
  let bytes = Infinity;
  for (const document of all) {
    if (bytes + document.bytes > BATCH_BYTES || out.at(-1).length === BATCH_DOCUMENTS) {
      out.push([]);
      bytes = 0;
    }
    out.at(-1).push(document);
    bytes += document.bytes;
  }
  return out;
}

const count = (groups, key) => groups.set(key, (groups.get(key) ?? 0) + 1);

// The kind of a message: without what is the document's own.
const kind = (message) => message.replaceAll(/`[^`]*`|"[^"]*"|\d+/g, '…').slice(0, 160);

const modules = install(options.cache);
const all = documents(modules, options.only && new RegExp(options.only)).filter((_, at) => at % Number(options.every) === 0);
console.error(`${all.length} documents`);
const totals = { documents: all.length, withBaseUrl: 0, ready: 0, operations: 0, told: 0, parameters: 0, bodies: 0, fields: 0, peakMiB: 0, seconds: 0 };
const refused = new Map();
const refusedDocuments = [];
const lostOperations = [];
const toldOperations = [];
const lostParameters = [];
const lostBodies = [];
const lostFields = [];
const notes = new Map();
const credentials = new Map();
const ready = [];
const begin = Date.now();
for (const [at, batch] of batches(all).entries()) {
  const read = new Map();
  const tables = batch.map((document) => {
    const value = parsed(document, modules);
    if (value) read.set(document.id, value);
    // What has no address of its own is given one, as its owner would.
    const needsAddress = value && !new Reading(value).hasAddress();
    totals.withBaseUrl += needsAddress ? 1 : 0;
    return `[upstreams.${document.id}]\nkind = "openapi"\nspec = ${JSON.stringify(document.path)}\nstart_timeout_ms = 600000\n${needsAddress ? 'base_url = "https://service.example"\n' : ''}`;
  });
  const folder = mkdtempSync(join(tmpdir(), 'airlock-real-'));
  const server = await Server.start(options.binary, folder, tables.join(''));
  try {
    const states = new Map((await server.settled(600_000)).map((state) => [state.name, state]));
    for (const document of batch) {
      const { status, message, tools: has } = states.get(document.id);
      if (status !== 'ready') {
        count(refused, kind(message ?? status));
        refusedDocuments.push({ document: document.name, message });
        continue;
      }
      totals.ready += 1;
      ready.push(document);
      for (const part of (message ?? '').split('; ')) if (part) count(notes, kind(part));
      const tools = has === 0 ? [] : await server.tools(document.id);
      if (tools.length !== has) lostOperations.push({ document: document.name, why: `${has} tools are counted, ${tools.length} listed` });
      const found = compare(read.get(document.id), tools, message);
      for (const key of ['operations', 'told', 'parameters', 'bodies', 'fields']) totals[key] += found[key];
      if (found.missing.length > found.told) lostOperations.push({ document: document.name, told: found.told, missing: found.missing, message });
      else if (found.missing.length > 0) toldOperations.push({ document: document.name, missing: found.missing.slice(0, 20), count: found.missing.length, message });
      if (found.missingParameters.length > found.toldParameters) lostParameters.push({ document: document.name, told: found.toldParameters, missing: found.missingParameters });
      if (found.missingBodies.length > 0) lostBodies.push({ document: document.name, missing: found.missingBodies });
      // What no value fits is not described, and that is told.
      if (found.missingFields.length > found.toldFields) lostFields.push({ document: document.name, told: found.toldFields, missing: found.missingFields });
      for (const name of found.credentials) count(credentials, name);
    }
    totals.peakMiB = Math.max(totals.peakMiB, server.peak());
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true });
  }
  console.error(`batch ${at}: ${totals.ready} ready, ${refusedDocuments.length} refused, ${totals.operations} operations, ${Math.round((Date.now() - begin) / 1_000)} s`);
}
totals.seconds = Math.round((Date.now() - begin) / 1_000);

// Every n-th of those that Prism reads in reasonable time.
const small = ready.filter((document) => document.bytes < 1024 * 1024);
const every = Math.max(1, Math.floor(small.length / Number(options.prism)));
const sample = Number(options.prism) === 0 ? [] : small.filter((_, at) => at % every === 0).slice(0, Number(options.prism));
const called = await calls(options.binary, modules, sample, Number(options.calls));

const sum = (list, of) => list.reduce((all, one) => all + of(one), 0);
const report = {
  ...totals,
  refused: Object.fromEntries([...refused].sort(([, one], [, other]) => other - one)),
  operationsNamed: sum(toldOperations, (one) => one.count),
  operationsLostSilently: sum(lostOperations, (one) => (one.missing?.length ?? 1) - (one.told ?? 0)),
  parametersLostSilently: sum(lostParameters, (one) => one.missing.length - one.told),
  bodiesLost: sum(lostBodies, (one) => one.missing.length),
  operationsWithLostFields: sum(lostFields, (one) => one.missing.length - one.told),
  calls: { documents: called.documents, prismDoesNotStart: called.prismFails.length, called: called.called, accepted: called.accepted, mockFailed: called.mockFailed, refusedByService: called.refusedByService.length, refusedByAirlock: called.refusedByAirlock.length },
};
console.log(JSON.stringify(report, null, 2));
if (options.out) {
  const details = { report, refusedDocuments, lostOperations, toldOperations, lostParameters, lostBodies, lostFields, notes: Object.fromEntries(notes), credentials: Object.fromEntries(credentials), called };
  writeFileSync(options.out, `${JSON.stringify(details, null, 1)}\n`);
}
const came = (report.ready + refusedDocuments.length) / report.documents;
process.exit(came < 0.995 || report.operationsLostSilently > 0 || report.parametersLostSilently > 0 || report.bodiesLost > 0 || report.operationsWithLostFields > 0 ? 1 : 0);
