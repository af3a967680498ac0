// Runs first while the snapshot is made, before deno_core's own JavaScript. The content of the
// snapshot costs every isolate, and deno_core freezes the objects that it passes to modules, which
// would keep all of them alive. So modules receive copies, which `bootstrap.ts` empties once
// everything is set up.
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
