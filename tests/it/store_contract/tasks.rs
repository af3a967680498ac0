//! What every store promises of the records of tasks: that they come back, who may change them, and
//! how often.

use airlock::{
    model::{
        CallRequested, EventDetails, EventKind, LogLevel, LogLine, Logs, NewEvent, Principal,
        TaskError, TaskId, TaskStatus, Timestamp, Usage,
    },
    store::{Created, NewTask, StoreError, TaskChange, TaskEnd, TaskFilter},
};
use serde_json::json;

use super::{
    Shared, by, change, completed, end, ending, event, kinds, limit, listed, new_task, object,
    recorded,
};

super::contract! { tasks:
    a_task_comes_back_as_it_was_recorded
    an_end_comes_back_as_it_was_recorded
    hostile_text_comes_back_to_the_character
    a_task_of_another_workspace_is_not_there
    an_ended_task_never_changes
    a_change_of_no_task_is_a_conflict
    a_conflict_leaves_its_neighbours_alone
    a_change_that_contradicts_itself_is_refused
    writes_happen_in_the_order_of_the_calls
    a_dropped_write_still_happens
    the_same_key_names_the_same_task
    a_key_belongs_to_one_caller
    a_key_is_free_again_after_a_day
    a_closed_store_says_so
}

fn keyed(key: &str) -> NewTask {
    NewTask { idempotency_key: Some(key.into()), ..new_task() }
}

pub(super) async fn a_task_comes_back_as_it_was_recorded(store: Shared) {
    let task = NewTask {
        code: "const a: number = 1;\nreturn a".into(),
        timeout_ms: 600_000,
        metadata: Some(object(
            json!({"b": 1, "a": [1.5, null, {"z": 12345678901234567890u64, "y": "ä"}]}),
        )),
        principal: Principal { session_id: Some("s".into()), ..Principal::owner("c") },
        ..new_task()
    };
    recorded(&store, task.clone()).await;
    let read = store.task("local", task.task_id).await.unwrap().expect("it is there");
    assert_eq!((read.task_id, read.status), (task.task_id, TaskStatus::Queued));
    assert_eq!(
        (read.code, read.runtime_id, read.timeout_ms),
        (task.code, task.runtime_id, task.timeout_ms)
    );
    assert_eq!(
        serde_json::to_string(&read.metadata).unwrap(),
        serde_json::to_string(&task.metadata).unwrap()
    );
    assert_eq!(read.principal, task.principal);
    assert_eq!(read.created_at, task.created_at);
    assert_eq!(
        (read.started_at, read.completed_at, read.exit_code, read.result_bytes),
        (None, None, None, None)
    );
    assert_eq!(
        (read.error, read.logs, read.warnings.len(), read.usage),
        (None, Logs::default(), 0, Usage::default())
    );
}

pub(super) async fn an_end_comes_back_as_it_was_recorded(store: Shared) {
    let id = recorded(&store, new_task()).await;
    let started_at = Timestamp::now();
    let running = TaskChange {
        status: Some(TaskStatus::Running),
        started_at: Some(started_at),
        ..change(id)
    };
    store.change_task(running).await.unwrap();
    assert_eq!(store.task("local", id).await.unwrap().unwrap().status, TaskStatus::Running);
    let error = TaskError {
        name: "TypeError".into(),
        message: "x \"is\" not".into(),
        line: Some(7),
        ..TaskError::default()
    };
    let logs = Logs {
        lines: vec![LogLine { level: LogLevel::Warn, text: "a\nb\u{0}c".into() }],
        dropped_lines: 2,
        dropped_bytes: 9,
    };
    let usage = Usage { wall_ms: 5, heap_peak_bytes: u64::MAX, ..Usage::default() };
    let end = TaskEnd {
        exit_code: 1,
        error: Some(error),
        logs,
        warnings: vec!["slow".into()],
        usage,
        ..ending(None)
    };
    let last =
        TaskChange { status: Some(TaskStatus::Failed), end: Some(end.clone()), ..change(id) };
    store.change_task(last).await.unwrap();
    let read = store.task("local", id).await.unwrap().unwrap();
    assert_eq!(
        (read.status, read.exit_code, read.result_bytes),
        (TaskStatus::Failed, Some(1), None)
    );
    assert_eq!((read.started_at, read.completed_at), (Some(started_at), Some(end.completed_at)));
    assert_eq!(
        (read.error, read.logs, read.warnings, read.usage),
        (end.error, end.logs, end.warnings, end.usage)
    );
}

pub(super) async fn hostile_text_comes_back_to_the_character(store: Shared) {
    let nasty =
        "\u{0}'\"\\); DROP TABLE tasks;-- \u{202e}\u{fffd}\u{10ffff}\r\n\t{\"a\":[]} $.a \u{1}end";
    let task = NewTask {
        code: nasty.into(),
        principal: Principal {
            account_id: nasty.into(),
            key_id: Some(nasty.into()),
            session_id: Some(nasty.into()),
            ..Principal::local(nasty)
        },
        metadata: Some(object(json!({nasty: nasty}))),
        idempotency_key: Some(nasty.into()),
        ..new_task()
    };
    let principal = task.principal.clone();
    let id = recorded(&store, task).await;
    let result = serde_json::to_string(nasty).unwrap();
    let data = EventDetails::CallRequested(CallRequested {
        seq: 1,
        tool: nasty.into(),
        argument_keys: vec![nasty.into()],
        argument_bytes: u64::MAX,
        digest: nasty.into(),
        decision: None,
        arguments: Some(json!({"text": nasty, "deep": {"1.0": 1.0, "e": 1e300}})),
    });
    let last = TaskChange {
        events: vec![NewEvent::now(data.clone())],
        ..end(id, TaskStatus::Completed, Some(result.clone()))
    };
    store.change_task(last).await.unwrap();
    let read = store.task("local", id).await.unwrap().unwrap();
    assert_eq!(read.code, nasty);
    assert_eq!(read.principal, principal);
    assert_eq!(read.metadata, Some(object(json!({nasty: nasty}))));
    assert_eq!(store.events("local", id, 2, 10).await.unwrap()[0].data, data);
    assert_eq!(store.result("local", id, 0, 10_000).await.unwrap().unwrap().text, result);
    assert_eq!(
        listed(&store, TaskFilter { session_id: Some(nasty.into()), ..limit(10) }).await,
        [id]
    );
    assert_eq!(
        listed(&store, TaskFilter { session_id: Some(String::new()), ..limit(10) }).await,
        []
    );
}

pub(super) async fn a_task_of_another_workspace_is_not_there(store: Shared) {
    let id = completed(&store, "2").await;
    assert!(store.task("other", id).await.unwrap().is_none());
    assert!(store.result("other", id, 0, 10).await.unwrap().is_none());
    assert!(store.events("other", id, 0, 10).await.unwrap().is_empty());
    assert!(store.tasks("other", limit(10)).await.unwrap().tasks.is_empty());
    assert!(store.task("local", TaskId::new()).await.unwrap().is_none());
}

pub(super) async fn an_ended_task_never_changes(store: Shared) {
    let id = completed(&store, "\"first\"").await;
    let running = TaskChange { status: Some(TaskStatus::Running), ..change(id) };
    let event_only = TaskChange { events: vec![event(EventKind::CallCompleted, 1)], ..change(id) };
    for late in
        [end(id, TaskStatus::Cancelled, Some("\"second\"".into())), running, event_only, change(id)]
    {
        assert!(
            matches!(store.change_task(late).await, Err(StoreError::Conflict(task)) if task == id)
        );
    }
    assert_eq!(store.task("local", id).await.unwrap().unwrap().status, TaskStatus::Completed);
    assert_eq!(store.result("local", id, 0, 100).await.unwrap().unwrap().text, "\"first\"");
    assert_eq!(kinds(&store, id).await.len(), 3);
}

pub(super) async fn a_change_of_no_task_is_a_conflict(store: Shared) {
    let id = TaskId::new();
    assert!(matches!(
        store.change_task(end(id, TaskStatus::Failed, None)).await,
        Err(StoreError::Conflict(task)) if task == id
    ));
    assert!(store.task("local", id).await.unwrap().is_none());
}

pub(super) async fn a_conflict_leaves_its_neighbours_alone(store: Shared) {
    let twice = new_task();
    let ended = completed(&store, "1").await;
    let others: Vec<_> = (0..20).map(|_| new_task()).collect();
    // Queued together, so that they are in one batch.
    let mut creates: Vec<_> =
        others[..10].iter().cloned().map(|task| store.create_task(task)).collect();
    creates.push(store.create_task(twice.clone()));
    let again = store.create_task(twice.clone());
    let late = store.change_task(end(ended, TaskStatus::Failed, None));
    creates.extend(others[10..].iter().cloned().map(|task| store.create_task(task)));
    let ends: Vec<_> = others
        .iter()
        .map(|task| store.change_task(end(task.task_id, TaskStatus::Completed, Some("3".into()))))
        .collect();
    let (first, second) =
        (others[0].task_id, store.change_task(end(others[0].task_id, TaskStatus::Cancelled, None)));
    for created in futures::future::join_all(creates).await {
        assert_eq!(created.unwrap(), Created::New);
    }
    assert!(matches!(again.await, Err(StoreError::Conflict(id)) if id == twice.task_id));
    assert!(matches!(late.await, Err(StoreError::Conflict(id)) if id == ended));
    assert!(matches!(second.await, Err(StoreError::Conflict(id)) if id == first));
    for ended in futures::future::join_all(ends).await {
        ended.unwrap();
    }
    for task in &others {
        assert_eq!(
            store.task("local", task.task_id).await.unwrap().unwrap().status,
            TaskStatus::Completed
        );
        assert_eq!(kinds(&store, task.task_id).await.len(), 3);
    }
    assert_eq!(kinds(&store, twice.task_id).await.len(), 2);
}

pub(super) async fn a_change_that_contradicts_itself_is_refused(store: Shared) {
    let id = recorded(&store, new_task()).await;
    let no_end = TaskChange { status: Some(TaskStatus::Failed), ..change(id) };
    let no_status = TaskChange { end: Some(ending(None)), ..change(id) };
    for bad in [no_end, no_status] {
        assert!(matches!(store.change_task(bad).await, Err(StoreError::Invalid(_))));
    }
    assert_eq!(store.task("local", id).await.unwrap().unwrap().status, TaskStatus::Queued);
}

pub(super) async fn writes_happen_in_the_order_of_the_calls(store: Shared) {
    let tasks: Vec<_> = (0..50).map(|_| new_task()).collect();
    // Polled in the opposite order of the calls.
    let mut writes = Vec::new();
    for task in &tasks {
        drop(store.create_task(task.clone()));
        let running =
            TaskChange { events: vec![event(EventKind::TaskRunning, 0)], ..change(task.task_id) };
        let running = store.change_task(running);
        writes.push((running, store.change_task(end(task.task_id, TaskStatus::Completed, None))));
    }
    for (running, ended) in writes.into_iter().rev() {
        ended.await.unwrap();
        running.await.unwrap();
    }
    use EventKind::{TaskCompleted, TaskCreated, TaskQueued, TaskRunning};
    for task in &tasks {
        let all = [(1, TaskCreated), (2, TaskQueued), (3, TaskRunning), (4, TaskCompleted)];
        assert_eq!(kinds(&store, task.task_id).await, all);
    }
    let order: Vec<_> = tasks.iter().rev().map(|task| task.task_id).collect();
    assert_eq!(listed(&store, limit(200)).await, order);
}

pub(super) async fn a_dropped_write_still_happens(store: Shared) {
    let task = new_task();
    drop(store.create_task(task.clone()));
    recorded(&store, new_task()).await;
    assert!(store.task("local", task.task_id).await.unwrap().is_some());
}

pub(super) async fn the_same_key_names_the_same_task(store: Shared) {
    let tasks: Vec<_> = (0..10).map(|_| keyed("k")).collect();
    let first = tasks[0].task_id;
    let writes: Vec<_> = tasks.iter().cloned().map(|task| store.create_task(task)).collect();
    let created: Vec<_> =
        futures::future::join_all(writes).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(created[0], Created::New);
    assert!(created[1..].iter().all(|created| *created == Created::Existing(first)));
    assert_eq!(store.create_task(keyed("k")).await.unwrap(), Created::Existing(first));
    assert_eq!(listed(&store, limit(10)).await, [first]);
    assert!(store.events("local", tasks[1].task_id, 0, 10).await.unwrap().is_empty());
}

pub(super) async fn a_key_belongs_to_one_caller(store: Shared) {
    recorded(&store, keyed("k")).await;
    recorded(&store, by(keyed("k"), |who| who.account_id = "bob".into())).await;
    recorded(&store, by(keyed("k"), |who| who.workspace_id = "other".into())).await;
    recorded(&store, keyed("k2")).await;
}

pub(super) async fn a_key_is_free_again_after_a_day(store: Shared) {
    let now = Timestamp::now();
    let ago = |seconds| now - jiff::SignedDuration::from_secs(seconds);
    let first = recorded(&store, NewTask { created_at: ago(24 * 3600), ..keyed("k") }).await;
    let within = NewTask { created_at: ago(1), ..keyed("k") };
    assert_eq!(store.create_task(within).await.unwrap(), Created::Existing(first));
    let second = recorded(&store, NewTask { created_at: now, ..keyed("k") }).await;
    assert_eq!(store.create_task(keyed("k")).await.unwrap(), Created::Existing(second));
    assert_eq!(listed(&store, limit(10)).await, [second, first]);
}

pub(super) async fn a_closed_store_says_so(store: Shared) {
    store.check().await.unwrap();
    let task = new_task();
    let created = store.create_task(task.clone());
    store.close().await;
    assert_eq!(created.await.unwrap(), Created::New);
    store.close().await;
    assert!(matches!(store.create_task(new_task()).await, Err(StoreError::Closed)));
    assert!(matches!(store.change_task(change(task.task_id)).await, Err(StoreError::Closed)));
    assert!(matches!(store.task("local", task.task_id).await, Err(StoreError::Closed)));
    assert!(matches!(store.tasks("local", limit(1)).await, Err(StoreError::Closed)));
    assert!(matches!(store.check().await, Err(StoreError::Closed)));
}
