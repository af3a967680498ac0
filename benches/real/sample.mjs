// Arguments for a call, made from the document alone: its examples, else values that its schemas describe. Null where no value can be made
// that the document's own schema takes.
import { createRequire } from 'node:module';
import { join } from 'node:path';

const PLACES = ['path', 'query', 'header', 'cookie'];
const SCHEMA = ['type', 'format', 'items', 'default', 'enum', 'minimum', 'maximum', 'minLength', 'maxLength', 'pattern', 'example', 'x-example'];

// A JavaScript number beyond 2^53 may have been rounded, so that Airlock refuses it.
const isSafe = (value) => (typeof value === 'object' && value !== null ? Object.values(value).every(isSafe) : !Number.isInteger(value) || Number.isSafeInteger(value));

export class Sampler {
  constructor(modules, reading) {
    const require = createRequire(join(modules, 'x.js'));
    this.sampler = require('openapi-sampler');
    const Ajv = require('ajv').default;
    this.ajv = new Ajv({ strict: false, validateFormats: true, allErrors: false, logger: false });
    require('ajv-formats').default(this.ajv);
    this.reading = reading;
    // References are followed within the document, so that it is the root of every schema.
    this.root = { ...reading.document, $id: 'document' };
    delete this.root.$schema;
  }

  // A value, or undefined.
  value(schema, example) {
    try {
      let value = example ?? this.sampler.sample(schema ?? {}, { skipReadOnly: true, quiet: true }, this.reading.document);
      if (value === null || value === undefined) return undefined;
      const known = this.reading.resolved(schema) ?? {};
      // Examples of numbers and flags are often written as texts.
      if (['integer', 'number'].includes(known.type) && typeof value === 'string' && value.trim() !== '' && !Number.isNaN(Number(value))) value = Number(value);
      if (known.type === 'boolean' && ['true', 'false'].includes(value)) value = value === 'true';
      if (known.type === 'string' && typeof value === 'number') value = String(value);
      return isSafe(value) && this.isValid(schema ?? {}, value) ? value : undefined;
    } catch {
      return undefined;
    }
  }

  isValid(schema, value) {
    const rooted = (part) => {
      if (Array.isArray(part)) return part.map(rooted);
      if (typeof part !== 'object' || part === null) return part;
      const out = {};
      for (const [key, inner] of Object.entries(part)) {
        if (key === '$ref' && typeof inner === 'string') {
          const target = this.reading.pointed(inner);
          return target === undefined || this.depth > 8 ? {} : this.deeper(() => rooted(target));
        }
        if (['example', 'examples', 'discriminator', 'xml', 'externalDocs', 'required'].includes(key) && typeof inner !== 'object') continue;
        if (key === 'exclusiveMinimum' || key === 'exclusiveMaximum') { if (typeof inner === 'number') out[key] = inner; continue; }
        if (key === 'type' && inner === 'file') continue;
        out[key] = key === 'enum' || key === 'default' ? inner : rooted(inner);
      }
      if (out.nullable === true && typeof out.type === 'string') out.type = [out.type, 'null'];
      return out;
    };
    this.depth = 0;
    return this.ajv.validate(rooted(schema), value);
  }

  deeper(work) {
    this.depth += 1;
    const done = work();
    this.depth -= 1;
    return done;
  }

  parameter({ parameter, place }) {
    const example = parameter.example ?? parameter['x-example'] ?? Object.values(parameter.examples ?? {}).map((one) => this.reading.resolved(one)?.value)[0];
    const content = Object.values(parameter.content ?? {})[0];
    const own = Object.fromEntries(SCHEMA.filter((key) => parameter[key] !== undefined).map((key) => [key, parameter[key]]));
    const schema = content?.schema ?? parameter.schema ?? (this.reading.isSwagger ? own : { type: 'string' });
    const value = this.value(schema, example);
    // Nothing of a path can be empty.
    return place === 'path' && (value === '' || value === '.' || value === '..') ? undefined : value;
  }

  // The arguments of a call with all parameters, or with the required ones alone.
  arguments(operation, all) {
    const args = {};
    const taken = new Set(['$response', ...(operation.body || operation.fields.size > 0 ? ['body', '$contentType'] : [])]);
    const ordered = operation.arguments.filter((one) => one.kind === 'caller')
      .sort((one, other) => PLACES.indexOf(one.place) - PLACES.indexOf(other.place) || (one.name < other.name ? -1 : 1));
    for (const one of ordered) {
      const name = taken.has(one.name) ? `${one.place}_${one.name}` : one.name;
      taken.add(name);
      const isRequired = one.place === 'path' || one.parameter.required === true;
      if (!isRequired && !all) continue;
      const value = this.parameter(one);
      if (value !== undefined) args[name] = value;
      else if (isRequired) return null;
    }
    return this.withBody(operation, args, all);
  }

  withBody(operation, args, all) {
    if (operation.fields.size > 0 && !operation.body) {
      const body = {};
      for (const [name, parameter] of operation.fields) {
        if (parameter.required !== true && !all) continue;
        const value = parameter.type === 'file' ? 'some text' : this.parameter({ parameter, place: 'formData' });
        if (value !== undefined) body[name] = value;
        else if (parameter.required === true) return null;
      }
      return { ...args, body };
    }
    if (!operation.body) return args;
    const [kind, media] = this.reading.isSwagger ? ['application/json', operation.body]
      : Object.entries(operation.content).find(([kind]) => /json/.test(kind)) ?? Object.entries(operation.content)[0];
    if (!/json|form/.test(kind)) return null;
    const example = media.example ?? Object.values(media.examples ?? {}).map((one) => this.reading.resolved(one)?.value)[0];
    const body = this.value(media.schema, this.reading.isSwagger ? undefined : example) ?? this.value(media.schema);
    return body === undefined ? null : { ...args, body };
  }
}
