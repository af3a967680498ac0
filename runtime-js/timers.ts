// `setTimeout`, `setInterval` and `queueMicrotask`. Holds the callbacks; the engine holds order and
// clock.
import { primordials } from "ext:core/mod.js";
import { op_queue_microtask, op_timer_clear, op_timer_start } from "ext:core/ops";

const {
  Map,
  MapPrototypeDelete,
  MapPrototypeGet,
  MapPrototypeSet,
  Number,
  RangeError,
  ReflectApply,
  TypeError,
} = primordials;

const DELAY_MAX = 2147483647;

interface Timer {
  callback: (...args: unknown[]) => unknown;
  args: unknown[];
  repeat: boolean;
}

const timers = new Map<number, Timer>();

function start(
  name: string,
  callback: unknown,
  delay: unknown,
  args: unknown[],
  repeat: boolean,
): number {
  if (typeof callback !== "function")
    throw new TypeError(`${name} takes a function, not a ${typeof callback}`);
  let ms = Number(delay);
  if (!(ms > 0)) ms = 0;
  if (ms > DELAY_MAX) ms = DELAY_MAX;
  const id = op_timer_start(ms, repeat);
  if (typeof id === "string") throw new RangeError(id);
  MapPrototypeSet(timers, id, { callback: callback as Timer["callback"], args, repeat });
  return id;
}

function clear(id: unknown) {
  const number = Number(id);
  if (MapPrototypeDelete(timers, number)) op_timer_clear(number);
}

export const globals = {
  __proto__: null,
  setTimeout(callback: unknown, delay?: number, ...args: unknown[]) {
    return start("setTimeout", callback, delay, args, false);
  },
  setInterval(callback: unknown, delay?: number, ...args: unknown[]) {
    return start("setInterval", callback, delay, args, true);
  },
  clearTimeout(id?: number) {
    clear(id);
  },
  clearInterval(id?: number) {
    clear(id);
  },
  // deno_core's own reports errors through a function that is disabled.
  queueMicrotask(callback: unknown) {
    if (typeof callback !== "function")
      throw new TypeError(`queueMicrotask takes a function, not a ${typeof callback}`);
    op_queue_microtask(callback);
  },
};

/** Runs the callback of a timer that is due. An exception in it ends the run. */
export function fire(id: number) {
  const timer = MapPrototypeGet(timers, id);
  if (timer === undefined) return;
  if (!timer.repeat) MapPrototypeDelete(timers, id);
  ReflectApply(timer.callback, globalThis, timer.args);
}
