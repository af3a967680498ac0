// The globals of the web platform, for the module that installs them.
import { primordials } from "ext:core/mod.js";
import { elapsed, origin } from "ext:airlock/web/entropy.ts";
import {
  AbortController,
  AbortSignal,
  CustomEvent,
  DOMException,
  Event,
  EventTarget,
  seal,
} from "ext:airlock/web/event.ts";
import { atob, btoa, TextDecoder, TextEncoder } from "ext:airlock/web/text.ts";
import { URL, URLSearchParams } from "ext:airlock/web/url.ts";
import { crypto } from "ext:airlock/web/crypto.ts";
import { Date } from "ext:airlock/web/date.ts";
import { structuredClone } from "ext:airlock/web/clone.ts";
import { console } from "ext:airlock/web/console.ts";

const { TypeError } = primordials;

let made = false;

class Performance {
  constructor() {
    if (made) throw new TypeError("there is one `performance` only");
    made = true;
  }
  /** Whole milliseconds since `timeOrigin`. */
  now() {
    return elapsed();
  }
  get timeOrigin() {
    return origin();
  }
  toJSON() {
    return { timeOrigin: origin() };
  }
}
seal(Performance, "Performance");

export const web: any = {
  __proto__: null,
  AbortController,
  AbortSignal,
  atob,
  btoa,
  console,
  crypto,
  CustomEvent,
  Date,
  DOMException,
  Event,
  EventTarget,
  performance: new Performance(),
  structuredClone,
  TextDecoder,
  TextEncoder,
  URL,
  URLSearchParams,
};
