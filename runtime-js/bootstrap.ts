// The last module of the snapshot: what the guest finds on globalThis, and the few functions that the engine calls.
// The engine takes `__airlock` away, together with everything of deno_core, before any guest runs.
import { core, internals, primordials } from "ext:core/mod.js";
import { op_get_ext_import_meta_proto, op_set_captured_bootstrap } from "ext:core/ops";
import { encode, OVER_LIMIT } from "ext:airlock/encode.ts";
import { explain, failure, toolErrors } from "ext:airlock/errors.ts";
import { fire, globals } from "ext:airlock/timers.ts";
import { tools } from "ext:airlock/tools.ts";
import { web } from "ext:airlock/web/install.ts";

const {
  Error,
  ObjectDefineProperty,
  ObjectKeys,
  RangeError,
  ReferenceError,
  ReflectDeleteProperty,
  ReflectOwnKeys,
  SyntaxError,
  TypeError,
} = primordials;

function install(name: string, value: unknown, writable: boolean) {
  ObjectDefineProperty(globalThis, name, { __proto__: null, value, writable, enumerable: false, configurable: writable });
}

for (const name of ObjectKeys(globals)) install(name, globals[name], true);
for (const name of ObjectKeys(web)) install(name, web[name], true);
for (const name of ObjectKeys(toolErrors)) install(name, toolErrors[name], true);
install("tools", tools, false);

install("__airlock", {
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
}, true);

function empty(object: object) {
  const keys = ReflectOwnKeys(object);
  for (let i = 0; i < keys.length; i++) ReflectDeleteProperty(object, keys[i]);
}

// What deno_core looks up on every start, and nothing else of it: its loop and its timers are never run.
const nothing = () => {};
const errorConstructors = { __proto__: null, Error, RangeError, ReferenceError, SyntaxError, TypeError };
const kept = {
  __proto__: null,
  __drainNextTickAndMacrotasks: nothing,
  __eventLoopTick: nothing,
  __handleRejections: nothing,
  __processTimers: nothing,
  __setImmediateInfo: nothing,
  __setTickInfo: nothing,
  __setTimerInfo: nothing,
  buildCustomError: (name: string, message: string) => new (errorConstructors[name] ?? Error)(message),
  errorConstructors,
  ops: { __proto__: null },
  runImmediateCallbacks: nothing,
  setUpAsyncStub: nothing,
};

function slim() {
  const live = (globalThis as any).Deno;
  op_set_captured_bootstrap({ __proto__: null });
  ReflectDeleteProperty(op_get_ext_import_meta_proto(), "log");
  live.core = kept;
  // Through the setters of `prelude.js`, which hold the originals.
  (globalThis as any).__bootstrap.core = undefined;
  (globalThis as any).__bootstrap.primordials = undefined;
  delete (globalThis as any).__bootstrap;
  empty(internals);
  empty(core);
  empty(primordials);
}
slim();
