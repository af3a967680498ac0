// TextEncoder, TextDecoder, atob, btoa. Buffers are created here, in the guest's own memory, and
// filled by the native side.
import { primordials } from "ext:core/mod.js";
import {
  op_web_atob,
  op_web_btoa,
  op_web_decode,
  op_web_encode_into,
  op_web_incomplete_tail,
  op_web_utf8_length,
} from "ext:core/ops";
import { DOMException, seal } from "ext:airlock/web/event.ts";

const {
  ArrayBufferIsView,
  DataView,
  DataViewPrototypeGetBuffer,
  DataViewPrototypeGetByteLength,
  DataViewPrototypeGetByteOffset,
  RangeError,
  String,
  StringPrototypeToLowerCase,
  StringPrototypeTrim,
  TypeError,
  TypedArrayPrototypeGetBuffer,
  TypedArrayPrototypeGetByteLength,
  TypedArrayPrototypeGetByteOffset,
  TypedArrayPrototypeGetSymbolToStringTag,
  TypedArrayPrototypeSet,
  TypedArrayPrototypeSubarray,
  Uint8Array,
} = primordials;

// Numbers as on the native side.
const UTF8 = 0,
  UTF16LE = 1,
  WINDOWS1252 = 2;
const NAMES = ["utf-8", "utf-16le", "windows-1252"];
const LABELS: any = {
  __proto__: null,
  "utf-8": UTF8,
  utf8: UTF8,
  "unicode-1-1-utf-8": UTF8,
  "utf-16le": UTF16LE,
  "utf-16": UTF16LE,
  "ucs-2": UTF16LE,
  unicode: UTF16LE,
  latin1: WINDOWS1252,
  l1: WINDOWS1252,
  "iso-8859-1": WINDOWS1252,
  "iso8859-1": WINDOWS1252,
  ascii: WINDOWS1252,
  "us-ascii": WINDOWS1252,
  "windows-1252": WINDOWS1252,
  cp1252: WINDOWS1252,
};

/** Returns the bytes of an ArrayBuffer or of a view on one, without a copy. */
export function bytesOf(source: any): Uint8Array {
  if (ArrayBufferIsView(source)) {
    const typed = TypedArrayPrototypeGetSymbolToStringTag(source) !== undefined;
    return typed
      ? new Uint8Array(
          TypedArrayPrototypeGetBuffer(source),
          TypedArrayPrototypeGetByteOffset(source),
          TypedArrayPrototypeGetByteLength(source),
        )
      : new Uint8Array(
          DataViewPrototypeGetBuffer(source),
          DataViewPrototypeGetByteOffset(source),
          DataViewPrototypeGetByteLength(source),
        );
  }
  try {
    // Throws for anything but an ArrayBuffer, whatever its prototype.
    new DataView(source);
  } catch {
    throw new TypeError("bytes are an ArrayBuffer, a typed array or a DataView");
  }
  return new Uint8Array(source);
}

export class TextEncoder {
  get encoding() {
    return "utf-8";
  }
  encode(text: unknown = "") {
    const string = String(text);
    const bytes = new Uint8Array(op_web_utf8_length(string));
    op_web_encode_into(string, bytes);
    return bytes;
  }
  encodeInto(text: unknown, into: Uint8Array) {
    if (TypedArrayPrototypeGetSymbolToStringTag(into) !== "Uint8Array")
      throw new TypeError("encodeInto writes into a Uint8Array");
    const counts = op_web_encode_into(String(text), into);
    return { read: counts[0], written: counts[1] };
  }
}
seal(TextEncoder, "TextEncoder");

export class TextDecoder {
  #encoding: number;
  #fatal: boolean;
  #ignoreBom: boolean;
  // The beginning of a character that the next chunk may complete.
  #rest: Uint8Array | null = null;
  #begun = false;

  constructor(label: unknown = "utf-8", options: any = undefined) {
    const encoding = LABELS[StringPrototypeToLowerCase(StringPrototypeTrim(String(label)))];
    if (encoding === undefined)
      throw new RangeError(
        `the encoding ${String(label)} is not supported: use utf-8, utf-16le or latin1`,
      );
    this.#encoding = encoding;
    this.#fatal = !!options?.fatal;
    this.#ignoreBom = !!options?.ignoreBOM;
  }
  get encoding() {
    return NAMES[this.#encoding];
  }
  get fatal() {
    return this.#fatal;
  }
  get ignoreBOM() {
    return this.#ignoreBom;
  }
  decode(source: any = undefined, options: any = undefined) {
    const stream = !!options?.stream;
    let bytes = source === undefined ? new Uint8Array(0) : bytesOf(source);
    if (this.#rest !== null) {
      const joined = new Uint8Array(
        TypedArrayPrototypeGetByteLength(this.#rest) + TypedArrayPrototypeGetByteLength(bytes),
      );
      TypedArrayPrototypeSet(joined, this.#rest);
      TypedArrayPrototypeSet(joined, bytes, TypedArrayPrototypeGetByteLength(this.#rest));
      bytes = joined;
      this.#rest = null;
    }
    const length = TypedArrayPrototypeGetByteLength(bytes);
    if (stream) {
      const kept = length - op_web_incomplete_tail(bytes, this.#encoding);
      if (kept < length) {
        this.#rest = new Uint8Array(length - kept);
        TypedArrayPrototypeSet(this.#rest, TypedArrayPrototypeSubarray(bytes, kept));
        bytes = TypedArrayPrototypeSubarray(bytes, 0, kept);
      }
    }
    const begun = this.#begun;
    this.#begun = stream && (begun || TypedArrayPrototypeGetByteLength(bytes) > 0);
    let start = 0;
    if (!begun && !this.#ignoreBom) {
      if (this.#encoding === UTF8 && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf)
        start = 3;
      if (this.#encoding === UTF16LE && bytes[0] === 0xff && bytes[1] === 0xfe) start = 2;
    }
    const text = op_web_decode(
      start > 0 ? TypedArrayPrototypeSubarray(bytes, start) : bytes,
      this.#encoding,
      this.#fatal,
    );
    if (text === null) {
      this.#begun = false;
      this.#rest = null;
      throw new TypeError(`the bytes are not valid ${NAMES[this.#encoding]}`);
    }
    return text;
  }
}
seal(TextDecoder, "TextDecoder");

export function btoa(text: unknown) {
  if (arguments.length === 0) throw new TypeError("btoa takes a string");
  const encoded = op_web_btoa(String(text));
  if (encoded !== null) return encoded;
  throw new DOMException(
    "btoa takes characters up to U+00FF; encode others with TextEncoder first",
    "InvalidCharacterError",
  );
}

export function atob(text: unknown) {
  if (arguments.length === 0) throw new TypeError("atob takes a string");
  const decoded = op_web_atob(String(text));
  if (decoded !== null) return decoded;
  throw new DOMException("the string is not base64", "InvalidCharacterError");
}
