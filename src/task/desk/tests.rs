use super::*;

fn desk() -> Arc<Desk> {
    Desk::new(ApprovalTerms { timeout: Duration::from_secs(1800), calls_max: 2, tasks_max: 2 })
}

#[test]
fn places_are_bounded_and_given_back() {
    let desk = desk();
    let (one, two, three) = (TaskId::new(), TaskId::new(), TaskId::new());
    let first = desk.place(one).ok().unwrap();
    let second = desk.place(one).ok().unwrap();
    let refused = desk.place(one).err().unwrap();
    assert_eq!(
        (refused.code, refused.message.contains("2 calls of this task")),
        (RATE_LIMITED, true)
    );
    let other = desk.place(two).ok().unwrap();
    let refused = desk.place(three).err().unwrap();
    assert_eq!((refused.code, refused.message.contains("2 tasks")), (RATE_LIMITED, true));
    drop(other);
    let third = desk.place(three).ok().unwrap();
    drop((first, second, third));
    assert_eq!(desk.parked_tasks(), 0);
}

#[test]
fn a_call_waits_as_long_as_its_rule_says_and_never_more_than_a_day() {
    let desk = desk();
    assert_eq!(desk.timeout(None), Duration::from_secs(1800));
    assert_eq!(desk.timeout(Some(Duration::from_secs(5))), Duration::from_secs(5));
    assert_eq!(desk.timeout(Some(Duration::from_secs(1_000_000))), APPROVAL_MAX);
}
