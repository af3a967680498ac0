//! The worker process, frame by frame: what a broker may rely on whatever the guest does.

use std::time::{Duration, Instant};

use airlock::{
    model::LogLevel,
    sandbox::protocol::{CallFailure, DoneOutcome, Gasp, Kind, Setup, StopReason},
};
use serde_json::{Value, json};

use crate::support::worker::{Issued, Worker, limits};

/// How late an end may come after its limit, on a machine that does other things as well.
const LATE: Duration = Duration::from_millis(500);

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
fn a_program_returns_its_value() {
    let mut worker = worker();
    assert!(worker.armed.engine.starts_with("V8 "));
    let ran = worker.run("return 1 + 1");
    assert_eq!(*ran.value(), json!(2));
    assert!(!ran.head.spent);
    assert!(ran.head.heap_peak_bytes > 0);
}

#[test]
fn every_run_has_globals_of_its_own() {
    let mut worker = worker();
    for _ in 0..3 {
        let ran = worker.run(
            "const seen = globalThis.mark; globalThis.mark = 1; Array.prototype.mark = 2; return [seen ?? null, 'mark' in []]",
        );
        assert_eq!(*ran.value(), json!([null, true]));
    }
}

#[test]
fn a_call_goes_out_and_its_answer_comes_back() {
    let mut worker = worker();
    let ran = worker.run("const a = await tools.github.issues.create({ title: 'x' }); return [a, await tools['a.b.c']()]");
    assert_eq!(
        *ran.value(),
        json!([{ "path": "github.issues.create", "args": { "title": "x" } }, { "path": "a.b.c", "args": {} }])
    );
}

#[test]
fn finding_tools_takes_a_plain_string() {
    let mut worker = worker();
    let ran = worker
        .run("return [await tools.discover('mail'), await tools.describe('a.b'), await tools.catalog.namespaces({ limit: 3 })]");
    assert_eq!(
        *ran.value(),
        json!([
            { "path": "discover", "args": { "query": "mail" } },
            { "path": "describe", "args": { "path": "a.b" } },
            { "path": "catalog.namespaces", "args": { "limit": 3 } },
        ])
    );
}

#[test]
fn calls_are_numbered_in_the_order_in_which_they_are_issued() {
    let mut worker = worker();
    let mut seen = Vec::new();
    let ran = worker.run_with(
        "return (await Promise.all(Array.from({ length: 50 }, (_, n) => tools.n({ n })))).map((a) => a.n)",
        5000,
        |call| {
            seen.push(call.call);
            Ok(call.args.clone())
        },
    );
    assert_eq!(*ran.value(), json!((0..50).collect::<Vec<_>>()));
    assert_eq!(seen, (1..=50).collect::<Vec<_>>());
}

#[test]
fn answers_in_any_order_settle_their_own_call() {
    let mut worker = worker();
    worker.begin(
        "const order = []; await Promise.all([1, 2, 3].map((n) => tools.n({ n }).then((a) => order.push([n, a])))); return order",
        5000,
    );
    let calls: Vec<Issued> = (0..3).map(|_| worker.call()).collect();
    worker.expect(Kind::Parked);
    for index in [2, 0, 1] {
        worker.answer(calls[index].call, &json!(index));
    }
    assert_eq!(*worker.finish().value(), json!([[3, 2], [1, 0], [2, 1]]));
}

#[test]
fn no_more_calls_are_in_flight_than_may_be() {
    let mut worker = worker_with(|setup| setup.calls_queued_max = 100);
    worker.begin(
        "return (await Promise.allSettled(Array.from({ length: 400 }, () => tools.n()))).map((r) => r.reason?.message ?? null)",
        5000,
    );
    for call in 1..=256 {
        assert_eq!(worker.call().call, call);
    }
    worker.expect(Kind::Parked);
    worker.answer(1, &Value::Null);
    assert_eq!(worker.call().call, 257);
    for call in 2..=257 {
        worker.answer(call, &Value::Null);
    }
    let ran = worker.finish();
    let reasons = ran.value().as_array().expect("an array").clone();
    assert_eq!(reasons.iter().filter(|reason| reason.is_null()).count(), 356);
    assert!(
        reasons[399].as_str().is_some_and(|reason| reason.contains("calls_queued_max") && reason.contains("356")),
        "{}",
        reasons[399]
    );
}

#[test]
fn arguments_are_one_object_or_none() {
    let mut worker = worker();
    let code = "const out = []; for (const args of [[1], ['x'], [[1]], [null], [{}, {}], [() => 1], [new Date(0)], [{ at: new Date(0), big: 5n, none: undefined }], [undefined]]) {
        try { out.push((await tools.a.b(...args)).args) } catch (error) { out.push(`${error.name}: ${error.message}`) } } return out";
    let ran = worker.run(code);
    let told = ran.value().as_array().expect("an array");
    for wrong in &told[..7] {
        let wrong = wrong.as_str().expect("an error");
        assert!(wrong.starts_with("TypeError: tools.a.b takes no argument or one object: `await tools.a.b({ ... })`"), "{wrong}");
    }
    assert_eq!(told[7], json!({ "at": "1970-01-01T00:00:00.000Z", "big": "5" }));
    assert_eq!(told[8], json!({}));
}

#[test]
fn arguments_that_json_cannot_hold_are_refused() {
    let mut worker = worker_with(|setup| setup.args_bytes_max = 1000);
    let code = "const me = {}; me.me = me; const out = []; for (const args of [me, { n: NaN }, { p: Promise.resolve() }, { s: 'x'.repeat(2000) }, { s: '\\u00e9'.repeat(600) }]) {
        try { await tools.a(args) } catch (error) { out.push(`${error.name}: ${error.message}`) } } return out";
    let ran = worker.run(code);
    let told: Vec<&str> = ran.value().as_array().expect("an array").iter().filter_map(Value::as_str).collect();
    assert_eq!(told.len(), 5);
    assert!(told[0].starts_with("TypeError: a structure that contains itself"), "{}", told[0]);
    assert!(told[1].starts_with("TypeError: NaN is not a JSON number"), "{}", told[1]);
    assert!(told[2].starts_with("TypeError: a promise is not JSON"), "{}", told[2]);
    assert!(told[3].starts_with("RangeError: ") && told[3].contains("1000"), "{}", told[3]);
    assert!(told[4].starts_with("RangeError: ") && told[4].contains("1000"), "{}", told[4]);
}

#[test]
fn tools_is_harmless_to_look_at() {
    let mut worker = worker();
    let code = "const out = {}; out.awaited = typeof (await tools); out.node = typeof (await tools.a.b); out.text = `${tools.a.b}`; out.json = JSON.stringify({ tools });
        out.tag = Object.prototype.toString.call(tools); out.symbol = tools[Symbol.iterator] ?? null; out.then = tools.a.then ?? null;
        const attempt = (f) => { try { return f() } catch (error) { return error.message } };
        out.keys = attempt(() => Object.keys(tools)); out.spread = attempt(() => ({ ...tools })); out.has = attempt(() => 'github' in tools);
        out.set = attempt(() => { tools.x = 1 }); out.global = attempt(() => { globalThis.tools = 1 }); out.remove = attempt(() => delete globalThis.tools);
        out.called = await tools({}).catch((error) => error.message); out.made = attempt(() => new tools.a());
        return out";
    let ran = worker.run(code);
    let out = ran.value();
    assert_eq!(out["awaited"], "function");
    assert_eq!(out["node"], "function");
    assert_eq!(out["text"], "tools.a.b");
    assert_eq!(out["json"], "{}");
    assert_eq!(out["symbol"], Value::Null);
    assert_eq!(out["then"], Value::Null);
    for listed in ["keys", "spread", "has"] {
        assert!(out[listed].as_str().is_some_and(|told| told.contains("tools.discover(")), "{listed}: {}", out[listed]);
    }
    assert_eq!(out["set"], "tools cannot be changed");
    assert!(out["global"].as_str().is_some_and(|told| told.contains("read only")), "{}", out["global"]);
    assert!(out["remove"].as_str().is_some_and(|told| told.contains("Cannot delete")), "{}", out["remove"]);
    assert!(out["called"].as_str().is_some_and(|told| told.starts_with("tools is not a tool")), "{}", out["called"]);
    assert!(out["made"].as_str().is_some_and(|told| told.contains("not a constructor")), "{}", out["made"]);
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
        let DoneOutcome::Threw { error, call } = &ran.head.outcome else { panic!("{:?}", ran.head) };
        assert_eq!((error.name.as_str(), error.message.as_str()), ("ToolPolicyError", "refused by policy"), "{code}");
        assert_eq!(error.line, Some(3), "{code}");
        assert_eq!(*call, Some(1), "{code}");
    }
}

#[test]
fn no_code_can_pass_another_error_off_as_that_of_a_failed_call() {
    for code in [
        "try { await tools.a.b() } catch (error) { throw new ToolPolicyError(error.message) }",
        "try { await tools.a.b() } catch (error) { throw Object.assign(Object.create(Object.getPrototypeOf(error), Object.getOwnPropertyDescriptors(error))) }",
        "try { await tools.a.b() } catch (error) { throw new Proxy(error, {}) }",
        "try { await tools.a.b() } catch (error) { throw Object.setPrototypeOf(new Error('x'), error) }",
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
fn a_guest_that_waits_is_parked_and_an_answer_lets_it_go_on() {
    let mut worker = worker();
    let run = worker.begin("const a = await tools.a(); const b = await tools.b(); return [a, b]", 5000);
    assert_eq!(worker.call().path, "a");
    assert_eq!(worker.expect(Kind::Parked).run, run);
    worker.answer(1, &json!(1));
    assert_eq!(worker.call().path, "b");
    worker.expect(Kind::Parked);
    worker.answer(2, &json!(2));
    assert_eq!(*worker.finish().value(), json!([1, 2]));
}

#[test]
fn a_timer_that_fires_while_parked_waits_for_permission() {
    let mut worker = worker();
    let run = worker.begin("await new Promise((go) => setTimeout(go, 10)); tools.after(); return await tools.b()", 5000);
    worker.expect(Kind::Parked);
    worker.expect(Kind::Wake);
    worker.send(Kind::Go, run, &[]);
    assert_eq!(worker.call().path, "after");
    assert_eq!(worker.call().path, "b");
    worker.expect(Kind::Parked);
    worker.answer(2, &json!("b"));
    let ran = worker.finish();
    assert_eq!(*ran.value(), json!("b"));
    assert_eq!(ran.head.warnings, ["1 tool call was still running when the program ended; it was abandoned: `await` it"]);
}

#[test]
fn an_answer_also_is_permission_for_a_timer_that_is_due() {
    let mut worker = worker();
    worker.begin("const order = []; setTimeout(() => order.push('timer'), 5); order.push(await tools.a()); await new Promise((go) => setTimeout(go, 20)); return order", 5000);
    worker.call();
    worker.expect(Kind::Parked);
    worker.expect(Kind::Wake);
    worker.answer(1, &json!("answer"));
    assert_eq!(*worker.finish().value(), json!(["answer", "timer"]));
}

#[test]
fn timers_fire_in_order_and_can_be_cleared() {
    let mut worker = worker();
    let code = "const order = []; setTimeout((a, b) => order.push(a + b), 20, 'a', 'b'); setTimeout(() => order.push('first'), 1); clearTimeout(setTimeout(() => order.push('never'), 2));
        let n = 0; await new Promise((done) => { const id = setInterval(() => { order.push(n); if (++n === 3) { clearInterval(id); setTimeout(done, 40) } }, 1) }); return order";
    let ran = worker.run(code);
    let order = ran.value().as_array().expect("an array").clone();
    assert_eq!(order.len(), 5, "{order:?}");
    assert!(order.contains(&json!("first")) && order.contains(&json!("ab")) && order.contains(&json!(2)), "{order:?}");
}

#[test]
fn an_error_in_a_timer_ends_the_run() {
    let mut worker = worker();
    let ran = worker.run("setTimeout(() => { throw new Error('late') }, 1); await new Promise(() => {})");
    assert_eq!(ran.error().message, "late");
}

#[test]
fn an_error_in_a_microtask_ends_the_run() {
    let mut worker = worker();
    let ran = worker.run("queueMicrotask(() => { throw new TypeError('micro') }); await new Promise(() => {})");
    assert_eq!((ran.error().name.as_str(), ran.error().message.as_str()), ("TypeError", "micro"));
}

#[test]
fn more_timers_than_may_be_are_refused() {
    let mut worker = worker_with(|setup| setup.timers_max = 10);
    let ran = worker.run("for (let i = 0; i < 10; i++) setTimeout(() => {}, 1e6); try { setTimeout(() => {}, 1) } catch (error) { return [error.name, error.message] }");
    assert_eq!(*ran.value(), json!(["RangeError", "10 timers are running already, the most that may"]));
    let ran = worker.run("for (let i = 0; i < 1e5; i++) clearTimeout(setTimeout(() => {}, 1e6)); return 'bounded'");
    assert_eq!(*ran.value(), json!("bounded"));
}

#[test]
fn a_promise_that_can_never_settle_is_told_at_once() {
    let mut worker = worker();
    for code in ["await new Promise(() => {})", "await Promise.race([])", "await { then() {} }"] {
        let ran = worker.run(code);
        assert_eq!(ran.error().code, "never_settles", "{code}");
        assert!(ran.took < Duration::from_secs(5));
        assert!(!ran.head.spent);
    }
}

#[test]
fn a_loop_ends_at_the_cpu_limit() {
    for code in [
        "while (true) {}",
        "for (;;) await null",
        "const f = () => Promise.resolve().then(f); await f()",
        "setInterval(() => {}, 0); for (;;) await null",
    ] {
        let mut worker = worker();
        let ran = worker.run_with(code, 100, |_| Ok(Value::Null));
        assert!(matches!(ran.head.outcome, DoneOutcome::CpuLimit), "{code}: {:?}", ran.head);
        assert!(ran.head.spent);
        assert!((100..1000).contains(&ran.head.cpu_ms), "{}", ran.head.cpu_ms);
    }
}

#[test]
fn waiting_costs_no_cpu_time() {
    let mut worker = worker();
    let ran =
        worker.run_with("for (let i = 0; i < 20; i++) await new Promise((go) => setTimeout(go, 10)); return 'rested'", 100, |_| {
            Ok(Value::Null)
        });
    assert_eq!(*ran.value(), json!("rested"));
    assert!(ran.took >= Duration::from_millis(200));
}

#[test]
fn regular_expressions_and_recursion_end_too() {
    let mut worker = worker();
    let ran = worker.run("const f = () => f() + 1; f()");
    assert_eq!((ran.error().name.as_str(), ran.error().message.as_str()), ("RangeError", "Maximum call stack size exceeded"));
    let ran = worker.run_with("/^(a+)+$/.test('a'.repeat(40) + 'b')", 200, |_| Ok(Value::Null));
    assert!(matches!(ran.head.outcome, DoneOutcome::CpuLimit), "{:?}", ran.head);
}

#[test]
fn a_worker_without_optimising_compilers_runs_the_same_snapshot() {
    let mut worker = worker_with(|setup| setup.optimize = false);
    let ran = worker.run("let sum = 0; for (let i = 0; i < 1e6; i++) sum += i; return [sum, await tools.a({ x: 1 })]");
    assert_eq!(*ran.value(), json!([499_999_500_000_u64, { "path": "a", "args": { "x": 1 } }]));
}

#[test]
fn a_worker_does_not_grow_with_its_runs() {
    let mut worker = worker();
    let resident = |worker: &Worker| {
        let status = std::fs::read_to_string(format!("/proc/{}/status", worker.pid())).expect("the process lives");
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).expect("a field").trim().to_owned();
        (
            field("VmRSS:").trim_end_matches(" kB").parse::<u64>().expect("a number"),
            field("Threads:").parse::<u64>().expect("a number"),
        )
    };
    let code = "const all = Array.from({ length: 1000 }, (_, n) => ({ n })); await tools.a({ n: 1 }); return all.length";
    for _ in 0..50 {
        worker.run(code);
    }
    let (before, _) = resident(&worker);
    for _ in 0..200 {
        worker.run(code);
    }
    let (after, threads) = resident(&worker);
    assert!(after < before + 8 * 1024, "{before} kB before, {after} kB after");
    // The reader, the guest that is ready, and at most one whose isolate is being taken apart and one that parses.
    assert!(threads <= 4, "{threads} threads");
}

#[test]
fn a_stop_ends_a_guest_that_waits_and_one_that_runs() {
    let mut worker = worker();
    worker.begin("await tools.a()", 60_000);
    worker.call();
    worker.expect(Kind::Parked);
    worker.stop(StopReason::Cancel);
    let ran = worker.finish();
    assert!(matches!(ran.head.outcome, DoneOutcome::Stopped), "{:?}", ran.head);

    let mut worker = self::worker();
    worker.begin("await tools.a(); try { while (true) {} } finally { while (true) {} }", 60_000);
    worker.call();
    worker.expect(Kind::Parked);
    worker.answer(1, &Value::Null);
    let asked = Instant::now();
    worker.stop(StopReason::Wall);
    let ran = worker.finish();
    assert!(matches!(ran.head.outcome, DoneOutcome::Stopped), "{:?}", ran.head);
    assert!(ran.head.spent);
    assert!(asked.elapsed() < LATE, "{:?}", asked.elapsed());
}

#[test]
fn a_full_heap_is_told_with_its_limit() {
    for code in [
        "const all = []; for (;;) all.push({ n: all.length, text: `item ${all.length}` })",
        "const all = []; for (;;) all.push(new Array(1e4).fill(all.length))",
        "let text = 'x'; for (;;) { text = [...text, ...text].join('') }",
        "const all = []; for (;;) { all.push(new Promise(() => {})); if (all.length % 1000 === 0) await null }",
        "const map = new Map(); for (let i = 0; ; i++) map.set(i, i)",
        "return JSON.parse('[' + '1.5,'.repeat(16e6) + '1]').length",
    ] {
        let mut worker = worker();
        worker.begin(code, 60_000);
        match worker.finish_or_gasp() {
            Ok(head) => {
                let DoneOutcome::MemoryLimit { message } = &head.outcome else { panic!("{code}: {head:?}") };
                assert!(message.contains("memory limit 64 MB exceeded"), "{message}");
                assert!(head.spent);
            }
            Err(gasp) => assert_eq!(gasp, Gasp::OutOfMemory, "{code}"),
        }
    }
}

#[test]
fn array_buffers_have_a_limit_of_their_own() {
    let mut worker = worker();
    let ran = worker.run("const all = []; for (;;) all.push(new Uint8Array(1e6))");
    let DoneOutcome::MemoryLimit { message } = &ran.head.outcome else { panic!("{:?}", ran.head) };
    assert_eq!(message, "memory limit 64 MB for array buffers exceeded");
    let ran = worker.run("try { new ArrayBuffer(1e9) } catch (error) { return [error.name, error.message] }");
    assert_eq!(*ran.value(), json!(["RangeError", "Array buffer allocation failed"]));
    let ran = worker.run("return new Uint8Array(50e6).length");
    assert_eq!(*ran.value(), json!(50_000_000));
    assert!(ran.head.heap_peak_bytes > 50_000_000);
}

#[test]
fn results_follow_the_contract() {
    let cases = [
        ("return undefined", json!(null)),
        ("return null", json!(null)),
        ("return { a: undefined, b: () => 1, c: Symbol('x'), d: 1 }", json!({ "d": 1 })),
        ("return [undefined, () => 1, 2]", json!([null, null, 2])),
        ("return new Date(0)", json!("1970-01-01T00:00:00.000Z")),
        ("return [new Date(NaN)]", json!([null])),
        ("return 12345678901234567890n", json!("12345678901234567890")),
        ("return new Map([['a', 1], ['b', new Set([1, 2])]])", json!({ "a": 1, "b": [1, 2] })),
        ("return new Map([[1, 'a']])", json!([[1, "a"]])),
        ("return new TypeError('no')", json!({ "name": "TypeError", "message": "no" })),
        ("return Object.assign(new Error('no'), { code: 7 })", json!({ "name": "Error", "message": "no", "code": 7 })),
        ("return new Uint8Array([1, 2, 3])", json!({ "type": "Uint8Array", "base64": "AQID" })),
        ("return new Uint8Array([0, 1, 2, 3, 4]).subarray(1, 4)", json!({ "type": "Uint8Array", "base64": "AQID" })),
        ("return new Uint8Array([1, 2, 3]).buffer", json!({ "type": "ArrayBuffer", "base64": "AQID" })),
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
fn a_result_over_its_limit_is_told_with_the_limit() {
    let mut worker = worker();
    for code in [
        "return Array(1e7).fill('x'.repeat(100))",
        "return 'x'.repeat(2 ** 28)",
        "const a = []; for (let i = 0, x = a; i < 1000; i++) { const y = []; x.push(y); x = y } return a",
        "return new Array(2 ** 32 - 1)",
    ] {
        let ran = worker.run(code);
        if let DoneOutcome::MemoryLimit { message } = &ran.head.outcome {
            assert!(message.contains("memory limit 64 MB"), "{message}");
        } else {
            let error = ran.error();
            assert!(
                error.message.contains("result limit 64 MiB exceeded") || error.message.contains("512 levels"),
                "{code}: {error:?}"
            );
        }
        if ran.head.spent {
            worker = self::worker();
        }
    }
    let mut worker = worker_with(|setup| setup.result_bytes_max = 100);
    let ran = worker.run("return '\\u20ac'.repeat(40)");
    assert_eq!((ran.error().name.as_str(), ran.error().code.as_str()), ("LimitError", "result_limit"));
}

#[test]
fn serialising_the_result_runs_under_the_limits() {
    let mut worker = worker();
    let ran = worker.run_with("return { get x() { while (true) {} } }", 100, |_| Ok(Value::Null));
    assert!(matches!(ran.head.outcome, DoneOutcome::CpuLimit), "{:?}", ran.head);
    let mut worker = self::worker();
    let ran = worker.run("return { toJSON() { throw new Error('in toJSON') } }");
    assert_eq!(ran.error().message, "in toJSON");
    let ran = worker.run("return new Proxy({}, { ownKeys() { throw new Error('in a trap') } })");
    assert_eq!(ran.error().message, "in a trap");
}

#[test]
fn errors_are_told_with_their_own_place() {
    let mut worker = worker();
    let code = "type Row = { n: number };\nconst rows: Row[] = [{ n: 1 }] satisfies Row[];\nenum Color { Red }\nasync function work<T>(value: T): Promise<T> {\n  await null;\n  if (rows.length > Color.Red) {\n        throw new TypeError('boom');\n  }\n  return value;\n}\nawait work(1)";
    let ran = worker.run(code);
    let error = ran.error();
    assert_eq!((error.name.as_str(), error.message.as_str(), error.code.as_str()), ("TypeError", "boom", "guest_threw"));
    assert_eq!((error.line, error.column), (Some(7), Some(15)));
    let code = "const a = 1;\nnull.x";
    let ran = worker.run(code);
    assert_eq!((ran.error().line, ran.error().column), (Some(2), Some(6)), "{:?}", ran.error());
    let ran = worker.run("undefinedName");
    assert_eq!((ran.error().name.as_str(), ran.error().line, ran.error().column), ("ReferenceError", Some(1), Some(1)));
}

#[test]
fn positions_cannot_be_forged() {
    let mut worker = worker();
    let code = "Error.prepareStackTrace = () => 'forged'; Error.stackTraceLimit = 1e9;\nconst error = new Error('real');\nerror.stack = 'Error: forged\\n    at agent.ts:99:99';\nthrow error";
    let ran = worker.run(code);
    assert_eq!((ran.error().message.as_str(), ran.error().line), ("real", Some(2)));
    assert!(!ran.error().stack.clone().unwrap_or_default().contains("99"));
    let ran = worker.run("Error.prepareStackTrace = (error, sites) => sites; return new Error('x').stack");
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
        ("throw new Error('outer', { cause: new TypeError('inner') })", "Error", "outer\ncaused by TypeError: inner"),
        (
            "await Promise.any([Promise.reject(new Error('a')), Promise.reject(new Error('b'))])",
            "AggregateError",
            "All promises were rejected\n- Error: a\n- Error: b",
        ),
        ("class Odd extends Error { get name() { throw 1 } get message() { throw 2 } } throw new Odd()", "Error", ""),
        ("throw new Proxy({}, { getOwnPropertyDescriptor() { throw 1 } })", "Error", "threw a value that cannot be described"),
    ] {
        let ran = worker.run(code);
        assert_eq!((ran.error().name.as_str(), ran.error().message.as_str()), (name, message), "{code}");
    }
    let ran = worker.run("throw new Error('x'.repeat(1e6))");
    assert!(ran.error().message.len() <= 8 * 1024 + 16, "{}", ran.error().message.len());
}

#[test]
fn rejections_that_nobody_handles_are_warnings() {
    let mut worker = worker();
    let ran =
        worker.run("Promise.reject(new Error('lost')); const late = Promise.reject(1); await null; late.catch(() => {}); return 1");
    assert_eq!(*ran.value(), json!(1));
    assert_eq!(ran.head.warnings.len(), 1, "{:?}", ran.head.warnings);
    assert!(
        ran.head.warnings[0].starts_with("a rejected promise was not handled: Error: lost at agent.ts:1:"),
        "{:?}",
        ran.head.warnings
    );
    let ran = worker.run("for (let i = 0; i < 1e5; i++) Promise.reject(i); return 1");
    assert!(ran.head.warnings.iter().any(|warning| warning.contains("99992 more rejected promises")), "{:?}", ran.head.warnings);
}

#[test]
fn importing_is_refused_with_the_way_out() {
    let mut worker = worker();
    let ran = worker.run("const name = 'node:fs'; return await import(name)");
    assert_eq!(ran.error().name, "TypeError");
    assert!(ran.error().message.contains("tools.discover("), "{}", ran.error().message);
}

#[test]
fn a_broker_that_is_gone_takes_its_worker_along() {
    let mut worker = worker();
    worker.begin("while (true) {}", 60_000);
    worker.hang_up();
    assert!(worker.ends());
}

#[test]
fn a_shutdown_lets_the_run_end_first() {
    let mut worker = worker();
    worker.begin("return await tools.a()", 5000);
    worker.call();
    worker.expect(Kind::Parked);
    worker.send(Kind::Shutdown, 0, &[]);
    worker.answer(1, &json!("done"));
    let head = worker.finish_or_gasp().expect("it ends");
    assert!(matches!(head.outcome, DoneOutcome::Returned));
    assert!(worker.ends());
}

#[test]
fn a_frame_that_breaks_the_grammar_ends_the_worker() {
    let broken: [fn(&mut Worker); 4] = [
        |worker| worker.send_raw(&[5, 0, 0, 0, 200, 0, 0, 0, 0]),
        |worker| worker.send_raw(&[255, 255, 255, 255, 3, 1, 0, 0, 0]),
        |worker| worker.send(Kind::Go, 77, &[]),
        |worker| worker.send(Kind::Run, 1, &[&[1, 2]]),
    ];
    for break_it in broken {
        let mut worker = worker();
        break_it(&mut worker);
        assert!(worker.ends());
    }
}

#[test]
fn frames_for_a_run_that_is_over_are_late_and_harmless() {
    let mut worker = worker();
    let ran = worker.run("tools.a(); return 1");
    assert_eq!(*ran.value(), json!(1));
    worker.answer(1, &json!("late"));
    worker.stop(StopReason::Cancel);
    assert_eq!(*worker.run("return 2").value(), json!(2));
}

#[test]
fn a_worker_has_given_up_what_it_does_not_need() {
    let worker = worker();
    let status = std::fs::read_to_string(format!("/proc/{}/status", worker.pid())).expect("the process lives");
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", worker.pid())).expect("the process lives");
    let limit = |name: &str| {
        let line = limits.lines().find(|line| line.starts_with(name)).expect("a known limit");
        line[name.len()..].split_whitespace().next().expect("a value").to_owned()
    };
    assert_eq!(limit("Max core file size"), "0");
    assert_eq!(limit("Max file size"), "0");
    assert_eq!(limit("Max open files"), "16");
}

#[test]
fn logs_are_kept_within_their_limits() {
    let mut worker = worker_with(|setup| {
        setup.log_lines_max = 5;
        setup.log_bytes_max = 20_000;
    });
    let ran = worker.run("console.debug('d'); console.warn('w'); console.error('e'); console.log('x'.repeat(9000)); for (let i = 0; i < 10; i++) console.log('line', i); return 1");
    assert_eq!(*ran.value(), json!(1));
    assert_eq!(ran.lines[..3], [(LogLevel::Debug, "d".into()), (LogLevel::Warn, "w".into()), (LogLevel::Error, "e".into())]);
    assert_eq!(ran.lines.len(), 5);
    assert!(ran.lines[3].1.len() <= 8 * 1024);
    assert_eq!(ran.head.dropped_lines, 9);
    assert!(ran.head.dropped_bytes > 9 * 5);
    let ran = worker.run("const line = 'x'.repeat(1000); for (let i = 0; i < 1e5; i++) console.log(line); return 1");
    assert_eq!(*ran.value(), json!(1));
    assert_eq!(ran.head.dropped_lines, 1e5 as u64 - 5);
}
