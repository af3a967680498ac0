// `ext:core/mod.js` in a realm under Deno: the built-ins as they are before any guest code runs,
// under deno_core's names for them: `ArrayPrototypePush(array, item)`, `MapPrototypeGetSize(map)`,
// `ObjectKeys(object)`, `SymbolIterator`.
const { apply, getOwnPropertyDescriptor, getPrototypeOf, ownKeys } = Reflect;
const { bind, call } = Function.prototype;
const uncurryThis = bind.bind(call);
const held = { __proto__: null };

function suffix(key) {
  const name = typeof key === "symbol" ? key.description.slice("Symbol.".length) : key;
  return `${typeof key === "symbol" ? "Symbol" : ""}${name[0].toUpperCase()}${name.slice(1)}`;
}

function members(prefix, object, take) {
  for (const key of ownKeys(object)) {
    const { get, value } = getOwnPropertyDescriptor(object, key);
    if (get !== undefined) held[`${prefix}Get${suffix(key)}`] = uncurryThis(get);
    else held[`${prefix}${suffix(key)}`] = typeof value === "function" ? take(value) : value;
  }
}

function hold(name, constructor) {
  held[name] = constructor;
  members(name, constructor, (method) => bind.call(method, constructor));
  if (typeof constructor === "function" && constructor.prototype !== undefined) {
    held[`${name}Prototype`] = constructor.prototype;
    members(`${name}Prototype`, constructor.prototype, uncurryThis);
  }
}

for (const name of [
  "Array",
  "ArrayBuffer",
  "BigInt",
  "DataView",
  "Date",
  "Error",
  "Function",
  "JSON",
  "Map",
  "Math",
  "Number",
  "Object",
  "Promise",
  "Proxy",
  "RangeError",
  "ReferenceError",
  "Reflect",
  "RegExp",
  "Set",
  "String",
  "Symbol",
  "SyntaxError",
  "TypeError",
  "Uint8Array",
  "WeakMap",
])
  hold(name, globalThis[name]);
hold("TypedArray", getPrototypeOf(Uint8Array));
held.MapIteratorPrototypeNext = uncurryThis(getPrototypeOf(new Map().entries()).next);
held.SetIteratorPrototypeNext = uncurryThis(getPrototypeOf(new Set().values()).next);
held.ReflectApply = apply;

export const primordials = held;
