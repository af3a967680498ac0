use super::*;

/// Time itself is what is tried here. What a busy machine may add to it. Less than what would be
/// waited for if each call had the time to itself.
const SLACK: Duration = Duration::from_millis(600);

fn budget(calls: Option<u64>, bytes: Option<u64>, seconds: Option<u64>) -> Budget {
    Budget { calls, bytes_returned: bytes, wall_time: seconds.map(Duration::from_secs) }
}

#[test]
fn calls_are_counted_up_to_their_budget() {
    let budget_use = BudgetTracker::default();
    let two = budget(Some(2), None, None);
    assert!(budget_use.count_call(&two).is_ok() && budget_use.count_call(&two).is_ok());
    let rejected = budget_use.count_call(&two).unwrap_err();
    assert_eq!(
        (rejected.code, rejected.rule.as_deref(), rejected.retry_after),
        (RATE_LIMITED, Some("budget"), None)
    );
    assert!(
        budget_use.count_call(&budget(None, None, None)).is_ok(),
        "without a budget there is no bound"
    );
}

#[test]
fn a_response_over_the_budget_is_withheld_and_a_smaller_one_is_not() {
    let budget_use = BudgetTracker::default();
    let ten = budget(None, Some(10), None);
    assert!(budget_use.count_response(&ten, 6).is_ok());
    assert!(
        budget_use.count_response(&ten, 5).unwrap_err().message.contains("4 of 10 bytes are left")
    );
    assert!(budget_use.count_response(&ten, 4).is_ok());
    assert_eq!(budget_use.count_call(&ten).unwrap_err().code, RATE_LIMITED);
}

#[tokio::test]
async fn time_is_summed_over_calls() {
    let budget_use = BudgetTracker::default();
    let some = Budget { wall_time: Some(Duration::from_millis(300)), ..budget(None, None, None) };
    assert_eq!(
        budget_use.run_within(&some, tokio::time::sleep(Duration::from_millis(100))).await,
        Some(())
    );
    let began = Instant::now();
    assert_eq!(budget_use.run_within(&some, std::future::pending::<()>()).await, None);
    assert!(began.elapsed() <= Duration::from_millis(200) + SLACK, "{:?}", began.elapsed());
    assert_eq!(budget_use.count_call(&some).unwrap_err().code, RATE_LIMITED);
    assert_eq!(
        budget_use.run_within(&budget(None, None, None), async { 7 }).await,
        Some(7),
        "without a budget there is no bound"
    );
}

#[tokio::test]
async fn calls_at_once_share_the_time() {
    let budget_use = BudgetTracker::default();
    let second = budget(None, None, Some(1));
    let began = Instant::now();
    let late = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        futures::future::join_all(
            (0..9).map(|_| budget_use.run_within(&second, std::future::pending::<()>())),
        )
        .await
    };
    let (first, late) =
        tokio::join!(budget_use.run_within(&second, std::future::pending::<()>()), late);
    assert!(first.is_none() && late.iter().all(Option::is_none));
    // 50 ms alone, then ten at once for 95 ms more.
    assert!(began.elapsed() >= Duration::from_millis(140), "{:?}", began.elapsed());
    assert!(began.elapsed() <= Duration::from_millis(145) + SLACK, "{:?}", began.elapsed());
}
