const url = new URL("/search?q=1", "https://example.com");
url.searchParams.set("page", 2);
for (const [name, value] of url.searchParams) console.debug(name, value);

const bytes = new TextEncoder().encode(atob(btoa("text")));
const digest = await crypto.subtle.digest("SHA-256", bytes);
const hex = Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");

const controller = new AbortController();
const signal = AbortSignal.any([controller.signal, AbortSignal.timeout(1000)]);
signal.addEventListener("abort", (event) => console.warn(event.type, signal.reason), { once: true });
const timer = setTimeout((name: string) => controller.abort(name), 10, "timer");
clearTimeout(timer);

const target = new EventTarget();
target.addEventListener("done", (event) => event.preventDefault());
target.dispatchEvent(new CustomEvent("done", { cancelable: true, detail: { hex } }));

const copy = structuredClone({ when: new Date(0), tags: new Set(["a"]) });
const started = performance.now();
queueMicrotask(() => console.info("took", performance.now() - started, "ms"));

const { namespaces } = await tools.catalog.namespaces({ limit: 10 });
let cursor: string | null = null;
do {
  const page: Awaited<ReturnType<typeof tools.catalog.tools>> = await tools.catalog.tools({ limit: 200, cursor: cursor ?? undefined });
  cursor = page.nextCursor;
} while (cursor !== null);

const text = new TextDecoder("utf-16le", { fatal: true }).decode(new Uint8Array([104, 0]));
[text, crypto.randomUUID(), crypto.getRandomValues(new Uint8Array(4)).length, copy.tags.has("a"), namespaces.length];
