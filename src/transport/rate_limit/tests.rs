use super::*;

fn left(limits: &RateLimits, counts: Counts, workspace: &str) -> Option<u32> {
    match limits.count(counts, workspace)?.status {
        RateStatus::Within { left } => Some(left),
        RateStatus::Beyond { .. } => None,
    }
}

#[test]
fn zero_switches_a_limit_off() {
    let limits = RateLimits::new(0, 1);
    assert!(limits.count(Counts::AsWork, "a").is_none());
    assert!(limits.count(Counts::AsPoll, "a").is_some());
    assert!(RateLimits::new(1, 0).count(Counts::AsPoll, "a").is_none());
}

#[test]
fn workspaces_and_kinds_are_counted_apart() {
    let limits = RateLimits::new(2, 3);
    assert_eq!(left(&limits, Counts::AsWork, "a"), Some(1));
    assert_eq!(left(&limits, Counts::AsWork, "a"), Some(0));
    let refusal = limits.count(Counts::AsWork, "a").unwrap().refusal().expect("beyond the limit");
    assert!((29..=30).contains(&refusal.seconds), "{refusal:?}");
    assert!(refusal.message.contains("more than 2 requests that start work"), "{refusal:?}");
    assert_eq!((&refusal.data["limit"], &refusal.data["scope"]), (&json!(2), &json!("workspace")));
    assert_eq!(left(&limits, Counts::AsWork, "b"), Some(1));
    assert_eq!(left(&limits, Counts::AsPoll, "a"), Some(2));
}

#[test]
fn the_defaults_are_a_hundred_and_a_thousand() {
    let limits = RateLimits::default();
    assert_eq!(left(&limits, Counts::AsWork, "a"), Some(99));
    assert_eq!(left(&limits, Counts::AsPoll, "a"), Some(999));
}

#[test]
fn a_wait_is_told_in_whole_seconds_never_zero() {
    assert_eq!(seconds(Duration::ZERO), 1);
    assert_eq!(seconds(Duration::from_millis(600)), 1);
    assert_eq!(seconds(Duration::from_millis(1001)), 2);
}
