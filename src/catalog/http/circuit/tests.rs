use super::*;

fn fail(circuit: &Circuit, now: Instant) {
    circuit.enter(now).unwrap().end(false, now);
}

#[test]
fn it_opens_after_failures_in_a_row_and_an_answer_between_begins_anew() {
    let (circuit, now) = (Circuit::default(), Instant::now());
    for _ in 0..FAILURES_MAX - 1 {
        fail(&circuit, now);
    }
    circuit.enter(now).unwrap().end(true, now);
    for _ in 0..FAILURES_MAX - 1 {
        fail(&circuit, now);
    }
    assert_eq!(circuit.trouble(now), None);
    fail(&circuit, now);
    assert_eq!(circuit.trouble(now), Some((FAILURES_MAX, OPEN.0)));
    assert_eq!(circuit.enter(now + Duration::from_secs(1)).unwrap_err(), Duration::from_secs(4));
}

#[test]
fn one_probe_goes_out_and_decides() {
    let (circuit, mut now) = (Circuit::default(), Instant::now());
    for _ in 0..FAILURES_MAX {
        fail(&circuit, now);
    }
    now += OPEN.0;
    let probe = circuit.enter(now).unwrap();
    assert!(circuit.enter(now).is_err(), "a second one waits");
    probe.end(false, now);
    assert_eq!(circuit.enter(now).unwrap_err(), OPEN.0 * 2);
    now += OPEN.0 * 2;
    // A probe that was given up tells nothing, so the next one may try.
    drop(circuit.enter(now).unwrap());
    circuit.enter(now).unwrap().end(true, now);
    assert_eq!(circuit.trouble(now), None);
    assert!(circuit.enter(now).is_ok() && circuit.enter(now).is_ok());
}

#[test]
fn it_is_never_open_for_longer_than_a_minute() {
    let (circuit, mut now) = (Circuit::default(), Instant::now());
    for _ in 0..FAILURES_MAX {
        fail(&circuit, now);
    }
    for _ in 0..40 {
        let wait = circuit.trouble(now).unwrap().1;
        assert!(wait <= OPEN.1);
        now += wait;
        fail(&circuit, now);
    }
    assert_eq!(circuit.trouble(now).unwrap().1, OPEN.1);
}
