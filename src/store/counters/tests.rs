use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

const SECOND: i64 = 1_000_000_000;

#[test]
fn a_fixed_window_is_aligned_to_utc() {
    // 2026-11-21T10:30:45Z
    let now = at(1_795_257_045);
    let minute = Place::of(CounterWindow::Fixed(Duration::from_secs(60)), now);
    assert_eq!(minute.bucket / SECOND % 60, 0);
    assert_eq!(minute.retry_after(minute.bucket, now), Some(Duration::from_secs(15)));
    let day = Place::of(CounterWindow::Fixed(Duration::from_secs(86_400)), now);
    assert_eq!(day.bucket / SECOND % 86_400, 0);
    assert_eq!((minute.first, day.first), (minute.bucket, day.bucket));
}

#[test]
fn a_rolling_window_holds_all_of_the_time_that_passed() {
    let length = Duration::from_secs(160);
    for second in 1000..1200 {
        let place = Place::of(CounterWindow::Rolling(length), at(second));
        assert!(place.first <= (second - 160) * SECOND, "nothing of the window is left out");
        assert!(place.first > (second - 160 - 11) * SECOND, "and little more is in it");
        let wait = place.retry_after(place.first, at(second)).unwrap();
        let later = Place::of(
            CounterWindow::Rolling(length),
            at(second) + jiff::SignedDuration::try_from(wait).unwrap(),
        );
        assert!(later.first > place.first, "after the wait the oldest slice is over");
    }
}

#[test]
fn a_counter_for_all_time_never_has_room_again() {
    let place = Place::of(CounterWindow::Whole, at(7));
    assert_eq!((place.width, place.bucket, place.retry_after(0, at(7))), (0, 0, None));
}

#[test]
fn windows_of_one_name_do_not_share_a_counter() {
    let now = at(1_795_257_045);
    let place = |window| Place::of(window, now).width;
    let sixteen = Duration::from_secs(16 * 60);
    let widths = [
        place(CounterWindow::Fixed(Duration::from_secs(60))),
        place(CounterWindow::Rolling(sixteen)),
        place(CounterWindow::Fixed(sixteen)),
        place(CounterWindow::Whole),
    ];
    for (n, width) in widths.iter().enumerate() {
        assert!(!widths[..n].contains(width), "{widths:?}");
    }
}
