// `setTimeout` and `setInterval`: the callbacks live here, the order and the clock are the engine's.
import { primordials } from "ext:core/mod.js";
import { op_timer_clear, op_timer_start } from "ext:core/ops";

const { Number, RangeError, ReflectApply, SafeMap, TypeError } = primordials;

const DELAY_MAX = 2147483647;

interface Timer {
  callback: (...args: unknown[]) => unknown;
  args: unknown[];
  repeat: boolean;
}

const timers = new SafeMap<number, Timer>();

function start(name: string, callback: unknown, delay: unknown, args: unknown[], repeat: boolean): number {
  if (typeof callback !== "function") throw new TypeError(`${name} takes a function, not a ${typeof callback}`);
  let ms = Number(delay);
  if (!(ms > 0)) ms = 0;
  if (ms > DELAY_MAX) ms = DELAY_MAX;
  const id = op_timer_start(ms, repeat);
  if (typeof id === "string") throw new RangeError(id);
  timers.set(id, { callback: callback as Timer["callback"], args, repeat });
  return id;
}

function clear(id: unknown) {
  const number = Number(id);
  if (timers.delete(number)) op_timer_clear(number);
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
};

/** Runs the callback of a timer that is due. What it throws ends the run. */
export function fire(id: number) {
  const timer = timers.get(id);
  if (timer === undefined) return;
  if (!timer.repeat) timers.delete(id);
  ReflectApply(timer.callback, globalThis, timer.args);
}
