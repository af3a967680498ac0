// Encodes values that leave the guest as JSON. Contract: undefined becomes null, dates ISO strings,
// bigints decimal strings (integers in the arguments of a call), maps and sets objects and arrays,
// errors their name, message and own properties, bytes base64 with their type, a cycle
// "[Circular]", a lone surrogate U+FFFD. Nothing else is lost silently: in a result a warning
// reports what JSON cannot represent, in arguments it is an error. Getters, `toJSON`, iterators and
// Proxies are guest code and run here, under the guest's own limits.
import { primordials } from "ext:core/mod.js";
import { op_base64, op_encode_bytes_max, op_kind, op_warn } from "ext:core/ops";

const {
  Array,
  ArrayIsArray,
  ArrayPrototypePush,
  BigInt,
  DatePrototypeGetTime,
  DatePrototypeToISOString,
  JSONRawJSON,
  JSONStringify,
  MapPrototypeForEach,
  NumberIsFinite,
  NumberIsInteger,
  NumberIsSafeInteger,
  NumberPrototypeToExponential,
  ObjectFreeze,
  ObjectGetOwnPropertyDescriptor,
  ObjectGetPrototypeOf,
  ObjectKeys,
  ObjectPrototype,
  RangeError,
  ReflectApply,
  Set,
  SetPrototypeAdd,
  SetPrototypeDelete,
  SetPrototypeForEach,
  SetPrototypeHas,
  String,
  StringPrototypeSlice,
  StringPrototypeToWellFormed,
  SymbolIterator,
  TypeError,
} = primordials;

const DEPTH_MAX = 512;
/** Longest class name in a message, in characters. */
const NAME_MAX = 60;
/** Integers that the host can pass on as numbers: those of 64 bits. */
const INTEGER_MIN = -(2n ** 63n),
  INTEGER_MAX = 2n ** 64n - 1n;

// Return values of `op_kind`, in the order of the engine.
const DATE = 1,
  MAP = 2,
  SET = 3,
  ERROR = 4,
  BYTES = 5,
  REGEXP = 6,
  BOXED = 7,
  PROMISE = 8,
  OPAQUE = 9;

interface Walk {
  /**
   * For arguments of a call: values that JSON cannot represent are rejected instead of replaced.
   */
  strict: boolean;
  /** Lower bound on the bytes of the JSON. */
  bytes: number;
  bytesMax: number;
  ancestors: Set<object>;
  depth: number;
  numbers: number;
  halves: number;
  dates: number;
  /** Functions and symbols. */
  dropped: number;
  iterables: number;
  /** Objects without fields that are not plain objects; the class of the first. */
  fieldless: number;
  firstClass: string;
}

/**
 * Thrown, and caught by our own callers, if the JSON would exceed the limit. Not a class: guests
 * could patch its bases.
 */
export const OVER_LIMIT = ObjectFreeze({ __proto__: null });

function spend(walk: Walk, bytes: number) {
  walk.bytes += bytes;
  if (walk.bytes > walk.bytesMax) throw OVER_LIMIT;
}

function number(walk: Walk, value: number): number | null {
  spend(walk, 1);
  if (NumberIsFinite(value)) return walk.strict ? argument(value) : value;
  if (walk.strict) throw new TypeError(`${value} is not a JSON number`);
  walk.numbers++;
  return null;
}

/**
 * Returns a number for the arguments of a call. An integer that may have been rounded gets an
 * exponent, by which the host tells it from a bigint.
 */
function argument(value: number): any {
  if (!NumberIsInteger(value) || NumberIsSafeInteger(value)) return value;
  if (INTEGER_MIN <= value && value <= INTEGER_MAX)
    op_warn(
      `an argument holds ${value}, an integer beyond 2^53 that may have been rounded; ` +
        "write its digits as a bigint, with `n` at the end, or as a string",
    );
  return JSONRawJSON(NumberPrototypeToExponential(value));
}

function bigint(walk: Walk, value: bigint): any {
  const digits = String(value);
  spend(walk, digits.length + 2);
  if (!walk.strict) return digits;
  if (value < INTEGER_MIN || value > INTEGER_MAX)
    throw new RangeError(
      `the bigint ${StringPrototypeSlice(digits, 0, NAME_MAX)} has more than 64 bits: ` +
        "pass it as a string",
    );
  return JSONRawJSON(digits);
}

/**
 * Returns a well-formed string: `JSON.stringify` would escape a lone surrogate, which not every
 * JSON parser accepts.
 */
function text(walk: Walk, value: string): string {
  spend(walk, value.length + 2);
  const whole = StringPrototypeToWellFormed(value);
  if (whole === value) return value;
  if (walk.strict)
    throw new TypeError(
      "a string with a lone surrogate is not JSON: call `toWellFormed()` on it first",
    );
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
  const name = value.name,
    message = value.message;
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
      if (DatePrototypeGetTime(value) === DatePrototypeGetTime(value))
        return DatePrototypeToISOString(value);
      if (walk.strict) throw new TypeError("an invalid date is not JSON");
      walk.dates++;
      return null;
    case MAP:
      return entries(walk, value);
    case SET: {
      const out: unknown[] = [];
      SetPrototypeForEach(value, (item: unknown) =>
        ArrayPrototypePush(out, tree(walk, item, "") ?? null),
      );
      return out;
    }
    case ERROR:
      return error(walk, value);
    case BYTES: {
      const encoded = op_base64(value, walk.bytesMax - walk.bytes);
      if (encoded === null) throw OVER_LIMIT;
      spend(walk, encoded[1].length + 32);
      return { __proto__: null, type: encoded[0], base64: encoded[1] };
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

function classOf(value: any): string {
  const name = ObjectGetPrototypeOf(value)?.constructor?.name;
  return typeof name === "string" && name !== ""
    ? `an object of the class ${StringPrototypeSlice(name, 0, NAME_MAX)}`
    : "an object";
}

/**
 * Encodes an object that is not a plain object and has no fields of its own: what it holds is out
 * of reach, unless it can be iterated.
 */
function fieldless(walk: Walk, value: any): unknown {
  const iterate = value[SymbolIterator];
  if (typeof iterate === "function") {
    if (walk.strict)
      throw new TypeError(`${classOf(value)} is not JSON: pass a list of its items, \`[...it]\``);
    walk.iterables++;
    const out: unknown[] = [];
    const iterator: any = ReflectApply(iterate, value, []);
    for (;;) {
      const step = iterator.next();
      if (step.done) return out;
      spend(walk, 2);
      ArrayPrototypePush(out, tree(walk, step.value, "") ?? null);
    }
  }
  if (walk.strict)
    throw new TypeError(`${classOf(value)} has no fields that JSON can hold: pass a plain object`);
  if (walk.fieldless++ === 0) walk.firstClass = classOf(value);
  return { __proto__: null };
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
  if (kind !== 0) return special(walk, kind, value);
  if (ObjectKeys(value).length === 0) {
    const prototype = ObjectGetPrototypeOf(value);
    if (prototype !== null && prototype !== ObjectPrototype) return fieldless(walk, value);
  }
  return properties(walk, value, { __proto__: null });
}

/** Returns a copy of a value that JSON can represent; undefined if JSON drops it. */
function tree(walk: Walk, value: any, key: string | number): unknown {
  switch (typeof value) {
    case "string":
      return text(walk, value);
    case "number":
      return number(walk, value);
    case "boolean":
      spend(walk, 4);
      return value;
    case "bigint":
      return bigint(walk, value);
    case "function":
    case "symbol":
      if (walk.strict) throw new TypeError(`a ${typeof value} is not JSON`);
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
  // Dates have their own `toJSON`; `special` does the same, for invalid dates as well.
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
    dates: 0,
    dropped: 0,
    iterables: 0,
    fieldless: 0,
    firstClass: "",
  };
  const out = tree(walk, value, "");
  if (!strict) warn(walk, value, out);
  return JSONStringify(out) ?? "null";
}

/** Reports what the JSON of a result does not hold as it was. */
function warn(walk: Walk, value: unknown, out: unknown) {
  if (walk.numbers > 0)
    op_warn(`the result holds NaN or Infinity in ${walk.numbers} place(s), shown as null`);
  if (walk.halves > 0)
    op_warn(`the result holds a lone surrogate in ${walk.halves} string(s), shown as U+FFFD`);
  if (walk.dates > 0)
    op_warn(`the result holds an invalid date in ${walk.dates} place(s), shown as null`);
  if (out === undefined && value !== undefined)
    op_warn(`the result is a ${typeof value}, which JSON cannot hold; it is shown as null`);
  else if (walk.dropped > 0)
    op_warn(
      `the result holds a function or symbol in ${walk.dropped} place(s), which JSON cannot ` +
        "hold; it is left out, or null in a list",
    );
  if (walk.iterables > 0)
    op_warn(`the result holds an iterator in ${walk.iterables} place(s), shown as a list`);
  if (walk.fieldless > 0)
    op_warn(
      `the result holds ${walk.firstClass} in ${walk.fieldless} place(s), which has no fields ` +
        "that JSON can hold; it is shown as {}",
    );
}

/** Encodes a value as JSON. Throws OVER_LIMIT if the JSON would exceed the limit. */
export function encode(value: unknown, strict: boolean): string {
  return within(value, strict, op_encode_bytes_max(strict));
}

// Functions that run while the snapshot is made stay compiled in it. Nearly every guest needs these
// and would compile them again.
within([{ text: "", number: 1, flag: true, nothing: null }], true, 1024);
