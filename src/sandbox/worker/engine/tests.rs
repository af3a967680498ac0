//! The parts of the engine that need no V8.

use std::time::Duration;

use super::{calls::Calls, memory};
use crate::sandbox::{
    protocol::CALLS_IN_FLIGHT_MAX,
    worker::{log::LogMeter, timers::Timers},
};

fn issue(calls: &mut Calls<()>) -> Option<u32> {
    calls.issue("a.b".into(), "{}".into(), ()).expect("there is room").map(|call| call.call)
}

#[test]
fn calls_are_sent_in_the_order_in_which_they_were_issued() {
    let mut calls = Calls::new(10);
    let max = CALLS_IN_FLIGHT_MAX as u32;
    for number in 1..=max {
        assert_eq!(issue(&mut calls), Some(number));
    }
    assert_eq!((issue(&mut calls), issue(&mut calls)), (None, None));
    assert!(calls.next().is_none());
    assert!(calls.complete(5).is_some());
    assert_eq!(calls.next().map(|call| call.call), Some(max + 1));
    assert!(calls.next().is_none());
    assert_eq!(calls.outstanding(), CALLS_IN_FLIGHT_MAX + 1);
}

#[test]
fn a_response_to_a_call_that_was_not_sent_is_ignored() {
    let mut calls = Calls::new(10);
    for _ in 0..=CALLS_IN_FLIGHT_MAX {
        issue(&mut calls);
    }
    assert!(calls.complete(CALLS_IN_FLIGHT_MAX as u32 + 1).is_none());
    assert!(calls.complete(0).is_none());
    assert!(calls.complete(7).is_some());
    assert!(calls.complete(7).is_none());
}

#[test]
fn waiting_calls_are_bounded_by_number_and_by_bytes() {
    let mut calls = Calls::new(2);
    for _ in 0..CALLS_IN_FLIGHT_MAX + 2 {
        issue(&mut calls);
    }
    let error = calls.issue("a".into(), "{}".into(), ()).err().expect("it is full");
    assert!(error.to_string().contains("calls_queued_max"), "{error}");
    let mut calls = Calls::new(1000);
    for _ in 0..CALLS_IN_FLIGHT_MAX {
        issue(&mut calls);
    }
    let big = "x".repeat(40 << 20);
    assert!(calls.issue("a".into(), big.clone(), ()).is_ok());
    assert!(calls.issue("a".into(), big, ()).is_err());
}

#[test]
fn timers_are_due_by_moment_and_then_by_order() {
    let now = Duration::from_secs(7);
    let ms = Duration::from_millis;
    let mut timers = Timers::new(10);
    let late = timers.start(now, ms(20), false).expect("there is room");
    let first = timers.start(now, ms(5), false).expect("there is room");
    let second = timers.start(now, ms(5), false).expect("there is room");
    assert_eq!(timers.next_due(), Some(now + ms(5)));
    assert_eq!(timers.take_due(now), None);
    timers.clear(late);
    assert_eq!(timers.take_due(now + ms(30)), Some(first));
    assert_eq!(timers.take_due(now + ms(30)), Some(second));
    assert_eq!(timers.take_due(now + ms(30)), None);
    assert_eq!(timers.next_due(), None);
}

#[test]
fn an_interval_starts_again_and_never_fires_twice_in_one_moment() {
    let now = Duration::from_secs(7);
    let mut timers = Timers::new(1);
    let id = timers.start(now, Duration::ZERO, true).expect("there is room");
    assert!(timers.start(now, Duration::ZERO, false).is_none());
    assert_eq!(timers.take_due(now + Duration::from_millis(1)), Some(id));
    assert_eq!(timers.take_due(now + Duration::from_millis(1)), None);
    assert_eq!(timers.take_due(now + Duration::from_millis(2)), Some(id));
    timers.clear(id);
    assert_eq!(timers.next_due(), None);
}

#[test]
fn a_log_ends_and_has_no_holes() {
    let mut log = LogMeter::new(10, 100);
    assert_eq!(log.admit("12345".into()).as_deref(), Some("12345"));
    assert_eq!(log.admit("1234567".into()), None);
    assert_eq!(log.admit("1".into()), None);
    assert_eq!((log.dropped_lines, log.dropped_bytes), (2, 8));
    let mut log = LogMeter::new(u64::MAX, 1);
    let line = log.admit("é".repeat(5000)).expect("it is cut, not dropped");
    assert!(line.len() <= 8 * 1024 && line.ends_with('…'), "{}", line.len());
    assert_eq!(log.admit("x".into()), None);
}

#[test]
fn the_heap_gets_its_headroom_once() {
    assert_eq!(memory::limit_after_hit(1, 64 << 20), 96 << 20);
    assert_eq!(memory::limit_after_hit(1, 256 << 20), 320 << 20);
    assert_eq!(memory::limit_after_hit(2, 96 << 20), 96 << 20);
}
