//! The web globals, as programs use them, in a real worker.

use airlock::model::LogLevel;
use serde_json::{Value, json};

use crate::support::worker::{Worker, limits};

/// Runs programs that are one expression each, all in one isolate, and compares their values.
#[track_caller]
fn check(cases: &[(&str, Value)]) {
    let programs: Vec<String> = cases
        .iter()
        .map(|(code, _)| {
            format!(
                "async () => {{ try {{ return await ({code}) }} catch (e) {{ return \
                `${{e.name}}: ${{e.message}}` }} }}"
            )
        })
        .collect();
    let code = format!(
        "const out = []; for (const f of [{}]) out.push(await f()); return out",
        programs.join(",\n")
    );
    let ran = Worker::start(&limits()).run(&code);
    let values = ran.value().as_array().expect("an array");
    for ((code, expected), value) in cases.iter().zip(values) {
        assert_eq!(value, expected, "{code}");
    }
}

/// What a program writes, one text per call.
#[track_caller]
fn lines(code: &str) -> Vec<String> {
    let ran = Worker::start(&limits()).run(code);
    ran.value();
    ran.lines.into_iter().map(|(_, text)| text).collect()
}

#[test]
fn addresses_parse_and_change_as_in_browsers() {
    check(&[
        (
            "new URL('../c?x=1#y', 'https://user:pw@example.com:8080/a/b').href",
            json!("https://user:pw@example.com:8080/c?x=1#y"),
        ),
        (
            "new URL('HTTPS://EXAMPLE.com:443/%7Efoo/../bar').toString()",
            json!("https://example.com/bar"),
        ),
        (
            "(u => [u.protocol, u.host, u.hostname, u.port, u.pathname, u.search, u.hash, \
            u.origin, u.username, u.password])(new URL('http://a:b@h:81/p?q#f'))",
            json!(["http:", "h:81", "h", "81", "/p", "?q", "#f", "http://h:81", "a", "b"]),
        ),
        (
            "(u => { u.pathname = '/x y'; u.search = 'a=b'; u.hash = ''; u.port = '9'; return \
            u.href })(new URL('http://h/p#f'))",
            json!("http://h:9/x%20y?a=b"),
        ),
        (
            "(u => { u.searchParams.append('k', 'a b&c'); return [u.href, u.search] })(new \
            URL('http://h/?z=1'))",
            json!(["http://h/?z=1&k=a+b%26c", "?z=1&k=a+b%26c"]),
        ),
        (
            "(u => { const p = u.searchParams; u.search = '?n=2'; return p.get('n') })(new \
            URL('http://h/?z=1'))",
            json!("2"),
        ),
        ("new URL('nope')", json!("TypeError: nope is not a URL")),
        (
            "[URL.canParse('nope'), URL.canParse('/x', 'http://h'), URL.parse('nope')]",
            json!([false, true, null]),
        ),
        ("JSON.stringify({ u: new URL('http://h/') })", json!("{\"u\":\"http://h/\"}")),
        ("[...new URLSearchParams({ a: 1, b: 'x y' })].join(';')", json!("a,1;b,x y")),
        (
            "new URLSearchParams([['a', '1'], ['a', '2'], ['b', '3']]).getAll('a')",
            json!(["1", "2"]),
        ),
        (
            "(p => { p.set('a', '9'); p.delete('b'); p.append('c', 'é'); return [p.toString(), \
            p.size, p.has('a', '9'), p.get('zz')] })(new URLSearchParams('?a=1&a=2&b=3'))",
            json!(["a=9&c=%C3%A9", 2, true, null]),
        ),
        (
            "(p => { p.sort(); return p.toString() })(new URLSearchParams('b=1&a=2&b=0'))",
            json!("a=2&b=1&b=0"),
        ),
        (
            "(seen => { new URLSearchParams('a=1&b=2').forEach((v, k) => seen.push(k + v)); \
            return seen })([])",
            json!(["a1", "b2"]),
        ),
        ("Object.prototype.toString.call(new URL('http://h'))", json!("[object URL]")),
    ]);
}

#[test]
fn texts_become_bytes_and_come_back() {
    check(&[
        (
            "[...new TextEncoder().encode('a\u{e9}\u{1f600}')]",
            json!([97, 195, 169, 240, 159, 152, 128]),
        ),
        ("[...new TextEncoder().encode('\\ud800')]", json!([239, 191, 189])),
        ("new TextEncoder().encode().length", json!(0)),
        (
            "(b => { const r = new TextEncoder().encodeInto('a\u{20ac}b', b); return [r, [...b]] \
            })(new Uint8Array(3))",
            json!([{"read": 1, "written": 1}, [97, 0, 0]]),
        ),
        (
            "new TextDecoder().decode(new Uint8Array([0xef, 0xbb, 0xbf, 0xf0, 0x9f, 0x98, 0x80]))",
            json!("\u{1f600}"),
        ),
        (
            "new TextDecoder('utf-8', { ignoreBOM: true }).decode(new Uint8Array([0xef, 0xbb, \
            0xbf, 97]))",
            json!("\u{feff}a"),
        ),
        ("new TextDecoder().decode(new Uint8Array([97, 0xff, 98]))", json!("a\u{fffd}b")),
        (
            "new TextDecoder('utf-8', { fatal: true }).decode(new Uint8Array([0xff]))",
            json!("TypeError: the bytes are not valid utf-8"),
        ),
        (
            "(d => [0xf0, 0x9f, 0x98, 0x80, 0x21].map((b) => d.decode(new Uint8Array([b]), { \
            stream: true })).join('|') + d.decode())(new TextDecoder())",
            json!("|||\u{1f600}|!"),
        ),
        (
            "(d => d.decode(new Uint8Array([0xe2, 0x82]), { stream: true }) + d.decode())(new \
            TextDecoder())",
            json!("\u{fffd}"),
        ),
        (
            "new TextDecoder('utf-16le').decode(new Uint8Array([0xff, 0xfe, 0x3d, 0xd8, 0x00, \
            0xde]))",
            json!("\u{1f600}"),
        ),
        (
            "(d => d.decode(new Uint8Array([0x3d, 0xd8]), { stream: true }) + d.decode(new \
            Uint8Array([0x00, 0xde])))(new TextDecoder('utf-16'))",
            json!("\u{1f600}"),
        ),
        (
            "[new TextDecoder('latin1').encoding, new TextDecoder('latin1').decode(new \
            Uint8Array([0x80, 0xe9, 0x9f]))]",
            json!(["windows-1252", "\u{20ac}\u{e9}\u{178}"]),
        ),
        (
            "new TextDecoder('klingon')",
            json!(
                "RangeError: the encoding klingon is not supported: use utf-8, utf-16le or latin1"
            ),
        ),
        (
            "new TextDecoder().decode(new DataView(new Uint8Array([1, 104, 105]).buffer, 1))",
            json!("hi"),
        ),
        (
            "new TextDecoder().decode('text')",
            json!("TypeError: bytes are an ArrayBuffer, a typed array or a DataView"),
        ),
    ]);
}

#[test]
fn base64_goes_both_ways() {
    check(&[
        (
            "[btoa('hello'), btoa('\\xff'), btoa(''), atob('aGVsbG8='), atob(' aGVs\\nbG8 ')]",
            json!(["aGVsbG8=", "/w==", "", "hello", "hello"]),
        ),
        ("atob('a')", json!("InvalidCharacterError: the string is not base64")),
        ("atob('aGVsbG8==')", json!("InvalidCharacterError: the string is not base64")),
        (
            "btoa('\u{20ac}')",
            json!(
                "InvalidCharacterError: btoa takes characters up to U+00FF; encode others with \
                TextEncoder first"
            ),
        ),
    ]);
}

#[test]
fn digests_and_random_values() {
    let hex = "[...new Uint8Array(await crypto.subtle.digest(N, new \
        TextEncoder().encode('abc')))].map((b) => b.toString(16).padStart(2, '0')).join('')";
    let digest = |name: &str| hex.replace('N', name);
    check(&[
        (&digest("'SHA-1'"), json!("a9993e364706816aba3e25717850c26c9cd0d89d")),
        (
            &digest("{ name: 'sha-256' }"),
            json!("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ),
        ("(await crypto.subtle.digest('SHA-384', new ArrayBuffer(0))).byteLength", json!(48)),
        ("(await crypto.subtle.digest('SHA-512', new ArrayBuffer(0))).byteLength", json!(64)),
        (
            "crypto.subtle.digest('MD5', new ArrayBuffer(0))",
            json!(
                "NotSupportedError: MD5 is not supported: use SHA-1, SHA-256, SHA-384 or SHA-512"
            ),
        ),
        (
            "/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(crypto.randomUUID())",
            json!(true),
        ),
        ("crypto.randomUUID() === crypto.randomUUID()", json!(false)),
        ("crypto.getRandomValues(new Uint32Array(64)).some((n) => n > 65535)", json!(true)),
        (
            "crypto.getRandomValues(new Float64Array(1))",
            json!("TypeMismatchError: getRandomValues fills an array of integers"),
        ),
        (
            "crypto.getRandomValues(new Uint8Array(65537))",
            json!("QuotaExceededError: getRandomValues fills at most 65536 bytes, not 65537"),
        ),
    ]);
}

#[test]
fn two_runs_of_one_snapshot_do_not_share_their_random_values() {
    let mut worker = Worker::start(&limits());
    let first = worker.run("return crypto.randomUUID()");
    let second = worker.run("return crypto.randomUUID()");
    assert_ne!(first.value(), second.value());
}

#[test]
fn abort_signals_tell_those_who_listen() {
    check(&[
        (
            "(c => { const seen = []; c.signal.addEventListener('abort', (e) => seen.push(e.type, \
            e.target === c.signal)); c.abort('why'); c.abort('again'); return [seen, \
            c.signal.aborted, c.signal.reason] })(new AbortController())",
            json!([["abort", true], true, "why"]),
        ),
        (
            "(c => { c.abort(); return [c.signal.reason.name, c.signal.reason.code, \
            c.signal.reason instanceof DOMException, c.signal.reason instanceof Error] })(new \
            AbortController())",
            json!(["AbortError", 20, true, true]),
        ),
        ("AbortSignal.abort().throwIfAborted()", json!("AbortError: the operation was aborted")),
        (
            "new Promise((done) => { AbortSignal.timeout(5).onabort = (e) => \
            done(e.target.reason.name) })",
            json!("TimeoutError"),
        ),
        (
            "(c => { const s = AbortSignal.any([AbortSignal.timeout(60000), c.signal]); \
            c.abort(7); return [s.aborted, s.reason] })(new AbortController())",
            json!([true, 7]),
        ),
        (
            "new AbortSignal()",
            json!(
                "TypeError: an AbortSignal comes from an AbortController, AbortSignal.timeout or \
                AbortSignal.any"
            ),
        ),
        (
            "(t => { let n = 0; const f = () => n++; t.addEventListener('x', f, { once: true }); \
            t.dispatchEvent(new Event('x')); t.dispatchEvent(new Event('x')); return n })(new \
            EventTarget())",
            json!(1),
        ),
        (
            "(t => { t.addEventListener('x', (e) => e.preventDefault()); return \
            t.dispatchEvent(new Event('x', { cancelable: true })) })(new EventTarget())",
            json!(false),
        ),
        (
            "(t => { let n = 0; t.addEventListener('x', (e) => { n++; \
            e.stopImmediatePropagation() }); t.addEventListener('x', () => n++); \
            t.dispatchEvent(new CustomEvent('x', { detail: 1 })); return n })(new EventTarget())",
            json!(1),
        ),
        ("(class extends EventTarget { a = 1 }).name", json!("")),
    ]);
}

#[test]
fn clones_are_deep_and_refuse_what_cannot_be_cloned() {
    check(&[
        (
            "(o => { const c = structuredClone(o); c.a.b = 2; return [o.a.b, c.m.get('k'), c.d \
            instanceof Date, c.s.has(1), c.e.message, c.self === c] })((o => (o.self = o, o))({ \
            a: { b: 1 }, m: new Map([['k', 'v']]), d: new Date(0), s: new Set([1]), e: new \
            TypeError('t') }))",
            json!([1, "v", true, true, "t", true]),
        ),
        ("[...structuredClone(new Uint8Array([1, 2]))]", json!([1, 2])),
        ("structuredClone({ f() {} })", json!("DataCloneError: f() {} could not be cloned.")),
        (
            "structuredClone({ get a() { throw new RangeError('mine') } })",
            json!("RangeError: mine"),
        ),
        (
            "structuredClone(1, { transfer: [new ArrayBuffer(1)] })",
            json!("DataCloneError: nothing can be transferred here: leave `transfer` out"),
        ),
        (
            "(() => { try { structuredClone(Symbol()) } catch (e) { return [e instanceof \
            DOMException, e.code] } })()",
            json!([true, 25]),
        ),
    ]);
}

#[test]
fn the_clock_is_coarse() {
    check(&[
        ("[performance.now(), performance.timeOrigin].every(Number.isInteger)", json!(true)),
        ("Math.abs(performance.timeOrigin + performance.now() - Date.now()) < 2000", json!(true)),
        ("new performance.constructor()", json!("TypeError: there is one `performance` only")),
    ]);
}

#[test]
fn globals_are_not_enumerable_and_their_prototypes_do_not_change() {
    check(&[
        ("Object.keys(globalThis)", json!([])),
        (
            "['URL', 'console', 'crypto', 'atob'].map((n) => { const d = \
            Object.getOwnPropertyDescriptor(globalThis, n); return [d.writable, d.enumerable, \
            d.configurable] })",
            json!([
                [true, false, true],
                [true, false, true],
                [true, false, true],
                [true, false, true]
            ]),
        ),
        (
            "(() => { 'use strict'; URL.prototype.toString = () => 'x' })()",
            json!(
                "TypeError: Cannot assign to read only property 'toString' of object '[object URL]'"
            ),
        ),
        (
            "['fetch', 'process', 'require', 'Deno', 'Buffer', 'WebAssembly', \
            'SharedArrayBuffer'].map((n) => typeof globalThis[n])",
            json!(vec!["undefined"; 7]),
        ),
        (
            "[Object.getOwnPropertyNames(AbortSignal), Object.getOwnPropertyNames(Event), \
            Object.getOwnPropertyNames(URLSearchParams)].flat().filter((n) => ['run', 'follow', \
            'begin', 'end', 'stopped', 'reset'].includes(n))",
            json!([]),
        ),
    ]);
}

#[test]
fn a_guest_that_patches_the_language_does_not_break_the_globals() {
    let ran = Worker::start(&limits()).run(
        "Array.prototype.push = Array.prototype.join = String.prototype.slice = Map.prototype.get \
        = () => { throw 1 };
         Array.prototype[Symbol.iterator] = function* () { yield 'evil' };
         Object.prototype.toString = () => 'evil';
         console.log('a %s', 'b', { c: [1] });
         return [new URL('http://h/p?a=1').searchParams.get('a'), new TextDecoder().decode(new TextEncoder().encode('x')), atob(btoa('y'))]",
    );
    assert_eq!(*ran.value(), json!(["1", "x", "y"]));
    assert_eq!(ran.lines, [(LogLevel::Info, "a b { c: [1] }".to_owned())]);
}

#[test]
fn console_shows_values_readably() {
    assert_eq!(
        lines(
            "class Point { constructor() { this.x = 1 } }
             console.log('text', 1, -0, 10n, true, null, undefined, Symbol('s'));
             console.log({ a: 'x', 'b-c': [1, , 3], f() {}, [Symbol('k')]: 1 }, new Point(), Object.create(null));
             console.log(new Map([['k', { v: 1 }]]), new Set([1, 'a']), new Date(0), new Uint8Array(3), Promise.resolve(1));
             console.log(new TypeError('bad', { cause: new Error('why') }), Object.assign(new Error('e'), { code: 'X' }));
             console.log('%s is %d, %j %o%%', 'n', 4.5, { a: 1 }, [2], 'rest');
             console.log({ a: { b: { c: { d: { e: 1 } } } } }, { a: { b: { c: { d: { e: { f: 1 } } } } } });
             const loop = { name: 'l' }; loop.self = loop; console.log(loop);
             console.log(/a\\/b/gi, [new ArrayBuffer(2), () => 1, async function go() {}, class A {}, new WeakMap()]);"
        ),
        [
            "text 1 -0 10n true null undefined Symbol(s)",
            "{ a: \"x\", \"b-c\": [1, <empty>, 3], f: [Function: f], [Symbol(k)]: 1 } Point { x: \
            1 } [Object: null prototype] {}",
            "Map(1) { \"k\" => { v: 1 } } Set(2) { 1, \"a\" } 1970-01-01T00:00:00.000Z \
            Uint8Array(3) [0, 0, 0] Promise",
            "TypeError: bad { [cause]: Error: why } Error: e { code: \"X\" }",
            "n is 4.5, { a: 1 } [2]% rest",
            "{ a: { b: { c: { d: { e: 1 } } } } } { a: { b: { c: { d: { e: [Object] } } } } }",
            "{ name: \"l\", self: [Circular] }",
            "/a\\/b/gi [\n  ArrayBuffer { byteLength: 2 },\n  [Function],\n  [AsyncFunction: \
            go],\n  [Function: A],\n  WeakMap { ... }\n]",
        ]
    );
}

#[test]
fn console_has_the_usual_functions_and_levels() {
    let ran = Worker::start(&limits()).run(
        "console.debug('d'); console.info('i'); console.warn('w'); console.error('e'); \
        console.assert(1, 'no'); console.assert(0, 'yes');
         console.count(); console.count(); console.countReset(); console.count('x');
         console.group('G'); console.log('in\\nside'); console.groupEnd(); console.log('out');
         console.table([{ a: 1, b: 'x' }, { a: 22 }]); console.timeEnd('none'); console.trace('t'); console.dir({ a: 1 });
         console.time('t'); console.timeEnd('t'); const { log } = console; log('free')",
    );
    ran.value();
    let mut lines: Vec<(LogLevel, &str)> =
        ran.lines.iter().map(|(level, text)| (*level, text.as_str())).collect();
    let timer = lines.remove(lines.len() - 2);
    assert!(timer.1.starts_with("t: ") && timer.1.ends_with(" ms"), "{timer:?}");
    use LogLevel::{Debug, Error, Info, Warn};
    assert_eq!(
        lines,
        [
            (Debug, "d"),
            (Info, "i"),
            (Warn, "w"),
            (Error, "e"),
            (Error, "Assertion failed: yes"),
            (Info, "default: 1"),
            (Info, "default: 2"),
            (Info, "x: 1"),
            (Info, "G"),
            (Info, "  in\n  side"),
            (Info, "out"),
            (Info, "(index) | a  | b  \n0       | 1  | \"x\"\n1       | 22 |    "),
            (Warn, "there is no timer none"),
            (Info, "Trace: t"),
            (Info, "{ a: 1 }"),
            (Info, "free"),
        ]
    );
}

#[test]
fn console_runs_nothing_of_the_guests() {
    assert_eq!(
        lines(
            "const boom = () => { throw new Error('ran') };
             console.log({ get a() { boom() }, set b(v) {} }, new Proxy({}, { get: boom, ownKeys: boom, getOwnPropertyDescriptor: boom }));
             console.log({ toString: boom, valueOf: boom, toJSON: boom, [Symbol.toPrimitive]: boom }.a, `${1}`);
             console.log('%s %d', { toString: boom }, { valueOf: boom });
             class Bad extends Error { get name() { boom() } get message() { boom() } }
             console.log(new Bad());
             console.log(Object.setPrototypeOf({ a: 1 }, new Proxy({}, { get: boom, getPrototypeOf: boom })));"
        ),
        [
            "{ a: [Getter], b: [Setter] } Proxy {}",
            "undefined 1",
            "{ toString: [Function: boom] } NaN",
            "Error",
            "{ a: 1 }",
        ]
    );
}

#[test]
fn console_bounds_what_it_writes() {
    let lines = lines(
        "console.log('x'.repeat(1e6));
         console.log(Array.from({ length: 1e5 }, (_, i) => i));
         console.log(Object.fromEntries(Array.from({ length: 1000 }, (_, i) => ['k' + i, i])));
         const wide = (d) => d === 0 ? 1 : Array.from({ length: 100 }, () => wide(d - 1)); console.log(wide(3));
         console.log(new Map(Array.from({ length: 500 }, (_, i) => [i, i])));",
    );
    assert_eq!(lines.len(), 5);
    assert!(
        lines.iter().all(|line| line.len() <= 8192),
        "{:?}",
        lines.iter().map(String::len).collect::<Vec<_>>()
    );
    assert!(lines[0].ends_with("... 991848 more characters"), "{}", &lines[0][8100..]);
    assert!(lines[1].contains("... 99900 more"));
    assert!(lines[2].contains("... 900 more"));
    assert!(lines[4].starts_with("Map(500) {") && lines[4].contains("... 400 more"));
}
