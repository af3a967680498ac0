use super::*;

#[test]
fn a_stream_that_never_lasts_is_opened_less_and_less_often_and_one_that_lasted_at_once() {
    let (pace, begin) = (ReconnectBackoff::default(), Instant::now());
    let mut now = begin;
    let mut distances = Vec::new();
    for _ in 0..10 {
        // It ends at once, and the server wants to be asked at once.
        let next = pace.next(now);
        distances.push((next - now).as_secs());
        now = next;
    }
    assert_eq!(distances, [0, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
    now += PAUSE.after(u32::MAX);
    assert_eq!(pace.next(now), now);
    // From here on it lasts.
    for _ in 0..3 {
        now += STEADY;
        assert_eq!(pace.next(now), now);
    }
    assert_eq!(pace.next(now), now + PAUSE.after(1));
}

#[test]
fn many_that_ask_at_once_come_one_after_the_other() {
    let (pace, now) = (ReconnectBackoff::default(), Instant::now());
    let all: Vec<_> = (0..4).map(|_| (pace.next(now) - now).as_secs()).collect();
    assert_eq!(all, [0, 1, 3, 7]);
}
