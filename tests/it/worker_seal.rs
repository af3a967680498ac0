//! What a guest can reach from its global object, and the ways out that it must not find.

use airlock::sandbox::protocol::DoneOutcome;
use serde_json::json;

use crate::support::worker::{Worker, limits};

/// Walks everything reachable from the global object without running a getter: properties by name
/// and symbol, prototypes, the functions of accessors, what the iterators and the async machinery
/// hand out. Answers every path whose last name or function name looks like an inside of the
/// engine, and how many objects were seen.
const WALK: &str = r#"
    const seen = new Set(), found = [], queue = [];
    const look = (value, path) => {
        if ((typeof value !== 'object' && typeof value !== 'function') || value === null || seen.has(value)) return;
        seen.add(value); queue.push([value, path]);
    };
    const suspicious = /^op_|^__(?!proto__|define|lookup)|^Deno$|^core$|^ops$|^primordials$|^internals$|^infra$|bootstrap|^ext:|CallSite|airlock|snapshot|callConsole|setUpAsyncStub/i;
    look(globalThis, 'globalThis');
    for (const [text, value] of Object.entries({
        asyncFunction: async () => {}, generator: function* () {}, asyncGenerator: async function* () {}, arguments: (function () { return arguments })(),
        iterator: [][Symbol.iterator](), mapIterator: new Map().entries(), regexpIterator: 'a'.matchAll(/a/g), promise: Promise.resolve(),
        error: new Error('x'), failure: await tools.fail().catch((error) => error), call: tools.a(), proxy: new Proxy({}, {}), segments: new Intl.Segmenter().segment('a'),
    })) look(value, text);
    while (queue.length > 0) {
        const [value, path] = queue.pop();
        if (value === tools) continue;
        look(Object.getPrototypeOf(value), `${path}.[[Prototype]]`);
        for (const key of Reflect.ownKeys(value)) {
            const name = String(key), here = `${path}.${name}`;
            if (suspicious.test(typeof key === 'symbol' ? key.description ?? '' : key)) found.push(here);
            const is = Object.getOwnPropertyDescriptor(value, key);
            for (const part of [is.value, is.get, is.set]) {
                if (typeof part === 'function' && suspicious.test(String(Object.getOwnPropertyDescriptor(part, 'name')?.value ?? ''))) found.push(`${here} -> ${part.name}`);
                look(part, here);
            }
        }
    }
    return { found, seen: seen.size };
"#;

/// Global names of ECMAScript itself that a guest keeps.
const LANGUAGE: &[&str] = &[
    "AggregateError",
    "Array",
    "ArrayBuffer",
    "AsyncDisposableStack",
    "BigInt",
    "BigInt64Array",
    "BigUint64Array",
    "Boolean",
    "DataView",
    "Date",
    "DisposableStack",
    "Error",
    "EvalError",
    "FinalizationRegistry",
    "Float16Array",
    "Float32Array",
    "Float64Array",
    "Function",
    "Infinity",
    "Int16Array",
    "Int32Array",
    "Int8Array",
    "Intl",
    "Iterator",
    "JSON",
    "Map",
    "Math",
    "NaN",
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
    "SuppressedError",
    "Symbol",
    "SyntaxError",
    "TypeError",
    "URIError",
    "Uint16Array",
    "Uint32Array",
    "Uint8Array",
    "Uint8ClampedArray",
    "WeakMap",
    "WeakRef",
    "WeakSet",
    "decodeURI",
    "decodeURIComponent",
    "encodeURI",
    "encodeURIComponent",
    "escape",
    "globalThis",
    "isFinite",
    "isNaN",
    "parseFloat",
    "parseInt",
    "undefined",
    "unescape",
];

/// Names that the contract adds.
const OURS: &[&str] = &[
    "AbortController",
    "AbortSignal",
    "CryptoKey",
    "Crypto",
    "CustomEvent",
    "DOMException",
    "Event",
    "EventTarget",
    "Performance",
    "SubtleCrypto",
    "TextDecoder",
    "TextEncoder",
    "ToolArgumentError",
    "ToolCallError",
    "ToolNotFoundError",
    "ToolPolicyError",
    "URL",
    "URLSearchParams",
    "atob",
    "btoa",
    "clearInterval",
    "clearTimeout",
    "console",
    "crypto",
    "performance",
    "queueMicrotask",
    "setInterval",
    "setTimeout",
    "structuredClone",
    "tools",
];

#[test]
fn nothing_of_the_engine_is_reachable() {
    let mut worker = Worker::start(&limits());
    let ran = worker.run_with(WALK, 20_000, |call| match call.path.as_str() {
        "fail" => Err(airlock::sandbox::protocol::CallFailure {
            name: "ToolCallError".into(),
            message: "no".into(),
            properties: Default::default(),
        }),
        _ => Ok(json!(1)),
    });
    assert_eq!(ran.value()["found"], json!([]));
    assert!(ran.value()["seen"].as_u64().is_some_and(|seen| seen > 700), "{}", ran.value()["seen"]);
}

#[test]
fn the_global_object_holds_the_language_and_the_contract_only() {
    let mut worker = Worker::start(&limits());
    let ran = worker.run("return Reflect.ownKeys(globalThis).map(String)");
    let names: Vec<&str> =
        ran.value().as_array().expect("an array").iter().filter_map(|name| name.as_str()).collect();
    let stray: Vec<_> =
        names.iter().filter(|name| !LANGUAGE.contains(name) && !OURS.contains(name)).collect();
    assert!(stray.is_empty(), "{stray:?}");
    for gone in [
        "eval",
        "WebAssembly",
        "SharedArrayBuffer",
        "Atomics",
        "Deno",
        "process",
        "require",
        "fetch",
    ] {
        assert!(!names.contains(&gone), "{gone}");
    }
}

#[test]
fn no_code_is_made_from_text() {
    let mut worker = Worker::start(&limits());
    for code in [
        "return eval('1')",
        "return (0, [].constructor.constructor)('return 1')()",
        "return Function('return 1')()",
        "return new Function('return 1')()",
        "return (async () => {}).constructor('return 1')()",
        "return (function* () {}).constructor('yield 1')()",
        "return (async function* () {}).constructor('yield 1')()",
        "return Function.prototype.constructor('return globalThis')()",
        "return Reflect.construct(Function, ['return 1'])()",
        "return Object.getPrototypeOf(async () => {}).constructor.call(null, 'return 1')()",
        "return setTimeout('globalThis.x = 1')",
        "return tools.constructor.constructor('return 1')()",
        "return (await tools.a()).constructor.constructor('return 1')()",
        "try { null.x } catch (error) { return error.constructor.constructor('return 1')() }",
        "return import('data:text/javascript,export default 1')",
        "return new (Object.getPrototypeOf(Uint8Array)).constructor('return 1')()",
    ] {
        let ran = worker.run(code);
        assert!(
            matches!(ran.head.outcome, DoneOutcome::Threw { .. }),
            "{code}: {:?} {}",
            ran.head.outcome,
            ran.result
        );
    }
}

#[test]
fn call_sites_and_hooks_reach_no_inner_function() {
    let mut worker = Worker::start(&limits());
    let code = "let sites; Error.prepareStackTrace = (_, given) => { sites = given; return 'x' }; \
        const stack = new Error('a').stack;
        const target = {}; Error.captureStackTrace(target); const own = target.stack; return [sites ?? null, typeof stack, String(own).includes('ext:'), stack.includes('ext:')]";
    let ran = worker.run(code);
    assert_eq!(*ran.value(), json!([null, "string", false, false]));
    let code = "const out = []; const get = Function.prototype.call; Function.prototype.call = \
        function (...a) { out.push(String(this)); return Reflect.apply(this, a[0], a.slice(1)) };
        const has = Promise.prototype.then; Promise.prototype.then = function (...a) { out.push('then'); return Reflect.apply(has, this, a) };
        Object.defineProperty(Object.prototype, 'then', { get() { out.push(typeof this); return undefined }, configurable: true });
        for (const trap of ['get', 'apply', 'getPrototypeOf', 'construct']) Object.prototype[trap] = (...a) => { out.push(trap, a.length) };
        const answer = await tools.a.b({ x: 1 }); return [answer.args, out.filter((entry) => /op_|ext:|native/.test(entry))]";
    let ran = worker.run(code);
    assert_eq!(*ran.value(), json!([{ "x": 1 }, []]));
}

#[test]
fn patched_built_ins_break_nothing_but_the_guest() {
    let mut worker = Worker::start(&limits());
    let code = "const map = new Map([['k', 1n]]); JSON.stringify = JSON.parse = () => { throw 1 \
        }; Array.prototype.join = Array.prototype.push = () => { throw 2 }; Map.prototype.get = \
        Map.prototype.set = () => { throw 3 };
        Object.keys = Object.defineProperty = () => { throw 4 }; Promise.reject = Promise.resolve = () => { throw 5 }; globalThis.Error = globalThis.TypeError = null; Symbol.prototype.toString = null;
        const answer = await tools.a.b({ x: [1, new Date(0)] }); await new Promise((go) => setTimeout(go, 1)); return { answer, map }";
    let ran = worker.run(code);
    assert_eq!(
        *ran.value(),
        json!({
            "answer": { "path": "a.b", "args": { "x": [1, "1970-01-01T00:00:00.000Z"] } },
            "map": { "k": "1" }
        })
    );
    assert!(ran.head.warnings.is_empty(), "{:?}", ran.head.warnings);
}
