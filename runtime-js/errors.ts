// The errors that tools reject with, and the description of thrown values for the caller.
// Guests may have patched every prototype, so only captured primordials are used here.
import { primordials } from "ext:core/mod.js";
import { encode } from "ext:airlock/encode.ts";

const {
  ArrayIsArray,
  Error,
  ErrorPrototype,
  JSONParse,
  ObjectDefineProperty,
  ObjectGetOwnPropertyDescriptor,
  ObjectGetPrototypeOf,
  ObjectKeys,
  ObjectPrototypeIsPrototypeOf,
  String,
  StringPrototypeSlice,
} = primordials;

const RESERVED = {
  __proto__: null,
  name: true,
  message: true,
  stack: true,
  cause: true,
  constructor: true,
};

class ToolCallError extends Error {}
class ToolPolicyError extends Error {}
class ToolNotFoundError extends Error {}
class ToolArgumentError extends Error {}

export const toolErrors = {
  __proto__: null,
  ToolCallError,
  ToolPolicyError,
  ToolNotFoundError,
  ToolArgumentError,
};

for (const name of ObjectKeys(toolErrors)) {
  ObjectDefineProperty(toolErrors[name].prototype, "name", {
    __proto__: null,
    value: name,
    writable: true,
    enumerable: false,
    configurable: true,
  });
}

function own(target: object, key: string, value: unknown) {
  ObjectDefineProperty(target, key, {
    __proto__: null,
    value,
    writable: true,
    enumerable: true,
    configurable: true,
  });
}

/** Creates the error of a failed call from the host's JSON. */
export function failure(text: string): Error {
  const fields = JSONParse(text);
  const Class = toolErrors[fields.name] ?? ToolCallError;
  const error = new Class();
  own(error, "message", String(fields.message));
  for (const key of ObjectKeys(fields)) {
    if (!RESERVED[key]) own(error, key, fields[key]);
  }
  return error;
}

/**
 * Returns the value of a property without running a getter, or a trap of a Proxy twice; undefined
 * if there is none.
 */
function plain(value: object, key: string): unknown {
  let at: object | null = value;
  for (let depth = 0; at !== null && depth < 16; depth++) {
    const found = ObjectGetOwnPropertyDescriptor(at, key);
    if (found !== undefined) return found.value;
    at = ObjectGetPrototypeOf(at);
  }
  return undefined;
}

function clip(text: string, max: number): string {
  return text.length <= max ? text : `${StringPrototypeSlice(text, 0, max)}\u2026`;
}

function isError(value: unknown): value is object {
  return (
    typeof value === "object" &&
    value !== null &&
    ObjectPrototypeIsPrototypeOf(ErrorPrototype, value)
  );
}

function text(value: unknown, fallback: string): string {
  return typeof value === "string" ? value : fallback;
}

function brief(value: unknown): string {
  if (isError(value))
    return `${text(plain(value, "name"), "Error")}: ${text(plain(value, "message"), "")}`;
  try {
    return typeof value === "string" ? value : encode(value, false);
  } catch {
    return "a value that cannot be shown";
  }
}

/**
 * Returns name and message of a thrown value, including causes and aggregated errors. Never throws.
 */
export function explain(value: unknown): [string, string] {
  try {
    if (typeof value === "string") return ["Error", clip(value, 8192)];
    if (!isError(value)) {
      const message =
        typeof value === "object" && value !== null ? plain(value, "message") : undefined;
      if (typeof message === "string")
        return [clip(text(plain(value as object, "name"), "Error"), 128), clip(message, 8192)];
      return ["Error", `threw a value that is not an Error: ${clip(brief(value), 8000)}`];
    }
    let message = text(plain(value, "message"), "");
    const collected = plain(value, "errors");
    if (ArrayIsArray(collected)) {
      for (let i = 0; i < collected.length && i < 5; i++)
        message += `\n- ${clip(brief(collected[i]), 500)}`;
      if (collected.length > 5) message += `\n- and ${collected.length - 5} more`;
    }
    let cause = plain(value, "cause");
    for (let depth = 0; cause !== undefined && depth < 5; depth++) {
      message += `\ncaused by ${clip(brief(cause), 500)}`;
      cause = isError(cause) ? plain(cause, "cause") : undefined;
    }
    return [clip(text(plain(value, "name"), "Error"), 128), clip(message, 8192)];
  } catch {
    return ["Error", "threw a value that cannot be described"];
  }
}
