// An own reading of a document, written from the specifications (Swagger 2.0, OpenAPI 3.x) and not from Airlock's code: which
// operations there are, which arguments each takes, and where the service is.

export const METHODS = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'];
// OpenAPI: "If `in` is "header" and the name is "Accept", "Content-Type" or "Authorization", the parameter definition SHALL be ignored."
const IGNORED = ['accept', 'content-type', 'authorization'];
// Names that a credential has. docs/openapi.md: these are not a caller's where the operation has a security scheme.
const CREDENTIAL = /^x?(api|app|access|auth|authentication|authorization|oauth|oauth2?access|session|user|bearer|client|x)*(key|token|secret|auth|authentication|authorization|bearer)$/;
const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
const unescaped = (part) => part.replaceAll('~1', '/').replaceAll('~0', '~');

export class Reading {
  constructor(document) {
    this.document = document;
    this.isSwagger = document.swagger !== undefined;
    const schemes = this.isSwagger ? document.securityDefinitions : document.components?.securitySchemes;
    this.schemes = Object.fromEntries(Object.entries(schemes ?? {}).map(([name, scheme]) => [name, this.resolved(scheme)]));
    this.keys = new Set(Object.values(this.schemes).filter((scheme) => scheme?.type === 'apiKey').map((scheme) => `${scheme.in} ${String(scheme.name).toLowerCase()}`));
  }

  // What `#/a/b` leads to.
  pointed(reference) {
    if (typeof reference !== 'string' || !reference.startsWith('#/')) return undefined;
    const walk = (parts) => parts.reduce((value, part) => value?.[part], this.document);
    const parts = reference.slice(2).split('/').map(unescaped);
    const decoded = (part) => { try { return decodeURIComponent(part); } catch { return part; } };
    return walk(parts) ?? walk(parts.map(decoded));
  }

  // The object, or what its references lead to; undefined where they lead nowhere.
  resolved(value) {
    for (let hops = 0; hops < 20; hops += 1) {
      if (!isObject(value)) return undefined;
      if (typeof value.$ref !== 'string') return value;
      value = this.pointed(value.$ref);
    }
    return undefined;
  }

  // `{ method, path, arguments, fields, security }` of every operation.
  operations() {
    const all = [];
    for (const [path, written] of Object.entries(isObject(this.document.paths) ? this.document.paths : {})) {
      if (path.startsWith('x-')) continue;
      const item = this.resolved(written) ?? written;
      for (const method of METHODS) {
        if (item?.[method] === undefined) continue;
        all.push(this.operation(method, path, item, item[method]));
      }
    }
    return all;
  }

  operation(method, path, item, operation) {
    const listed = [];
    for (const holder of [operation, item]) {
      for (const written of Array.isArray(holder?.parameters) ? holder.parameters : []) {
        const parameter = this.resolved(written);
        const name = typeof parameter?.name === 'string' ? parameter.name.trim() : undefined;
        const place = parameter?.in ?? (name && path.includes(`{${name}}`) ? 'path' : undefined);
        const known = listed.some((other) => other.name === name && other.place === place);
        if (name === undefined || !known) listed.push({ name, place, parameter });
      }
    }
    const [, query = ''] = path.split('#')[0].split(/\?(?![^{]*})/);
    const inQuery = new Set([...query.matchAll(/(?:^|&)(?:[^=&]*=)?\{([^{}]+)\}/g)].map(([, name]) => name));
    const args = [];
    const unreadable = [];
    let body = false;
    const fields = new Map();
    for (const { name, place, parameter } of listed) {
      if (name === undefined || place === undefined) unreadable.push(name ?? '?');
      else if (this.isSwagger && place === 'body') body = parameter;
      else if (this.isSwagger && place === 'formData') fields.set(name, parameter);
      else if (!['path', 'query', 'header', 'cookie'].includes(String(place).toLowerCase())) unreadable.push(name);
      // A variable that does not stand in the path is sent nowhere.
      else if (place === 'path' && !variables(path).has(name) && !inQuery.has(name)) continue;
      else args.push({ name, place: String(place).toLowerCase(), parameter, kind: this.kind(name, place, parameter, operation) });
    }
    for (const name of variables(path)) {
      if (!args.some((known) => known.name === name)) args.push({ name, place: inQuery.has(name) ? 'query' : 'path', parameter: {}, kind: 'caller' });
    }
    let content = {};
    if (!this.isSwagger && isObject(operation?.requestBody)) {
      content = this.resolved(operation.requestBody)?.content ?? {};
      body = Object.keys(content).length > 0;
    }
    const servers = [operation?.servers, item?.servers].find((servers) => Array.isArray(servers) && servers.length > 0);
    return { method, path, id: operation?.operationId, arguments: args, unreadable, body, fields, content, operation, servers };
  }

  // Whose a parameter is: a `caller`'s, `ignored` by the specification, a `credential` by its scheme or its name.
  kind(name, place, parameter, operation) {
    if (place === 'header' && IGNORED.includes(name.toLowerCase())) return 'ignored';
    if (this.keys.has(`${place} ${name.toLowerCase()}`)) return 'credential';
    const plain = name.toLowerCase().replace(/[^a-z0-9]/g, '');
    const needed = operation?.security ?? this.document.security ?? [];
    const hasScheme = needed.some((one) => Object.keys(one).some((name) => this.schemes[name]));
    return hasScheme && place !== 'path' && CREDENTIAL.test(plain) ? 'credential' : 'caller';
  }

  // The names of a body's fields that a caller gives, for forms and JSON objects; undefined where the body is no object of known fields.
  fieldsOf(operation) {
    if (operation.fields.size > 0 && !operation.body) return [...operation.fields.keys()];
    const schema = this.isSwagger ? operation.body?.schema : Object.entries(operation.content).find(([kind]) => /json|form/.test(kind))?.[1]?.schema;
    if (!schema) return undefined;
    const names = new Set();
    const gather = (schema, depth) => {
      const known = this.resolved(schema);
      if (!known || depth > 6) return;
      for (const [name, field] of Object.entries(known.properties ?? {})) {
        if (field?.readOnly !== true && this.resolved(field)?.readOnly !== true) names.add(name);
      }
      for (const part of known.allOf ?? []) gather(part, depth + 1);
    };
    gather(schema, 0);
    return names.size > 0 ? [...names] : undefined;
  }

  // Whether the document says of itself where the service is.
  hasAddress() {
    const { servers, host } = this.document;
    if (this.isSwagger) return typeof host === 'string';
    const first = Array.isArray(servers) ? servers.find(isObject) : undefined;
    const url = String(first?.url ?? '/').replaceAll(/\{([^}]*)\}/g, (_, name) => first?.variables?.[name]?.default ?? '');
    return /^(https?:)?\/\/[^/]+/.test(url);
  }

  // The first scheme that an operation needs alone: `{ type, in, name }` and the like; null where it needs none.
  credential(operation) {
    const needed = operation.operation?.security ?? this.document.security ?? [];
    if (needed.length === 0 || needed.some((one) => Object.keys(one).length === 0)) return null;
    const alone = needed.map((one) => Object.keys(one)).find((names) => names.length === 1);
    return alone && this.schemes[alone[0]];
  }
}

// The variables of a path, `{+name}`, `{name*}` and `{?a,b}` included.
function variables(path) {
  const names = new Set();
  for (const [, inner] of path.split('#')[0].matchAll(/\{([^{}]+)\}/g)) {
    for (const name of inner.replace(/^[?&+*]/, '').split(/,(?=\w)/)) names.add(name.trim().replace(/[*+]$/, ''));
  }
  return names;
}
