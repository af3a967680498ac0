//! Every limit of a guest: it holds, and its end names it.

use std::time::{Duration, Instant};

use airlock::{
    model::LogLevel,
    sandbox::protocol::{DoneOutcome, FatalReason, Kind, Setup, StopReason},
};
use serde_json::{Value, json};

use crate::support::{
    runtime,
    worker::{Worker, limits},
};

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

#[test]
fn no_more_calls_are_in_flight_than_may_be() {
    let mut worker = worker_with(|setup| setup.calls_queued_max = 100);
    worker.begin(
        "return (await Promise.allSettled(Array.from({ length: 400 }, () => tools.n()))).map((r) \
        => r.reason?.message ?? null)",
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
        reasons[399]
            .as_str()
            .is_some_and(|reason| reason.contains("calls_queued_max") && reason.contains("356")),
        "{}",
        reasons[399]
    );
}

#[test]
fn code_that_takes_too_long_to_parse_is_given_up() {
    for (piece, times) in [("a?(b):c=>", 40), ("<T>(", 60)] {
        let mut worker = worker();
        worker.begin(&piece.repeat(times), 60_000);
        let ran = worker.finish();
        let error = ran.error();
        assert_eq!(
            (error.code.as_str(), error.message.as_str()),
            ("code_limit", "the code takes over 2000 ms of CPU time to parse")
        );
        assert!(ran.head.spent, "the process is not used again");
    }
}

#[test]
fn a_message_and_a_stack_are_cut_to_their_bounds() {
    let ran = worker().run("throw new Error('x'.repeat(20_000))");
    assert_eq!(
        ran.error().message.trim_end_matches('…').len(),
        8 * 1024 - '…'.len_utf8(),
        "{}",
        ran.error().message.len()
    );
    let ran = worker().run(
        "function dive(n: number): never { if (n === 0) throw new Error('deep'); \
            return dive(n - 1) }\ndive(50)",
    );
    let stack = ran.error().stack.clone().expect("a stack");
    assert_eq!(
        stack.lines().filter(|line| line.trim_start().starts_with("at ")).count(),
        10,
        "{stack}"
    );
}

#[test]
fn more_timers_than_may_be_are_refused() {
    let mut worker = worker_with(|setup| setup.timers_max = 10);
    let ran = worker.run(
        "for (let i = 0; i < 10; i++) setTimeout(() => {}, 1e6); try { \
        setTimeout(() => {}, 1) } catch (error) { return [error.name, error.message] }",
    );
    assert_eq!(*ran.value(), json!(["RangeError", "10 timers are active, which is the limit"]));
    let ran = worker.run(
        "for (let i = 0; i < 1e5; i++) clearTimeout(setTimeout(() => {}, 1e6)); return 'bounded'",
    );
    assert_eq!(*ran.value(), json!("bounded"));
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
    let ran = worker.run_with(
        "for (let i = 0; i < 20; i++) await new Promise((go) => setTimeout(go, \
            10)); return 'rested'",
        100,
        |_| Ok(Value::Null),
    );
    assert_eq!(*ran.value(), json!("rested"));
    assert!(ran.took >= Duration::from_millis(200));
}

#[test]
fn regular_expressions_and_recursion_end_too() {
    let mut worker = worker();
    let ran = worker.run("const f = () => f() + 1; f()");
    assert_eq!(
        (ran.error().name.as_str(), ran.error().message.as_str()),
        ("RangeError", "Maximum call stack size exceeded")
    );
    let ran = worker.run_with("/^(a+)+$/.test('a'.repeat(40) + 'b')", 200, |_| Ok(Value::Null));
    assert!(matches!(ran.head.outcome, DoneOutcome::CpuLimit), "{:?}", ran.head);
}

#[test]
fn a_worker_does_not_grow_with_its_runs() {
    let mut worker = worker();
    let resident = |worker: &Worker| {
        let status = std::fs::read_to_string(format!("/proc/{}/status", worker.pid()))
            .expect("the process lives");
        let field = |name: &str| {
            status
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .expect("a field")
                .trim()
                .to_owned()
        };
        (
            field("VmRSS:").trim_end_matches(" kB").parse::<u64>().expect("a number"),
            field("Threads:").parse::<u64>().expect("a number"),
        )
    };
    let code = "const all = Array.from({ length: 1000 }, (_, n) => ({ n })); await tools.a({ n: 1 \
        }); return all.length";
    for _ in 0..50 {
        worker.run(code);
    }
    let (before, _) = resident(&worker);
    for _ in 0..200 {
        worker.run(code);
    }
    let (after, threads) = resident(&worker);
    assert!(after < before + 8 * 1024, "{before} kB before, {after} kB after");
    // The reader, the guest that is ready, and at most one whose isolate is being taken apart and
    // one that parses.
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
        "const all = []; for (;;) { all.push(new Promise(() => {})); if (all.length % 1000 === 0) \
        await null }",
        "const map = new Map(); for (let i = 0; ; i++) map.set(i, i)",
        "return JSON.parse('[' + '1.5,'.repeat(16e6) + '1]').length",
    ] {
        let mut worker = worker();
        worker.begin(code, 60_000);
        match worker.finish_or_death() {
            Ok(ran) => {
                let DoneOutcome::MemoryLimit { message } = &ran.head.outcome else {
                    panic!("{code}: {ran:?}")
                };
                assert!(message.contains("memory limit 64 MB exceeded"), "{message}");
                assert!(ran.head.spent);
            }
            Err(reason) => assert_eq!(reason, FatalReason::OutOfMemory, "{code}"),
        }
    }
}

#[test]
fn array_buffers_have_a_limit_of_their_own() {
    let mut worker = worker();
    let ran = worker.run("const all = []; for (;;) all.push(new Uint8Array(1e6))");
    match &ran.head.outcome {
        DoneOutcome::MemoryLimit { message } if !runtime::is_deno() => {
            assert_eq!(message, "memory limit 64 MB for array buffers exceeded");
        }
        // Under Deno heap and array buffers have one limit together, on what is really held
        // (docs/runtimes.md); and a process of which nearly all is still claimed is not used again.
        DoneOutcome::MemoryLimit { message } => {
            assert!(message.contains("memory limit 64 MB"), "{message}")
        }
        DoneOutcome::Threw { error, .. } if runtime::is_deno() => {
            assert!(error.message.contains("allocation failed"), "{error:?}");
        }
        other => panic!("{other:?}"),
    }
    if ran.head.spent {
        worker = self::worker();
    }
    let ran = worker
        .run("try { new ArrayBuffer(1e9) } catch (error) { return [error.name, error.message] }");
    assert_eq!(*ran.value(), json!(["RangeError", "Array buffer allocation failed"]));
    let ran = worker.run("return new Uint8Array(50e6).length");
    assert_eq!(*ran.value(), json!(50_000_000));
    assert!(ran.head.heap_peak_bytes > 50_000_000);
    assert!(!ran.head.spent);
}

#[test]
fn a_result_over_its_limit_is_told_with_the_limit() {
    let mut worker = worker();
    for code in [
        "return Array(1e7).fill('x'.repeat(100))",
        "return 'x'.repeat(2 ** 28)",
        "const a = []; for (let i = 0, x = a; i < 1000; i++) { const y = []; x.push(y); x = y } \
        return a",
        "return new Array(2 ** 32 - 1)",
    ] {
        let ran = worker.run(code);
        if let DoneOutcome::MemoryLimit { message } = &ran.head.outcome {
            assert!(message.contains("memory limit 64 MB"), "{message}");
        } else {
            let error = ran.error();
            assert!(
                error.message.contains("result limit 64 MiB exceeded")
                    || error.message.contains("512 levels"),
                "{code}: {error:?}"
            );
        }
        if ran.head.spent {
            worker = self::worker();
        }
    }
    let mut worker = worker_with(|setup| setup.result_bytes_max = 100);
    let ran = worker.run("return '\\u20ac'.repeat(40)");
    assert_eq!(
        (ran.error().name.as_str(), ran.error().code.as_str()),
        ("LimitError", "result_limit")
    );
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
fn logs_are_kept_within_their_limits() {
    let mut worker = worker_with(|setup| {
        setup.log_lines_max = 5;
        setup.log_bytes_max = 20_000;
    });
    let ran = worker.run(
        "console.debug('d'); console.warn('w'); console.error('e'); \
        console.log('x'.repeat(9000)); for (let i = 0; i < 10; i++) console.log('line', i); \
        return 1",
    );
    assert_eq!(*ran.value(), json!(1));
    assert_eq!(
        ran.lines[..3],
        [
            (LogLevel::Debug, "d".into()),
            (LogLevel::Warn, "w".into()),
            (LogLevel::Error, "e".into())
        ]
    );
    assert_eq!(ran.lines.len(), 5);
    assert!(ran.lines[3].1.len() <= 8 * 1024);
    assert_eq!(ran.head.dropped_lines, 9);
    assert!(ran.head.dropped_bytes > 9 * 5);
    let ran = worker.run(
        "const line = 'x'.repeat(1000); for (let i = 0; i < 1e5; i++) console.log(line); return 1",
    );
    assert_eq!(*ran.value(), json!(1));
    assert_eq!(ran.head.dropped_lines, 1e5 as u64 - 5);
}
