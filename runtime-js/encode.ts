// Values that leave the guest, as JSON. Contract: undefined is null, dates are ISO strings, bigints are decimal strings, maps
// and sets are objects and arrays, errors are their name, message and own properties, bytes are base64 with their type, a cycle
// is "[Circular]", half of a surrogate pair is U+FFFD. Nothing else is silently lost: what JSON cannot hold is told as a warning.
// Getters, `toJSON` and Proxies are guest code and run here, under the guest's own limits.
import { primordials } from "ext:core/mod.js";
import { op_base64, op_encode_bytes_max, op_kind, op_warn } from "ext:core/ops";

const {
  Array,
  ArrayIsArray,
  ArrayPrototypePush,
  DatePrototypeGetTime,
  DatePrototypeToISOString,
  JSONStringify,
  MapPrototypeForEach,
  NumberIsFinite,
  ObjectFreeze,
  ObjectGetOwnPropertyDescriptor,
  ObjectKeys,
  RangeError,
  ReflectApply,
  Set,
  SetPrototypeAdd,
  SetPrototypeDelete,
  SetPrototypeForEach,
  SetPrototypeHas,
  String,
  StringPrototypeToWellFormed,
  TypeError,
} = primordials;

const DEPTH_MAX = 512;

// What `op_kind` answers; the order is that of the engine.
const DATE = 1, MAP = 2, SET = 3, ERROR = 4, BYTES = 5, REGEXP = 6, BOXED = 7, PROMISE = 8, OPAQUE = 9;

interface Walk {
  /** Arguments of a call: what JSON cannot hold is refused instead of replaced. */
  strict: boolean;
  /** Bytes that the text will have at least. */
  bytes: number;
  bytesMax: number;
  ancestors: Set<object>;
  depth: number;
  numbers: number;
  halves: number;
  dropped: number;
}

/** Thrown, and caught by our own callers, when the text would be over the limit. Not a class: guests could patch its bases. */
export const OVER_LIMIT = ObjectFreeze({ __proto__: null });

function spend(walk: Walk, bytes: number) {
  walk.bytes += bytes;
  if (walk.bytes > walk.bytesMax) throw OVER_LIMIT;
}

function number(walk: Walk, value: number): number | null {
  spend(walk, 1);
  if (NumberIsFinite(value)) return value;
  if (walk.strict) throw new TypeError(`${value} is not a JSON number`);
  walk.numbers++;
  return null;
}

/** Text that every reader of JSON takes: `JSON.stringify` would escape half of a surrogate pair, which is no character. */
function text(walk: Walk, value: string): string {
  spend(walk, value.length + 2);
  const whole = StringPrototypeToWellFormed(value);
  if (whole === value) return value;
  if (walk.strict) throw new TypeError("a text with half of a surrogate pair is not JSON: call `toWellFormed()` on it first");
  walk.halves++;
  return whole;
}

function entries(walk: Walk, map: Map<unknown, unknown>): unknown {
  let named = true;
  MapPrototypeForEach(map, (_value: unknown, key: unknown) => {
    if (typeof key !== "string") named = false;
  });
  const out: any = named ? { __proto__: null } : [];
  MapPrototypeForEach(map, (value: unknown, key: unknown) => {
    if (named) {
      const name = text(walk, key as string);
      const inner = tree(walk, value, key as string);
      if (inner !== undefined) out[name] = inner;
    } else {
      ArrayPrototypePush(out, [tree(walk, key, "") ?? null, tree(walk, value, "") ?? null]);
    }
  });
  return out;
}

function properties(walk: Walk, value: object, out: any, skipped?: string): unknown {
  const keys = ObjectKeys(value);
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i];
    if (key === skipped) continue;
    const name = text(walk, key);
    const inner = tree(walk, (value as any)[key], key);
    if (inner !== undefined) out[name] = inner;
  }
  return out;
}

function error(walk: Walk, value: any): unknown {
  const name = value.name, message = value.message;
  const out: any = { __proto__: null, name: typeof name === "string" ? text(walk, name) : "Error" };
  out.message = typeof message === "string" ? text(walk, message) : "";
  properties(walk, value, out, "stack");
  const cause = ObjectGetOwnPropertyDescriptor(value, "cause");
  if (cause !== undefined && !cause.enumerable && cause.value !== undefined) {
    const inner = tree(walk, cause.value, "cause");
    if (inner !== undefined) out.cause = inner;
  }
  return out;
}

function special(walk: Walk, kind: number, value: any): unknown {
  switch (kind) {
    case DATE:
      spend(walk, 26);
      return DatePrototypeGetTime(value) === DatePrototypeGetTime(value) ? DatePrototypeToISOString(value) : null;
    case MAP:
      return entries(walk, value);
    case SET: {
      const out: unknown[] = [];
      SetPrototypeForEach(value, (item: unknown) => ArrayPrototypePush(out, tree(walk, item, "") ?? null));
      return out;
    }
    case ERROR:
      return error(walk, value);
    case BYTES: {
      const told = op_base64(value, walk.bytesMax - walk.bytes);
      if (told === null) throw OVER_LIMIT;
      spend(walk, told[1].length + 32);
      return { __proto__: null, type: told[0], base64: told[1] };
    }
    case REGEXP:
      return text(walk, String(value));
    case BOXED:
      return tree(walk, value.valueOf(), "");
    case PROMISE:
      if (walk.strict) throw new TypeError("a promise is not JSON: `await` it first");
      op_warn("the result holds a promise that was not awaited; it is shown as {}");
      return { __proto__: null };
    default:
      if (walk.strict) throw new TypeError("a WeakMap, WeakSet or WeakRef is not JSON");
      op_warn("the result holds a value that JSON cannot hold; it is shown as {}");
      return { __proto__: null };
  }
}

function inside(walk: Walk, value: any): unknown {
  if (ArrayIsArray(value)) {
    const length = value.length;
    spend(walk, length * 2 + 2);
    const out = new Array(length);
    for (let i = 0; i < length; i++) out[i] = tree(walk, value[i], i) ?? null;
    return out;
  }
  spend(walk, 2);
  const kind = op_kind(value);
  return kind === 0 ? properties(walk, value, { __proto__: null }) : special(walk, kind, value);
}

/** The JSON-able copy of a value; undefined where JSON drops it. */
function tree(walk: Walk, value: any, key: string | number): unknown {
  switch (typeof value) {
    case "string":
      return text(walk, value);
    case "number":
      return number(walk, value);
    case "boolean":
      spend(walk, 4);
      return value;
    case "bigint": {
      const digits = String(value);
      spend(walk, digits.length + 2);
      return digits;
    }
    case "function":
    case "symbol":
      walk.dropped++;
      return undefined;
    case "undefined":
      return undefined;
  }
  if (value === null) return null;
  if (SetPrototypeHas(walk.ancestors, value)) {
    if (walk.strict) throw new TypeError("a structure that contains itself is not JSON");
    return "[Circular]";
  }
  if (++walk.depth > DEPTH_MAX) throw new RangeError(`nested deeper than ${DEPTH_MAX} levels`);
  SetPrototypeAdd(walk.ancestors, value);
  let out;
  // Dates have a `toJSON` of their own; `special` does what it does, invalid ones included.
  const toJSON = value.toJSON;
  if (typeof toJSON === "function" && op_kind(value) !== DATE) {
    out = tree(walk, ReflectApply(toJSON, value, [String(key)]), key);
  } else {
    out = inside(walk, value);
  }
  SetPrototypeDelete(walk.ancestors, value);
  walk.depth--;
  return out;
}

function within(value: unknown, strict: boolean, bytesMax: number): string {
  const walk: Walk = {
    strict,
    bytes: 0,
    bytesMax,
    ancestors: new Set(),
    depth: 0,
    numbers: 0,
    halves: 0,
    dropped: 0,
  };
  const out = tree(walk, value, "");
  if (!strict) {
    if (walk.numbers > 0) op_warn(`the result holds NaN or Infinity in ${walk.numbers} place(s), shown as null`);
    if (walk.halves > 0) op_warn(`the result holds half of a surrogate pair in ${walk.halves} text(s), shown as U+FFFD`);
    if (out === undefined && value !== undefined) op_warn(`the result is a ${typeof value}, which JSON cannot hold; it is shown as null`);
  }
  return JSONStringify(out) ?? "null";
}

/** The value as JSON text. Throws OVER_LIMIT when the text would be over the limit. */
export function encode(value: unknown, strict: boolean): string {
  return within(value, strict, op_encode_bytes_max(strict));
}

// What runs while the snapshot is made stays in it compiled. Nearly every guest needs this much, and would compile it again.
within([{ text: "", number: 1, flag: true, nothing: null }], true, 1024);
