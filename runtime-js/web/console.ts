// console. Each call is one entry of the task's log; the engine enforces the limits.
import { primordials } from "ext:core/mod.js";
import { op_is_map, op_is_proxy, op_is_set, op_log } from "ext:core/ops";
import { elapsed } from "ext:airlock/web/entropy.ts";
import { cut, ENTRIES_MAX, inspect, TEXT_MAX } from "ext:airlock/web/inspect.ts";

const {
  ArrayIsArray,
  ArrayPrototypeIndexOf,
  ArrayPrototypeJoin,
  ArrayPrototypePush,
  Map,
  MapPrototypeDelete,
  MapPrototypeGet,
  MapPrototypeGetSize,
  MapPrototypeHas,
  MapPrototypeSet,
  MathTrunc,
  Number,
  ObjectDefineProperty,
  ObjectGetOwnPropertyDescriptor,
  ObjectKeys,
  StringPrototypePadEnd,
  StringPrototypeReplaceAll,
  StringPrototypeSlice,
  SymbolToStringTag,
} = primordials;

// Levels as in the frames.
const DEBUG = 0,
  INFO = 1,
  WARN = 2,
  ERROR = 3;
const GROUPS_MAX = 20,
  LABELS_MAX = 1000,
  COLUMNS_MAX = 20;

let groups = 0;
const counts = new Map<string, number>();
const starts = new Map<string, number>();

function write(level: number, text: string) {
  let indent = "";
  for (let i = 0; i < groups; i++) indent += "  ";
  op_log(
    level,
    cut(
      indent === "" ? text : indent + StringPrototypeReplaceAll(text, "\n", `\n${indent}`),
      TEXT_MAX,
    ),
  );
}

function number(value: unknown, whole: boolean): string {
  if (typeof value === "bigint") return `${value}n`;
  if (
    typeof value === "symbol" ||
    (typeof value === "object" && value !== null) ||
    typeof value === "function"
  )
    return "NaN";
  const parsed = Number(value);
  return `${whole ? MathTrunc(parsed) : parsed}`;
}

/** Formats a value by one directive of a format string; null for an unknown directive. */
function directive(mark: string, value: unknown): string | null {
  switch (mark) {
    case "s":
      return inspect(value, true, 1);
    case "d":
      return number(value, false);
    case "i":
      return number(value, true);
    case "f":
      return number(value, false);
    case "j":
    case "o":
    case "O":
      return inspect(value);
    case "c":
      return "";
    default:
      return null;
  }
}

function format(args: unknown[]): string {
  let out = "",
    next = 0;
  const first = args[0];
  if (typeof first === "string" && args.length > 1) {
    next = 1;
    let from = 0;
    for (let i = 0; i + 1 < first.length && i < TEXT_MAX; i++) {
      if (first[i] !== "%") continue;
      const shown =
        first[i + 1] === "%"
          ? "%"
          : next < args.length
            ? directive(first[i + 1], args[next])
            : null;
      if (shown === null) continue;
      if (first[i + 1] !== "%") next++;
      out += StringPrototypeSlice(first, from, i) + shown;
      from = i + 2;
      i++;
    }
    out += StringPrototypeSlice(first, from);
    if (next < args.length) out += " ";
  }
  const parts: string[] = [];
  for (; next < args.length && next < ENTRIES_MAX; next++)
    ArrayPrototypePush(parts, inspect(args[next], true));
  return out + ArrayPrototypeJoin(parts, " ");
}

function label(value: unknown): string {
  return value === undefined ? "default" : inspect(value, true, 1);
}

/** Returns the value of a plain property as a cell; undefined if there is none. */
function cell(row: unknown, key: string): string {
  if (typeof row !== "object" || row === null || op_is_proxy(row)) return "";
  const property = ObjectGetOwnPropertyDescriptor(row, key);
  return property === undefined
    ? ""
    : property.get
      ? "[Getter]"
      : inspect(property.value, false, 0);
}

function table(data: unknown, only: unknown): string {
  if (
    typeof data !== "object" ||
    data === null ||
    op_is_proxy(data) ||
    op_is_map(data) ||
    op_is_set(data)
  )
    return inspect(data, true);
  const keys = ObjectKeys(data),
    rows: unknown[] = [],
    names: string[] = [];
  let values = false;
  for (let i = 0; i < keys.length && i < ENTRIES_MAX; i++) {
    const row = ObjectGetOwnPropertyDescriptor(data, keys[i])?.value;
    ArrayPrototypePush(rows, row);
    if (typeof row !== "object" || row === null || op_is_proxy(row)) {
      values = true;
      continue;
    }
    const columns = ObjectKeys(row);
    for (let j = 0; j < columns.length && names.length < COLUMNS_MAX; j++) {
      if (ArrayIsArray(only) && ArrayPrototypeIndexOf(only, columns[j]) < 0) continue;
      if (ArrayPrototypeIndexOf(names, columns[j]) < 0) ArrayPrototypePush(names, columns[j]);
    }
  }
  const lines: string[][] = [["(index)"]];
  for (let j = 0; j < names.length; j++) ArrayPrototypePush(lines[0], names[j]);
  if (values) ArrayPrototypePush(lines[0], "Values");
  for (let i = 0; i < rows.length; i++) {
    const line = [keys[i]];
    for (let j = 0; j < names.length; j++) ArrayPrototypePush(line, cell(rows[i], names[j]));
    if (values)
      ArrayPrototypePush(
        line,
        typeof rows[i] === "object" && rows[i] !== null ? "" : inspect(rows[i]),
      );
    ArrayPrototypePush(lines, line);
  }
  const out: string[] = [];
  for (let i = 0; i < lines.length; i++) {
    const padded: string[] = [];
    for (let j = 0; j < lines[i].length; j++) {
      let width = 0;
      for (let k = 0; k < lines.length; k++)
        if (lines[k][j].length > width) width = lines[k][j].length;
      ArrayPrototypePush(padded, StringPrototypePadEnd(lines[i][j], width));
    }
    ArrayPrototypePush(out, ArrayPrototypeJoin(padded, " | "));
  }
  if (keys.length > rows.length) ArrayPrototypePush(out, `... ${keys.length - rows.length} more`);
  return ArrayPrototypeJoin(out, "\n");
}

function lap(name: string, end: boolean, rest: unknown[]) {
  const start = MapPrototypeGet(starts, name);
  if (start === undefined) return write(WARN, `there is no timer ${name}`);
  if (end) MapPrototypeDelete(starts, name);
  const more = rest.length > 0 ? ` ${format(rest)}` : "";
  write(INFO, `${name}: ${elapsed() - start} ms${more}`);
}

const methods: any = {
  __proto__: null,
  log: (...args: unknown[]) => write(INFO, format(args)),
  info: (...args: unknown[]) => write(INFO, format(args)),
  debug: (...args: unknown[]) => write(DEBUG, format(args)),
  warn: (...args: unknown[]) => write(WARN, format(args)),
  error: (...args: unknown[]) => write(ERROR, format(args)),
  trace: (...args: unknown[]) => write(INFO, args.length > 0 ? `Trace: ${format(args)}` : "Trace"),
  dir: (value: unknown) => write(INFO, inspect(value)),
  dirxml: (...args: unknown[]) => write(INFO, format(args)),
  table: (data: unknown, columns: unknown) => write(INFO, table(data, columns)),
  assert(condition: unknown, ...args: unknown[]) {
    if (!condition)
      write(ERROR, args.length > 0 ? `Assertion failed: ${format(args)}` : "Assertion failed");
  },
  count(name: unknown) {
    const key = label(name),
      count = (MapPrototypeGet(counts, key) ?? 0) + 1;
    if (MapPrototypeGetSize(counts) < LABELS_MAX || count > 1) MapPrototypeSet(counts, key, count);
    write(INFO, `${key}: ${count}`);
  },
  countReset(name: unknown) {
    MapPrototypeDelete(counts, label(name));
  },
  time(name: unknown) {
    const key = label(name);
    if (MapPrototypeHas(starts, key)) write(WARN, `the timer ${key} is running already`);
    else if (MapPrototypeGetSize(starts) < LABELS_MAX) MapPrototypeSet(starts, key, elapsed());
  },
  timeLog: (name: unknown, ...args: unknown[]) => lap(label(name), false, args),
  timeEnd: (name: unknown) => lap(label(name), true, []),
  group(...args: unknown[]) {
    if (args.length > 0) write(INFO, format(args));
    if (groups < GROUPS_MAX) groups++;
  },
  groupCollapsed(...args: unknown[]) {
    if (args.length > 0) write(INFO, format(args));
    if (groups < GROUPS_MAX) groups++;
  },
  groupEnd() {
    if (groups > 0) groups--;
  },
  clear() {},
};

export const console: any = {};
const names = ObjectKeys(methods);
for (let i = 0; i < names.length; i++) console[names[i]] = methods[names[i]];
ObjectDefineProperty(console, SymbolToStringTag, {
  __proto__: null,
  value: "console",
  configurable: true,
});
