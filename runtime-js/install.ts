// What the guest finds on globalThis, and the few functions that an engine calls. The same on every
// engine: only the native functions behind `ext:core/ops` differ.
import { primordials } from "ext:core/mod.js";
import { encode, OVER_LIMIT } from "ext:airlock/encode.ts";
import { explain, failure, toolErrors } from "ext:airlock/errors.ts";
import { fire, globals } from "ext:airlock/timers.ts";
import { tools } from "ext:airlock/tools.ts";
import { web } from "ext:airlock/web/install.ts";

const { ObjectDefineProperty, ObjectKeys } = primordials;

function install(name: string, value: unknown, writable: boolean) {
  ObjectDefineProperty(globalThis, name, {
    __proto__: null,
    value,
    writable,
    enumerable: false,
    configurable: writable,
  });
}

for (const name of ObjectKeys(globals)) install(name, globals[name], true);
for (const name of ObjectKeys(web)) install(name, web[name], true);
for (const name of ObjectKeys(toolErrors)) install(name, toolErrors[name], true);
install("tools", tools, false);

export const hooks = {
  __proto__: null,
  explain,
  failure,
  fire,
  /** The result as JSON text, or null when it would be over the limit. */
  result(value: unknown): string | null {
    try {
      return encode(value, false);
    } catch (error) {
      if (error === OVER_LIMIT) return null;
      throw error;
    }
  },
};
