// crypto.randomUUID, crypto.getRandomValues, crypto.subtle.digest.
import { primordials } from "ext:core/mod.js";
import { op_web_digest } from "ext:core/ops";
import { fillRandom } from "ext:airlock/web/entropy.ts";
import { DOMException, seal } from "ext:airlock/web/event.ts";
import { bytesOf } from "ext:airlock/web/text.ts";

const {
  Error,
  NumberPrototypeToString,
  ObjectFreeze,
  PromiseReject,
  PromiseResolve,
  String,
  StringPrototypeToUpperCase,
  TypedArrayPrototypeGetBuffer,
  TypedArrayPrototypeGetByteLength,
  TypedArrayPrototypeGetSymbolToStringTag,
  Uint8Array,
} = primordials;

const RANDOM_BYTES_MAX = 65536;
const HEX: string[] = [];
for (let i = 0; i < 256; i++) HEX[i] = (i < 16 ? "0" : "") + NumberPrototypeToString(i, 16);

// By name: the number for the native side, and the length in bytes.
const DIGESTS: any = {
  __proto__: null,
  "SHA-1": { number: 1, length: 20 },
  "SHA-256": { number: 256, length: 32 },
  "SHA-384": { number: 384, length: 48 },
  "SHA-512": { number: 512, length: 64 },
};
const INTEGERS: any = {
  __proto__: null,
  Int8Array: true,
  Uint8Array: true,
  Uint8ClampedArray: true,
  Int16Array: true,
  Uint16Array: true,
  Int32Array: true,
  Uint32Array: true,
  BigInt64Array: true,
  BigUint64Array: true,
};

function fill(bytes: Uint8Array) {
  if (!fillRandom(bytes)) throw new Error("the system provides no random bytes");
}

class SubtleCrypto {
  digest(algorithm: any, source: any) {
    try {
      const name = StringPrototypeToUpperCase(
        String(typeof algorithm === "object" && algorithm !== null ? algorithm.name : algorithm),
      );
      const known = DIGESTS[name];
      if (known === undefined) {
        throw new DOMException(
          `${name} is not supported: use SHA-1, SHA-256, SHA-384 or SHA-512`,
          "NotSupportedError",
        );
      }
      const digest = new Uint8Array(known.length);
      op_web_digest(known.number, bytesOf(source), digest);
      return PromiseResolve(TypedArrayPrototypeGetBuffer(digest));
    } catch (error) {
      return PromiseReject(error);
    }
  }
}
seal(SubtleCrypto, "SubtleCrypto");

class Crypto {
  #subtle = ObjectFreeze(new SubtleCrypto());
  get subtle() {
    return this.#subtle;
  }
  getRandomValues(into: any) {
    const type = TypedArrayPrototypeGetSymbolToStringTag(into);
    if (type === undefined || !INTEGERS[type])
      throw new DOMException("getRandomValues fills an array of integers", "TypeMismatchError");
    const length = TypedArrayPrototypeGetByteLength(into);
    if (length > RANDOM_BYTES_MAX) {
      throw new DOMException(
        `getRandomValues fills at most ${RANDOM_BYTES_MAX} bytes, not ${length}`,
        "QuotaExceededError",
      );
    }
    fill(bytesOf(into));
    return into;
  }
  randomUUID() {
    const bytes = new Uint8Array(16);
    fill(bytes);
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let id = "";
    for (let i = 0; i < 16; i++)
      id += (i === 4 || i === 6 || i === 8 || i === 10 ? "-" : "") + HEX[bytes[i]];
    return id;
  }
}
seal(Crypto, "Crypto");

export const crypto = new Crypto();
