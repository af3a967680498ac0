// Deno's side of the runtime `local-deno`: the main module of a jailed Deno that runs guests, one
// at a time, each in a realm of its own. Exchanges frames with the worker process over descriptors
// 0 and 1 (grammar: src/sandbox/worker/deno/link.rs) and nothing else. Realms are no security
// boundary between guests: the boundary is the jail around this process, and a process serves one
// tenant.
//
// There is no event loop: it reads a frame, runs what the frame allows until no microtask is left,
// and reads the next frame. Long-lived objects here have no prototype, and Deno's own prototypes
// are frozen, so that a guest that obtains one cannot leave anything behind for the next guest.
import vm from "node:vm";

const core = Deno[Deno.internal].core;
for (const frozen of [
  Object,
  Function,
  Array,
  String,
  Number,
  Boolean,
  Map,
  Set,
  WeakMap,
  Promise,
  RegExp,
  Error,
  TypeError,
  RangeError,
  SyntaxError,
  ArrayBuffer,
  DataView,
  Uint8Array,
  Object.getPrototypeOf(Uint8Array),
  TextEncoder,
  TextDecoder,
  URL,
  URLSearchParams,
  vm.Script,
]) {
  Object.freeze(frozen);
  Object.freeze(frozen.prototype);
}
for (const iterator of [
  [].values(),
  new Map().values(),
  "".matchAll(/./g),
  new URLSearchParams().entries(),
])
  Object.freeze(Object.getPrototypeOf(iterator));
const { stdin, stdout } = Deno;
const encoder = new TextEncoder(),
  decoder = new TextDecoder("utf-8", { ignoreBOM: true });

// The numbers of link.rs.
const SETUP = 1,
  RUN = 2,
  RESPONSE = 3,
  FIRE = 4,
  REPLY = 5,
  END = 6;
const HELLO = 32,
  READY = 33,
  CALL = 34,
  LOG = 35,
  IDLE = 36,
  TIMER = 37,
  CLEAR = 38,
  WARN = 39,
  DONE = 40,
  QUERY = 41,
  TICK = 42;
const QUERY_DIGEST = 1,
  QUERY_STACK = 2,
  QUERY_RANDOM = 3;
const HEAD = 5;

// Output. Small frames are assembled here and written at once.
const scratch = new Uint8Array(256 * 1024),
  scratchView = new DataView(scratch.buffer);
let end = 0;

function flush(bytes) {
  for (let at = 0; at < bytes.length;)
    at += stdout.writeSync(at === 0 ? bytes : bytes.subarray(at));
}

// A guest may run out of stack in the middle of a frame. The worker would misread a frame that was
// begun and not finished.
let writing = false,
  querying = false;

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

/** Finishes the current frame with bytes as its last part. */
function closeWith(bytes) {
  scratchView.setUint32(0, end - 4 + bytes.length, true);
  flush(scratch.subarray(0, end));
  flush(bytes);
  writing = false;
}

/** Finishes the current frame with `text` as its last part. */
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
    const { read, written } = encoder.encodeInto(
      at === 0 ? text : text.slice(at, at + scratch.length),
      scratch,
    );
    at += read;
    flush(scratch.subarray(0, written));
  }
  writing = false;
}

// Input.
let input = new Uint8Array(64 * 1024),
  from = 0,
  filled = 0;
const backlog = [];

function fill(needed) {
  if (from > 0 && from + needed > input.length) {
    input.copyWithin(0, from, filled);
    filled -= from;
    from = 0;
  }
  if (needed > input.length) {
    const larger = new Uint8Array(needed);
    larger.set(input.subarray(0, filled));
    input = larger;
  }
  while (filled - from < needed) {
    const read = stdin.readSync(input.subarray(filled));
    if (read === null) Deno.exit(0);
    filled += read;
  }
}

function read() {
  fill(HEAD);
  const length = new DataView(input.buffer, from, 4).getUint32(0, true);
  fill(4 + length);
  const frame = {
    __proto__: null,
    kind: input[from + 4],
    body: input.slice(from + HEAD, from + 4 + length),
  };
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

/** Begins a query to the worker. */
function query(kind) {
  if (querying) Deno.exit(1);
  querying = true;
  open(QUERY);
  scratch[end++] = kind;
}

/** Waits for the reply to the query. Frames that come before it are queued. */
function reply() {
  for (;;) {
    const frame = read();
    if (frame.kind === REPLY) {
      querying = false;
      return frame.body;
    }
    backlog.push(frame);
  }
}

// One run.
let limits, messages, realm, run;

/**
 * Functions that a realm may call. `of` is the run that it belongs to: code that a guest left
 * running has no effect on the next run.
 */
function hostOf(of) {
  const live = () => of === run && !of.over;
  return {
    __proto__: null,
    ready(settle, report, fire, result, uncaught, typeError) {
      Object.assign(of, { settle, report, fire, result, uncaught, typeError });
    },
    call(path, args, line, column) {
      if (!live()) return "the program has ended";
      const bytes = core.byteLength(args);
      if (bytes > limits.args_bytes_max)
        return (
          `the arguments of tools.${path} are ${bytes} bytes of JSON; ` +
          `the limit is ${limits.args_bytes_max}`
        );
      const call = { __proto__: null, id: of.calls + 1, path, args, bytes, line, column };
      if (of.inFlight >= limits.calls_in_flight_max) {
        if (of.queue.length >= limits.calls_queued_max) return messages.too_many_calls;
        if (of.queuedBytes + bytes > limits.queued_bytes_max) return messages.too_many_bytes;
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
      if (of.timers.size >= limits.timers_max) return messages.too_many_timers;
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
    encodeBytesMax: (isArguments) =>
      isArguments ? limits.args_bytes_max : limits.result_bytes_max,
    thrown(name, message, call) {
      of.thrown = { __proto__: null, name, message, call, frames: [] };
    },
    frame(name, line, column) {
      of.thrown.frames.push([name, line, column]);
    },
    stack(name, message, frames) {
      if (!live()) return `${name}: ${message}`;
      query(QUERY_STACK);
      close(`${frames}\n${name}\n${message}`);
      return decoder.decode(reply());
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
    // -1 while the guest repeats an earlier run.
    clock() {
      const { elapsed_ms: elapsed, calls, turns } = of.clock;
      if (of.calls < calls || of.responses + of.fires < turns) return -1;
      return Math.floor(elapsed + performance.now() - of.began);
    },
    clockOrigin: () => of.clock?.origin_ms ?? 0,
    ticks: () => (of.clock === null ? "" : JSON.stringify(of.clock.ticks)),
    tick(readings, ms) {
      if (!live()) return;
      open(TICK);
      u32(readings);
      scratchView.setFloat64(end, ms, true);
      end += 8;
      close();
    },
    decode(bytes, encoding, fatal) {
      return orNull(() =>
        new TextDecoder(["utf-8", "utf-16le", "windows-1252"][encoding], {
          fatal,
          ignoreBOM: true,
        }).decode(bytes),
      );
    },
    digest(algorithm, bytes, digest) {
      query(QUERY_DIGEST);
      u32(algorithm);
      closeWith(bytes);
      digest.set(reply());
      return true;
    },
    incompleteTail,
    random(bytes) {
      if (!live()) return false;
      query(QUERY_RANDOM);
      u32(bytes.length);
      close();
      bytes.set(reply());
      return true;
    },
    utf8Length: (text) => core.byteLength(text),
    encodeInto(text, bytes) {
      const { read, written } = encoder.encodeInto(text, bytes);
      return read + written * 1073741824;
    },
    urlParse: (url, base) =>
      orNull(() => partsOf(base === null ? new URL(url) : new URL(url, base))),
    urlSet: (url, part, value) => orNull(() => partsOf(changed(new URL(url), part, value))),
    formParse(query) {
      const pairs = [];
      // A leading question mark is part of the first name here; the caller has removed it.
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

function partsOf({
  href,
  protocol,
  username,
  password,
  host,
  hostname,
  port,
  pathname,
  search,
  hash,
  origin,
}) {
  return JSON.stringify([
    href,
    protocol,
    username,
    password,
    host,
    hostname,
    port,
    pathname,
    search,
    hash,
    origin,
  ]);
}

const PARTS = [
  "href",
  "protocol",
  "username",
  "password",
  "host",
  "hostname",
  "port",
  "pathname",
  "search",
  "hash",
];

function changed(url, part, value) {
  url[PARTS[part]] = value;
  return url;
}

/** Number of bytes at the end that begin a character which further bytes may complete. */
function incompleteTail(bytes, encoding) {
  const length = bytes.length;
  if (encoding === 2) return 0;
  if (encoding === 1) {
    const odd = length % 2,
      high = bytes[length - odd - 1];
    return odd + (length - odd >= 2 && high >= 0xd8 && high < 0xdc ? 2 : 0);
  }
  for (let tail = Math.min(3, length); tail > 0; tail--) {
    const lead = bytes[length - tail];
    if (lead < 0xc2 || lead > 0xf4) continue;
    const needed = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (needed <= tail) continue;
    const second = bytes[length - tail + 1];
    // Invalid second bytes: overlong forms, surrogates, code points above U+10FFFF.
    if (
      tail > 1 &&
      (second < (lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80) ||
        second > (lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf))
    )
      continue;
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
  // At most 1024 UTF-16 units (tools.ts), so at most 3072 bytes.
  const { written } = encoder.encodeInto(path, scratch.subarray(end + 2));
  scratchView.setUint16(end, written, true);
  end += 2 + written;
  close(args);
}

// A realm: the globals of the language, then `runtime-js/`, which the worker sent as one script.
const empty = new vm.Script("0");
let script;

function build() {
  const of = {
    __proto__: null,
    calls: 0,
    inFlight: 0,
    outstanding: 0,
    queue: [],
    queuedBytes: 0,
    timers: new Map(),
    timer: 0,
    responses: 0,
    fires: 0,
    over: false,
    imports: false,
    began: 0,
    clock: null,
    thrown: null,
  };
  of.context = vm.createContext(vm.constants.DONT_CONTEXTIFY, {
    __proto__: null,
    microtaskMode: "afterEvaluate",
    codeGeneration: { __proto__: null, strings: false, wasm: false },
  });
  script.runInContext(of.context)(hostOf(of));
  return of;
}

/** Runs the guest until no microtask is left. */
function checkpoint(of) {
  // The rejection of an `import()` passes through Deno's realm first.
  if (of.imports) core.runMicrotasks();
  empty.runInContext(of.context);
}

/**
 * One function for all programs: Deno keeps it for the life of the process, along with everything
 * it refers to.
 */
function refuseImport(name) {
  run.imports = true;
  throw run.typeError(messages.import_refused.replace("{}", String(name).slice(0, 100)));
}

function begin(body) {
  const length = number(body);
  const {
    line_offset: lineOffset,
    column_offset: columnOffset,
    name: filename,
    clock,
  } = JSON.parse(decoder.decode(body.subarray(4, 4 + length)));
  run = realm;
  realm = null;
  run.began = performance.now();
  run.clock = clock;
  try {
    const source = decoder.decode(body.subarray(4 + length));
    run.program = new vm.Script(source, {
      __proto__: null,
      filename,
      lineOffset,
      columnOffset,
      importModuleDynamically: refuseImport,
    }).runInContext(run.context);
  } catch (error) {
    fail(error);
  }
}

/**
 * An error of compilation belongs to Deno's realm and names its position in the first line of its
 * stack.
 */
function fail(error) {
  if (!(error instanceof SyntaxError)) return run.report(error);
  const stack = String(error.stack),
    line = /^[^\n]*:(\d+)\n/.exec(stack),
    column = /\n( *)\^/.exec(stack);
  run.thrown = {
    __proto__: null,
    name: error.name,
    message: error.message,
    call: 0,
    frames: line === null ? [] : [["", Number(line[1]), (column?.[1].length ?? 0) + 1]],
  };
}

/** Determines after each step whether the program is over or waits. */
async function check() {
  if (run.thrown === null && !run.uncaught()) {
    const details = core.isPromise(run.program) ? core.getPromiseDetails(run.program) : null;
    if (details === null) return finish("not_a_program");
    const [state, value] = details;
    if (state === 0) return idle();
    if (state === 1) {
      try {
        const json = run.result(value);
        // Exact, in bytes of UTF-8; the encoder only checks a lower bound.
        const fits = json !== null && core.byteLength(json) <= limits.result_bytes_max;
        return finish(fits ? "returned" : "result_limit", fits ? json : "");
      } catch (error) {
        run.report(error);
      }
    } else {
      run.report(value);
    }
  }
  return finish("threw");
}

function idle() {
  open(IDLE);
  u32(run.responses);
  u32(run.fires);
  u32(run.outstanding);
  u32(heap());
  close();
}

/** Size of the heap and of external memory that it refers to, in KiB. */
function heap() {
  const { heapUsed, external } = core.memoryUsage();
  return Math.ceil((heapUsed + external) / 1024);
}

// Unhandled promise rejections: the first few with their reason, the others counted.
const REJECTIONS_KEPT_MAX = 8;
let rejections = [],
  more = 0;
core.setUnhandledPromiseRejectionHandler((promise, reason) => {
  if (promise === run?.program) return true;
  if (rejections.length < REJECTIONS_KEPT_MAX) rejections.push(reason);
  else more++;
  return true;
});

// A turn of the event loop, in which Deno reports rejections. Not `setTimeout`, whose first use
// costs 12 ms.
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
  const { thrown, outstanding } = run;
  await turn();
  const reported = rejections.map((reason) => {
    run.thrown = null;
    try {
      run.report(reason);
    } catch {
      // Its description failed; only its existence can be reported.
    }
    const { name, message, frames } = run.thrown ?? {
      name: "Error",
      message: "threw a value that cannot be described",
      frames: [],
    };
    return {
      __proto__: null,
      name,
      message: message.slice(0, 1024),
      call: 0,
      frames: frames.slice(0, 1),
    };
  });
  const head = JSON.stringify({
    __proto__: null,
    kind,
    thrown: kind === "threw" ? thrown : null,
    outstanding,
    rejections: reported,
    more_rejections: more,
    heap_kb: heap(),
  });
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

/** Prepares for the next run. */
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
    case RESPONSE: {
      if (run === undefined) return;
      const call = number(body);
      run.responses++;
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
        run.report(error);
      }
      return;
    }
    case END:
      // Deno reports rejections in a turn of its loop; those of this run must not count for the
      // next one.
      run.over = true;
      return turn().then(() => {
        rejections = [];
        more = 0;
        next();
      });
  }
}

async function serve() {
  for (;;) {
    if (writing || querying) Deno.exit(1);
    const frame = backlog.shift() ?? read();
    await take(frame);
    // The work of a response or a timer is done before the next one, so that their order alone
    // decides what the program does.
    if (run === undefined) continue;
    checkpoint(run);
    await check();
  }
}

const first = read();
if (first.kind !== SETUP) Deno.exit(1);
const setup = JSON.parse(decoder.decode(first.body));
({ limits, messages } = setup);
script = new vm.Script(setup.realm, { filename: "airlock:realm" });
open(HELLO);
close(JSON.stringify({ deno: Deno.version.deno, v8: Deno.version.v8 }));
next();
// Any failure here ends the process, which the worker notices; nobody would notice a loop that
// stopped.
await serve().catch(() => Deno.exit(1));
