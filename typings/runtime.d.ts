/**
 * What a program sees in Airlock, besides ECMAScript itself (with `Intl`).
 *
 * There is no network, no file system, no environment, no module system and no code from text: no
 * `fetch`, `process`, `require`, `import`, `Deno`, `Buffer`, `eval`, `new Function`, `WebAssembly`
 * or `SharedArrayBuffer`. The one way out is `tools`. A program may use `return` and `await` at its
 * top level; its value is what it returns, or its last expression.
 */

// ------------------------------------------------------------------------------------------- tools

/**
 * A path to a tool: call it, or go on to a longer path. `tools.a.b(args)` is `tools["a.b"](args)`.
 */
interface ToolPath {
  /**
   * Calls the tool with no argument or one object, which is checked against the tool's schema
   * before anything leaves. An integer beyond 2^53 - 1 is a bigint or a string of digits in the
   * arguments, and a string of digits in the result.
   * @throws {ToolArgumentError} The arguments do not fit; the message names the field.
   * @throws {ToolNotFoundError} There is no such tool; the message names the nearest ones.
   * @throws {ToolPolicyError} A rule or a person refused the call.
   * @throws {ToolCallError} The service behind the tool failed.
   */
  <Result = unknown>(args?: object): Promise<Result>;
  readonly [name: string]: ToolPath;
  readonly apply: ToolPath;
  readonly arguments: ToolPath;
  readonly bind: ToolPath;
  readonly call: ToolPath;
  readonly caller: ToolPath;
  readonly length: ToolPath;
  readonly name: ToolPath;
}

/** One tool as `tools.discover` and `tools.catalog.tools` list it. */
interface ToolSummary {
  /** What to call: `tools[path](args)`. */
  path: string;
  /** The upstream that offers it. */
  source: string;
  /** The call's TypeScript signature. */
  hint: string;
  description: string;
  /** `required`: a person is asked before the call is made. */
  approval: "auto" | "required";
  /**
   * Why a call would fail now: the upstream is down, and this is what was last known of it. Absent
   * while it is up.
   */
  unavailable?: string;
}

/** A tool that was searched for. */
interface FoundTool extends ToolSummary {
  /** How well it fits; higher is better, comparable within one answer only. */
  score: number;
  /** JSON Schema of the arguments; with `includeSchemas`. */
  inputSchema?: object;
  /** JSON Schema of the result; with `includeSchemas`, if it is known. */
  outputSchema?: object;
}

/** What `tools.discover` takes. */
interface DiscoverOptions {
  /** What the tool should do, in words. */
  query: string;
  /** From 1 to 50. @default 8 */
  limit?: number;
  /** Whether descriptions are shortened. @default true */
  compact?: boolean;
  /** Whether results carry their schemas. @default false */
  includeSchemas?: boolean;
  /** Only tools whose path begins with this. */
  namespace?: string;
}

interface DiscoverResult {
  /** The first result's path if it clearly fits best, otherwise null. */
  bestPath: string | null;
  results: FoundTool[];
  /** How many tools fit, with those that are not listed. */
  total: number;
  /** Why there are no tools at all. */
  note?: string;
}

interface NamespaceSummary {
  namespace: string;
  toolCount: number;
  samplePaths: string[];
  /** Why calls would fail now. Absent while the upstream is up. */
  unavailable?: string;
}

interface ToolDescription {
  path: string;
  description: string;
  /** The call's full TypeScript signature. */
  typescript: string;
  inputSchema?: object;
  outputSchema?: object;
  approval: "auto" | "required";
  /** Why a call would fail now. Absent while the upstream is up. */
  unavailable?: string;
}

interface ToolCatalog {
  /** Lists the namespaces. */
  namespaces(options?: {
    limit?: number;
  }): Promise<{ namespaces: NamespaceSummary[]; total: number }>;
  /**
   * Lists tools in pages: pass `nextCursor` as `cursor` until it is null. `limit` is from 1 to 200,
   * 50 if absent.
   */
  tools(options?: {
    namespace?: string;
    query?: string;
    limit?: number;
    cursor?: string;
  }): Promise<{ results: ToolSummary[]; total: number; nextCursor: string | null }>;
}

/**
 * What a call resolves to whose answer is over 8 MiB: the answer is kept, and later tasks of the
 * same owner may read it too.
 */
interface ArtifactHandle {
  $artifact: string;
  /** Length of its text, in bytes. */
  bytes: number;
  /** `json` as it came, or a `text` (an answer that is a string). */
  kind: "json" | "text";
  lines: number;
  /** SHA-256 of its text, in hex. */
  sha256: string;
  /** How it begins, at most 2 KiB. */
  head: string;
  /** From when it is not there any more. */
  expiresAt: string;
  /** How it is read; absent in lists. */
  read?: string;
}

/**
 * What stands in an answer in place of an image, a sound or other bytes, whatever their size: they
 * are kept as artifacts are. As an argument of a call it gives the tool the base64, or the file
 * where the tool takes one. Returned, alone or within something, an image or a sound comes with the
 * answer of `execute` as a block of its own: at most 16, of 8 MiB of base64 together.
 */
interface MediaHandle {
  $artifact: string;
  type: "image" | "audio" | "blob";
  /** Such as `image/png`. */
  mimeType: string;
  /** Length in bytes. */
  bytes: number;
  /** The same as `type`. */
  kind: "image" | "audio" | "blob";
  /** SHA-256 of its bytes, in hex. */
  sha256: string;
  /** From when it is not there any more. */
  expiresAt: string;
  /** What it is for; absent in lists. */
  read?: string;
}

/** An artifact, named by its handle or by the handle's id. */
type ArtifactId = string | ArtifactHandle | MediaHandle;

/** A line of an artifact, or what a pattern found in one. */
interface ArtifactLine {
  /** Its number, from 1. */
  line: number;
  /** Where the line begins, or the match, in bytes. */
  offset: number;
  text: string;
  /** There is more of the line than `text` shows. */
  cut?: true;
}

/**
 * Artifacts: responses too large for a program, and the images, sounds and blobs in responses. A
 * handle may stand anywhere in the arguments of a call: the tool gets the content of the artifact.
 * @throws {ToolCallError} `artifact_not_found`: expired, removed, or of another workspace.
 */
interface Artifacts {
  read(
    id: ArtifactId,
    options: { offset?: number; length?: number; pointer?: string },
  ): Promise<{ text: string; offset: number; nextOffset: number | null; totalBytes: number }>;
  lines(
    id: ArtifactId,
    options: { from?: number; limit?: number; pointer?: string },
  ): Promise<{ lines: ArtifactLine[]; nextFrom: number | null; totalLines: number }>;
  search(
    id: ArtifactId,
    options: {
      pattern: string;
      limit?: number;
      from?: number;
      offset?: number;
      pointer?: string;
    },
  ): Promise<{ matches: ArtifactLine[]; nextOffset: number | null; totalLines: number }>;
  json<Value = unknown>(id: ArtifactId, options: { pointer: string }): Promise<Value>;
  /**
   * A slice in whole characters; `length` is from 1 to 1048576 bytes, 65536 if absent. Go on at
   * `nextOffset` until it is null. With `pointer`, here and below, it is of the string at that JSON
   * Pointer, such as `/content`. Of an image, a sound or a blob it is of its base64.
   */
  read(
    options: { id: ArtifactId; offset?: number; length?: number; pointer?: string } | ArtifactId,
  ): Promise<{ text: string; offset: number; nextOffset: number | null; totalBytes: number }>;
  /**
   * Lines from 1 on; `limit` is from 1 to 1000, 100 if absent. A line over 16 KiB is cut. Go on at
   * `nextFrom` until it is null.
   */
  lines(
    options: { id: ArtifactId; from?: number; limit?: number; pointer?: string } | ArtifactId,
  ): Promise<{ lines: ArtifactLine[]; nextFrom: number | null; totalLines: number }>;
  /**
   * The lines that a regular expression (no look-around, no back references) matches, with what
   * stands around the match. `limit` is from 1 to 200, 50 if absent. Begins with line `from`, or at
   * byte `offset`; go on with `nextOffset` as `offset` until it is null. In a line over 64 KiB
   * every match is a hit.
   */
  search(options: {
    id: ArtifactId;
    pattern: string;
    limit?: number;
    from?: number;
    offset?: number;
    pointer?: string;
  }): Promise<{ matches: ArtifactLine[]; nextOffset: number | null; totalLines: number }>;
  /** The value at a JSON Pointer such as `/items/0/name`, if it has at most 8 MiB. */
  json<Value = unknown>(options: { id: ArtifactId; pointer: string }): Promise<Value>;
  /** What is kept, the newest first. `limit` is from 1 to 200, 50 if absent. */
  list(options?: { limit?: number; cursor?: string }): Promise<{
    artifacts: ((ArtifactHandle | MediaHandle) & {
      tool: string;
      taskId: string;
      createdAt: string;
    })[];
    nextCursor: string | null;
  }>;
  remove(options: { id: ArtifactId } | ArtifactId): Promise<{ removed: true }>;
}

interface Tools {
  /** Finds tools by what they do. Start here. */
  discover(query: string | DiscoverOptions): Promise<DiscoverResult>;
  discover(query: string, options?: Omit<DiscoverOptions, "query">): Promise<DiscoverResult>;
  /** Lists what there is. */
  readonly catalog: ToolCatalog;
  /** Tells all about one tool. */
  describe(path: string | { path: string }): Promise<ToolDescription>;
  /** Reads answers that were too large: a call that got one resolves to an `ArtifactHandle`. */
  readonly artifacts: Artifacts;
}

/** Everything outside. Every path that is not listed here is a tool's. */
declare const tools: Tools & { readonly [namespace: string]: ToolPath };

/** A call that the service behind the tool failed. */
declare class ToolCallError extends Error {
  readonly code: string;
  readonly tool: string;
  /** The HTTP status, if there was one. */
  readonly status?: number;
  /** Whether the same call may succeed later. */
  readonly retryable: boolean;
}

/** A call that was refused. */
declare class ToolPolicyError extends Error {
  readonly code:
    "policy_denied" | "approval_denied" | "approval_expired" | "rate_limited" | "policy_error";
  readonly tool: string;
  readonly rule?: string;
  readonly retryAfterMs?: number;
  readonly approvalId?: string;
}

/** A call of a tool that does not exist, or that this caller may not see. */
declare class ToolNotFoundError extends Error {
  readonly code: string;
  readonly tool: string;
}

/** A call whose arguments do not fit the tool's schema. */
declare class ToolArgumentError extends Error {
  readonly code: string;
  readonly tool: string;
}

// ----------------------------------------------------------------------------------------- console

/**
 * Writes to the task's log: at most 64 KiB and 1000 lines, a value 4 levels deep, 100 entries and 8
 * KiB of text.
 */
interface Console {
  /** `%s %d %i %f %j %o %O %c %%` in a first string take the arguments that follow. */
  log(...values: unknown[]): void;
  info(...values: unknown[]): void;
  debug(...values: unknown[]): void;
  warn(...values: unknown[]): void;
  error(...values: unknown[]): void;
  trace(...values: unknown[]): void;
  dir(value: unknown): void;
  dirxml(...values: unknown[]): void;
  table(rows: unknown, columns?: string[]): void;
  assert(condition?: unknown, ...values: unknown[]): void;
  count(label?: string): void;
  countReset(label?: string): void;
  time(label?: string): void;
  timeLog(label?: string, ...values: unknown[]): void;
  timeEnd(label?: string): void;
  group(...values: unknown[]): void;
  groupCollapsed(...values: unknown[]): void;
  groupEnd(): void;
  clear(): void;
}
declare const console: Console;

// ------------------------------------------------------------------------------------------ timers

/**
 * Calls a function once, `delay` milliseconds from now. The run does not wait for it after the
 * program has returned.
 */
declare function setTimeout<Args extends unknown[]>(
  callback: (...args: Args) => unknown,
  delay?: number,
  ...args: Args
): number;
declare function setInterval<Args extends unknown[]>(
  callback: (...args: Args) => unknown,
  delay?: number,
  ...args: Args
): number;
declare function clearTimeout(id?: number): void;
declare function clearInterval(id?: number): void;
declare function queueMicrotask(callback: () => void): void;

// ---------------------------------------------------------------------------------- text and bytes

type BufferSource = ArrayBufferView | ArrayBuffer;

/** @throws {DOMException} `DataCloneError` for functions, symbols and the like. */
declare function structuredClone<T>(value: T): T;
/**
 * Base64 of a text whose characters are bytes. @throws {DOMException} For a character over U+00FF.
 */
declare function btoa(text: string): string;
/** The reverse of `btoa`. @throws {DOMException} For what is not base64. */
declare function atob(base64: string): string;

/** Text to UTF-8. */
declare class TextEncoder {
  readonly encoding: "utf-8";
  encode(text?: string): Uint8Array;
  encodeInto(text: string, into: Uint8Array): { read: number; written: number };
}

/** Bytes to text. Knows `utf-8`, `utf-16le` and `latin1` (which on the web is `windows-1252`). */
declare class TextDecoder {
  constructor(label?: string, options?: { fatal?: boolean; ignoreBOM?: boolean });
  readonly encoding: string;
  readonly fatal: boolean;
  readonly ignoreBOM: boolean;
  /** @throws {TypeError} For invalid bytes when `fatal`. */
  decode(bytes?: BufferSource, options?: { stream?: boolean }): string;
}

// --------------------------------------------------------------------------------------- addresses

declare class URL {
  /** @throws {TypeError} For what is no address. */
  constructor(address: string | URL, base?: string | URL);
  static canParse(address: string | URL, base?: string | URL): boolean;
  static parse(address: string | URL, base?: string | URL): URL | null;
  href: string;
  readonly origin: string;
  protocol: string;
  username: string;
  password: string;
  host: string;
  hostname: string;
  port: string;
  pathname: string;
  search: string;
  hash: string;
  readonly searchParams: URLSearchParams;
  toString(): string;
  toJSON(): string;
}

declare class URLSearchParams {
  constructor(
    init?:
      | string
      | Iterable<readonly [string, string]>
      | Record<string, string | number | boolean>
      | URLSearchParams,
  );
  readonly size: number;
  append(name: string, value: string | number | boolean): void;
  delete(name: string, value?: string): void;
  get(name: string): string | null;
  getAll(name: string): string[];
  has(name: string, value?: string): boolean;
  set(name: string, value: string | number | boolean): void;
  sort(): void;
  forEach(
    callback: (value: string, name: string, params: URLSearchParams) => void,
    self?: unknown,
  ): void;
  entries(): IterableIterator<[string, string]>;
  keys(): IterableIterator<string>;
  values(): IterableIterator<string>;
  [Symbol.iterator](): IterableIterator<[string, string]>;
  toString(): string;
}

// ------------------------------------------------------------------------------------------ crypto

interface SubtleCrypto {
  /** The only member here. */
  digest(
    algorithm: "SHA-1" | "SHA-256" | "SHA-384" | "SHA-512" | { name: string },
    bytes: BufferSource,
  ): Promise<ArrayBuffer>;
}

interface Crypto {
  readonly subtle: SubtleCrypto;
  randomUUID(): string;
  /** Fills an array of integers of at most 65536 bytes. */
  getRandomValues<T extends ArrayBufferView>(into: T): T;
}
declare const crypto: Crypto;

// -------------------------------------------------------------------------------------- cancelling

declare class DOMException extends Error {
  constructor(message?: string, name?: string | { name?: string; cause?: unknown });
  readonly code: number;
}

declare class Event {
  constructor(type: string, init?: { cancelable?: boolean });
  readonly type: string;
  readonly target: EventTarget | null;
  readonly currentTarget: EventTarget | null;
  readonly bubbles: boolean;
  readonly cancelable: boolean;
  readonly composed: boolean;
  readonly defaultPrevented: boolean;
  readonly isTrusted: boolean;
  readonly timeStamp: number;
  preventDefault(): void;
  stopPropagation(): void;
  stopImmediatePropagation(): void;
}

declare class CustomEvent<Detail = unknown> extends Event {
  constructor(type: string, init?: { cancelable?: boolean; detail?: Detail });
  readonly detail: Detail;
}

type Listener = ((event: Event) => unknown) | { handleEvent(event: Event): unknown };

declare class EventTarget {
  addEventListener(
    type: string,
    listener: Listener | null,
    options?: boolean | { once?: boolean; capture?: boolean; signal?: AbortSignal },
  ): void;
  removeEventListener(
    type: string,
    listener: Listener | null,
    options?: boolean | { capture?: boolean },
  ): void;
  dispatchEvent(event: Event): boolean;
}

declare class AbortSignal extends EventTarget {
  private constructor();
  static abort(reason?: unknown): AbortSignal;
  static timeout(ms: number): AbortSignal;
  static any(signals: Iterable<AbortSignal>): AbortSignal;
  readonly aborted: boolean;
  readonly reason: unknown;
  onabort: ((event: Event) => unknown) | null;
  throwIfAborted(): void;
}

declare class AbortController {
  readonly signal: AbortSignal;
  abort(reason?: unknown): void;
}

// -------------------------------------------------------------------------------------------- time

interface Performance {
  /** Whole milliseconds since `timeOrigin`. */
  now(): number;
  /** Whole milliseconds since 1970. */
  readonly timeOrigin: number;
  toJSON(): { timeOrigin: number };
}
declare const performance: Performance;
