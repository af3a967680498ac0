// The last module of a guest's realm under Deno: removes what no guest may find, and passes to
// main.js the functions that control the guest. They take and return strings and numbers; of the
// guest's values only the promise of its program crosses.
import { primordials } from "ext:core/mod.js";
import {
  firstUncaught,
  framesOfError,
  op_is_native_error,
  op_is_proxy,
  pending,
} from "ext:core/ops";
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

for (const name of [
  "WebAssembly",
  "SharedArrayBuffer",
  "Atomics",
  "Temporal",
  "eval",
  "ShadowRealm",
])
  ReflectDeleteProperty(globalThis, name);

// The failed call of which an error object is the failure: no guest can see, copy or forge it.
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

/**
 * Reports a thrown value to `host`: name, message, the call of which it is the failure, the guest's
 * frames.
 */
function report(thrown: any) {
  const [name, message] = hooks.explain(thrown);
  const object = (typeof thrown === "object" || typeof thrown === "function") && thrown !== null;
  const mark = object ? WeakMapPrototypeGet(marks, thrown) : undefined;
  const frames =
    object && !op_is_proxy(thrown) && op_is_native_error(thrown)
      ? framesOfError(thrown)
      : undefined;
  host.thrown(name, message, mark?.call ?? 0);
  for (let i = 0; frames !== undefined && i < frames.length; i++)
    host.frame(frames[i][0], frames[i][1], frames[i][2]);
  if (!(frames?.length > 0) && mark?.at !== undefined)
    host.frame(mark.at[0], mark.at[1], mark.at[2]);
}

host.ready(
  settle,
  report,
  hooks.fire,
  hooks.result,
  /** Reports the exception of a microtask; returns true if there was one. */
  () => {
    const uncaught = firstUncaught();
    if (uncaught === null) return false;
    report(uncaught.thrown);
    return true;
  },
  (message: string) => new TypeError(message),
);
