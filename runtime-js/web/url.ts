// URL and URLSearchParams. The native side parses and sets parts; this module holds the pairs of a
// query.
import { primordials } from "ext:core/mod.js";
import {
  op_web_form_parse,
  op_web_form_serialize,
  op_web_url_parse,
  op_web_url_set,
} from "ext:core/ops";
import { seal } from "ext:airlock/web/event.ts";

const {
  ArrayPrototypePush,
  ArrayPrototypeSort,
  ArrayPrototypeSplice,
  ObjectDefineProperty,
  ObjectKeys,
  ReflectApply,
  String,
  StringPrototypeSlice,
  SymbolIterator,
  TypeError,
} = primordials;

// Indices of the parts of a URL, as on the native side.
const HREF = 0,
  PROTOCOL = 1,
  USERNAME = 2,
  PASSWORD = 3,
  HOST = 4,
  HOSTNAME = 5,
  PORT = 6,
  PATHNAME = 7,
  SEARCH = 8,
  HASH = 9;
const ORIGIN = 10;

/** Returns alternating names and values from a constructor's argument. */
function pairsOf(init: any): string[] {
  if (init === undefined) return [];
  if ((typeof init !== "object" && typeof init !== "function") || init === null) {
    const query = String(init);
    return op_web_form_parse(query[0] === "?" ? StringPrototypeSlice(query, 1) : query);
  }
  const pairs: string[] = [];
  if (init[SymbolIterator] !== undefined && init[SymbolIterator] !== null) {
    for (const pair of init) {
      const items: unknown[] = [];
      for (const item of pair) ArrayPrototypePush(items, item);
      if (items.length !== 2) throw new TypeError("each pair of a query is a name and a value");
      ArrayPrototypePush(pairs, String(items[0]), String(items[1]));
    }
    return pairs;
  }
  const names = ObjectKeys(init);
  for (let i = 0; i < names.length; i++)
    ArrayPrototypePush(pairs, names[i], String(init[names[i]]));
  return pairs;
}

export class URLSearchParams {
  #pairs: string[];
  // Notifies the URL to which this query belongs of a change.
  #changed: ((query: string) => void) | null = null;

  constructor(init: any = undefined) {
    this.#pairs = pairsOf(init);
  }
  static follow(params: URLSearchParams, changed: (query: string) => void) {
    params.#changed = changed;
  }
  static reset(params: URLSearchParams, query: string) {
    params.#pairs = op_web_form_parse(query);
  }
  #update() {
    if (this.#changed !== null) this.#changed(this.toString());
  }
  get size() {
    return this.#pairs.length / 2;
  }
  append(name: unknown, value: unknown) {
    ArrayPrototypePush(this.#pairs, String(name), String(value));
    this.#update();
  }
  delete(name: unknown, value: unknown = undefined) {
    const key = String(name),
      only = value === undefined ? undefined : String(value);
    for (let i = this.#pairs.length - 2; i >= 0; i -= 2) {
      if (this.#pairs[i] === key && (only === undefined || this.#pairs[i + 1] === only))
        ArrayPrototypeSplice(this.#pairs, i, 2);
    }
    this.#update();
  }
  get(name: unknown) {
    const key = String(name);
    for (let i = 0; i < this.#pairs.length; i += 2)
      if (this.#pairs[i] === key) return this.#pairs[i + 1];
    return null;
  }
  getAll(name: unknown) {
    const key = String(name),
      values: string[] = [];
    for (let i = 0; i < this.#pairs.length; i += 2)
      if (this.#pairs[i] === key) ArrayPrototypePush(values, this.#pairs[i + 1]);
    return values;
  }
  has(name: unknown, value: unknown = undefined) {
    const key = String(name),
      only = value === undefined ? undefined : String(value);
    for (let i = 0; i < this.#pairs.length; i += 2) {
      if (this.#pairs[i] === key && (only === undefined || this.#pairs[i + 1] === only))
        return true;
    }
    return false;
  }
  set(name: unknown, value: unknown) {
    const key = String(name);
    let found = false;
    for (let i = 0; i < this.#pairs.length; i += 2) {
      if (this.#pairs[i] !== key) continue;
      if (found) {
        ArrayPrototypeSplice(this.#pairs, i, 2);
        i -= 2;
      } else {
        this.#pairs[i + 1] = String(value);
        found = true;
      }
    }
    if (!found) ArrayPrototypePush(this.#pairs, key, String(value));
    this.#update();
  }
  sort() {
    const entries: { name: string; value: string }[] = [];
    for (let i = 0; i < this.#pairs.length; i += 2)
      ArrayPrototypePush(entries, { name: this.#pairs[i], value: this.#pairs[i + 1] });
    ArrayPrototypeSort(entries, (a: any, b: any) =>
      a.name < b.name ? -1 : a.name > b.name ? 1 : 0,
    );
    this.#pairs = [];
    for (let i = 0; i < entries.length; i++)
      ArrayPrototypePush(this.#pairs, entries[i].name, entries[i].value);
    this.#update();
  }
  forEach(callback: any, self: unknown = undefined) {
    for (let i = 0; i < this.#pairs.length; i += 2)
      ReflectApply(callback, self, [this.#pairs[i + 1], this.#pairs[i], this]);
  }
  *entries() {
    for (let i = 0; i < this.#pairs.length; i += 2) yield [this.#pairs[i], this.#pairs[i + 1]];
  }
  *keys() {
    for (let i = 0; i < this.#pairs.length; i += 2) yield this.#pairs[i];
  }
  *values() {
    for (let i = 0; i < this.#pairs.length; i += 2) yield this.#pairs[i + 1];
  }
  toString() {
    return op_web_form_serialize(this.#pairs);
  }
}
const follow = URLSearchParams.follow,
  reset = URLSearchParams.reset;
delete (URLSearchParams as any).follow;
delete (URLSearchParams as any).reset;
ObjectDefineProperty(URLSearchParams.prototype, SymbolIterator, {
  __proto__: null,
  value: URLSearchParams.prototype.entries,
  writable: true,
  configurable: true,
});
seal(URLSearchParams, "URLSearchParams");

function parse(url: unknown, base: unknown): string[] | null {
  return op_web_url_parse(String(url), base === undefined ? null : String(base));
}

export class URL {
  #parts: string[];
  #params: URLSearchParams | null = null;

  constructor(url: unknown, base: unknown = undefined) {
    if (arguments.length === 0) throw new TypeError("URL takes a string");
    const parts = parse(url, base);
    if (parts === null) throw new TypeError(`${String(url)} is not a URL`);
    this.#parts = parts;
  }
  static canParse(url: unknown, base: unknown = undefined) {
    return parse(url, base) !== null;
  }
  static parse(url: unknown, base: unknown = undefined) {
    return parse(url, base) === null ? null : new URL(url, base);
  }
  #set(part: number, value: unknown) {
    const parts = op_web_url_set(this.#parts[HREF], part, String(value));
    if (parts === null) throw new TypeError(`${String(value)} is not a URL`);
    this.#parts = parts;
    if (this.#params !== null && (part === SEARCH || part === HREF))
      reset(this.#params, StringPrototypeSlice(parts[SEARCH], 1));
  }
  get href() {
    return this.#parts[HREF];
  }
  set href(value: unknown) {
    this.#set(HREF, value);
  }
  get origin() {
    return this.#parts[ORIGIN];
  }
  get protocol() {
    return this.#parts[PROTOCOL];
  }
  set protocol(value: unknown) {
    this.#set(PROTOCOL, value);
  }
  get username() {
    return this.#parts[USERNAME];
  }
  set username(value: unknown) {
    this.#set(USERNAME, value);
  }
  get password() {
    return this.#parts[PASSWORD];
  }
  set password(value: unknown) {
    this.#set(PASSWORD, value);
  }
  get host() {
    return this.#parts[HOST];
  }
  set host(value: unknown) {
    this.#set(HOST, value);
  }
  get hostname() {
    return this.#parts[HOSTNAME];
  }
  set hostname(value: unknown) {
    this.#set(HOSTNAME, value);
  }
  get port() {
    return this.#parts[PORT];
  }
  set port(value: unknown) {
    this.#set(PORT, value);
  }
  get pathname() {
    return this.#parts[PATHNAME];
  }
  set pathname(value: unknown) {
    this.#set(PATHNAME, value);
  }
  get search() {
    return this.#parts[SEARCH];
  }
  set search(value: unknown) {
    this.#set(SEARCH, value);
  }
  get hash() {
    return this.#parts[HASH];
  }
  set hash(value: unknown) {
    this.#set(HASH, value);
  }
  get searchParams() {
    if (this.#params === null) {
      const params = new URLSearchParams(this.#parts[SEARCH]);
      follow(params, (query) => {
        const parts = op_web_url_set(this.#parts[HREF], SEARCH, query);
        if (parts !== null) this.#parts = parts;
      });
      this.#params = params;
    }
    return this.#params;
  }
  toString() {
    return this.#parts[HREF];
  }
  toJSON() {
    return this.#parts[HREF];
  }
}
seal(URL, "URL");
