// The last module of a guest's realm under Deno: takes away what no guest may find, and answers the functions that main.js drives the
// guest with. They take and give texts and numbers; of the guest's values only the promise of its program passes through.
import { primordials } from "ext:core/mod.js";
import { firstUncaught, framesOfError, op_is_native_error, op_is_proxy, pending } from "ext:core/ops";
import { hooks } from "ext:airlock/install.ts";

const {
  JSONParse,
  MapPrototypeDelete,
  MapPrototypeGet,
  ReflectDeleteProperty,
  TypeError,
  WeakMap,
  WeakMapPrototypeGet,
  WeakMapPrototypeSet,
} = primordials;

declare const host: any;

for (const name of ["WebAssembly", "SharedArrayBuffer", "Atomics", "Temporal", "eval", "ShadowRealm"]) ReflectDeleteProperty(globalThis, name);

// Which failed call an error object stands for: no guest can see, copy or forge it.
const marks = new WeakMap();

function settle(call: number, ok: boolean, text: string) {
  const waiting = MapPrototypeGet(pending, call);
  if (waiting === undefined) return;
  MapPrototypeDelete(pending, call);
  let value;
  try {
    value = ok ? JSONParse(text) : hooks.failure(text);
  } catch (error) {
    return waiting.reject(error);
  }
  if (ok) return waiting.resolve(value);
  WeakMapPrototypeSet(marks, value, { __proto__: null, call, at: waiting.at });
  waiting.reject(value);
}

/** Tells `host` what was thrown: name, message, the call whose failure it is, the guest's frames. */
function tell(thrown: any) {
  const [name, message] = hooks.explain(thrown);
  const object = (typeof thrown === "object" || typeof thrown === "function") && thrown !== null;
  const mark = object ? WeakMapPrototypeGet(marks, thrown) : undefined;
  const frames = object && !op_is_proxy(thrown) && op_is_native_error(thrown) ? framesOfError(thrown) : undefined;
  host.thrown(name, message, mark?.call ?? 0);
  for (let i = 0; frames !== undefined && i < frames.length; i++) host.frame(frames[i][0], frames[i][1], frames[i][2]);
  if (!(frames?.length > 0) && mark?.at !== undefined) host.frame(mark.at[0], mark.at[1], mark.at[2]);
}

host.ready(
  settle,
  tell,
  hooks.fire,
  hooks.result,
  /** Tells what a microtask threw; whether there was anything. */
  () => {
    const uncaught = firstUncaught();
    if (uncaught === null) return false;
    tell(uncaught.thrown);
    return true;
  },
  (told: string) => new TypeError(told),
);
