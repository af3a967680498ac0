// `tools`: a lazy path. Only the host knows which tools exist: every call goes there. The one thing
// known here is how the host functions take their arguments: `hostFunctions`, which is generated
// from the table in `src/model/host_function/`.
import { primordials } from "ext:core/mod.js";
import { op_call, op_encode_bytes_max } from "ext:core/ops";
import { encode, OVER_LIMIT } from "ext:airlock/encode.ts";
import { hostFunctions } from "ext:airlock/host_functions.ts";

const {
  ArrayIsArray,
  ArrayPrototypeJoin,
  JSONStringify,
  ObjectFreeze,
  ObjectSetPrototypeOf,
  PromiseReject,
  Proxy,
  RangeError,
  StringPrototypeCharCodeAt,
  TypeError,
} = primordials;

const PATH_MAX = 1024;
const OPEN_BRACE = 123;
const GUIDE =
  'tools cannot be listed: use `await tools.discover("what you need")`, ' +
  "`await tools.catalog.namespaces()` or `await tools.catalog.tools({ namespace })`";

// Names that are never tools behind a dot: promises, conversions and prototypes look them up on any
// value. A tool with such a name is called as tools["a.then"].
const ABSENT = {
  __proto__: null,
  then: true,
  catch: true,
  finally: true,
  toJSON: true,
  constructor: true,
  prototype: true,
  valueOf: true,
};

// A function, so that `apply` works; an arrow, so that it cannot be constructed; empty and frozen,
// so that no invariant of proxies restricts the traps below.
const target = () => {};
delete (target as any).name;
delete (target as any).length;
ObjectFreeze(ObjectSetPrototypeOf(target, null));

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && !ArrayIsArray(value);
}

function named(value: unknown): string {
  if (value === null || value === undefined) return `${value}`;
  if (ArrayIsArray(value)) return "an array";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}

function unfit(path: string, got: string): TypeError {
  const form = hostFunctions[path]?.example;
  return new TypeError(
    form === undefined
      ? `tools.${path} was called with ${got}: a tool takes no argument or one object, ` +
          "`({ name: value })`; " +
          `\`await tools.describe(${JSONStringify(path)})\` tells what it takes, if it exists`
      : `tools.${path} was called with ${got}: it takes one object, ` +
          `\`await tools.${path}(${form})\``,
  );
}

function argumentOf(path: string, args: unknown[]): unknown {
  const only = args[0];
  const more = args[1];
  if (args.length === 0 || (args.length === 1 && only === undefined)) return { __proto__: null };
  const key = hostFunctions[path]?.field;
  const isPlain =
    key !== undefined &&
    (typeof only === "string" ||
      (hostFunctions[path].isHandle && args.length === 2 && isObject(only)));
  if (
    isPlain &&
    (args.length === 1 || (args.length === 2 && (more === undefined || isObject(more))))
  ) {
    return { __proto__: null, ...(more as object), [key]: only };
  }
  if (args.length === 1 && isObject(only)) return only;
  const got = [];
  for (let i = 0; i < args.length && i < 5; i++) got[i] = named(args[i]);
  throw unfit(path, `(${ArrayPrototypeJoin(got, ", ")})`);
}

function call(path: string, args: unknown[]): Promise<unknown> {
  if (path === "")
    throw new TypeError(
      "tools is not a tool: call one of its members, " +
        `\`await tools.namespace.tool({ ... })\`. ${GUIDE}`,
    );
  if (path.length > PATH_MAX)
    throw new RangeError(`a tool path is ${path.length} characters; the limit is ${PATH_MAX}`);
  const argument = argumentOf(path, args);
  let json;
  try {
    json = encode(argument, true);
  } catch (error) {
    if (error === OVER_LIMIT) {
      throw new RangeError(
        `the arguments of tools.${path} exceed ${op_encode_bytes_max(true)} bytes of JSON, ` +
          "the limit of one call",
      );
    }
    throw error;
  }
  if (StringPrototypeCharCodeAt(json, 0) !== OPEN_BRACE) {
    throw unfit(path, `something that becomes ${json.length > 40 ? "other JSON" : json}`);
  }
  const promise = op_call(path, json);
  if (typeof promise === "string") throw new RangeError(promise);
  return promise;
}

function guide(): never {
  throw new TypeError(GUIDE);
}

class Path {
  path: string;
  constructor(path: string) {
    this.path = path;
  }
  get(_target: unknown, key: string | symbol) {
    if (typeof key === "symbol" || ABSENT[key] || key === "__proto__") return undefined;
    const path = this.path;
    if (key === "toString") return () => (path === "" ? "tools" : `tools.${path}`);
    return node(path === "" ? key : `${path}.${key}`);
  }
  apply(_target: unknown, _this: unknown, args: unknown[]) {
    try {
      return call(this.path, args);
    } catch (error) {
      return PromiseReject(error);
    }
  }
  has(_target: unknown, key: string | symbol) {
    if (typeof key === "symbol" || ABSENT[key]) return false;
    return guide();
  }
  ownKeys() {
    return guide();
  }
  getOwnPropertyDescriptor() {
    return undefined;
  }
  getPrototypeOf() {
    return null;
  }
  setPrototypeOf() {
    return false;
  }
  isExtensible() {
    return false;
  }
  preventExtensions() {
    return true;
  }
  set(): never {
    throw new TypeError("tools cannot be changed");
  }
  defineProperty(): never {
    throw new TypeError("tools cannot be changed");
  }
  deleteProperty(): never {
    throw new TypeError("tools cannot be changed");
  }
}
// A trap must never be looked up on a prototype that the guest can reach.
ObjectSetPrototypeOf(Path.prototype, null);

function node(path: string): unknown {
  return new Proxy(target, new Path(path));
}

export const tools = node("");

// Compiled in the snapshot, as in `encode.ts`: everything of a call except its last step, which
// needs a guest.
(tools as any).a.b(0, 0).catch(() => {});
argumentOf("a", [{}]);
argumentOf("discover", ["a", {}]);
unfit("a", named(1));
