use tokio::task::unconstrained;

use super::*;

/// All permits that can be had at once.
fn all(
    permits: &UpstreamConcurrency,
    task: TaskId,
    workspace: &str,
    upstream: &str,
) -> Vec<CallPermit> {
    std::iter::from_fn(|| unconstrained(permits.acquire(task, workspace, upstream)).now_or_never())
        .collect()
}

#[tokio::test]
async fn no_task_takes_all_permits_of_its_workspace_and_no_workspace_those_of_all() {
    let permits = UpstreamConcurrency::default();
    let tasks: Vec<TaskId> = (0..4).map(|_| TaskId::new()).collect();
    let mut first = all(&permits, tasks[0], "mine", "up");
    assert_eq!(first.len(), TASK_CALLS_MAX);
    let second = all(&permits, tasks[1], "mine", "up");
    assert_eq!(second.len(), WORKSPACE_CALLS_MAX - TASK_CALLS_MAX);
    assert_eq!(all(&permits, tasks[2], "mine", "up").len(), 0);
    assert_eq!(
        all(&permits, tasks[2], "mine", "other").len(),
        TASK_CALLS_MAX,
        "another upstream is another matter"
    );
    assert_eq!(
        all(&permits, tasks[3], "yours", "up").len(),
        TASK_CALLS_MAX,
        "and so is another workspace"
    );
    let mut waiting = Box::pin(permits.acquire(tasks[2], "mine", "up"));
    assert!(futures::poll!(&mut waiting).is_pending());
    first.pop();
    assert!(waiting.await.waited);
    assert!(first.iter().chain(&second).all(|permit| !permit.waited));
}
