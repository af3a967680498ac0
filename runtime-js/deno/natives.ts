// `ext:core/ops` in a realm under Deno: the native functions of the modules of `runtime-js/`. Some
// use the language alone, the others call `host` (main.js), which lives in Deno's realm. Strings
// and numbers cross between the realms, and bytes and values of the guest that `host` only inspects
// with brand checks: no object of Deno's realm reaches the guest, and none of its errors.
import { primordials } from "ext:core/mod.js";
import { clone } from "ext:airlock/deno/clone.ts";

const {
  Array,
  DataViewPrototypeGetBuffer,
  DataViewPrototypeGetByteLength,
  DataViewPrototypeGetByteOffset,
  Error,
  ErrorCaptureStackTrace,
  JSONParse,
  Map,
  MapPrototypeSet,
  ObjectDefineProperty,
  ObjectGetOwnPropertyDescriptor,
  ObjectGetPrototypeOf,
  Promise,
  RangeError,
  ReflectApply,
  StringPrototypeSlice,
  TypedArrayPrototypeGetBuffer,
  TypedArrayPrototypeGetByteLength,
  TypedArrayPrototypeGetByteOffset,
  TypedArrayPrototypeGetSymbolToStringTag,
  Uint8Array,
  Uint8ArrayPrototypeToBase64,
  WeakMap,
  WeakMapPrototypeGet,
  WeakMapPrototypeSet,
} = primordials;

declare const host: any;

/**
 * Wraps a function of Deno's realm: its errors, such as a stack overflow, become errors of the
 * guest's realm.
 */
function native(name: string): any {
  const callee = host[name];
  return function () {
    try {
      return ReflectApply(callee, undefined, arguments);
    } catch {
      throw new RangeError("Maximum call stack size exceeded");
    }
  };
}

// Stacks. Deno calls `globalThis.Error.prepareStackTrace` of the error's realm with call sites of
// its own realm. So that property is ours, and neither it nor the global `Error` itself can be
// replaced.

/** A frame of the guest's script: function, line, column. */
type Frame = [string, number, number];

const FRAMES_MAX = 10;
// The worker would cut longer ones.
const MESSAGE_MAX = 8192,
  NAME_MAX = 256;
const positions = new WeakMap();
let fileName: any, functionName: any, lineNumber: any, columnNumber: any, stackOf: any;

/**
 * Returns the guest's own frames. Ignores call sites that are not the engine's, which guest code
 * could have forged.
 */
function framesOf(sites: any): Frame[] {
  const frames: Frame[] = new Array(0);
  try {
    for (let i = 0; i < sites.length && frames.length < FRAMES_MAX; i++) {
      const site = sites[i];
      if (ReflectApply(fileName, site, []) !== "agent.ts") continue;
      const name = clip(ReflectApply(functionName, site, []) ?? "", NAME_MAX);
      const frame = [
        name,
        ReflectApply(lineNumber, site, []),
        ReflectApply(columnNumber, site, []),
      ];
      ObjectDefineProperty(frames, frames.length, { __proto__: null, value: frame });
    }
  } catch {
    // The error belongs to Deno's realm.
  }
  return frames;
}

function clip(text: string, max: number): string {
  return text.length <= max ? text : `${StringPrototypeSlice(text, 0, max)}\u2026`;
}

/**
 * Returns the value of a property without running a getter or a trap; undefined if there is none.
 */
function plain(value: any, key: string): any {
  for (
    let at = value, depth = 0;
    at !== null && depth < 16 && !op_is_proxy(at);
    at = ObjectGetPrototypeOf(at), depth++
  ) {
    const found = ObjectGetOwnPropertyDescriptor(at, key);
    if (found !== undefined) return found.value;
  }
}

function packed(frames: Frame[]): string {
  let text = "";
  for (let i = 0; i < frames.length; i++)
    text += `${frames[i][1]}:${frames[i][2]}:${frames[i][0]}\n`;
  return text;
}

const stackText = native("stack");
let capturing: Frame[] | null = null;

function prepare(error: any, sites: any) {
  const frames = framesOf(sites);
  if (error === capturing) return frames;
  WeakMapPrototypeSet(positions, error, frames);
  const name = plain(error, "name"),
    message = plain(error, "message");
  return stackText(
    clip(typeof name === "string" ? name : "Error", NAME_MAX),
    clip(typeof message === "string" ? message : "", MESSAGE_MAX),
    packed(frames),
  );
}

function captureSites() {
  let sites: any;
  ObjectDefineProperty(Error, "prepareStackTrace", {
    __proto__: null,
    value: (_: unknown, given: unknown) => (sites = given),
    configurable: true,
  });
  const error = new Error();
  // An own accessor of the error; its getter is the engine's and the same for all errors.
  stackOf = ObjectGetOwnPropertyDescriptor(error, "stack")?.get;
  ReflectApply(stackOf, error, []);
  const of = ObjectGetPrototypeOf(sites[0]);
  ({
    getFileName: fileName,
    getFunctionName: functionName,
    getLineNumber: lineNumber,
    getColumnNumber: columnNumber,
  } = of);
  ObjectDefineProperty(Error, "prepareStackTrace", {
    __proto__: null,
    get: () => prepare,
    set() {},
    enumerable: false,
    configurable: false,
  });
  // An assignment is ignored, as for a read-only global, but does not throw in strict mode.
  ObjectDefineProperty(globalThis, "Error", {
    __proto__: null,
    get: () => Error,
    set() {},
    enumerable: false,
    configurable: false,
  });
}
captureSites();

/** Returns the frame in the guest's source that called the running function, if there is one. */
function caller(): Frame | undefined {
  const target: any = { __proto__: null };
  capturing = target;
  try {
    ErrorCaptureStackTrace(target);
    return target.stack?.[0];
  } catch {
    return undefined;
  } finally {
    capturing = null;
  }
}

/** Returns the guest's frames of an error. */
export function framesOfError(error: any): Frame[] | undefined {
  // Reading the stack makes the engine call `prepareStackTrace`.
  ReflectApply(stackOf, error, []);
  return WeakMapPrototypeGet(positions, error);
}

// Calls, timers, console.

export const pending = new Map<number, any>();
const callHost = native("call");

export function op_call(path: string, args: string) {
  const at = caller();
  const call = callHost(path, args, at?.[1] ?? 0, at?.[2] ?? 0);
  if (typeof call === "string") return call;
  return new Promise((resolve: unknown, reject: unknown) =>
    MapPrototypeSet(pending, call, { __proto__: null, resolve, reject, at }),
  );
}

let uncaught: { thrown: unknown } | null = null;

/** Returns the first exception of a microtask, which ends the run. */
export function firstUncaught() {
  return uncaught;
}

export async function op_queue_microtask(callback: () => unknown) {
  await undefined;
  try {
    callback();
  } catch (thrown) {
    uncaught ??= { __proto__: null, thrown } as any;
  }
}

export const op_timer_start = native("timerStart");
export const op_timer_clear = native("timerClear");
export const op_log = native("log");
export const op_warn = native("warn");
export const op_encode_bytes_max = native("encodeBytesMax");

// Types of values.

export const op_kind = native("kind");
export const op_is_any_array_buffer = native("isAnyArrayBuffer");
export const op_is_boxed_primitive = native("isBoxedPrimitive");
export const op_is_data_view = native("isDataView");
export const op_is_date = native("isDate");
export const op_is_map = native("isMap");
export const op_is_native_error = native("isNativeError");
export const op_is_promise = native("isPromise");
export const op_is_proxy = native("isProxy");
export const op_is_reg_exp = native("isRegExp");
export const op_is_set = native("isSet");
export const op_is_typed_array = native("isTypedArray");
export const op_is_weak_map = native("isWeakMap");
export const op_is_weak_set = native("isWeakSet");

export function op_get_constructor_name(value: any): string {
  const constructor = op_is_proxy(value) ? undefined : plain(value, "constructor");
  const name =
    typeof constructor === "function" && !op_is_proxy(constructor)
      ? plain(constructor, "name")
      : undefined;
  return typeof name === "string" ? name : "";
}

// The web platform.

export function op_base64(value: any, bytesMax: number) {
  const view = TypedArrayPrototypeGetSymbolToStringTag(value);
  const name = view ?? (op_is_data_view(value) ? "DataView" : "ArrayBuffer");
  const bytes = bytesOf(value);
  if ((TypedArrayPrototypeGetByteLength(bytes) * 4) / 3 > bytesMax) return null;
  return [name, Uint8ArrayPrototypeToBase64(bytes)];
}

function bytesOf(value: any): Uint8Array {
  if (TypedArrayPrototypeGetSymbolToStringTag(value) !== undefined) {
    return new Uint8Array(
      TypedArrayPrototypeGetBuffer(value),
      TypedArrayPrototypeGetByteOffset(value),
      TypedArrayPrototypeGetByteLength(value),
    );
  }
  if (op_is_data_view(value)) {
    return new Uint8Array(
      DataViewPrototypeGetBuffer(value),
      DataViewPrototypeGetByteOffset(value),
      DataViewPrototypeGetByteLength(value),
    );
  }
  return new Uint8Array(value);
}

export const op_web_atob = native("atob");
export const op_web_btoa = native("btoa");
export const op_web_clock = native("clock");
export const op_web_clock_origin = native("clockOrigin");
export const op_web_decode = native("decode");
export const op_web_digest = native("digest");
export const op_web_incomplete_tail = native("incompleteTail");
export const op_web_random = native("random");
export const op_web_tick = native("tick");
export const op_web_ticks = native("ticks");
export const op_web_utf8_length = native("utf8Length");

const encodeInto = native("encodeInto");
export function op_web_encode_into(text: string, bytes: Uint8Array) {
  // UTF-16 units read and bytes written: below 2^30 each, because strings and buffers have limits
  // below that.
  const counts = encodeInto(text, bytes);
  return [counts % 1073741824, (counts - (counts % 1073741824)) / 1073741824];
}

export function op_web_clone(value: unknown) {
  return clone(value, op_kind);
}

/** Converts strings of Deno's realm to an array of the guest's realm. */
function strings(json: string | null) {
  return json === null ? null : JSONParse(json);
}

const urlParse = native("urlParse"),
  urlSet = native("urlSet"),
  formParse = native("formParse"),
  formSerialize = native("formSerialize");
export const op_web_url_parse = (url: string, base: string | null) => strings(urlParse(url, base));
export const op_web_url_set = (url: string, part: number, value: string) =>
  strings(urlSet(url, part, value));
export const op_web_form_parse = (query: string) => strings(formParse(query));
export function op_web_form_serialize(pairs: string[]) {
  let query = "";
  for (let i = 0; i + 1 < pairs.length; i += 2)
    query += `${i > 0 ? "&" : ""}${formSerialize(pairs[i], pairs[i + 1])}`;
  return query;
}
