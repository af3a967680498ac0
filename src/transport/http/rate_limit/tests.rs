use super::*;

#[test]
fn zero_switches_the_limit_off() {
    assert!(Rate::new(0).is_none());
}

#[test]
fn workspaces_are_counted_apart() {
    let rate = Rate::new(2).unwrap();
    assert!(matches!(rate.count("a"), RateStatus::Within { left: 1 }));
    assert!(matches!(rate.count("a"), RateStatus::Within { left: 0 }));
    let RateStatus::Beyond { retry_after } = rate.count("a") else { panic!("beyond the limit") };
    assert!(
        retry_after > Duration::from_secs(29) && retry_after <= Duration::from_secs(30),
        "{retry_after:?}"
    );
    assert!(matches!(rate.count("b"), RateStatus::Within { left: 1 }));
}

#[test]
fn a_wait_is_told_in_whole_seconds_never_zero() {
    assert_eq!(seconds(Duration::ZERO), 1);
    assert_eq!(seconds(Duration::from_millis(600)), 1);
    assert_eq!(seconds(Duration::from_millis(1001)), 2);
}
