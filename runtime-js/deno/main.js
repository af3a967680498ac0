// Deno's side of the runtime `local-deno`: the main module of a jailed Deno that runs guests, one at a time, each in a realm of its own.
// Speaks frames with the worker process over descriptors 0 and 1 (src/sandbox/worker/deno/link.rs has their grammar) and nothing else.
// The realm keeps a guest from the next one by manners only: what holds is the jail around this process, and a process has one tenant.
//
// There is no event loop: a frame is read, what it allows is run until no microtask is left, and the next frame is read.
// Objects that stand here for a while have no prototype, and Deno's own prototypes are frozen: a guest that got hold of one could wait there
// for the next.
import vm from "node:vm";

const core = Deno[Deno.internal].core;
for (
  const frozen of [
    Object, Function, Array, String, Number, Boolean, Map, Set, WeakMap, Promise, RegExp, Error, TypeError, RangeError, SyntaxError, ArrayBuffer, DataView, Uint8Array,
    Object.getPrototypeOf(Uint8Array), TextEncoder, TextDecoder, URL, URLSearchParams, vm.Script,
  ]
) {
  Object.freeze(frozen);
  Object.freeze(frozen.prototype);
}
for (const iterator of [[].values(), new Map().values(), "".matchAll(/./g), new URLSearchParams().entries()]) Object.freeze(Object.getPrototypeOf(iterator));
const { stdin, stdout } = Deno;
const encoder = new TextEncoder(), decoder = new TextDecoder("utf-8", { ignoreBOM: true });

// The numbers of link.rs.
const SETUP = 1, RUN = 2, ANSWER = 3, FIRE = 4, TOLD = 5, END = 6;
const HELLO = 32, READY = 33, CALL = 34, LOG = 35, IDLE = 36, TIMER = 37, CLEAR = 38, WARN = 39, DONE = 40, ASK = 41;
const ASK_DIGEST = 1, ASK_STACK = 2;
const HEAD = 5;

// Frames out. Small ones are put together here and written at once.
const scratch = new Uint8Array(256 * 1024), scratchView = new DataView(scratch.buffer);
let end = 0;

function flush(bytes) {
  for (let at = 0; at < bytes.length;) at += stdout.writeSync(at === 0 ? bytes : bytes.subarray(at));
}

// A guest may run out of stack in the middle of what is said here. What was begun and not ended would be taken for something else.
let writing = false, asking = false;

function open(kind) {
  if (writing) Deno.exit(1);
  writing = true;
  scratch[4] = kind;
  end = HEAD;
}

function u32(value) {
  scratchView.setUint32(end, value, true);
  end += 4;
}

/** Writes the frame that was begun, with bytes as its last part. */
function closeWith(bytes) {
  scratchView.setUint32(0, end - 4 + bytes.length, true);
  flush(scratch.subarray(0, end));
  flush(bytes);
  writing = false;
}

/** Writes the frame that was begun, with `text` as its last part. */
function close(text = "") {
  const length = text.length === 0 ? 0 : core.byteLength(text);
  scratchView.setUint32(0, end - 4 + length, true);
  if (end + length <= scratch.length) {
    if (length > 0) end += encoder.encodeInto(text, scratch.subarray(end)).written;
    flush(scratch.subarray(0, end));
    writing = false;
    return;
  }
  flush(scratch.subarray(0, end));
  for (let at = 0; at < text.length;) {
    const { read, written } = encoder.encodeInto(at === 0 ? text : text.slice(at, at + scratch.length), scratch);
    at += read;
    flush(scratch.subarray(0, written));
  }
  writing = false;
}

// Frames in.
let input = new Uint8Array(64 * 1024), from = 0, filled = 0;
const backlog = [];

function fill(wanted) {
  if (from > 0 && from + wanted > input.length) {
    input.copyWithin(0, from, filled);
    filled -= from;
    from = 0;
  }
  if (wanted > input.length) {
    const larger = new Uint8Array(wanted);
    larger.set(input.subarray(0, filled));
    input = larger;
  }
  while (filled - from < wanted) {
    const read = stdin.readSync(input.subarray(filled));
    if (read === null) Deno.exit(0);
    filled += read;
  }
}

function read() {
  fill(HEAD);
  const length = new DataView(input.buffer, from, 4).getUint32(0, true);
  fill(4 + length);
  const frame = { __proto__: null, kind: input[from + 4], body: input.slice(from + HEAD, from + 4 + length) };
  from += 4 + length;
  if (from === filled) {
    from = filled = 0;
    if (input.length > 1 << 20) input = new Uint8Array(64 * 1024);
  }
  return frame;
}

function number(body, at = 0) {
  return new DataView(body.buffer, body.byteOffset + at, 4).getUint32(0, true);
}

/** Begins a question to the worker. */
function question(what) {
  if (asking) Deno.exit(1);
  asking = true;
  open(ASK);
  scratch[end++] = what;
}

/** The answer to the question that was sent; frames that come before it are kept for their turn. */
function told() {
  for (;;) {
    const frame = read();
    if (frame.kind === TOLD) {
      asking = false;
      return frame.body;
    }
    backlog.push(frame);
  }
}

// One run.
let limits, texts, realm, run;

/** What a realm may ask for. `of` is the run that it belongs to, so that a guest that left something running says nothing in the next one's name. */
function hostOf(of) {
  const live = () => of === run && !of.over;
  return {
    __proto__: null,
    ready(settle, tell, fire, result, uncaught, typeError) {
      Object.assign(of, { settle, tell, fire, result, uncaught, typeError });
    },
    call(path, args, line, column) {
      if (!live()) return "the program has ended";
      const bytes = core.byteLength(args);
      if (bytes > limits.args_bytes_max) return `the arguments of tools.${path} are ${bytes} bytes of JSON, allowed are ${limits.args_bytes_max}`;
      const call = { __proto__: null, id: of.calls + 1, path, args, bytes, line, column };
      if (of.inFlight >= limits.calls_in_flight_max) {
        if (of.queue.length >= limits.calls_queued_max) return texts.too_many_calls;
        if (of.queuedBytes + bytes > limits.queued_bytes_max) return texts.too_many_bytes;
        of.queue.push(call);
        of.queuedBytes += bytes;
      } else {
        send(of, call);
      }
      of.outstanding++;
      return ++of.calls;
    },
    timerStart(ms, repeat) {
      if (!live()) return "the program has ended";
      if (of.timers.size >= limits.timers_max) return texts.too_many_timers;
      of.timers.set(++of.timer, repeat);
      open(TIMER);
      u32(of.timer);
      scratchView.setFloat64(end, ms, true);
      scratch[end + 8] = repeat ? 1 : 0;
      end += 9;
      close();
      return of.timer;
    },
    timerClear(id) {
      if (!live() || !of.timers.delete(id)) return;
      open(CLEAR);
      u32(id);
      close();
    },
    log(level, line) {
      if (!live()) return;
      open(LOG);
      scratch[end++] = level;
      close(line);
    },
    warn(text) {
      if (!live()) return;
      open(WARN);
      close(text);
    },
    encodeBytesMax: (isArguments) => isArguments ? limits.args_bytes_max : limits.result_bytes_max,
    thrown(name, message, call) {
      of.told = { __proto__: null, name, message, call, frames: [] };
    },
    frame(name, line, column) {
      of.told.frames.push([name, line, column]);
    },
    stack(name, message, frames) {
      if (!live()) return `${name}: ${message}`;
      question(ASK_STACK);
      close(`${frames}\n${name}\n${message}`);
      return decoder.decode(told());
    },
    kind(value) {
      if (core.isProxy(value)) return 0;
      if (core.isDate(value)) return 1;
      if (core.isMap(value)) return 2;
      if (core.isSet(value)) return 3;
      if (core.isNativeError(value)) return 4;
      if (core.isAnyArrayBuffer(value) || core.isArrayBufferView(value)) return 5;
      if (core.isRegExp(value)) return 6;
      if (core.isBoxedPrimitive(value)) return 7;
      if (core.isPromise(value)) return 8;
      return core.isWeakMap(value) || core.isWeakSet(value) ? 9 : 0;
    },
    isAnyArrayBuffer: core.isAnyArrayBuffer,
    isBoxedPrimitive: core.isBoxedPrimitive,
    isDataView: core.isDataView,
    isDate: core.isDate,
    isMap: core.isMap,
    isNativeError: core.isNativeError,
    isPromise: core.isPromise,
    isProxy: core.isProxy,
    isRegExp: core.isRegExp,
    isSet: core.isSet,
    isTypedArray: core.isTypedArray,
    isWeakMap: core.isWeakMap,
    isWeakSet: core.isWeakSet,
    atob: (text) => orNull(() => atob(text)),
    btoa: (text) => orNull(() => btoa(text)),
    clock: () => Math.floor(performance.now() - of.began),
    clockOrigin: () => Math.floor(performance.timeOrigin + of.began),
    decode(bytes, encoding, fatal) {
      return orNull(() => new TextDecoder(["utf-8", "utf-16le", "windows-1252"][encoding], { fatal, ignoreBOM: true }).decode(bytes));
    },
    digest(algorithm, bytes, digest) {
      question(ASK_DIGEST);
      u32(algorithm);
      closeWith(bytes);
      digest.set(told());
      return true;
    },
    incompleteTail,
    random(bytes) {
      crypto.getRandomValues(bytes);
      return true;
    },
    utf8Length: (text) => core.byteLength(text),
    encodeInto(text, bytes) {
      const { read, written } = encoder.encodeInto(text, bytes);
      return read + written * 1073741824;
    },
    urlParse: (address, base) => orNull(() => partsOf(base === null ? new URL(address) : new URL(address, base))),
    urlSet: (address, part, value) => orNull(() => partsOf(changed(new URL(address), part, value))),
    formParse(query) {
      const pairs = [];
      // A leading question mark is part of the first name here: who calls has taken it off.
      for (const [name, value] of new URLSearchParams(`&${query}`)) pairs.push(name, value);
      return JSON.stringify(pairs);
    },
    formSerialize: (name, value) => new URLSearchParams([[name, value]]).toString(),
  };
}

function orNull(make) {
  try {
    return make();
  } catch {
    return null;
  }
}

function partsOf({ href, protocol, username, password, host, hostname, port, pathname, search, hash, origin }) {
  return JSON.stringify([href, protocol, username, password, host, hostname, port, pathname, search, hash, origin]);
}

const PARTS = ["href", "protocol", "username", "password", "host", "hostname", "port", "pathname", "search", "hash"];

function changed(url, part, value) {
  url[PARTS[part]] = value;
  return url;
}

/** How many of the last bytes are the beginning of a character that more bytes may complete. */
function incompleteTail(bytes, encoding) {
  const length = bytes.length;
  if (encoding === 2) return 0;
  if (encoding === 1) {
    const odd = length % 2, high = bytes[length - odd - 1];
    return odd + (length - odd >= 2 && high >= 0xd8 && high < 0xdc ? 2 : 0);
  }
  for (let tail = Math.min(3, length); tail > 0; tail--) {
    const lead = bytes[length - tail];
    if (lead < 0xc2 || lead > 0xf4) continue;
    const needed = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (needed <= tail) continue;
    const second = bytes[length - tail + 1];
    // Second bytes that no character has: over-long forms, halves of pairs, beyond U+10FFFF.
    if (tail > 1 && (second < (lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80) || second > (lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf))) continue;
    if (tail > 2 && (bytes[length - 1] & 0xc0) !== 0x80) continue;
    return tail;
  }
  return 0;
}

function send(of, call) {
  of.inFlight++;
  const { id, path, args, line, column } = call;
  open(CALL);
  u32(id);
  u32(line);
  u32(column);
  // At most 1024 units (tools.ts), so at most 3072 bytes.
  const { written } = encoder.encodeInto(path, scratch.subarray(end + 2));
  scratchView.setUint16(end, written, true);
  end += 2 + written;
  close(args);
}

// A realm: the language's own globals, then `runtime-js/`, which the worker sent as one script.
const empty = new vm.Script("0");
let script;

function build() {
  const of = { __proto__: null, calls: 0, inFlight: 0, outstanding: 0, queue: [], queuedBytes: 0, timers: new Map(), timer: 0, answers: 0, fires: 0, over: false, imports: false, began: 0, told: null };
  of.context = vm.createContext(vm.constants.DONT_CONTEXTIFY, { __proto__: null, microtaskMode: "afterEvaluate", codeGeneration: { __proto__: null, strings: false, wasm: false } });
  script.runInContext(of.context)(hostOf(of));
  return of;
}

/** Runs what is due in the guest until no microtask is left. */
function checkpoint(of) {
  // What an `import()` was answered with passes through Deno's realm first.
  if (of.imports) core.runMicrotasks();
  empty.runInContext(of.context);
}

/** One for all programs: Deno keeps it for as long as it lives, and with it whatever it refers to. */
function refuseImport(name) {
  run.imports = true;
  throw run.typeError(texts.import_refused.replace("{}", String(name).slice(0, 100)));
}

function begin(body) {
  const length = number(body);
  const { line_offset: lineOffset, column_offset: columnOffset, name: filename } = JSON.parse(decoder.decode(body.subarray(4, 4 + length)));
  run = realm;
  realm = null;
  run.began = performance.now();
  try {
    const source = decoder.decode(body.subarray(4 + length));
    run.program = new vm.Script(source, { __proto__: null, filename, lineOffset, columnOffset, importModuleDynamically: refuseImport }).runInContext(run.context);
  } catch (error) {
    fail(error);
  }
}

/** An error of compiling is one of Deno's realm and names its place in the first line of its stack. */
function fail(error) {
  if (!(error instanceof SyntaxError)) return run.tell(error);
  const stack = String(error.stack), line = /^[^\n]*:(\d+)\n/.exec(stack), column = /\n( *)\^/.exec(stack);
  run.told = { __proto__: null, name: error.name, message: error.message, call: 0, frames: line === null ? [] : [["", Number(line[1]), (column?.[1].length ?? 0) + 1]] };
}

/** After each step: is the program over, or does it wait? */
async function look() {
  if (run.told === null && !run.uncaught()) {
    const details = core.isPromise(run.program) ? core.getPromiseDetails(run.program) : null;
    if (details === null) return finish("not_a_program");
    const [state, value] = details;
    if (state === 0) return idle();
    if (state === 1) {
      try {
        const json = run.result(value);
        // Counted in bytes of UTF-8 here; before, only that it may fit.
        const fits = json !== null && core.byteLength(json) <= limits.result_bytes_max;
        return finish(fits ? "returned" : "result_limit", fits ? json : "");
      } catch (error) {
        run.tell(error);
      }
    } else {
      run.tell(value);
    }
  }
  return finish("threw");
}

function idle() {
  open(IDLE);
  u32(run.answers);
  u32(run.fires);
  u32(run.outstanding);
  u32(heap());
  close();
}

/** Kilobytes of heap and of what hangs on it. */
function heap() {
  const { heapUsed, external } = core.memoryUsage();
  return Math.ceil((heapUsed + external) / 1024);
}

// Rejected promises that nobody handles: the first few with their reason, the others by number.
const REJECTIONS_KEPT_MAX = 8;
let rejections = [], more = 0;
core.setUnhandledPromiseRejectionHandler((promise, reason) => {
  if (promise === run?.program) return true;
  if (rejections.length < REJECTIONS_KEPT_MAX) rejections.push(reason);
  else more++;
  return true;
});

// A turn of the event loop, in which Deno tells of rejections. Not `setTimeout`, whose first use costs 12 ms.
const { port1, port2 } = new MessageChannel();
let turned;
port1.onmessage = () => turned();
function turn() {
  return new Promise((resolve) => {
    turned = resolve;
    port2.postMessage(0);
  });
}

async function finish(kind, result = "") {
  const { told, outstanding } = run;
  await turn();
  const lost = rejections.map((reason) => {
    run.told = null;
    try {
      run.tell(reason);
    } catch {
      // Its explanation failed; there is nothing to tell but that it was.
    }
    const { name, message, frames } = run.told ?? { name: "Error", message: "threw a value that cannot be described", frames: [] };
    return { __proto__: null, name, message: message.slice(0, 1024), call: 0, frames: frames.slice(0, 1) };
  });
  const head = JSON.stringify({ __proto__: null, kind, thrown: kind === "threw" ? told : null, outstanding, rejections: lost, more_rejections: more, heap_kb: heap() });
  run.over = true;
  rejections = [];
  more = 0;
  const bytes = encoder.encode(head);
  open(DONE);
  u32(bytes.length);
  scratch.set(bytes, end);
  end += bytes.length;
  close(result);
  next();
}

/** Makes ready for the next run. */
function next() {
  run = undefined;
  realm = build();
  open(READY);
  close();
}

function take({ kind, body }) {
  switch (kind) {
    case RUN:
      return begin(body);
    case ANSWER: {
      if (run === undefined) return;
      const call = number(body);
      run.answers++;
      run.inFlight--;
      run.outstanding--;
      run.settle(call, body[4] === 1, decoder.decode(body.subarray(5)));
      while (run.inFlight < limits.calls_in_flight_max && run.queue.length > 0) {
        const next = run.queue.shift();
        run.queuedBytes -= next.bytes;
        send(run, next);
      }
      return;
    }
    case FIRE: {
      if (run === undefined) return;
      const id = number(body);
      run.fires++;
      if (!run.timers.has(id)) return;
      if (!run.timers.get(id)) run.timers.delete(id);
      try {
        run.fire(id);
      } catch (error) {
        run.tell(error);
      }
      return;
    }
    case END:
      // Deno tells of rejections in a turn of its loop; those of this run must not be taken for the next one's.
      run.over = true;
      return turn().then(() => {
        rejections = [];
        more = 0;
        next();
      });
  }
}

/** Whether another answer has come. */
function answerWaits() {
  if (backlog.length > 0) return backlog[0].kind === ANSWER;
  return filled - from >= HEAD && input[from + 4] === ANSWER && filled - from >= 4 + new DataView(input.buffer, from, 4).getUint32(0, true);
}

async function serve() {
  for (;;) {
    if (writing || asking) Deno.exit(1);
    const frame = backlog.shift() ?? read();
    await take(frame);
    // All answers that have come are settled before what waited for them runs; a timer's work is done before the next one's.
    if (frame.kind === ANSWER && answerWaits()) continue;
    if (run === undefined) continue;
    checkpoint(run);
    await look();
  }
}

const first = read();
if (first.kind !== SETUP) Deno.exit(1);
const setup = JSON.parse(decoder.decode(first.body));
({ limits, texts } = setup);
script = new vm.Script(setup.realm, { filename: "airlock:realm" });
open(HELLO);
close(JSON.stringify({ deno: Deno.version.deno, v8: Deno.version.v8 }));
next();
// Whatever goes wrong here ends the process, which the worker notices; nobody would notice a loop that stopped.
await serve().catch(() => Deno.exit(1));
