// `structuredClone` in JavaScript: copies by Deno's own would belong to Deno's realm and not to the
// guest's. Types, order and errors are those of the standard; getters of the value are guest code
// and run here.
import { primordials } from "ext:core/mod.js";

const {
  Array,
  ArrayBufferPrototypeGetByteLength,
  ArrayBufferPrototypeSlice,
  ArrayIsArray,
  DataView,
  DataViewPrototypeGetBuffer,
  DataViewPrototypeGetByteLength,
  DataViewPrototypeGetByteOffset,
  Date,
  DatePrototypeGetTime,
  Error,
  FunctionPrototypeToString,
  Map,
  MapPrototypeForEach,
  MapPrototypeGet,
  MapPrototypeSet,
  Object,
  ObjectDefineProperty,
  ObjectGetOwnPropertyDescriptor,
  ObjectKeys,
  ObjectPrototypeHasOwnProperty,
  RangeError,
  ReferenceError,
  RegExp,
  RegExpPrototypeGetFlags,
  RegExpPrototypeGetSource,
  Set,
  SetPrototypeAdd,
  SetPrototypeForEach,
  String,
  SymbolPrototypeToString,
  SyntaxError,
  TypedArrayPrototypeGetBuffer,
  TypedArrayPrototypeGetByteOffset,
  TypedArrayPrototypeGetLength,
  TypedArrayPrototypeGetSymbolToStringTag,
  TypeError,
} = primordials;

/** Thrown for a value that cannot be cloned. Not an error class: guests could patch its bases. */
class CloneError {
  #message: string;
  constructor(message: string) {
    this.#message = message;
  }
  /** Returns the message of a CloneError; undefined for any other thrown value. */
  static messageOf(thrown: any): string | undefined {
    return typeof thrown === "object" && thrown !== null && #message in thrown
      ? thrown.#message
      : undefined;
  }
}

const ERRORS: any = {
  __proto__: null,
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
};
const VIEWS: any = {
  __proto__: null,
  BigInt64Array,
  BigUint64Array,
  Float16Array: (globalThis as any).Float16Array,
  Float32Array,
  Float64Array,
  Int8Array,
  Int16Array,
  Int32Array,
  Uint8Array,
  Uint8ClampedArray,
  Uint16Array,
  Uint32Array,
};
// Return values of `kind`, see natives.ts.
const DATE = 1,
  MAP = 2,
  SET = 3,
  ERROR = 4,
  BYTES = 5,
  REGEXP = 6,
  BOXED = 7,
  PROMISE = 8,
  OPAQUE = 9;

function display(value: unknown): string {
  if (typeof value === "symbol") return SymbolPrototypeToString(value);
  return typeof value === "function" ? FunctionPrototypeToString(value) : "#<Object>";
}

function refuse(value: unknown): never {
  throw new CloneError(`${display(value)} could not be cloned.`);
}

function copyOf(memory: Map<object, unknown>, value: any, kind: (value: object) => number): any {
  if (typeof value === "function" || typeof value === "symbol") refuse(value);
  if (typeof value !== "object" || value === null) return value;
  const known = MapPrototypeGet(memory, value);
  if (known !== undefined) return known;
  const inner = (part: unknown) => copyOf(memory, part, kind);
  const keep = (copy: unknown) => {
    MapPrototypeSet(memory, value, copy);
    return copy as any;
  };
  const fill = (copy: any) => {
    const keys = ObjectKeys(value);
    for (let i = 0; i < keys.length; i++) {
      // An earlier getter may have removed it.
      if (!ObjectPrototypeHasOwnProperty(value, keys[i])) continue;
      ObjectDefineProperty(copy, keys[i], {
        __proto__: null,
        value: inner(value[keys[i]]),
        writable: true,
        enumerable: true,
        configurable: true,
      });
    }
    return copy;
  };
  if (ArrayIsArray(value)) return fill(keep(new Array(value.length)));
  switch (kind(value)) {
    case DATE:
      return keep(new Date(DatePrototypeGetTime(value)));
    case MAP: {
      const copy = keep(new Map()),
        pairs: unknown[] = [];
      MapPrototypeForEach(value, (item: unknown, key: unknown) =>
        ObjectDefineProperty(pairs, pairs.length, {
          __proto__: null,
          value: { __proto__: null, key, item },
        }),
      );
      for (let i = 0; i < pairs.length; i++)
        MapPrototypeSet(copy, inner((pairs[i] as any).key), inner((pairs[i] as any).item));
      return copy;
    }
    case SET: {
      const copy = keep(new Set()),
        items: unknown[] = [];
      SetPrototypeForEach(value, (item: unknown) =>
        ObjectDefineProperty(items, items.length, { __proto__: null, value: item }),
      );
      for (let i = 0; i < items.length; i++) SetPrototypeAdd(copy, inner(items[i]));
      return copy;
    }
    case ERROR:
      return error(keep, value, inner);
    case BYTES:
      return bytes(keep, value, inner);
    case REGEXP:
      return keep(new RegExp(RegExpPrototypeGetSource(value), RegExpPrototypeGetFlags(value)));
    case BOXED: {
      const plain = value.valueOf();
      if (typeof plain === "symbol") refuse(value);
      return keep(Object(plain));
    }
    case PROMISE:
    case OPAQUE:
      throw new CloneError("#<Promise> could not be cloned.");
    default:
      return fill(keep({}));
  }
}

function error(keep: (copy: unknown) => any, value: any, inner: (part: unknown) => unknown) {
  const Class = ERRORS[value.name] ?? Error;
  const copy = keep(new Class());
  const put = (key: string, part: unknown) =>
    ObjectDefineProperty(copy, key, {
      __proto__: null,
      value: part,
      writable: true,
      enumerable: false,
      configurable: true,
    });
  const message = ObjectGetOwnPropertyDescriptor(value, "message");
  if (message !== undefined) put("message", String(value.message));
  const cause = ObjectGetOwnPropertyDescriptor(value, "cause");
  if (cause !== undefined) put("cause", inner(value.cause));
  if (typeof value.stack === "string") put("stack", value.stack);
  return copy;
}

function bytes(keep: (copy: unknown) => any, value: any, inner: (part: unknown) => any) {
  const type = TypedArrayPrototypeGetSymbolToStringTag(value);
  if (type !== undefined) {
    const buffer = inner(TypedArrayPrototypeGetBuffer(value));
    return keep(
      new VIEWS[type](
        buffer,
        TypedArrayPrototypeGetByteOffset(value),
        TypedArrayPrototypeGetLength(value),
      ),
    );
  }
  let length;
  try {
    length = ArrayBufferPrototypeGetByteLength(value);
  } catch {
    return keep(
      new DataView(
        inner(DataViewPrototypeGetBuffer(value)),
        DataViewPrototypeGetByteOffset(value),
        DataViewPrototypeGetByteLength(value),
      ),
    );
  }
  return keep(ArrayBufferPrototypeSlice(value, 0, length));
}

/**
 * Returns `[clone]`, or the reason for which the value cannot be cloned. Throws what the value's
 * getters throw.
 */
export function clone(value: unknown, kind: (value: object) => number): [unknown] | string {
  try {
    return [copyOf(new Map(), value, kind)];
  } catch (thrown) {
    const message = CloneError.messageOf(thrown);
    if (message === undefined) throw thrown;
    return message;
  }
}
