// Compares the tools of one upstream with the own reading of its document.
import { Reading } from './reading.mjs';

const ROUTE = /^(GET|PUT|POST|DELETE|OPTIONS|HEAD|PATCH|TRACE) (.*)$/s;
const told = (message, what) => Number(new RegExp(`${what}: (\\d+)`).exec(message ?? '')?.[1] ?? 0);

// Arguments that stand for a parameter: its name, or its name with its place where it is taken.
const standsFor = (argument, name) => {
  if (argument === name) return true;
  const rest = /^(?:path|query|header|cookie)_(.*)$/s.exec(argument)?.[1];
  return rest !== undefined && (rest === name || (rest.startsWith(`${name}_`) && /^\d+$/.test(rest.slice(name.length + 1))));
};

export function compare(document, tools, message) {
  const reading = new Reading(document);
  const found = {
    operations: 0, missing: [], told: told(message, 'operations left out'), elsewhere: 0,
    parameters: 0, missingParameters: [], toldParameters: told(message, 'parameters left out'), unreadable: 0,
    credentials: new Set(), bodies: 0, missingBodies: [], fields: 0, missingFields: [], toldFields: told(message, 'because their schema admits nothing'),
  };
  const byRoute = new Map();
  for (const tool of tools) {
    const [, method, path] = ROUTE.exec(tool.route) ?? [];
    byRoute.set(`${method} ${path}`, tool);
  }
  for (const operation of reading.operations()) {
    const route = `${operation.method.toUpperCase()} ${operation.path}`;
    const tool = byRoute.get(route);
    found.operations += 1;
    if (!tool) {
      found.missing.push(route);
      continue;
    }
    found.unreadable += operation.unreadable.length;
    const names = new Map();
    for (const { name, place, kind } of operation.arguments) {
      if (kind === 'credential') found.credentials.add(`${place} ${name}`);
      if (kind === 'caller') names.set(name, (names.get(name) ?? new Set()).add(place));
    }
    for (const [name, places] of names) {
      found.parameters += places.size;
      const having = tool.arguments.filter((argument) => standsFor(argument, name)).length;
      if (having < places.size) found.missingParameters.push(`${route}: ${[...places].join('+')} ${name}`);
    }
    const hasFields = operation.fields.size > 0;
    if (!operation.body && !hasFields) continue;
    found.bodies += 1;
    if (!tool.arguments.includes('body')) {
      found.missingBodies.push(route);
      continue;
    }
    const fields = reading.fieldsOf(operation) ?? [];
    found.fields += fields.length;
    const lost = fields.filter((name) => !tool.fields.includes(name) && !isCredential(reading, operation, name));
    if (lost.length > 0) found.missingFields.push(`${route}: ${lost.slice(0, 5).join(', ')}${lost.length > 5 ? ` and ${lost.length - 5} more` : ''}`);
  }
  return found;
}

const isCredential = (reading, operation, name) => reading.kind(name, 'field', {}, operation.operation) === 'credential';
