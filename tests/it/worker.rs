//! The worker process, frame by frame: what a broker may rely on whatever the guest does.

use airlock::sandbox::protocol::{CallFailure, DoneOutcome, Gasp, Kind, StopReason};
use serde_json::{Value, json};

use crate::support::worker::{Worker, limits};

fn worker() -> Worker {
    Worker::start(&limits())
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
fn a_call_goes_out_and_its_answer_comes_back() {
    let mut worker = worker();
    let ran = worker.run("const a = await tools.github.issues.create({ title: 'x' }); return [a, await tools['a.b.c']()]");
    assert_eq!(
        *ran.value(),
        json!([{ "path": "github.issues.create", "args": { "title": "x" } }, { "path": "a.b.c", "args": {} }])
    );
}
