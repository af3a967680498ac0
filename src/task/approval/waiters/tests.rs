use super::*;

fn waiters() -> Arc<ApprovalWaiters> {
    ApprovalWaiters::new(ApprovalTerms {
        timeout: Duration::from_secs(1800),
        calls_max: 2,
        tasks_max: 2,
    })
}

#[test]
fn slots_are_bounded_and_given_back() {
    let waiters = waiters();
    let (one, two, three) = (TaskId::new(), TaskId::new(), TaskId::new());
    let first = waiters.acquire_slot(one).ok().unwrap();
    let second = waiters.acquire_slot(one).ok().unwrap();
    let refused = waiters.acquire_slot(one).err().unwrap();
    assert_eq!(
        (refused.code, refused.message.contains("2 calls of this task")),
        (RATE_LIMITED, true)
    );
    let other = waiters.acquire_slot(two).ok().unwrap();
    let refused = waiters.acquire_slot(three).err().unwrap();
    assert_eq!((refused.code, refused.message.contains("2 tasks")), (RATE_LIMITED, true));
    drop(other);
    let third = waiters.acquire_slot(three).ok().unwrap();
    drop((first, second, third));
    assert_eq!(waiters.parked_tasks(), 0);
}

#[test]
fn a_call_waits_as_long_as_its_rule_says_and_never_more_than_a_day() {
    let waiters = waiters();
    assert_eq!(waiters.timeout(None), Duration::from_secs(1800));
    assert_eq!(waiters.timeout(Some(Duration::from_secs(5))), Duration::from_secs(5));
    assert_eq!(waiters.timeout(Some(Duration::from_secs(1_000_000))), APPROVAL_MAX);
}
