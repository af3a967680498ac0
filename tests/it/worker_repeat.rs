//! A guest that runs again with the same time, chance and responses does the same again.

use airlock::sandbox::{
    CallFailure,
    history::Entry,
    protocol::{DoneOutcome, Kind},
};
use serde_json::{Value, json};

use crate::support::worker::{Issued, Ran, Worker, issued, limits};

/// Everything that differs between two runs, and calls whose order depends on it.
const PROGRAM: &str = "
    const seen = [];
    const see = (what, value) => seen.push([what, value]);
    see('start', [Date.now(), performance.now(), new Date().getTime(), Math.random()]);
    see('ids', [crypto.randomUUID(), [...crypto.getRandomValues(new Uint8Array(9))]]);
    const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
    const tick = async (name) => {
        for (let n = 0; n < 3; n++) {
            await sleep(Math.random() * 15);
            see(name, await tools.t.tick({ name, n, at: Date.now(), luck: Math.random() }));
        }
    };
    let beats = 0;
    const beat = setInterval(() => tools.t.beat({ beats: ++beats, at: performance.now() }), 7);
    await Promise.all(['a', 'b', 'c'].map(tick));
    clearInterval(beat);
    const settled = await Promise.allSettled([tools.t.fail({}), tools.t.late({}), sleep(5)]);
    see('settled', settled.map((one) => one.status));
    see('race', await Promise.race([tools.t.late({ again: 1 }), sleep(20).then(() => 'slept')]));
    const spin = Date.now();
    while (Date.now() - spin < 3);
    see('spun', new Intl.DateTimeFormat('en', { timeStyle: 'medium' }).format().length > 0);
    see('date', [typeof Date(), new Date(7).getTime(), Date.UTC(1970, 0, 1), new Date() instanceof Date]);
    return { seen, calls: (await tools.t.end({ at: Date.now() })).call };";

/// What one run did: its calls, and the order in which it got their responses.
#[derive(Debug, Default, Clone, PartialEq)]
struct Log {
    calls: Vec<(String, Value)>,
    responses: Vec<u32>,
}

/// The response of a call: the same whenever it is made.
fn response(worker: &mut Worker, call: &Issued) {
    if call.path == "t.fail" {
        let properties = json!({ "code": "tool_failed" }).as_object().unwrap().clone();
        let (name, message) = ("ToolCallError".to_owned(), "no".to_owned());
        worker.fail(call.call, &CallFailure { name, message, properties });
    } else {
        worker.answer(call.call, &json!({ "call": call.call }));
    }
}

/// Runs the program for the first time. Some responses are held back until others have come.
fn first(worker: &mut Worker) -> (Ran, Log) {
    worker.begin(PROGRAM, 30_000);
    let (mut log, mut held) = (Log::default(), Vec::new());
    loop {
        let frame = worker.read();
        match frame.kind {
            Kind::Call => {
                let call = issued(&frame);
                log.calls.push((call.path.clone(), call.args.clone()));
                held.push(call);
                if held.len() % 2 == 1 {
                    continue;
                }
            }
            Kind::Wake => worker.send(Kind::Go, frame.run, &[]),
            Kind::Parked => {}
            Kind::Done => return (worker.ended(&frame), log),
            kind => panic!("{kind:?}"),
        }
        // The latest first.
        for call in held.drain(..).rev() {
            log.responses.push(call.call);
            response(worker, &call);
        }
    }
}

/// Runs the program again with what the first run saw, up to so many calls and responses; what comes
/// after is new.
fn again(worker: &mut Worker, seen: &[Entry], earlier: &Log) -> (Ran, Log) {
    let numbers = (earlier.calls.len() as u32, earlier.responses.len() as u32);
    worker.begin_again(PROGRAM, 30_000, seen, numbers);
    let (mut log, mut waiting) = (Log::default(), Vec::new());
    let mut order = earlier.responses.iter().copied().collect::<std::collections::VecDeque<_>>();
    loop {
        let frame = worker.read();
        match frame.kind {
            Kind::Call => {
                let call = issued(&frame);
                log.calls.push((call.path.clone(), call.args.clone()));
                waiting.push(call);
            }
            Kind::Wake => worker.send(Kind::Go, frame.run, &[]),
            Kind::Parked => {}
            Kind::Done => return (worker.ended(&frame), log),
            kind => panic!("{kind:?}"),
        }
        while let Some(next) = order.front().copied().or_else(|| Some(waiting.first()?.call)) {
            let Some(at) = waiting.iter().position(|call| call.call == next) else { break };
            order.pop_front();
            let call = waiting.remove(at);
            log.responses.push(call.call);
            response(worker, &call);
        }
    }
}

#[test]
fn a_whole_run_is_repeated() {
    let mut worker = Worker::start(&limits());
    let (ran, log) = first(&mut worker);
    let value = ran.value().clone();
    let seen = worker.seen.clone();
    assert!(seen.iter().any(|entry| matches!(entry, Entry::Fired { .. })), "{seen:?}");
    assert!(seen.iter().any(|entry| matches!(entry, Entry::Tick { .. })), "{seen:?}");
    for _ in 0..3 {
        let mut other = Worker::start(&limits());
        let (ran, repeated) = again(&mut other, &seen, &log);
        assert_eq!(repeated, log);
        assert_eq!(*ran.value(), value);
        assert_eq!(other.seen, [], "nothing that the broker does not know");
    }
}

#[test]
fn a_run_goes_on_from_any_point_of_an_earlier_one() {
    let mut worker = Worker::start(&limits());
    let (_, log) = first(&mut worker);
    for calls in 0..log.calls.len() {
        // What was on record when that call was issued: the responses that came before it.
        let mut worker = Worker::start(&limits());
        let (seen, earlier) = record_until(&mut worker, calls + 1);
        let mut other = Worker::start(&limits());
        let (ran, repeated) = again(&mut other, &seen, &earlier);
        assert_eq!(repeated.calls[..earlier.calls.len()], earlier.calls, "after {calls}");
        assert_eq!(repeated.responses[..earlier.responses.len()], earlier.responses);
        assert!(matches!(ran.head.outcome, DoneOutcome::Returned), "after {calls}: {ran:?}");
    }
}

/// What is on record of a first run when its call of that number comes.
fn record_until(worker: &mut Worker, number: usize) -> (Vec<Entry>, Log) {
    worker.begin(PROGRAM, 30_000);
    let (mut log, mut held) = (Log::default(), Vec::new());
    loop {
        let frame = worker.read();
        match frame.kind {
            Kind::Call => {
                let call = issued(&frame);
                log.calls.push((call.path.clone(), call.args.clone()));
                if log.calls.len() >= number {
                    return (worker.seen.clone(), log);
                }
                held.push(call);
                if held.len() % 2 == 1 {
                    continue;
                }
            }
            Kind::Wake => worker.send(Kind::Go, frame.run, &[]),
            Kind::Parked => {}
            Kind::Done => return (worker.seen.clone(), log),
            kind => panic!("{kind:?}"),
        }
        for call in held.drain(..).rev() {
            log.responses.push(call.call);
            response(worker, &call);
        }
    }
}

#[test]
fn another_program_is_found_out() {
    let mut worker = Worker::start(&limits());
    let seen = [Entry::Fired { timer: 1, after: 0 }];
    worker.begin_again("return await tools.t.a({})", 30_000, &seen, (0, 0));
    let ran = worker.finish();
    let error = ran.error();
    assert_eq!(error.code, "replay_diverged", "{error:?}");
    assert!(error.message.contains("timer 1 does not run"), "{error:?}");
    let mut worker = Worker::start(&limits());
    worker.begin_again("await new Promise(() => {})", 30_000, &[], (1, 0));
    assert_eq!(worker.finish().error().code, "replay_diverged");
}
