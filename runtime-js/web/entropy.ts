// Time and random numbers: all that differs from run to run comes from here. A run that repeats an
// earlier one reads the clock as that one did, until it has caught up with it.
import { primordials } from "ext:core/mod.js";
import {
  op_web_clock,
  op_web_clock_origin,
  op_web_random,
  op_web_tick,
  op_web_ticks,
} from "ext:core/ops";
export { op_web_clock_origin as origin, op_web_random as fillRandom } from "ext:core/ops";

const { Error, JSONParse, MathImul, Uint8Array, TypedArrayPrototypeGetBuffer } = primordials;
const { Uint32Array } = globalThis as any;

// The readings of the earlier run: how often the value before was read, then the next value.
let ticks: number[] | undefined;
let at = 0;
let value = 0;
let readings = 0;

/** Whole milliseconds since the origin. */
export function elapsed(): number {
  if (ticks === undefined) {
    const given = op_web_ticks();
    if (given === "") return 0;
    ticks = JSONParse(given) as number[];
  }
  while (at < ticks.length && ticks[at] === readings) {
    value = ticks[at + 1];
    readings = 0;
    at += 2;
  }
  if (at === ticks.length) {
    const now = op_web_clock();
    if (now > value) {
      op_web_tick(readings, now);
      value = now;
      readings = 0;
    }
  }
  readings++;
  return value;
}

/** Milliseconds since 1970. */
export function now(): number {
  return op_web_clock_origin() + elapsed();
}

// xoshiro128**: as good as the engine's own generator, and it begins where the run says.
let state: any;

function next(s: any): number {
  const product = MathImul(s[1], 5);
  const result = MathImul((product << 7) | (product >>> 25), 9) >>> 0;
  const shifted = s[1] << 9;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= shifted;
  s[3] = (s[3] << 11) | (s[3] >>> 21);
  return result;
}

/** A number from 0 to 1, without 1. Not for secrets. */
export function random(): number {
  if (state === undefined) {
    const seed = new Uint8Array(16);
    if (!op_web_random(seed)) throw new Error("the program has not begun");
    state = new Uint32Array(TypedArrayPrototypeGetBuffer(seed));
  }
  const high = next(state) >>> 5;
  return (high * 67108864 + (next(state) >>> 6)) / 9007199254740992;
}
