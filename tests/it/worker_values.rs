//! What crosses the edge of a guest: arguments, results, errors.

use std::time::Duration;

use airlock::sandbox::protocol::{CallFailure, DoneOutcome, Setup};
use serde_json::{Value, json};

use crate::support::{
    runtime,
    worker::{Worker, limits},
};

fn worker() -> Worker {
    Worker::start(&limits())
}

fn worker_with(change: impl FnOnce(&mut Setup)) -> Worker {
    let mut setup = limits();
    change(&mut setup);
    Worker::start(&setup)
}

fn refused(name: &str, code: &str) -> CallFailure {
    let properties = json!({ "code": code, "tool": "a.b", "retryable": false });
    CallFailure {
        name: name.into(),
        message: "refused by policy".into(),
        properties: properties.as_object().expect("an object").clone(),
    }
}

#[test]
fn arguments_are_one_object_or_none() {
    let mut worker = worker();
    let code = "const out = []; for (const args of [[1], ['x'], [[1]], [null], [{}, {}], [() => \
        1], [new Date(0)], [{ at: new Date(0), big: 5n, none: undefined }], [undefined]]) {
        try { out.push((await tools.a.b(...args)).args) } catch (error) { out.push(`${error.name}: ${error.message}`) } } return out";
    let ran = worker.run(code);
    let told = ran.value().as_array().expect("an array");
    for wrong in &told[..7] {
        let wrong = wrong.as_str().expect("an error");
        assert!(wrong.starts_with("TypeError: tools.a.b was called with "), "{wrong}");
        let right = "a tool takes no argument or one object, `({ name: value })`; `await \
            tools.describe(\"a.b\")` tells what it takes, if it exists";
        assert!(wrong.ends_with(right), "{wrong}");
    }
    assert_eq!(told[7], json!({ "at": "1970-01-01T00:00:00.000Z", "big": 5 }));
    assert_eq!(told[8], json!({}));
}

#[test]
fn a_text_of_the_functions_that_find_may_be_followed_by_options() {
    let mut worker = worker();
    let code = "const out = []; for (const args of [['x'], ['x', { limit: 5 }], ['x', undefined], \
        [{ query: 'x' }], ['x', 5], ['x', null], ['x', { limit: 5 }, 1], [42], [null], [{}, { \
        limit: 5 }], ['x', []]]) {
        try { out.push((await tools.discover(...args)).args) } catch (error) { out.push(`${error.name}: ${error.message}`) } }
        out.push((await tools.describe('a.b', { x: 1 })).args, (await tools.artifacts.read({ $artifact: 'art_1' }, { offset: 1 })).args);
        out.push(await tools.catalog.tools('x').catch(error => error.message));
        return out";
    let ran = worker.run(code);
    let refused = |got: &str| {
        json!(format!(
            "TypeError: tools.discover was called with ({got}): it takes one object, `await \
            tools.discover({{ query: \"x\", limit: 5 }})`"
        ))
    };
    let expected = json!([
        { "query": "x" }, { "limit": 5, "query": "x" }, { "query": "x" }, { "query": "x" },
        refused("a string, a number"), refused("a string, null"), refused("a string, an object, a \
            number"), refused("a number"), refused("null"),
        refused("an object, an object"), refused("a string, an array"),
        { "x": 1, "path": "a.b" }, { "offset": 1, "id": { "$artifact": "art_1" } },
        "tools.catalog.tools was called with (a string): it takes one object, `await \
        tools.catalog.tools({ namespace: \"x\", limit: 20 })`",
    ]);
    assert_eq!(ran.value(), &expected);
}

#[test]
fn arguments_that_json_cannot_hold_are_refused() {
    let mut worker = worker_with(|setup| setup.args_bytes_max = 1000);
    let code = "const me = {}; me.me = me; const out = []; for (const args of [me, { n: NaN }, { \
        p: Promise.resolve() }, { s: 'x'.repeat(2000) }, { s: '\\u00e9'.repeat(600) }]) {
        try { await tools.a(args) } catch (error) { out.push(`${error.name}: ${error.message}`) } } return out";
    let ran = worker.run(code);
    let told: Vec<&str> =
        ran.value().as_array().expect("an array").iter().filter_map(Value::as_str).collect();
    assert_eq!(told.len(), 5);
    assert!(told[0].starts_with("TypeError: a structure that contains itself"), "{}", told[0]);
    assert!(told[1].starts_with("TypeError: NaN is not a JSON number"), "{}", told[1]);
    assert!(told[2].starts_with("TypeError: a promise is not JSON"), "{}", told[2]);
    assert!(told[3].starts_with("RangeError: ") && told[3].contains("1000"), "{}", told[3]);
    assert!(told[4].starts_with("RangeError: ") && told[4].contains("1000"), "{}", told[4]);
}

/// Values that JSON cannot hold, and what stands for them in a result.
const ODD_VALUES: [(&str, &str, &str); 15] = [
    ("new Map([['k', 1]]).keys()", r#"["k"]"#, "an iterator"),
    ("new Set([1]).values()", "[1]", "an iterator"),
    ("[7, 8].entries()", "[[0,7],[1,8]]", "an iterator"),
    ("(function* () { yield 4; yield undefined })()", "[4,null]", "an iterator"),
    ("[1, 2].values().map(n => n * 2)", "[2,4]", "an iterator"),
    ("'ab'.matchAll(/./g)", r#"[["a"],["b"]]"#, "an iterator"),
    ("new URLSearchParams('k=v')", r#"[["k","v"]]"#, "an iterator"),
    ("(async function* () { yield 1 })()", "{}", "an object"),
    ("new Date('no day')", "null", "an invalid date"),
    ("() => 1", "undefined", "a function or symbol"),
    ("class Q {}", "undefined", "a function or symbol"),
    ("tools.a.b", "undefined", "a function or symbol"),
    ("Symbol('q')", "undefined", "a function or symbol"),
    ("new WeakRef({})", "{}", "an object of the class WeakRef"),
    ("new (class Hidden { #secret = 1 })()", "{}", "an object of the class Hidden"),
];

#[test]
fn nothing_vanishes_from_a_result_without_a_warning() {
    for (odd, expected, warning) in ODD_VALUES {
        let mut worker = worker();
        let ran = worker.run(&format!("return {{ there: 1, odd: {odd} }}"));
        let expected: Option<Value> = serde_json::from_str(expected).ok();
        assert_eq!(ran.value().get("odd"), expected.as_ref(), "{odd}");
        let warnings = &ran.head.warnings;
        assert_eq!(warnings.len(), 1, "{odd}: {warnings:?}");
        assert!(
            warnings[0].starts_with(&format!("the result holds {warning}")),
            "{odd}: {warnings:?}"
        );
    }
    for plain in ["{}", "[]", "{ __proto__: null }", "new Map()", "new (class { n = 1 })()"] {
        let mut worker = worker();
        let ran = worker.run(&format!("return {{ plain: {plain} }}"));
        assert!(ran.head.warnings.is_empty(), "{plain}: {:?}", ran.head.warnings);
    }
}

#[test]
fn an_iterator_without_an_end_is_over_the_limit_of_a_result() {
    let mut worker = worker_with(|setup| setup.result_bytes_max = 1 << 20);
    let ran = worker.run("return (function* () { for (;;) yield undefined })()");
    let DoneOutcome::Threw { error, .. } = &ran.head.outcome else { panic!("{:?}", ran.head) };
    assert!(error.message.contains("result limit 1 MiB exceeded"), "{error:?}");
}

#[test]
fn nothing_vanishes_from_the_arguments_of_a_call() {
    for (odd, ..) in ODD_VALUES {
        let mut worker = worker();
        let code = format!(
            "try {{ return await tools.a.b({{ list: [{odd}] }}) }} catch (error) \
            {{ return `${{error.name}}: ${{error.message}}` }}"
        );
        let ran = worker.run(&code);
        let refused = ran.value().as_str().unwrap_or_else(|| panic!("{odd}: {}", ran.value()));
        assert!(refused.starts_with("TypeError: "), "{odd}: {refused}");
    }
}

#[test]
fn a_bigint_is_an_integer_in_arguments_and_its_digits_in_a_result() {
    let mut worker = worker();
    let mut sent = String::new();
    let code = "await tools.a.b({ big: 7310448219005560003n, most: 2n ** 64n - 1n, \
        least: -(2n ** 63n), small: 5n, list: [1n] });
        return { big: 7310448219005560003n, small: 5n }";
    let ran = worker.run_with(code, 5000, |call| {
        sent = call.args.to_string();
        Ok(Value::Null)
    });
    assert_eq!(*ran.value(), json!({ "big": "7310448219005560003", "small": "5" }));
    assert_eq!(
        sent,
        r#"{"big":7310448219005560003,"most":18446744073709551615,"least":-9223372036854775808,"small":5,"list":[1]}"#
    );
    for big in ["2n ** 64n", "-(2n ** 63n) - 1n", "10n ** 1000n"] {
        let code = format!(
            "try {{ await tools.a.b({{ big: {big} }}) }} catch (error) {{ return error.message }}"
        );
        let mut worker = self::worker();
        let ran = worker.run(&code);
        let message = ran.value().as_str().expect(big).to_owned();
        assert!(message.contains("has more than 64 bits: pass it as a string"), "{message}");
        assert!(message.len() < 200, "{message}");
    }
}

#[test]
fn an_integer_that_was_rounded_is_told() {
    let mut worker = worker();
    let ran = worker.run("return await tools.a.b({ ref: 7310448219005560003, factor: 1e300 })");
    assert_eq!(
        ran.head.warnings,
        ["an argument holds 7310448219005560000, an integer beyond 2^53 that may have been \
            rounded; write its digits as a bigint, with `n` at the end, or as a string",],
    );
}

#[test]
fn a_failed_call_rejects_with_an_error_of_its_class() {
    let mut worker = worker();
    let code = "try { await tools.a.b() } catch (error) {
        return [error instanceof ToolPolicyError, error instanceof Error, error.name, error.message, error.code, error.retryable, Object.keys(error), JSON.stringify(error), typeof error.stack] }";
    let ran = worker.run_with(code, 5000, |_| Err(refused("ToolPolicyError", "policy_denied")));
    assert_eq!(
        *ran.value(),
        json!([
            true,
            true,
            "ToolPolicyError",
            "refused by policy",
            "policy_denied",
            false,
            ["message", "code", "tool", "retryable"],
            r#"{"message":"refused by policy","code":"policy_denied","tool":"a.b","retryable":false}"#,
            "string"
        ])
    );
}

#[test]
fn the_error_of_a_failed_call_that_ends_the_run_names_the_call() {
    for code in [
        "const x: number = 1;\n\n  await tools.a.b()",
        "try {\n\n  await tools.a.b() } catch (error) { throw error }",
        "const p =\n\n  tools.a.b(); await Promise.all([p])",
    ] {
        let mut worker = worker();
        let ran = worker.run_with(code, 5000, |_| Err(refused("ToolPolicyError", "policy_denied")));
        let DoneOutcome::Threw { error, call } = &ran.head.outcome else {
            panic!("{:?}", ran.head)
        };
        assert_eq!(
            (error.name.as_str(), error.message.as_str()),
            ("ToolPolicyError", "refused by policy"),
            "{code}"
        );
        assert_eq!(error.line, Some(3), "{code}");
        assert_eq!(*call, Some(1), "{code}");
    }
}

#[test]
fn no_code_can_pass_another_error_off_as_that_of_a_failed_call() {
    for code in [
        "try { await tools.a.b() } catch (error) { throw new ToolPolicyError(error.message) }",
        "try { await tools.a.b() } catch (error) { throw \
        Object.assign(Object.create(Object.getPrototypeOf(error), \
        Object.getOwnPropertyDescriptors(error))) }",
        "try { await tools.a.b() } catch (error) { throw new Proxy(error, {}) }",
        "try { await tools.a.b() } catch (error) { throw Object.setPrototypeOf(new Error('x'), \
        error) }",
        "try { await tools.a.b() } catch (error) { throw new Error('wrapped', { cause: error }) }",
        "try { await tools.a.b() } catch (error) { throw { ...error, name: error.name } }",
    ] {
        let mut worker = worker();
        let ran = worker.run_with(code, 5000, |_| Err(refused("ToolPolicyError", "policy_denied")));
        let DoneOutcome::Threw { call, .. } = &ran.head.outcome else { panic!("{:?}", ran.head) };
        assert_eq!(*call, None, "{code}");
    }
}

#[test]
fn an_error_in_a_timer_ends_the_run() {
    let mut worker = worker();
    let ran =
        worker.run("setTimeout(() => { throw new Error('late') }, 1); await new Promise(() => {})");
    assert_eq!(ran.error().message, "late");
}

#[test]
fn an_error_in_a_microtask_ends_the_run() {
    let mut worker = worker();
    let ran = worker
        .run("queueMicrotask(() => { throw new TypeError('micro') }); await new Promise(() => {})");
    assert_eq!((ran.error().name.as_str(), ran.error().message.as_str()), ("TypeError", "micro"));
}

#[test]
fn a_promise_that_can_never_settle_is_told_at_once() {
    let mut worker = worker();
    for code in ["await new Promise(() => {})", "await Promise.race([])", "await { then() {} }"] {
        let ran = worker.run(code);
        assert_eq!(ran.error().code, "unresolved_promise", "{code}");
        assert!(ran.took < Duration::from_secs(5));
        assert!(!ran.head.spent);
    }
}

#[test]
fn results_follow_the_contract() {
    let cases = [
        ("return undefined", json!(null)),
        ("return null", json!(null)),
        ("return { a: undefined, d: 1 }", json!({ "d": 1 })),
        ("return [undefined, 2]", json!([null, 2])),
        ("return new Date(0)", json!("1970-01-01T00:00:00.000Z")),
        ("return 12345678901234567890n", json!("12345678901234567890")),
        ("return new Map([['a', 1], ['b', new Set([1, 2])]])", json!({ "a": 1, "b": [1, 2] })),
        ("return new Map([[1, 'a']])", json!([[1, "a"]])),
        ("return new TypeError('no')", json!({ "name": "TypeError", "message": "no" })),
        (
            "return Object.assign(new Error('no'), { code: 7 })",
            json!({ "name": "Error", "message": "no", "code": 7 }),
        ),
        ("return new Uint8Array([1, 2, 3])", json!({ "type": "Uint8Array", "base64": "AQID" })),
        (
            "return new Uint8Array([0, 1, 2, 3, 4]).subarray(1, 4)",
            json!({ "type": "Uint8Array", "base64": "AQID" }),
        ),
        (
            "return new Uint8Array([1, 2, 3]).buffer",
            json!({ "type": "ArrayBuffer", "base64": "AQID" }),
        ),
        (
            "const me = { n: 1 }; me.me = me; me.list = [me]; return me",
            json!({ "n": 1, "me": "[Circular]", "list": ["[Circular]"] }),
        ),
        ("const one = { n: 1 }; return [one, one]", json!([{ "n": 1 }, { "n": 1 }])),
        ("return { toJSON: () => ({ from: 'toJSON' }) }", json!({ "from": "toJSON" })),
        ("return /a+/gi", json!("/a+/gi")),
        ("return [Object(1), Object('s'), Object(true)]", json!([1, "s", true])),
        ("class P { x = 1; get y() { return 2 } } return new P()", json!({ "x": 1 })),
        ("return { get y() { return 2 } }", json!({ "y": 2 })),
        ("return JSON.parse('{\"__proto__\": {\"a\": 1}}')", json!({ "__proto__": { "a": 1 } })),
        ("return '\\u00e9\\u{1F600}'", json!("é😀")),
        ("return -0", json!(0)),
        ("return Promise.resolve(5)", json!(5)),
    ];
    let mut worker = worker();
    for (code, expected) in cases {
        let ran = worker.run(code);
        assert_eq!(*ran.value(), expected, "{code}");
        assert!(ran.head.warnings.is_empty(), "{code}: {:?}", ran.head.warnings);
    }
}

#[test]
fn what_json_cannot_hold_is_told() {
    let mut worker = worker();
    for (code, expected, told) in [
        ("return [NaN, Infinity]", json!([null, null]), "NaN or Infinity in 2 place"),
        ("return () => 1", json!(null), "the result is a function"),
        (
            "return { a: undefined, b: () => 1, c: Symbol('x'), d: 1 }",
            json!({ "d": 1 }),
            "a function or symbol in 2 place(s)",
        ),
        ("return [undefined, () => 1, 2]", json!([null, null, 2]), "a function or symbol in 1"),
        ("return [new Date(NaN)]", json!([null]), "an invalid date in 1 place(s)"),
        ("return { p: Promise.resolve(1) }", json!({ "p": {} }), "not awaited"),
        ("return new WeakMap()", json!({}), "JSON cannot hold"),
    ] {
        let ran = worker.run(code);
        assert_eq!(*ran.value(), expected, "{code}");
        assert_eq!(ran.head.warnings.len(), 1, "{code}");
        assert!(ran.head.warnings[0].contains(told), "{code}: {:?}", ran.head.warnings);
    }
}

#[test]
fn errors_are_told_with_their_own_place() {
    let mut worker = worker();
    let code = "type Row = { n: number };\nconst rows: Row[] = [{ n: 1 }] satisfies Row[];\nenum \
        Color { Red }\nasync function work<T>(value: T): Promise<T> {\n  await null;\n  if \
        (rows.length > Color.Red) {\n        throw new TypeError('boom');\n  }\n  return \
        value;\n}\nawait work(1)";
    let ran = worker.run(code);
    let error = ran.error();
    assert_eq!(
        (error.name.as_str(), error.message.as_str(), error.code.as_str()),
        ("TypeError", "boom", "uncaught_exception")
    );
    assert_eq!((error.line, error.column), (Some(7), Some(15)));
    let code = "const a = 1;\nnull.x";
    let ran = worker.run(code);
    assert_eq!((ran.error().line, ran.error().column), (Some(2), Some(6)), "{:?}", ran.error());
    let ran = worker.run("undefinedName");
    assert_eq!(
        (ran.error().name.as_str(), ran.error().line, ran.error().column),
        ("ReferenceError", Some(1), Some(1))
    );
}

#[test]
fn positions_cannot_be_forged() {
    let mut worker = worker();
    let code = "Error.prepareStackTrace = () => 'forged'; Error.stackTraceLimit = 1e9;\nconst \
        error = new Error('real');\nerror.stack = 'Error: forged\\n    at agent.ts:99:99';\nthrow \
        error";
    let ran = worker.run(code);
    // Deno does not know the place of an error whose stack was written over (docs/runtimes.md); it
    // never believes what was written.
    assert_eq!(
        (ran.error().message.as_str(), ran.error().line),
        ("real", (!runtime::is_deno()).then_some(2))
    );
    assert!(!ran.error().stack.clone().unwrap_or_default().contains("99"));
    let ran = worker
        .run("Error.prepareStackTrace = (error, sites) => sites; return new Error('x').stack");
    assert_eq!(*ran.value(), json!("Error: x\n    at agent.ts:1:59"));
}

#[test]
fn anything_thrown_is_told() {
    let mut worker = worker();
    for (code, name, message) in [
        ("throw 'text'", "Error", "text"),
        ("throw undefined", "Error", "threw a value that is not an Error: null"),
        ("throw { code: 5 }", "Error", "threw a value that is not an Error: {\"code\":5}"),
        ("throw { name: 'Mine', message: 'm' }", "Mine", "m"),
        (
            "throw new Error('outer', { cause: new TypeError('inner') })",
            "Error",
            "outer\ncaused by TypeError: inner",
        ),
        (
            "await Promise.any([Promise.reject(new Error('a')), Promise.reject(new Error('b'))])",
            "AggregateError",
            "All promises were rejected\n- Error: a\n- Error: b",
        ),
        (
            "class Odd extends Error { get name() { throw 1 } get message() { throw 2 } } throw \
            new Odd()",
            "Error",
            "",
        ),
        (
            "throw new Proxy({}, { getOwnPropertyDescriptor() { throw 1 } })",
            "Error",
            "threw a value that cannot be described",
        ),
    ] {
        let ran = worker.run(code);
        assert_eq!(
            (ran.error().name.as_str(), ran.error().message.as_str()),
            (name, message),
            "{code}"
        );
    }
    let ran = worker.run("throw new Error('x'.repeat(1e6))");
    assert!(ran.error().message.len() <= 8 * 1024 + 16, "{}", ran.error().message.len());
}

#[test]
fn rejections_that_nobody_handles_are_warnings() {
    let mut worker = worker();
    let ran = worker.run(
        "Promise.reject(new Error('lost')); const late = Promise.reject(1); await \
            null; late.catch(() => {}); return 1",
    );
    assert_eq!(*ran.value(), json!(1));
    assert_eq!(ran.head.warnings.len(), 1, "{:?}", ran.head.warnings);
    assert!(
        ran.head.warnings[0]
            .starts_with("a rejected promise was not handled: Error: lost at agent.ts:1:"),
        "{:?}",
        ran.head.warnings
    );
    let ran = worker.run("for (let i = 0; i < 1e5; i++) Promise.reject(i); return 1");
    assert!(
        ran.head.warnings.iter().any(|warning| warning.contains("99992 more rejected promises")),
        "{:?}",
        ran.head.warnings
    );
}

#[test]
fn importing_is_refused_with_the_way_out() {
    let mut worker = worker();
    let ran = worker.run("const name = 'node:fs'; return await import(name)");
    assert_eq!(ran.error().name, "TypeError");
    assert!(ran.error().message.contains("tools.discover("), "{}", ran.error().message);
}

#[test]
fn half_of_a_surrogate_pair_is_replaced_in_results_and_refused_in_arguments() {
    let mut worker = worker();
    let half = "const half = '\\ud83d\\ude00'[0];";
    let ran = worker.run(&format!(
        "{half} return {{ half, whole: '\\ud83d\\ude00', [half]: new Map([['m' + half, [half]]]), \
        error: new Error(half) }}"
    ));
    let expected = json!({
        "half": "\u{fffd}", "whole": "\u{1f600}", "\u{fffd}": { "m\u{fffd}": ["\u{fffd}"] },
        "error": { "name": "Error", "message": "\u{fffd}" },
    });
    assert_eq!(*ran.value(), expected);
    assert!(
        ran.head.warnings.iter().any(|told| told.contains("lone surrogate in 5 string(s)")),
        "{:?}",
        ran.head.warnings
    );
    // A guest that patches its own methods changes nothing.
    let ran = worker.run(&format!(
        "{half} String.prototype.toWellFormed = function () {{ return this }}; return half"
    ));
    assert_eq!(*ran.value(), json!("\u{fffd}"));
    let ran = worker.run(&format!(
        "{half} try {{ await tools.a({{ half }}) }} catch (error) {{ return `${{error}}` }}"
    ));
    assert!(
        ran.value().as_str().is_some_and(|told| told.contains("toWellFormed()")),
        "{:?}",
        ran.value()
    );
}
