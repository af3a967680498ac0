//! Ordinary and hostile programs against the real server: each ends with the right status, in time,
//! and harms nobody else.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{
    runtime,
    server::{TestServer, demo},
};

/// From a limit to the answer.
const ANSWER_AFTER_LIMIT: Duration = Duration::from_millis(500);

/// A program, the settings it runs under, and how it must end.
struct Hostile {
    name: &'static str,
    code: &'static str,
    timeout_ms: u64,
    /// When its limit is reached at the latest, in milliseconds, where that is not `timeout_ms`.
    limit_ms: Option<u64>,
    statuses: &'static [&'static str],
    /// One of these must stand in the message.
    message: &'static [&'static str],
}

impl Hostile {
    /// Deno takes longer to fill its memory, at the lowest priority; where that is the end, it gets
    /// more time.
    fn timeout_ms(&self) -> u64 {
        self.timeout_ms * if runtime::is_deno() && self.timeout_ms == 20_000 { 6 } else { 1 }
    }
}

const HOSTILE: &[Hostile] = &[
    Hostile {
        name: "loop",
        code: "while (true) {}",
        timeout_ms: 600,
        limit_ms: None,
        statuses: &["timed_out"],
        message: &["time limit 600 ms"],
    },
    Hostile {
        name: "microtask loop",
        code: "for (;;) await null",
        timeout_ms: 600,
        limit_ms: None,
        statuses: &["timed_out"],
        message: &["time limit 600 ms"],
    },
    Hostile {
        name: "heap bomb",
        code: "const a = []; for (;;) a.push(new Array(1000).fill(Math.random()))",
        timeout_ms: 20_000,
        limit_ms: None,
        statuses: &["failed"],
        message: &["memory limit 64 MB"],
    },
    Hostile {
        name: "string bomb",
        code: "let s = 'x'; const a = []; for (;;) { s += s + Math.random(); a.push(s.split('')) }",
        timeout_ms: 20_000,
        limit_ms: None,
        statuses: &["failed"],
        message: &["memory limit 64 MB", "Invalid string length"],
    },
    Hostile {
        name: "array buffer bomb",
        code: "const a = []; for (;;) a.push(new Uint8Array(8 << 20).fill(1))",
        timeout_ms: 20_000,
        limit_ms: None,
        statuses: &["failed"],
        message: &["64 MB"],
    },
    Hostile {
        name: "a million pending promises",
        code: "const a = []; for (let i = 0; i < 1e6; i++) a.push(new Promise(() => {})); await \
            Promise.all(a)",
        timeout_ms: 20_000,
        limit_ms: None,
        statuses: &["failed"],
        message: &["never settle", "memory limit 64 MB"],
    },
    Hostile {
        name: "deep recursion",
        code: "const f = (n) => f(n + 1) + 1; return f(0)",
        timeout_ms: 20_000,
        limit_ms: Some(500),
        statuses: &["failed"],
        message: &["Maximum call stack size exceeded"],
    },
    Hostile {
        name: "catastrophic regexp",
        code: "return /^(a+)+$/.test('a'.repeat(40) + 'b')",
        timeout_ms: 600,
        limit_ms: None,
        statuses: &["timed_out"],
        message: &["time limit 600 ms"],
    },
    Hostile {
        name: "64 MB JSON.parse",
        code: "return JSON.parse('[' + '1,'.repeat(32 << 20) + '1]').length",
        timeout_ms: 20_000,
        limit_ms: None,
        statuses: &["failed"],
        message: &["memory limit 64 MB"],
    },
    Hostile {
        name: "100 MB of console output",
        code: "const line = 'x'.repeat(1 << 20); for (let i = 0; i < 100; i++) console.log(line); \
            return 'done'",
        timeout_ms: 20_000,
        limit_ms: None,
        statuses: &["completed"],
        message: &[],
    },
    Hostile {
        name: "a result of 1 GB",
        code: "const s = 'x'.repeat(1 << 20); return Array.from({ length: 1024 }, () => s)",
        timeout_ms: 20_000,
        limit_ms: None,
        statuses: &["failed"],
        message: &["result limit 64 M", "memory limit 64 MB"],
    },
    Hostile {
        name: "a promise that never settles",
        code: "await new Promise(() => {})",
        timeout_ms: 20_000,
        limit_ms: Some(300),
        statuses: &["failed"],
        message: &["never settle"],
    },
];

/// Runs `return 1 + 1` in a row until told to stop; the times and how many did not complete.
async fn neighbour(server: &TestServer, rounds: impl Fn(usize) -> bool) -> (Vec<Duration>, usize) {
    let (mut times, mut broken) = (Vec::new(), 0);
    while rounds(times.len()) {
        let began = Instant::now();
        let answer = server.run("return 1 + 1").await;
        times.push(began.elapsed());
        broken += usize::from(answer["result"] != 2);
    }
    (times, broken)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_program_ends_at_its_limit_and_harms_no_neighbour() {
    let server = TestServer::with(&demo(&[])).await;
    neighbour(&server, |done| done < 20).await;
    let (idle, broken) = neighbour(&server, |done| done < 60).await;
    assert_eq!(broken, 0);
    let mut idle = median(idle);
    for case in HOSTILE {
        let over = std::cell::Cell::new(false);
        let hostile = async {
            let began = Instant::now();
            let answer =
                server.execute(json!({ "code": case.code, "timeoutMs": case.timeout_ms() })).await;
            over.set(true);
            (answer, began.elapsed())
        };
        let ((answer, took), (times, broken)) =
            tokio::join!(hostile, neighbour(&server, |done| !over.get() || done < 40));
        let Hostile { name, statuses, message, .. } = case;
        let status = answer["status"].as_str().unwrap_or_default();
        assert!(statuses.contains(&status), "{name}: {answer}");
        let said = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(
            message.is_empty() || message.iter().any(|part| said.contains(part)),
            "{name}: {answer}"
        );
        let deadline =
            Duration::from_millis(case.limit_ms.unwrap_or(case.timeout_ms())) + ANSWER_AFTER_LIMIT;
        assert!(took < deadline, "{name} took {took:?}");
        assert_eq!(broken, 0, "{name} broke a neighbour's task");
        let busy = median(times);
        eprintln!("{name}: {status} after {took:?}; neighbour's median {busy:?}, idle {idle:?}");
        if busy >= idle * 3 {
            // Others may keep the machine busy by now.
            idle = idle.max(median(neighbour(&server, |done| done < 60).await.0));
        }
        assert!(busy < idle * 3, "{name}: the neighbour's median rose from {idle:?} to {busy:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn console_output_is_kept_within_its_bound_and_the_rest_is_counted() {
    let server = TestServer::with("").await;
    let answer =
        server.run("for (let i = 0; i < 1500; i++) console.log('line ' + i); return 1").await;
    let lines = answer["logs"]["lines"].as_array().unwrap();
    assert_eq!(lines.len(), 1000);
    assert_eq!(lines[0], json!({ "level": "info", "text": "line 0" }));
    assert_eq!(answer["logs"]["droppedLines"], 500);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_is_told_with_the_callers_own_line_and_column() {
    let server = TestServer::with("").await;
    let code = r#"type Row<T> = { id: number; value: T };
const limits = { rows: 3 } satisfies Record<string, number>;
enum Color { Red, Green }
const rows: Row<Color>[] = [{ id: 1, value: Color.Green }];
const first = await Promise.resolve(rows[0]);
function check<T>(row: Row<T> | undefined): void {
  throw new TypeError("row " + row!.id + " of " + limits.rows);
}
check(first);"#;
    let answer = server.run(code).await;
    let error = &answer["error"];
    assert_eq!(answer["status"], "failed");
    assert_eq!((&error["name"], &error["message"]), (&json!("TypeError"), &json!("row 1 of 3")));
    assert_eq!((&error["line"], &error["column"]), (&json!(7), &json!(9)), "{error}");
    assert!(error["frame"].as_str().unwrap().contains("throw new TypeError"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_tasks_that_wait_for_a_tool_run_side_by_side() {
    let server = TestServer::with(&demo(&[])).await;
    warm(&server).await;
    let one = || server.run("return await tools.demo.wait({ ms: 100 })");
    let began = Instant::now();
    for _ in 0..10 {
        assert_eq!(one().await["status"], "completed");
    }
    let one_after_the_other = began.elapsed() * 20;
    let began = Instant::now();
    let answers = futures::future::join_all((0..200).map(|_| one())).await;
    let took = began.elapsed();
    for answer in &answers {
        assert_eq!(answer["status"], "completed", "{answer}");
    }
    // How fast the machine is stands on both sides.
    let times = if runtime::is_deno() { 2 } else { 5 };
    assert!(
        took * times < one_after_the_other,
        "200 tasks took {took:?}, one after the other {one_after_the_other:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_calls_of_one_task_are_under_way_at_once() {
    let server = TestServer::with(&demo(&[])).await;
    warm(&server).await;
    let code = "const began = Date.now(); await Promise.all(Array.from({ length: 50 }, () => \
        tools.demo.wait({ ms: 100 }))); return Date.now() - began";
    let answer = server.run(code).await;
    let took = answer["result"].as_u64().unwrap_or_else(|| panic!("{answer}"));
    // One after the other they take 5 s.
    let bound = if runtime::is_deno() { 2_500 } else { 300 };
    assert!((100..bound).contains(&took), "fifty calls took {took} ms");
    assert_eq!(answer["usage"]["toolCalls"], 50);
}

/// Waits until the demo upstream answers.
async fn warm(server: &TestServer) {
    crate::support::server::eventually("the demo upstream answers", async || {
        let answer: Value = server.run("return await tools.demo.wait({ ms: 0 })").await;
        (answer["status"] == "completed").then_some(())
    })
    .await;
}
