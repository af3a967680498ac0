// Formats values for people and models. Runs no guest code: no getter, no `toString`, no trap of a
// Proxy.
import { primordials } from "ext:core/mod.js";
import {
  op_get_constructor_name,
  op_is_any_array_buffer,
  op_is_boxed_primitive,
  op_is_data_view,
  op_is_date,
  op_is_map,
  op_is_native_error,
  op_is_promise,
  op_is_proxy,
  op_is_reg_exp,
  op_is_set,
  op_is_typed_array,
  op_is_weak_map,
  op_is_weak_set,
} from "ext:core/ops";

const {
  ArrayBufferPrototypeGetByteLength,
  ArrayIsArray,
  ArrayPrototypeJoin,
  ArrayPrototypePop,
  ArrayPrototypePush,
  BigIntPrototypeToString,
  DatePrototypeGetTime,
  DatePrototypeToISOString,
  JSONStringify,
  MapIteratorPrototypeNext,
  MapPrototypeEntries,
  MapPrototypeGetSize,
  ObjectGetOwnPropertyDescriptor,
  ObjectGetPrototypeOf,
  ObjectIs,
  ReflectOwnKeys,
  RegExpPrototypeExec,
  RegExpPrototypeGetDotAll,
  RegExpPrototypeGetGlobal,
  RegExpPrototypeGetHasIndices,
  RegExpPrototypeGetIgnoreCase,
  RegExpPrototypeGetMultiline,
  RegExpPrototypeGetSource,
  RegExpPrototypeGetSticky,
  RegExpPrototypeGetUnicode,
  RegExpPrototypeGetUnicodeSets,
  SetIteratorPrototypeNext,
  SetPrototypeGetSize,
  SetPrototypeValues,
  String,
  StringPrototypeIncludes,
  StringPrototypeRepeat,
  StringPrototypeSlice,
  SymbolPrototypeToString,
  TypedArrayPrototypeGetLength,
} = primordials;

export const DEPTH_MAX = 4;
export const ENTRIES_MAX = 100;
/** Limits on the characters of one string and of one formatted value. */
export const TEXT_MAX = 8192;
const WIDTH = 80;
const NOTE_MAX = 40;

interface Walk {
  depthMax: number;
  /** Number of characters that may still be written, over all levels. */
  left: number;
  ancestors: object[];
}

const NAME = /^[A-Za-z_$][\w$]*$/;

/** Truncates a string and states how many characters are missing. */
export function cut(text: string, max: number): string {
  if (text.length <= max) return text;
  const kept = max - NOTE_MAX;
  return `${StringPrototypeSlice(text, 0, kept)}... ${text.length - kept} more characters`;
}

/**
 * Returns the value of a plain property along the prototype chain; undefined for getters and beyond
 * a Proxy.
 */
function plain(object: object, key: PropertyKey): unknown {
  for (let at: any = object, i = 0; at !== null && i < 64; i++) {
    if (op_is_proxy(at)) return undefined;
    const property = ObjectGetOwnPropertyDescriptor(at, key);
    if (property !== undefined) return property.value;
    at = ObjectGetPrototypeOf(at);
  }
  return undefined;
}

function text(value: unknown, otherwise: string): string {
  return typeof value === "string" ? value : otherwise;
}

function keyText(key: PropertyKey): string {
  if (typeof key === "symbol") return `[${SymbolPrototypeToString(key)}]`;
  return RegExpPrototypeExec(NAME, key) !== null ? (key as string) : JSONStringify(key);
}

function property(walk: Walk, descriptor: PropertyDescriptor): string {
  if (descriptor.get !== undefined)
    return descriptor.set !== undefined ? "[Getter/Setter]" : "[Getter]";
  if (descriptor.set !== undefined) return "[Setter]";
  return show(walk, descriptor.value, false);
}

/** Adds the own properties; indices only on request. */
function properties(walk: Walk, object: object, parts: string[], indexes: boolean, skip: any) {
  const keys = ReflectOwnKeys(object);
  let shown = 0,
    more = 0;
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i];
    if (!indexes && typeof key === "string" && key.length < 11 && String(+key >>> 0) === key)
      continue;
    if (typeof key === "string" && skip[key]) continue;
    const descriptor = ObjectGetOwnPropertyDescriptor(object, key);
    if (descriptor === undefined || !descriptor.enumerable) continue;
    if (shown >= ENTRIES_MAX || walk.left <= 0) {
      more++;
      continue;
    }
    shown++;
    ArrayPrototypePush(parts, `${keyText(key)}: ${property(walk, descriptor)}`);
  }
  if (more > 0) ArrayPrototypePush(parts, `... ${more} more`);
}

function items(walk: Walk, length: number, parts: string[], item: (i: number) => string) {
  let i = 0;
  for (; i < length && i < ENTRIES_MAX && walk.left > 0; i++) ArrayPrototypePush(parts, item(i));
  if (i < length) ArrayPrototypePush(parts, `... ${length - i} more`);
}

function arrayItem(walk: Walk, array: object, i: number): string {
  const descriptor = ObjectGetOwnPropertyDescriptor(array, i);
  return descriptor === undefined ? "<empty>" : property(walk, descriptor);
}

function collection(walk: Walk, value: any, parts: string[]): string {
  const isMap = op_is_map(value);
  const size = isMap ? MapPrototypeGetSize(value) : SetPrototypeGetSize(value);
  let shown = 0;
  // Not `for of`, which would look up `next` where the guest may have patched it.
  const entries = isMap ? MapPrototypeEntries(value) : SetPrototypeValues(value);
  const next = isMap ? MapIteratorPrototypeNext : SetIteratorPrototypeNext;
  for (let step = next(entries); !step.done; step = next(entries)) {
    const entry = step.value;
    if (shown >= ENTRIES_MAX || walk.left <= 0) break;
    shown++;
    ArrayPrototypePush(
      parts,
      isMap
        ? `${show(walk, entry[0], false)} => ${show(walk, entry[1], false)}`
        : show(walk, entry, false),
    );
  }
  if (shown < size) ArrayPrototypePush(parts, `... ${size - shown} more`);
  return `(${size})`;
}

function joined(parts: string[], open: string, close: string, level: number): string {
  if (parts.length === 0) return open + close;
  let width = 0,
    broken = false;
  for (let i = 0; i < parts.length; i++) {
    width += parts[i].length + 2;
    if (StringPrototypeIncludes(parts[i], "\n")) broken = true;
  }
  const tight = open === "[" ? "" : " ";
  if (!broken && width < WIDTH)
    return `${open}${tight}${ArrayPrototypeJoin(parts, ", ")}${tight}${close}`;
  const indent = StringPrototypeRepeat("  ", level + 1);
  const end = StringPrototypeRepeat("  ", level);
  return `${open}\n${indent}${ArrayPrototypeJoin(parts, `,\n${indent}`)}\n${end}${close}`;
}

const NOTHING: any = { __proto__: null };
const OF_ERROR: any = { __proto__: null, message: true, stack: true, name: true, cause: true };

function errorHead(walk: Walk, value: object, parts: string[]): string {
  const name = text(plain(value, "name"), "Error"),
    message = text(plain(value, "message"), "");
  const cause = ObjectGetOwnPropertyDescriptor(value, "cause");
  if (cause !== undefined && cause.value !== undefined)
    ArrayPrototypePush(parts, `[cause]: ${show(walk, cause.value, false)}`);
  const errors = ObjectGetOwnPropertyDescriptor(value, "errors");
  if (errors !== undefined && !errors.enumerable)
    ArrayPrototypePush(parts, `[errors]: ${show(walk, errors.value, false)}`);
  return cut(message === "" ? name : `${name}: ${message}`, TEXT_MAX);
}

/** Uses neither `toString` nor `flags`: both read properties that a guest may have replaced. */
function regexp(value: RegExp): string {
  const flags =
    (RegExpPrototypeGetHasIndices(value) ? "d" : "") +
    (RegExpPrototypeGetGlobal(value) ? "g" : "") +
    (RegExpPrototypeGetIgnoreCase(value) ? "i" : "") +
    (RegExpPrototypeGetMultiline(value) ? "m" : "") +
    (RegExpPrototypeGetDotAll(value) ? "s" : "") +
    (RegExpPrototypeGetUnicode(value) ? "u" : "") +
    (RegExpPrototypeGetUnicodeSets(value) ? "v" : "") +
    (RegExpPrototypeGetSticky(value) ? "y" : "");
  return `/${RegExpPrototypeGetSource(value)}/${flags}`;
}

function functionHead(value: any, name: string): string {
  const own = ObjectGetOwnPropertyDescriptor(value, "name");
  const label = text(own?.value, "");
  const kind =
    name === "AsyncFunction" || name === "GeneratorFunction" || name === "AsyncGeneratorFunction"
      ? name
      : "Function";
  return label === "" ? `[${kind}]` : `[${kind}: ${label}]`;
}

/**
 * Returns the prefix of the properties and the brackets around them. Adds contents that are not
 * properties to `parts`.
 */
function describe(walk: Walk, value: any, name: string, parts: string[]): [string, string, string] {
  if (ArrayIsArray(value)) {
    items(walk, value.length, parts, (i) => arrayItem(walk, value, i));
    return [name === "Array" ? "" : `${name}(${value.length}) `, "[", "]"];
  }
  if (op_is_map(value) || op_is_set(value))
    return [`${name}${collection(walk, value, parts)} `, "{", "}"];
  if (op_is_typed_array(value)) {
    const length = TypedArrayPrototypeGetLength(value);
    items(walk, length, parts, (i) => show(walk, value[i], false));
    return [`${name}(${length}) `, "[", "]"];
  }
  if (typeof value === "function") return [functionHead(value, name), " {", "}"];
  if (op_is_native_error(value)) return [errorHead(walk, value, parts), " {", "}"];
  if (op_is_date(value)) {
    const time = DatePrototypeGetTime(value);
    return [time === time ? DatePrototypeToISOString(value) : "Invalid Date", " {", "}"];
  }
  if (op_is_reg_exp(value)) return [cut(regexp(value), TEXT_MAX), " {", "}"];
  if (op_is_promise(value)) return ["Promise", " {", "}"];
  if (op_is_any_array_buffer(value))
    return [`${name} { byteLength: ${ArrayBufferPrototypeGetByteLength(value)} }`, " {", "}"];
  if (op_is_data_view(value) || op_is_weak_map(value) || op_is_weak_set(value))
    return [`${name} { ... }`, " {", "}"];
  if (op_is_boxed_primitive(value)) return [`[${name}]`, " {", "}"];
  return [
    ObjectGetPrototypeOf(value) === null
      ? "[Object: null prototype] "
      : name === "Object"
        ? ""
        : `${name} `,
    "{",
    "}",
  ];
}

function object(walk: Walk, value: any): string {
  if (op_is_proxy(value)) return "Proxy {}";
  for (let i = 0; i < walk.ancestors.length; i++)
    if (walk.ancestors[i] === value) return "[Circular]";
  const name = op_get_constructor_name(value) || "Object";
  if (walk.ancestors.length > walk.depthMax || walk.left <= 0)
    return ArrayIsArray(value) ? "[Array]" : `[${name}]`;
  const level = walk.ancestors.length;
  ArrayPrototypePush(walk.ancestors, value);
  const parts: string[] = [];
  const head = describe(walk, value, name, parts);
  const isError = op_is_native_error(value);
  properties(
    walk,
    value,
    parts,
    !ArrayIsArray(value) && !op_is_typed_array(value),
    isError ? OF_ERROR : NOTHING,
  );
  ArrayPrototypePop(walk.ancestors);
  // A value that its head describes needs no empty braces.
  if (parts.length === 0 && head[1] === " {") return head[0];
  return head[0] + joined(parts, head[1], head[2], level);
}

function show(walk: Walk, value: any, bare: boolean): string {
  const out = primitive(walk, value, bare);
  walk.left -= out.length;
  return out;
}

function primitive(walk: Walk, value: any, bare: boolean): string {
  switch (typeof value) {
    case "string":
      return bare ? cut(value, TEXT_MAX) : JSONStringify(cut(value, TEXT_MAX));
    case "number":
      return ObjectIs(value, -0) ? "-0" : `${value}`;
    case "bigint":
      return `${cut(BigIntPrototypeToString(value), TEXT_MAX)}n`;
    case "symbol":
      return cut(SymbolPrototypeToString(value), TEXT_MAX);
    case "object":
    case "function":
      return value === null ? "null" : object(walk, value);
    default:
      return `${value}`;
  }
}

/** Formats one value: a string inside another value is quoted, a `bare` one is not. */
export function inspect(value: unknown, bare = false, depthMax = DEPTH_MAX): string {
  return cut(
    show(
      { depthMax: depthMax < DEPTH_MAX ? depthMax : DEPTH_MAX, left: TEXT_MAX, ancestors: [] },
      value,
      bare,
    ),
    TEXT_MAX,
  );
}
