use super::*;

const ANY: &str = "any";

fn fail(circuit: &CircuitBreaker, now: Instant) {
    circuit.enter(ANY, now).unwrap().end(CallOutcome::Failure, now);
}

#[test]
fn it_opens_after_failures_in_a_row_and_an_answer_between_begins_anew() {
    let (circuit, now) = (CircuitBreaker::default(), Instant::now());
    for _ in 0..FAILURES_MAX - 1 {
        fail(&circuit, now);
    }
    circuit.enter(ANY, now).unwrap().end(CallOutcome::Success, now);
    for _ in 0..FAILURES_MAX - 1 {
        fail(&circuit, now);
    }
    assert_eq!(circuit.trouble(now), None);
    fail(&circuit, now);
    assert_eq!(circuit.trouble(now), Some((FAILURES_MAX, OPEN.after(1))));
    assert_eq!(
        circuit.enter("another", now + Duration::from_secs(1)).unwrap_err(),
        Duration::from_secs(4)
    );
}

#[test]
fn one_probe_goes_out_and_decides() {
    let (circuit, mut now) = (CircuitBreaker::default(), Instant::now());
    for _ in 0..FAILURES_MAX {
        fail(&circuit, now);
    }
    now += OPEN.after(1);
    let probe = circuit.enter(ANY, now).unwrap();
    assert_eq!(circuit.enter(ANY, now).unwrap_err(), PROBE_MAX, "a second one waits");
    probe.end(CallOutcome::Failure, now);
    assert_eq!(circuit.enter(ANY, now).unwrap_err(), OPEN.after(1) * 2);
    now += OPEN.after(1) * 2;
    // A probe that was given up tells nothing, so the next one may try.
    drop(circuit.enter(ANY, now).unwrap());
    // One that takes long keeps nobody for ever.
    let slow = circuit.enter(ANY, now).unwrap();
    now += PROBE_MAX;
    circuit.enter(ANY, now).unwrap().end(CallOutcome::Success, now);
    assert_eq!(circuit.trouble(now), None);
    drop(slow);
    assert!(circuit.enter(ANY, now).is_ok() && circuit.enter(ANY, now).is_ok());
}

#[test]
fn it_is_never_open_for_longer_than_a_minute() {
    let (circuit, mut now) = (CircuitBreaker::default(), Instant::now());
    for _ in 0..FAILURES_MAX {
        fail(&circuit, now);
    }
    for _ in 0..40 {
        let wait = circuit.trouble(now).unwrap().1;
        assert!(wait <= OPEN.after(u32::MAX));
        now += wait;
        fail(&circuit, now);
    }
    assert_eq!(circuit.trouble(now).unwrap().1, OPEN.after(u32::MAX));
}

#[test]
fn an_operation_that_is_late_tells_nothing_of_the_others() {
    let (circuit, now) = (CircuitBreaker::default(), Instant::now());
    let second = Duration::from_secs(1);
    for _ in 0..FAILURES_MAX {
        circuit.enter("slow", now).unwrap().end(CallOutcome::Timeout, now + second);
    }
    let later = now + second;
    assert_eq!(circuit.enter("slow", later).unwrap_err(), OPEN.after(1));
    let told = circuit.status_line(later).unwrap();
    assert_eq!(
        told,
        "`slow` was not answered in time 5 times in a row, so no call of it is sent for another 5 s"
    );
    circuit.enter("fast", later).unwrap().end(CallOutcome::Success, later);
    assert_eq!(circuit.status_line(later), None, "and the service answers");
    assert!(circuit.enter("slow", later).is_ok());
}

#[test]
fn lateness_counts_only_where_the_service_answered_nothing_meanwhile() {
    let (circuit, mut now) = (CircuitBreaker::default(), Instant::now());
    let second = Duration::from_secs(1);
    for _ in 0..3 * FAILURES_MAX {
        let slow = circuit.enter("slow", now).unwrap();
        now += second;
        circuit.enter("fast", now).unwrap().end(CallOutcome::Success, now);
        now += second;
        slow.end(CallOutcome::Timeout, now);
    }
    assert!(circuit.enter("slow", now).is_ok());
    assert_eq!(circuit.status_line(now), None);
}

#[test]
fn the_operations_whose_lateness_is_counted_are_bounded() {
    let (circuit, now) = (CircuitBreaker::default(), Instant::now());
    for n in 0..OPERATIONS_MAX + 10 {
        circuit.enter(&n.to_string(), now).unwrap().end(CallOutcome::Timeout, now);
    }
    assert_eq!(circuit.state().late.len(), OPERATIONS_MAX);
    for _ in 0..FAILURES_MAX {
        circuit.enter("0", now).unwrap().end(CallOutcome::Timeout, now);
        if circuit.enter("0", now).is_err() {
            return;
        }
    }
    panic!("those that are counted still are");
}
