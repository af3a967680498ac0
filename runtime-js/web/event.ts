// DOMException, Event, EventTarget, AbortController, AbortSignal. There is no tree of nodes: an
// event has one target only.
import { primordials } from "ext:core/mod.js";
import { op_log } from "ext:core/ops";
import { globals } from "ext:airlock/timers.ts";
import { elapsed } from "ext:airlock/web/entropy.ts";
import { inspect } from "ext:airlock/web/inspect.ts";

const {
  ArrayPrototypePush,
  ArrayPrototypeSlice,
  ArrayPrototypeSplice,
  Error,
  Number,
  ObjectDefineProperty,
  ObjectFreeze,
  RangeError,
  ReflectApply,
  String,
  SymbolToStringTag,
  TypeError,
} = primordials;

const LOG_ERROR = 3;

const CODES: any = {
  __proto__: null,
  IndexSizeError: 1,
  NotFoundError: 8,
  NotSupportedError: 9,
  InvalidStateError: 11,
  SyntaxError: 12,
  InvalidAccessError: 15,
  NetworkError: 19,
  AbortError: 20,
  QuotaExceededError: 22,
  TimeoutError: 23,
  DataCloneError: 25,
};

/** Sets the name that `Object.prototype.toString` shows for a class, and freezes its methods. */
export function seal(type: any, tag: string) {
  ObjectDefineProperty(type.prototype, SymbolToStringTag, {
    __proto__: null,
    value: tag,
    configurable: true,
  });
  ObjectFreeze(type.prototype);
}

function hidden(object: object, name: string, value: unknown) {
  ObjectDefineProperty(object, name, {
    __proto__: null,
    value,
    writable: true,
    enumerable: false,
    configurable: true,
  });
}

export class DOMException extends Error {
  constructor(message: unknown = "", options: any = "Error") {
    const named = typeof options === "object" && options !== null;
    super(String(message), named && "cause" in options ? { cause: options.cause } : undefined);
    const name = String(named ? (options.name ?? "Error") : options);
    hidden(this, "name", name);
    hidden(this, "code", CODES[name] ?? 0);
  }
}
seal(DOMException, "DOMException");

export class Event {
  #type: string;
  #cancelable: boolean;
  #canceled = false;
  #stopped = false;
  #target: any = null;
  #dispatching = false;
  #time: number;

  constructor(type: unknown, init: any = undefined) {
    if (arguments.length === 0) throw new TypeError("Event takes a type");
    this.#type = String(type);
    this.#cancelable = !!init?.cancelable;
    this.#time = elapsed();
  }
  get type() {
    return this.#type;
  }
  get target() {
    return this.#target;
  }
  get currentTarget() {
    return this.#dispatching ? this.#target : null;
  }
  get bubbles() {
    return false;
  }
  get cancelable() {
    return this.#cancelable;
  }
  get composed() {
    return false;
  }
  get defaultPrevented() {
    return this.#canceled;
  }
  get timeStamp() {
    return this.#time;
  }
  get isTrusted() {
    return false;
  }
  preventDefault() {
    if (this.#cancelable) this.#canceled = true;
  }
  stopPropagation() {}
  stopImmediatePropagation() {
    this.#stopped = true;
  }
  static begin(event: Event, target: object) {
    if (event.#dispatching)
      throw new DOMException("the event is being dispatched", "InvalidStateError");
    event.#target = target;
    event.#dispatching = true;
    event.#stopped = false;
  }
  static end(event: Event) {
    event.#dispatching = false;
    return !event.#canceled;
  }
  static stopped(event: Event) {
    return event.#stopped;
  }
}
const beginEvent = Event.begin,
  endEvent = Event.end,
  isStopped = Event.stopped;
delete (Event as any).begin;
delete (Event as any).end;
delete (Event as any).stopped;
seal(Event, "Event");

export class CustomEvent extends Event {
  #detail: unknown;
  constructor(type: unknown, init: any = undefined) {
    super(type, init);
    this.#detail = init?.detail ?? null;
  }
  get detail() {
    return this.#detail;
  }
}
seal(CustomEvent, "CustomEvent");

interface Listener {
  type: string;
  callback: any;
  once: boolean;
  capture: boolean;
  removed: boolean;
}

export class EventTarget {
  #listeners: Listener[] = [];

  addEventListener(type: unknown, callback: any, options: any = undefined) {
    if (callback === null || callback === undefined) return;
    if (typeof callback !== "function" && typeof callback !== "object")
      throw new TypeError("a listener is a function or an object");
    const capture = typeof options === "boolean" ? options : !!options?.capture;
    const signal = typeof options === "object" ? options?.signal : undefined;
    if (signal?.aborted) return;
    const name = String(type);
    for (let i = 0; i < this.#listeners.length; i++) {
      const known = this.#listeners[i];
      if (known.type === name && known.callback === callback && known.capture === capture) return;
    }
    ArrayPrototypePush(this.#listeners, {
      type: name,
      callback,
      once: !!options?.once,
      capture,
      removed: false,
    });
    if (signal) onAbort(signal, () => this.removeEventListener(name, callback, capture));
  }
  removeEventListener(type: unknown, callback: any, options: any = undefined) {
    const capture = typeof options === "boolean" ? options : !!options?.capture;
    const name = String(type);
    for (let i = 0; i < this.#listeners.length; i++) {
      const known = this.#listeners[i];
      if (known.type !== name || known.callback !== callback || known.capture !== capture) continue;
      known.removed = true;
      ArrayPrototypeSplice(this.#listeners, i, 1);
      return;
    }
  }
  dispatchEvent(event: Event) {
    beginEvent(event, this);
    const due = ArrayPrototypeSlice(this.#listeners);
    for (let i = 0; i < due.length && !isStopped(event); i++) {
      const listener = due[i];
      if (listener.removed || listener.type !== event.type) continue;
      if (listener.once)
        this.removeEventListener(listener.type, listener.callback, listener.capture);
      try {
        if (typeof listener.callback === "function") ReflectApply(listener.callback, this, [event]);
        else listener.callback.handleEvent(event);
      } catch (error) {
        // As in the standard, a listener that throws stops neither the other listeners nor the
        // dispatcher.
        op_log(LOG_ERROR, `an event listener threw ${inspect(error)}`);
      }
    }
    return endEvent(event);
  }
}
seal(EventTarget, "EventTarget");

const OURS = ObjectFreeze({ __proto__: null });

export class AbortSignal extends EventTarget {
  #aborted = false;
  #reason: unknown = undefined;
  #steps: (() => void)[] = [];
  #handler: any = null;

  constructor(key: unknown = undefined) {
    if (key !== OURS)
      throw new TypeError(
        "an AbortSignal comes from an AbortController, AbortSignal.timeout or AbortSignal.any",
      );
    super();
  }
  get aborted() {
    return this.#aborted;
  }
  get reason() {
    return this.#reason;
  }
  get onabort() {
    return this.#handler;
  }
  set onabort(handler: any) {
    if (this.#handler !== null) this.removeEventListener("abort", this.#handler);
    this.#handler = typeof handler === "function" ? handler : null;
    if (this.#handler !== null) this.addEventListener("abort", this.#handler);
  }
  throwIfAborted() {
    if (this.#aborted) throw this.#reason;
  }
  static abort(reason: unknown = undefined) {
    const signal = new AbortSignal(OURS);
    abort(signal, reason);
    return signal;
  }
  static timeout(ms: unknown) {
    const delay = Number(ms);
    if (!(delay >= 0)) throw new RangeError("AbortSignal.timeout takes milliseconds, 0 or more");
    const signal = new AbortSignal(OURS);
    globals.setTimeout(
      () => abort(signal, new DOMException("the operation timed out", "TimeoutError")),
      delay,
    );
    return signal;
  }
  static any(signals: Iterable<AbortSignal>) {
    const signal = new AbortSignal(OURS);
    const sources: AbortSignal[] = [];
    for (const source of signals) ArrayPrototypePush(sources, source);
    for (let i = 0; i < sources.length; i++) {
      if (sources[i].aborted) {
        abort(signal, sources[i].reason);
        return signal;
      }
    }
    for (let i = 0; i < sources.length; i++)
      onAbort(sources[i], () => abort(signal, sources[i].reason));
    return signal;
  }
  static run(signal: AbortSignal, reason: unknown) {
    if (signal.#aborted) return;
    signal.#aborted = true;
    signal.#reason =
      reason === undefined ? new DOMException("the operation was aborted", "AbortError") : reason;
    const steps = signal.#steps;
    signal.#steps = [];
    for (let i = 0; i < steps.length; i++) steps[i]();
    signal.dispatchEvent(new Event("abort"));
  }
  static follow(signal: AbortSignal, step: () => void) {
    if (signal.#aborted) step();
    else ArrayPrototypePush(signal.#steps, step);
  }
}
const abort = (AbortSignal as any).run,
  onAbort = (AbortSignal as any).follow;
delete (AbortSignal as any).run;
delete (AbortSignal as any).follow;
seal(AbortSignal, "AbortSignal");

export class AbortController {
  #signal = new AbortSignal(OURS);
  get signal() {
    return this.#signal;
  }
  abort(reason: unknown = undefined) {
    abort(this.#signal, reason);
  }
}
seal(AbortController, "AbortController");
