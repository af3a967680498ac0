// `Date`, `Math.random` and `Intl.DateTimeFormat` with the time and the random numbers of the run
// in the place of the engine's.
import { primordials } from "ext:core/mod.js";
import { now, random } from "ext:airlock/web/entropy.ts";

const {
  DatePrototypeToString,
  ObjectDefineProperty,
  ObjectGetOwnPropertyDescriptor,
  ReflectApply,
  ReflectConstruct,
  WeakMap,
  WeakMapPrototypeGet,
  WeakMapPrototypeSet,
} = primordials;

const EngineDate: any = (globalThis as any).Date;
const prototype = EngineDate.prototype;

function hidden(object: object, name: string, value: unknown, writable = true) {
  ObjectDefineProperty(object, name, {
    __proto__: null,
    value,
    writable,
    enumerable: false,
    configurable: writable,
  });
}

export const Date: any = function Date(...args: unknown[]) {
  if (new.target === undefined) return DatePrototypeToString(new EngineDate(now()));
  return ReflectConstruct(EngineDate, args.length === 0 ? [now()] : args, new.target);
};
ObjectDefineProperty(Date, "length", { __proto__: null, value: 7 });
hidden(Date, "prototype", prototype, false);
hidden(Date, "parse", EngineDate.parse);
hidden(Date, "UTC", EngineDate.UTC);
// Methods, which cannot be constructed.
const methods = { now: () => now(), random: () => random() };
hidden(Date, "now", methods.now);
hidden(prototype, "constructor", Date);
hidden(Math, "random", methods.random);

const intl: any = (globalThis as any).Intl.DateTimeFormat.prototype;
const formatOf = ObjectGetOwnPropertyDescriptor(intl, "format").get;
const formatToParts = intl.formatToParts;
const formats = new WeakMap();
// Without a date they format the present time.
const replaced = {
  get format() {
    const engine = ReflectApply(formatOf, this, []);
    let format = WeakMapPrototypeGet(formats, engine);
    if (format === undefined) {
      format = (date: unknown) => engine(date === undefined ? now() : date);
      ObjectDefineProperty(format, "name", { __proto__: null, value: "" });
      WeakMapPrototypeSet(formats, engine, format);
    }
    return format;
  },
  formatToParts(date: unknown) {
    return ReflectApply(formatToParts, this, [date === undefined ? now() : date]);
  },
};
ObjectDefineProperty(intl, "format", {
  __proto__: null,
  get: ObjectGetOwnPropertyDescriptor(replaced, "format").get,
  set: undefined,
  enumerable: false,
  configurable: true,
});
hidden(intl, "formatToParts", replaced.formatToParts);
