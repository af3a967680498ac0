use super::*;

fn budget(calls: Option<u64>, bytes: Option<u64>, seconds: Option<u64>) -> Budget {
    Budget { calls, bytes_returned: bytes, wall_time: seconds.map(Duration::from_secs) }
}

#[test]
fn calls_are_counted_up_to_their_budget() {
    let spending = Spending::default();
    let two = budget(Some(2), None, None);
    assert!(spending.admit(&two).is_ok() && spending.admit(&two).is_ok());
    let refused = spending.admit(&two).unwrap_err();
    assert_eq!((refused.code, refused.rule.as_deref(), refused.retry_after), (RATE_LIMITED, Some("budget"), None));
    assert!(spending.admit(&budget(None, None, None)).is_ok(), "without a budget there is no bound");
}

#[test]
fn an_answer_over_the_budget_is_kept_back_and_a_smaller_one_is_not() {
    let spending = Spending::default();
    let ten = budget(None, Some(10), None);
    assert!(spending.receive(&ten, 6).is_ok());
    assert!(spending.receive(&ten, 5).unwrap_err().message.contains("of 10 bytes 4 are left"));
    assert!(spending.receive(&ten, 4).is_ok());
    assert_eq!(spending.admit(&ten).unwrap_err().code, RATE_LIMITED);
}

#[test]
fn time_is_summed_over_calls() {
    let spending = Spending::default();
    let three = budget(None, None, Some(3));
    assert_eq!(spending.time_left(&three), Some(Duration::from_secs(3)));
    let Some(began) = Instant::now().checked_sub(Duration::from_secs(2)) else { return };
    spending.took(began);
    assert!(spending.time_left(&three).unwrap() <= Duration::from_secs(1));
    spending.took(began);
    assert_eq!(spending.time_left(&three), Some(Duration::ZERO));
    assert_eq!(spending.admit(&three).unwrap_err().code, RATE_LIMITED);
}
