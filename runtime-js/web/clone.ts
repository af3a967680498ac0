// structuredClone, by V8's own serializer.
import { primordials } from "ext:core/mod.js";
import { op_web_clone } from "ext:core/ops";
import { DOMException } from "ext:airlock/web/event.ts";

const { TypeError } = primordials;

export function structuredClone(value: unknown, options: any = undefined) {
  if (arguments.length === 0) throw new TypeError("structuredClone takes a value");
  if (options?.transfer?.length > 0)
    throw new DOMException(
      "nothing can be transferred here: leave `transfer` out",
      "DataCloneError",
    );
  const clone = op_web_clone(value);
  if (typeof clone === "string") throw new DOMException(clone, "DataCloneError");
  return clone[0];
}
