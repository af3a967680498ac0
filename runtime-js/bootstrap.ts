// The last module of the snapshot: passes the hooks to the engine and empties everything of
// deno_core that only the set-up needed. The engine removes `__airlock` and everything of deno_core
// before any guest runs.
import { core, internals, primordials } from "ext:core/mod.js";
import { op_get_ext_import_meta_proto, op_set_captured_bootstrap } from "ext:core/ops";
import { hooks } from "ext:airlock/install.ts";

const {
  Error,
  ObjectDefineProperty,
  RangeError,
  ReferenceError,
  ReflectDeleteProperty,
  ReflectOwnKeys,
  SyntaxError,
  TypeError,
} = primordials;

ObjectDefineProperty(globalThis, "__airlock", {
  __proto__: null,
  value: hooks,
  configurable: true,
});

function empty(object: object) {
  const keys = ReflectOwnKeys(object);
  for (let i = 0; i < keys.length; i++) ReflectDeleteProperty(object, keys[i]);
}

// The functions that deno_core looks up on every start. Its event loop and timers never run.
const nothing = () => {};
const errorConstructors = {
  __proto__: null,
  Error,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
};
const kept = {
  __proto__: null,
  __drainNextTickAndMacrotasks: nothing,
  __eventLoopTick: nothing,
  __handleRejections: nothing,
  __processTimers: nothing,
  __setImmediateInfo: nothing,
  __setTickInfo: nothing,
  __setTimerInfo: nothing,
  buildCustomError: (name: string, message: string) =>
    new (errorConstructors[name] ?? Error)(message),
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
