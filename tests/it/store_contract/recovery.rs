//! What every store promises of the start of an instance: what it ends of the others, and what it
//! leaves alone.

use airlock::{
    model::{Approval, ApprovalStatus, EventDetails, EventKind, TaskEnded, TaskError, TaskStatus},
    store::{NewTask, Recovery, TaskChange},
};

use super::{
    Shared, approval, asked, by, change, completed, decided_by_a_person, event, later, new_task,
    recorded, recovery,
};

super::contract! { recovery:
    unfinished_tasks_fail_with_the_given_error
    a_call_that_had_left_is_told_from_one_that_had_not
    approvals_that_a_dead_server_left_are_void
    what_is_adopted_is_left_alone
}

/// A pending approval of a task that the starting instance itself runs.
async fn of_running_task(store: &Shared) -> Approval {
    let task = NewTask { instance_id: recovery().instance_id, ..new_task() };
    let approval = Approval { task_id: recorded(store, task).await, ..approval() };
    store.ask_approval(approval.clone()).await.unwrap();
    approval
}

pub(super) async fn unfinished_tasks_fail_with_the_given_error(store: Shared) {
    let done = completed(&store, "1").await;
    let queued = recorded(&store, new_task()).await;
    let running = recorded(&store, by(new_task(), |who| who.workspace_id = "other".into())).await;
    store
        .change_task(TaskChange { status: Some(TaskStatus::Running), ..change(running) })
        .await
        .unwrap();
    let error = TaskError {
        name: "Error".into(),
        message: "the server stopped while this task ran".into(),
        ..TaskError::default()
    };
    let own = NewTask { instance_id: recovery().instance_id, ..new_task() };
    let own = recorded(&store, own).await;
    let recovery = || Recovery { idle: error.clone(), ..recovery() };
    assert_eq!(store.recover(recovery()).await.unwrap().tasks, 2);
    assert_eq!(store.recover(recovery()).await.unwrap().tasks, 0);
    let own = store.task("local", own).await.unwrap().unwrap();
    assert_eq!(own.status, TaskStatus::Queued, "the instance that starts runs it");
    assert_eq!(store.task("local", done).await.unwrap().unwrap().status, TaskStatus::Completed);
    for (workspace, id) in [("local", queued), ("other", running)] {
        let task = store.task(workspace, id).await.unwrap().unwrap();
        assert_eq!(
            (task.status, task.exit_code, task.error),
            (TaskStatus::Failed, Some(1), Some(error.clone()))
        );
        assert!(task.completed_at.is_some());
        let events = store.events(workspace, id, 0, 10).await.unwrap();
        let last = events.last().unwrap();
        assert_eq!((events.len(), last.seq, last.data.kind()), (3, 3, EventKind::TaskFailed));
        assert_eq!(last.data, EventDetails::TaskFailed(TaskEnded::at_recovery(&error)));
    }
}

pub(super) async fn what_is_adopted_is_left_alone(store: Shared) {
    let asked = async || {
        let approval = Approval { task_id: recorded(&store, new_task()).await, ..approval() };
        store.ask_approval(approval.clone()).await.unwrap();
        approval
    };
    let (first, second) = (asked().await, asked().await);
    let done = completed(&store, "1").await;
    let instance = recovery().instance_id;
    let left = async |limit| {
        let left = store.unfinished(instance, limit).await.unwrap();
        left.into_iter().map(|task| task.task_id).collect::<Vec<_>>()
    };
    assert_eq!(left(1).await, [first.task_id], "the oldest");
    assert_eq!(left(10).await, [first.task_id, second.task_id]);
    store.adopt(vec![first.task_id, done], instance).await.unwrap();
    assert_eq!(left(10).await, [second.task_id]);
    let recovered = store.recover(recovery()).await.unwrap();
    assert_eq!((recovered.tasks, recovered.approvals), (1, 1));
    let status = async |approval: &Approval| {
        let task = store.task("local", approval.task_id).await.unwrap().unwrap().status;
        (task, store.approval("local", approval.id).await.unwrap().unwrap().status)
    };
    assert_eq!(status(&first).await, (TaskStatus::Queued, ApprovalStatus::Pending));
    assert_eq!(status(&second).await, (TaskStatus::Failed, ApprovalStatus::Void));
}

pub(super) async fn a_call_that_had_left_is_told_from_one_that_had_not(store: Shared) {
    use EventKind::*;
    let errors = ["under way", "idle"]
        .map(|message| TaskError { message: message.into(), ..TaskError::default() });
    let table: [(&[(EventKind, u32)], usize); 6] = [
        (&[], 1),
        (&[(CallRequested, 1), (ApprovalRequested, 1)], 1),
        (&[(CallRequested, 1), (CallStarted, 1), (CallCompleted, 1), (CallRequested, 2)], 1),
        (&[(CallRequested, 1), (CallStarted, 1), (CallFailed, 1), (CallDenied, 2)], 1),
        (&[(CallRequested, 1), (CallStarted, 1)], 0),
        (&[(CallStarted, 1), (CallStarted, 2), (CallCompleted, 1), (ApprovalRequested, 3)], 0),
    ];
    let mut tasks = vec![];
    for (events, expected) in table {
        let id = recorded(&store, new_task()).await;
        let events = events.iter().map(|(kind, seq)| event(*kind, *seq)).collect();
        store.change_task(TaskChange { events, ..change(id) }).await.unwrap();
        tasks.push((id, expected));
    }
    let [under_way, idle] = errors.clone();
    let recovered = store.recover(Recovery { under_way, idle, ..recovery() }).await.unwrap();
    assert_eq!(recovered.tasks, 6);
    for (id, expected) in tasks {
        assert_eq!(
            store.task("local", id).await.unwrap().unwrap().error.as_ref(),
            Some(&errors[expected])
        );
        let events = store.events("local", id, 0, 20).await.unwrap();
        let failed = EventDetails::TaskFailed(TaskEnded::at_recovery(&errors[expected]));
        assert_eq!(events.last().unwrap().data, failed);
    }
}

pub(super) async fn approvals_that_a_dead_server_left_are_void(store: Shared) {
    let (pending, approved, denied) =
        (asked(&store).await, asked(&store).await, asked(&store).await);
    store
        .decide_approval("local", decided_by_a_person(&approved, ApprovalStatus::Approved))
        .await
        .unwrap();
    store
        .decide_approval("local", decided_by_a_person(&denied, ApprovalStatus::Denied))
        .await
        .unwrap();
    let of_running = of_running_task(&store).await;
    let recovery = |at, why: &str| Recovery { at, why: why.into(), ..recovery() };
    let recovered = store.recover(recovery(later(5), "the server stopped")).await.unwrap();
    assert_eq!(recovered.approvals, 2);
    assert_eq!(store.recover(recovery(later(6), "again")).await.unwrap().approvals, 0);
    let row = store.approval("local", of_running.id).await.unwrap().unwrap();
    assert_eq!(row.status, ApprovalStatus::Pending, "its task is run by the one that starts");
    for (id, status) in [
        (pending.id, ApprovalStatus::Void),
        (approved.id, ApprovalStatus::Void),
        (denied.id, ApprovalStatus::Denied),
    ] {
        let row = store.approval("local", id).await.unwrap().unwrap();
        assert_eq!((row.status, row.args), (status, pending.args.clone()));
        assert_eq!(row.why.is_some(), status == ApprovalStatus::Void);
    }
}
