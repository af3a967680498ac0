use serde_json::{json, value::RawValue};

use super::*;
use crate::model::JsonObject;

fn call(seq: u32, path: &str, args: &str) -> ToolCall {
    let args = RawValue::from_string(args.to_owned()).unwrap();
    ToolCall { seq, line: None, path: path.to_owned(), args }
}

fn row(n: u32, entries: &[Entry]) -> JournalRow {
    JournalRow { n, entries: serde_json::to_string(entries).unwrap() }
}

fn value(text: &str) -> Answer {
    Ok(RawValue::from_string(text.to_owned()).unwrap())
}

fn failure() -> Answer {
    let properties = JsonObject::from_iter([("code".to_owned(), json!("tool_failed"))]);
    Err(CallFailure { name: "ToolCallError".to_owned(), message: "no".to_owned(), properties })
}

const SEED: Seed = Seed([3; 32]);

fn began() -> Entry {
    Entry::Began { seed: SEED, origin_ms: 1_000 }
}

#[test]
fn a_journal_comes_back_as_it_was_written() {
    let ticks =
        [history::Entry::Tick { readings: 2, ms: 7 }, history::Entry::Fired { timer: 1, after: 1 }];
    let (first, second, third) =
        (call(1, "a.b", "{}"), call(2, "a.c", "{\"n\":1}"), call(3, "a.d", "{}"));
    let big = "{\"id\": 9007199254740993,\n \"x\": 1.0}";
    let rows = [
        row(0, &[began(), Entry::issued(&first, 4), Entry::Sent { seq: 1 }]),
        row(1, &[Entry::issued(&second, 9), Entry::Sent { seq: 2 }, Entry::issued(&third, 9)]),
        row(2, &[Entry::Settled { seq: 2, answer: failure() }]),
        row(3, &[Entry::Observed(hex::encode(history::encode(&ticks)))]),
        row(4, &[Entry::Settled { seq: 1, answer: value(big) }]),
    ];
    let mut replay = Replay::read(&rows).unwrap().unwrap();
    assert_eq!((replay.seed, replay.rows, replay.used_ms), (SEED, 5, 9));
    assert_eq!(replay.bytes, rows.iter().map(|row| row.entries.len()).sum::<usize>());
    let inputs = replay.inputs(5_000);
    assert_eq!((inputs.origin_ms, inputs.elapsed_ms), (1_000, 4_000));
    assert_eq!((inputs.calls, inputs.responses, &inputs.history[..]), (3, 2, &ticks[..]));

    let Earlier::Answered { answer: Ok(answer), was_sent: true } = replay.earlier(&first) else {
        panic!("it has one")
    };
    assert_eq!(answer.get(), big, "to the byte");
    let Earlier::Answered { answer: Err(error), .. } = replay.earlier(&second) else {
        panic!("it has one")
    };
    assert_eq!(error, failure().unwrap_err());
    assert!(matches!(replay.earlier(&third), Earlier::NotSent));
    assert!(matches!(replay.earlier(&call(4, "a.b", "{}")), Earlier::None));
    assert!(!replay.is_next(1) && replay.is_next(2) && !replay.is_over());
    assert!(replay.is_next(1) && replay.is_over());
    assert!(Replay::read(&[]).unwrap().is_none());
}

#[test]
fn a_call_that_was_sent_and_not_answered_is_known_and_another_call_is_named() {
    let sent = call(1, "shop.pay", "{\"amount\":5}");
    let rows = [row(0, &[began(), Entry::issued(&sent, 0), Entry::Sent { seq: 1 }])];
    let mut replay = Replay::read(&rows).unwrap().unwrap();
    assert!(matches!(replay.earlier(&sent), Earlier::Sent));
    for other in [call(1, "shop.pay", "{\"amount\":6}"), call(1, "shop.pays", "{\"amount\":5}")] {
        let Earlier::Other { before, now } = replay.earlier(&other) else { panic!("it differs") };
        assert_eq!(before, "tools.shop.pay({\"amount\":5})");
        assert_eq!(now, format!("tools.{}({})", other.path, other.args.get()));
    }
}

#[test]
fn a_program_that_may_be_what_kills_the_server_does_not_go_on_for_ever() {
    let deaths = |count: u32| vec![Entry::Resumed; count as usize];
    let read = |entries: &[Vec<Entry>]| Replay::read(&[row(0, &entries.concat())]);
    assert!(read(&[vec![began()], deaths(DEATHS_MAX - 1)]).is_ok());
    let error = read(&[vec![began()], deaths(DEATHS_MAX)]).unwrap_err();
    assert_eq!(error.to_string(), "20 servers in a row died while it ran");
    let issued = vec![Entry::issued(&call(1, "a.b", "{}"), 0)];
    assert!(read(&[vec![began()], deaths(15), issued, deaths(15)]).is_ok(), "it did something");
    assert!(read(&[vec![began()], deaths(15), vec![Entry::Stopped], deaths(15)]).is_ok());
}

#[test]
fn a_journal_with_a_gap_or_a_contradiction_is_not_used() {
    let issued = || Entry::issued(&call(1, "a.b", "{}"), 0);
    let settled = || Entry::Settled { seq: 1, answer: value("1") };
    for rows in [
        vec![row(0, &[issued()])],
        vec![row(1, &[began()])],
        vec![row(0, &[began()]), row(2, &[issued()])],
        vec![row(0, &[began(), settled()])],
        vec![row(0, &[began(), issued(), issued()])],
        vec![row(0, &[began(), issued(), settled(), settled()])],
        vec![row(0, &[began(), Entry::Observed("xy".to_owned())])],
        vec![row(0, &[began(), Entry::GivenUp("it is large".to_owned())])],
        vec![JournalRow { n: 0, entries: "[{\"began\":".to_owned() }],
    ] {
        assert!(Replay::read(&rows).is_err(), "{rows:?}");
    }
}
