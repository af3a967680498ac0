//! The worker process, frame by frame: what a broker may rely on whatever the guest does.

use airlock::sandbox::{
    Lock, LockTier, V8Options,
    protocol::{Kind, Setup, StopReason},
};
use serde_json::{Value, json};

use crate::support::{
    runtime,
    worker::{Issued, Worker, engine, limits},
};

fn worker() -> Worker {
    Worker::start(&limits())
}

fn worker_with(change: impl FnOnce(&mut Setup)) -> Worker {
    let mut setup = limits();
    change(&mut setup);
    Worker::start(&setup)
}

#[test]
fn a_program_returns_its_value() {
    let mut worker = worker();
    assert!(
        worker.armed.engine.starts_with(if runtime::is_deno() { "Deno " } else { "V8 " }),
        "{}",
        worker.armed.engine
    );
    let ran = worker.run("return 1 + 1");
    assert_eq!(*ran.value(), json!(2));
    assert!(!ran.head.spent);
    assert!(ran.head.heap_peak_bytes > 0);
}

#[test]
fn a_worker_reports_the_locks_that_the_kernel_holds_on_its_guests() {
    let worker = worker();
    let pid = worker.armed.engine_pid.unwrap_or(worker.pid());
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("{name} {status}")).trim().to_owned()
    };
    assert_eq!(field("NoNewPrivs:"), "1");
    assert_eq!(u64::from_str_radix(&field("CapEff:"), 16), Ok(0));
    assert_eq!(field("Seccomp:"), if runtime::is_deno() { "2" } else { "0" });
    let expected = if runtime::is_deno() { LockTier::Jailed } else { LockTier::Restricted };
    let locks = &worker.armed.locks;
    assert_eq!(locks.tier(), expected, "{locks}");
    assert_eq!(locks.contains(Lock::NotDumpable), !runtime::is_deno(), "{locks}");
}

#[test]
fn every_run_has_globals_of_its_own() {
    let mut worker = worker();
    for _ in 0..3 {
        let ran = worker.run(
            "const seen = globalThis.mark; globalThis.mark = 1; Array.prototype.mark = 2; return \
            [seen ?? null, 'mark' in []]",
        );
        assert_eq!(*ran.value(), json!([null, true]));
    }
}

#[test]
fn a_call_goes_out_and_its_answer_comes_back() {
    let mut worker = worker();
    let ran = worker.run(
        "const a = await tools.github.issues.create({ title: 'x' }); return [a, \
        await tools['a.b.c']()]",
    );
    assert_eq!(
        *ran.value(),
        json!([
            { "path": "github.issues.create", "args": { "title": "x" } },
            { "path": "a.b.c", "args": {} }
        ])
    );
}

#[test]
fn finding_tools_takes_a_plain_string() {
    let mut worker = worker();
    let ran = worker.run(
        "return [await tools.discover('mail'), await tools.describe('a.b'), await \
            tools.catalog.namespaces({ limit: 3 })]",
    );
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
        "return (await Promise.all(Array.from({ length: 50 }, (_, n) => tools.n({ n })))).map((a) \
        => a.n)",
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
        "const order = []; await Promise.all([1, 2, 3].map((n) => tools.n({ n }).then((a) => \
        order.push([n, a])))); return order",
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
fn tools_is_harmless_to_look_at() {
    let mut worker = worker();
    let code = "const out = {}; out.awaited = typeof (await tools); out.node = typeof (await \
        tools.a.b); out.text = `${tools.a.b}`; out.json = JSON.stringify({ tools });
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
        assert!(
            out[listed].as_str().is_some_and(|told| told.contains("tools.discover(")),
            "{listed}: {}",
            out[listed]
        );
    }
    assert_eq!(out["set"], "tools cannot be changed");
    assert!(
        out["global"].as_str().is_some_and(|told| told.contains("read only")),
        "{}",
        out["global"]
    );
    assert!(
        out["remove"].as_str().is_some_and(|told| told.contains("Cannot delete")),
        "{}",
        out["remove"]
    );
    assert!(
        out["called"].as_str().is_some_and(|told| told.starts_with("tools is not a tool")),
        "{}",
        out["called"]
    );
    assert!(
        out["made"].as_str().is_some_and(|told| told.contains("not a constructor")),
        "{}",
        out["made"]
    );
}

#[test]
fn a_guest_that_waits_is_parked_and_an_answer_lets_it_go_on() {
    let mut worker = worker();
    let run =
        worker.begin("const a = await tools.a(); const b = await tools.b(); return [a, b]", 5000);
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
    let run = worker.begin(
        "await new Promise((go) => setTimeout(go, 400)); tools.after(); return await tools.b()",
        5000,
    );
    worker.expect(Kind::Parked);
    worker.expect(Kind::Wake);
    worker.send(Kind::Go, run, &[]);
    assert_eq!(worker.call().path, "after");
    assert_eq!(worker.call().path, "b");
    worker.expect(Kind::Parked);
    worker.answer(2, &json!("b"));
    let ran = worker.finish();
    assert_eq!(*ran.value(), json!("b"));
    assert_eq!(
        ran.head.warnings,
        ["1 tool call was still running when the program ended; it was abandoned: `await` it"]
    );
}

#[test]
fn an_answer_also_is_permission_for_a_timer_that_is_due() {
    let mut worker = worker();
    worker.begin(
        "const order = []; setTimeout(() => order.push('timer'), 400); order.push(await \
        tools.a()); await new Promise((go) => setTimeout(go, 20)); return order",
        5000,
    );
    worker.call();
    worker.expect(Kind::Parked);
    worker.expect(Kind::Wake);
    worker.answer(1, &json!("answer"));
    assert_eq!(*worker.finish().value(), json!(["answer", "timer"]));
}

#[test]
fn timers_fire_in_order_and_can_be_cleared() {
    let mut worker = worker();
    let code = "const order = []; setTimeout((a, b) => order.push(a + b), 20, 'a', 'b'); \
        setTimeout(() => order.push('first'), 1); clearTimeout(setTimeout(() => \
        order.push('never'), 2));
        let n = 0; await new Promise((done) => { const id = setInterval(() => { order.push(n); if (++n === 3) { clearInterval(id); setTimeout(done, 40) } }, 1) }); return order";
    let ran = worker.run(code);
    let order = ran.value().as_array().expect("an array").clone();
    assert_eq!(order.len(), 5, "{order:?}");
    assert!(
        order.contains(&json!("first"))
            && order.contains(&json!("ab"))
            && order.contains(&json!(2)),
        "{order:?}"
    );
}

#[test]
fn a_worker_without_optimising_compilers_runs_the_same_snapshot() {
    let mut worker = worker_with(|setup| {
        setup.engine_options = V8Options { optimize: false }.to_json();
    });
    let ran = worker.run(
        "let sum = 0; for (let i = 0; i < 1e6; i++) sum += i; return [sum, await \
        tools.a({ x: 1 })]",
    );
    assert_eq!(*ran.value(), json!([499_999_500_000_u64, { "path": "a", "args": { "x": 1 } }]));
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
    assert_eq!(*worker.finish().value(), json!("done"));
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
    let status = std::fs::read_to_string(format!("/proc/{}/status", worker.pid()))
        .expect("the process lives");
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", worker.pid()))
        .expect("the process lives");
    let limit = |name: &str| {
        let line = limits.lines().find(|line| line.starts_with(name)).expect("a known limit");
        line[name.len()..].split_whitespace().next().expect("a value").to_owned()
    };
    assert_eq!(limit("Max core file size"), "0");
    assert_eq!(limit("Max file size"), "0");
    assert_eq!(limit("Max open files"), "16");
}

#[test]
fn a_worker_refuses_a_snapshot_that_could_change() {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_airlock"));
    command.arg("__worker").env_clear();
    if let Some(deno) = engine() {
        command.arg("deno").arg(&deno.path).arg(&deno.identity);
    }
    let started = command.output().expect("the binary runs");
    assert!(!started.status.success());
    assert!(
        String::from_utf8_lossy(&started.stderr)
            .contains("descriptor 1 is not a sealed memory file"),
        "{started:?}"
    );
}

#[test]
fn a_worker_refuses_a_broker_of_another_version() {
    let mut setup = limits();
    setup.version = 99;
    let said = Worker::refusal(&setup);
    let own = airlock::sandbox::protocol::VERSION;
    assert!(
        said.contains(&format!("speaks version 99 of the frames, this worker {own}")),
        "{said}"
    );
}
