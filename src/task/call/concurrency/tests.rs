use tokio::task::unconstrained;

use super::*;

/// As many turns as are to be had at once.
fn all(
    turns: &UpstreamConcurrency,
    task: TaskId,
    workspace: &str,
    upstream: &str,
) -> Vec<CallPermit> {
    std::iter::from_fn(|| unconstrained(turns.take(task, workspace, upstream)).now_or_never())
        .collect()
}

#[tokio::test]
async fn no_task_takes_all_places_of_its_workspace_and_no_workspace_those_of_all() {
    let turns = UpstreamConcurrency::default();
    let tasks: Vec<TaskId> = (0..4).map(|_| TaskId::new()).collect();
    let mut first = all(&turns, tasks[0], "mine", "up");
    assert_eq!(first.len(), TASK_CALLS_MAX);
    let second = all(&turns, tasks[1], "mine", "up");
    assert_eq!(second.len(), WORKSPACE_CALLS_MAX - TASK_CALLS_MAX);
    assert_eq!(all(&turns, tasks[2], "mine", "up").len(), 0);
    assert_eq!(
        all(&turns, tasks[2], "mine", "other").len(),
        TASK_CALLS_MAX,
        "another upstream is another matter"
    );
    assert_eq!(
        all(&turns, tasks[3], "yours", "up").len(),
        TASK_CALLS_MAX,
        "and so is another workspace"
    );
    let mut waiting = Box::pin(turns.take(tasks[2], "mine", "up"));
    assert!(futures::poll!(&mut waiting).is_pending());
    first.pop();
    assert!(waiting.await.is_late);
    assert!(first.iter().chain(&second).all(|turn| !turn.is_late));
}

#[tokio::test]
async fn nothing_is_kept_of_those_that_have_no_place() {
    let shares = KeyedLimiter::new(1);
    for n in 0..1_000 {
        drop(shares.place(&n.to_string()).await);
    }
    let _held = shares.place("held").await;
    drop(shares.place("another").await);
    assert!(shares.by_name.lock().len() <= 2);
    assert!(shares.place("held").now_or_never().is_none());
}
