// Runs first while the snapshot is made, before deno_core's own JavaScript. Every isolate pays for what the snapshot holds, and
// deno_core freezes what it hands to modules, which would keep all of it alive for ever. So modules are handed copies, which
// `bootstrap.ts` empties when everything is set up.
(() => {
  const { defineProperty, getOwnPropertyDescriptor } = Object;
  const { ownKeys } = Reflect;
  const copy = (from) => {
    const to = { __proto__: null };
    for (const key of ownKeys(from)) {
      defineProperty(to, key, { ...getOwnPropertyDescriptor(from, key), configurable: true });
    }
    return to;
  };
  const shared = {};
  const hand = (name) => {
    let held;
    defineProperty(shared, name, {
      configurable: true,
      enumerable: true,
      get: () => held && copy(held),
      set: (value) => {
        held = value;
      },
    });
  };
  hand("core");
  hand("primordials");
  globalThis.__bootstrap = shared;
})();
