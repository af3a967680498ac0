//! What every store promises, shown on each: one case here is one test per implementation.

mod artifacts;
pub(crate) mod memory;
mod policy;
mod sqlite;

use std::sync::Arc;

use airlock::{
    model::{
        ApprovalId, CallRequested, EventData, EventKind, InstanceId, JsonObject, LogLevel, LogLine,
        Logs, NewEvent, Principal, TaskEnded, TaskError, TaskId, TaskStatus, Timestamp, Usage,
    },
    store::{
        Created, LIST_BYTES_MAX, NewTask, Recovery, Store, StoreError, TaskChange, TaskEnd,
        TaskFilter,
    },
};
use serde_json::{json, value::RawValue};

type Shared = Arc<dyn Store>;

/// Each case, as a test in a module of the implementation that `$open` opens.
macro_rules! contract {
    ($($case:ident)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $case() {
            let opened = super::open().await;
            $crate::store_contract::$case(opened.store()).await;
        })*
    };
}

/// The list of cases; a case that is missing here is an unused function, which the compiler
/// reports.
macro_rules! cases {
    () => {
        $crate::store_contract::contract! {
            a_task_comes_back_as_it_was_recorded
            an_end_comes_back_as_it_was_recorded
            hostile_text_comes_back_to_the_character
            a_task_of_another_workspace_is_not_there
            events_are_numbered_without_gaps
            concurrent_events_of_one_task_have_no_gaps
            an_ended_task_never_changes
            a_change_of_no_task_is_a_conflict
            a_conflict_leaves_its_neighbours_alone
            a_change_that_contradicts_itself_is_refused
            writes_happen_in_the_order_of_the_calls
            a_dropped_write_still_happens
            the_same_key_names_the_same_task
            a_key_belongs_to_one_caller
            a_key_is_free_again_after_a_day
            a_result_is_paged_at_characters
            a_large_result_is_whole
            a_result_of_any_length_is_whole
            no_result_is_not_an_empty_result
            lists_are_newest_first_and_paged
            pages_stay_in_place_while_tasks_arrive
            lists_filter_by_status_and_session
            lists_filter_by_metadata_as_values
            hostile_metadata_keys_are_only_keys
            a_foreign_cursor_is_refused
            a_page_is_bounded_in_bytes
            unfinished_tasks_fail_with_the_given_error
            a_closed_store_says_so
        }
    };
}
pub(crate) use {cases, contract};

fn new_task() -> NewTask {
    NewTask {
        task_id: TaskId::new(),
        code: "return 1 + 1".into(),
        runtime_id: "local-v8".into(),
        timeout_ms: 300_000,
        metadata: None,
        principal: Principal { account_id: "ann".into(), ..Principal::local("tests") },
        created_at: Timestamp::now(),
        instance_id: InstanceId::new(),
        idempotency_key: None,
    }
}

/// The start of an instance, always the same one.
fn recovery() -> Recovery {
    Recovery {
        instance_id: "ins_01890a5d-ac96-774b-bcce-b302099a8057".parse().expect("an id"),
        at: Timestamp::now(),
        under_way: TaskError::default(),
        idle: TaskError::default(),
        why: "the server stopped".into(),
    }
}

fn object(value: serde_json::Value) -> JsonObject {
    value.as_object().expect("an object").clone()
}

fn change(task_id: TaskId) -> TaskChange {
    TaskChange { task_id, status: None, started_at: None, end: None, events: vec![] }
}

/// An event of this kind about the call of this number, with details that do not matter.
fn event(kind: EventKind, call: u32) -> NewEvent {
    let details = json!({
        "seq": call, "tool": "a.b", "upstream": "a", "argumentKeys": [], "argumentBytes": 2,
        "digest": "sha256:00", "bytes": 1, "name": "E", "code": "x", "message": "m",
        "exitCode": 0, "approvalId": ApprovalId::new(), "status": "pending", "reason": "r",
        "expiresAt": Timestamp::now(),
    });
    NewEvent::now(EventData::parse(kind.as_str(), &details.to_string()).expect("all are there"))
}

fn ending(result: Option<String>) -> TaskEnd {
    TaskEnd {
        completed_at: Timestamp::now(),
        exit_code: 0,
        result: result.map(|text| RawValue::from_string(text).expect("JSON")),
        error: None,
        logs: Logs::default(),
        warnings: vec![],
        usage: Usage::default(),
    }
}

fn end(task_id: TaskId, status: TaskStatus, result: Option<String>) -> TaskChange {
    TaskChange {
        status: Some(status),
        end: Some(ending(result)),
        events: vec![NewEvent::now(ended(status))],
        ..change(task_id)
    }
}

fn ended(status: TaskStatus) -> EventData {
    let ended = TaskEnded { exit_code: 0, error: None };
    match status {
        TaskStatus::Completed => EventData::TaskCompleted(ended),
        TaskStatus::Cancelled => EventData::TaskCancelled(ended),
        TaskStatus::Failed => EventData::TaskFailed(ended),
        TaskStatus::TimedOut => EventData::TaskTimedOut(ended),
        TaskStatus::Denied => EventData::TaskDenied(ended),
        TaskStatus::Queued | TaskStatus::Running | TaskStatus::AwaitingApproval => {
            unreachable!("{status} is no end")
        }
    }
}

async fn recorded(store: &Shared, task: NewTask) -> TaskId {
    let id = task.task_id;
    assert_eq!(store.create_task(task).await.unwrap(), Created::New);
    id
}

async fn completed(store: &Shared, result: &str) -> TaskId {
    let id = recorded(store, new_task()).await;
    store.change_task(end(id, TaskStatus::Completed, Some(result.into()))).await.unwrap();
    id
}

async fn listed(store: &Shared, filter: TaskFilter) -> Vec<TaskId> {
    store.tasks("local", filter).await.unwrap().tasks.into_iter().map(|task| task.task_id).collect()
}

fn limit(limit: u32) -> TaskFilter {
    TaskFilter { limit, ..TaskFilter::default() }
}

fn with_metadata(metadata: serde_json::Value) -> TaskFilter {
    TaskFilter { metadata: Some(object(metadata)), ..limit(200) }
}

async fn kinds(store: &Shared, id: TaskId) -> Vec<(u64, EventKind)> {
    store
        .events("local", id, 0, 10_000)
        .await
        .unwrap()
        .into_iter()
        .map(|event| (event.seq, event.data.kind()))
        .collect()
}

async fn a_task_comes_back_as_it_was_recorded(store: Shared) {
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

async fn an_end_comes_back_as_it_was_recorded(store: Shared) {
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

async fn hostile_text_comes_back_to_the_character(store: Shared) {
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
    let data = EventData::CallRequested(CallRequested {
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

async fn a_task_of_another_workspace_is_not_there(store: Shared) {
    let id = completed(&store, "2").await;
    assert!(store.task("other", id).await.unwrap().is_none());
    assert!(store.result("other", id, 0, 10).await.unwrap().is_none());
    assert!(store.events("other", id, 0, 10).await.unwrap().is_empty());
    assert!(store.tasks("other", limit(10)).await.unwrap().tasks.is_empty());
    assert!(store.task("local", TaskId::new()).await.unwrap().is_none());
}

async fn events_are_numbered_without_gaps(store: Shared) {
    let id = recorded(&store, new_task()).await;
    let events = (0..3).map(|n| event(EventKind::CallRequested, n)).collect();
    store.change_task(TaskChange { events, ..change(id) }).await.unwrap();
    store.change_task(end(id, TaskStatus::Completed, None)).await.unwrap();
    use EventKind::{CallRequested, TaskCompleted, TaskCreated, TaskQueued};
    let all = [
        (1, TaskCreated),
        (2, TaskQueued),
        (3, CallRequested),
        (4, CallRequested),
        (5, CallRequested),
        (6, TaskCompleted),
    ];
    assert_eq!(kinds(&store, id).await, all);
    let some = store.events("local", id, 3, 2).await.unwrap();
    assert_eq!(
        some.iter().map(|event| (event.seq, event.data.call())).collect::<Vec<_>>(),
        [(4, Some(1)), (5, Some(2))]
    );
}

async fn concurrent_events_of_one_task_have_no_gaps(store: Shared) {
    let id = recorded(&store, new_task()).await;
    let writes = (0..300).map(|n| {
        let events = vec![event(EventKind::CallStarted, n), event(EventKind::CallCompleted, n)];
        store.change_task(TaskChange { events, ..change(id) })
    });
    for written in futures::future::join_all(writes).await {
        written.unwrap();
    }
    let events = store.events("local", id, 2, 1000).await.unwrap();
    assert_eq!(events.len(), 600);
    for (place, event) in events.iter().enumerate() {
        assert_eq!((event.seq, event.data.call()), (place as u64 + 3, Some(place as u32 / 2)));
    }
}

async fn an_ended_task_never_changes(store: Shared) {
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

async fn a_change_of_no_task_is_a_conflict(store: Shared) {
    let id = TaskId::new();
    assert!(
        matches!(store.change_task(end(id, TaskStatus::Failed, None)).await, Err(StoreError::Conflict(task)) if task == id)
    );
    assert!(store.task("local", id).await.unwrap().is_none());
}

async fn a_conflict_leaves_its_neighbours_alone(store: Shared) {
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

async fn a_change_that_contradicts_itself_is_refused(store: Shared) {
    let id = recorded(&store, new_task()).await;
    let no_end = TaskChange { status: Some(TaskStatus::Failed), ..change(id) };
    let no_status = TaskChange { end: Some(ending(None)), ..change(id) };
    for bad in [no_end, no_status] {
        assert!(matches!(store.change_task(bad).await, Err(StoreError::Invalid(_))));
    }
    assert_eq!(store.task("local", id).await.unwrap().unwrap().status, TaskStatus::Queued);
}

async fn writes_happen_in_the_order_of_the_calls(store: Shared) {
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

async fn a_dropped_write_still_happens(store: Shared) {
    let task = new_task();
    drop(store.create_task(task.clone()));
    recorded(&store, new_task()).await;
    assert!(store.task("local", task.task_id).await.unwrap().is_some());
}

/// The task with another principal.
fn by(mut task: NewTask, change: impl FnOnce(&mut Principal)) -> NewTask {
    change(&mut task.principal);
    task
}

fn keyed(key: &str) -> NewTask {
    NewTask { idempotency_key: Some(key.into()), ..new_task() }
}

async fn the_same_key_names_the_same_task(store: Shared) {
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

async fn a_key_belongs_to_one_caller(store: Shared) {
    recorded(&store, keyed("k")).await;
    recorded(&store, by(keyed("k"), |who| who.account_id = "bob".into())).await;
    recorded(&store, by(keyed("k"), |who| who.workspace_id = "other".into())).await;
    recorded(&store, keyed("k2")).await;
}

async fn a_key_is_free_again_after_a_day(store: Shared) {
    let now = Timestamp::now();
    let ago = |seconds| now - jiff::SignedDuration::from_secs(seconds);
    let first = recorded(&store, NewTask { created_at: ago(24 * 3600), ..keyed("k") }).await;
    let within = NewTask { created_at: ago(1), ..keyed("k") };
    assert_eq!(store.create_task(within).await.unwrap(), Created::Existing(first));
    let second = recorded(&store, NewTask { created_at: now, ..keyed("k") }).await;
    assert_eq!(store.create_task(keyed("k")).await.unwrap(), Created::Existing(second));
    assert_eq!(listed(&store, limit(10)).await, [second, first]);
}

async fn a_result_is_paged_at_characters(store: Shared) {
    let text = "\"a\u{e4}\u{20ac}\u{1f600}z\"";
    let id = completed(&store, text).await;
    for page in 1..=text.len() as u64 + 1 {
        let (mut whole, mut offset) = (String::new(), 0);
        loop {
            let piece = store.result("local", id, offset, page).await.unwrap().unwrap();
            assert_eq!((piece.offset, piece.total_bytes), (offset, text.len() as u64));
            assert!(
                !piece.text.is_empty()
                    && (piece.text.len() as u64 <= page || piece.text.chars().count() == 1)
            );
            whole.push_str(&piece.text);
            match piece.next_offset {
                Some(next) => offset = next,
                None => break,
            }
        }
        assert_eq!(whole, text);
    }
    // From the middle of a character: from its beginning.
    let piece = store.result("local", id, 3, 100).await.unwrap().unwrap();
    assert_eq!(
        (piece.offset, piece.text.as_str(), piece.next_offset),
        (2, "\u{e4}\u{20ac}\u{1f600}z\"", None)
    );
    let beyond = store.result("local", id, u64::MAX, u64::MAX).await.unwrap().unwrap();
    assert_eq!(
        (beyond.offset, beyond.text.as_str(), beyond.next_offset),
        (text.len() as u64, "", None)
    );
    assert_eq!(store.result("local", id, 0, 0).await.unwrap().unwrap().text, "\"");
}

async fn a_large_result_is_whole(store: Shared) {
    // Three bytes a character, so that no page and no part ends with one.
    let text = format!("\"{}\"", "\u{20ac}".repeat(1_000_000));
    let task = new_task();
    let id = task.task_id;
    // Together, so that the task is recorded in the batch that ends it.
    let created = store.create_task(task);
    let other = new_task();
    let created_other = store.create_task(other.clone());
    let ended = store.change_task(end(id, TaskStatus::Completed, Some(text.clone())));
    let late = store.change_task(end(id, TaskStatus::Completed, Some(text.clone())));
    assert_eq!(
        (created.await.unwrap(), created_other.await.unwrap()),
        (Created::New, Created::New)
    );
    ended.await.unwrap();
    assert!(late.await.is_err());
    assert_eq!(
        store.task("local", id).await.unwrap().unwrap().result_bytes,
        Some(text.len() as u64)
    );
    let whole = store.result("local", id, 0, u64::MAX).await.unwrap().unwrap();
    assert!(whole.text == text && whole.next_offset.is_none());
    let (mut paged, mut offset) = (String::new(), Some(0));
    while let Some(from) = offset {
        let piece = store.result("local", id, from, 262_144).await.unwrap().unwrap();
        paged.push_str(&piece.text);
        offset = piece.next_offset;
    }
    assert!(paged == text);
}

async fn a_result_of_any_length_is_whole(store: Shared) {
    for bytes in [4095, 4096, 4097, 262_143, 262_144, 262_145, 524_288] {
        let text = format!("\"{}\"", "x".repeat(bytes - 2));
        let id = completed(&store, &text).await;
        let piece = store.result("local", id, 0, u64::MAX).await.unwrap().unwrap();
        assert!(
            piece.text == text && piece.next_offset.is_none() && piece.total_bytes == bytes as u64,
            "{bytes}"
        );
        let last = store.result("local", id, bytes as u64 - 1, 10).await.unwrap().unwrap();
        assert_eq!((last.text.as_str(), last.next_offset), ("\"", None), "{bytes}");
    }
}

async fn no_result_is_not_an_empty_result(store: Shared) {
    let id = recorded(&store, new_task()).await;
    assert!(store.result("local", id, 0, 10).await.unwrap().is_none());
    store.change_task(end(id, TaskStatus::Cancelled, None)).await.unwrap();
    assert!(store.result("local", id, 0, 10).await.unwrap().is_none());
    let null = completed(&store, "null").await;
    assert_eq!(store.result("local", null, 0, 10).await.unwrap().unwrap().text, "null");
}

async fn lists_are_newest_first_and_paged(store: Shared) {
    let mut all = Vec::new();
    for _ in 0..7 {
        all.insert(0, recorded(&store, new_task()).await);
    }
    for size in 1..=8 {
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let page = store.tasks("local", TaskFilter { cursor, ..limit(size) }).await.unwrap();
            assert!(page.tasks.len() <= size as usize);
            seen.extend(page.tasks.iter().map(|task| task.task_id));
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, all);
    }
}

async fn pages_stay_in_place_while_tasks_arrive(store: Shared) {
    let mut all = Vec::new();
    for _ in 0..6 {
        all.insert(0, recorded(&store, new_task()).await);
    }
    let first = store.tasks("local", limit(3)).await.unwrap();
    for _ in 0..5 {
        recorded(&store, new_task()).await;
    }
    store.change_task(end(all[4], TaskStatus::Completed, None)).await.unwrap();
    let second = listed(&store, TaskFilter { cursor: first.next_cursor, ..limit(3) }).await;
    assert_eq!(second, all[3..]);
}

async fn lists_filter_by_status_and_session(store: Shared) {
    let plain = completed(&store, "1").await;
    let in_session =
        recorded(&store, by(new_task(), |who| who.session_id = Some("s".into()))).await;
    let ended = recorded(&store, by(new_task(), |who| who.session_id = Some("s".into()))).await;
    store.change_task(end(ended, TaskStatus::Denied, None)).await.unwrap();
    let status = |status| TaskFilter { status: Some(status), ..limit(10) };
    let session = || TaskFilter { session_id: Some("s".into()), ..limit(10) };
    assert_eq!(listed(&store, status(TaskStatus::Completed)).await, [plain]);
    assert_eq!(listed(&store, status(TaskStatus::TimedOut)).await, []);
    assert_eq!(listed(&store, session()).await, [ended, in_session]);
    assert_eq!(
        listed(&store, TaskFilter { status: Some(TaskStatus::Denied), ..session() }).await,
        [ended]
    );
}

async fn lists_filter_by_metadata_as_values(store: Shared) {
    let values = json!([1, 1.5, "1", true, null, [1, 2], {"a": 1, "b": {"c": []}}, "", 12345678901234567890u64, -1]);
    let mut ids = Vec::new();
    for value in values.as_array().unwrap() {
        let metadata = object(json!({"key": value, "also": "x"}));
        ids.push(recorded(&store, NewTask { metadata: Some(metadata), ..new_task() }).await);
    }
    recorded(&store, new_task()).await;
    recorded(&store, NewTask { metadata: Some(object(json!({"other": 1}))), ..new_task() }).await;
    for (value, id) in values.as_array().unwrap().iter().zip(&ids) {
        assert_eq!(listed(&store, with_metadata(json!({"key": value}))).await, [*id], "{value}");
        assert_eq!(
            listed(&store, with_metadata(json!({"also": "x", "key": value}))).await,
            [*id],
            "{value}"
        );
        assert_eq!(
            listed(&store, with_metadata(json!({"also": "y", "key": value}))).await,
            [],
            "{value}"
        );
    }
    // The order of an object's keys says nothing; that of a list does.
    assert_eq!(
        listed(&store, with_metadata(json!({"key": {"b": {"c": []}, "a": 1}}))).await,
        [ids[6]]
    );
    assert_eq!(listed(&store, with_metadata(json!({"key": [2, 1]}))).await, []);
    assert_eq!(listed(&store, with_metadata(json!({}))).await.len(), ids.len() + 2);
    let all = store
        .tasks("local", TaskFilter { limit: 3, ..with_metadata(json!({"also": "x"})) })
        .await
        .unwrap();
    let rest = TaskFilter { cursor: all.next_cursor, ..with_metadata(json!({"also": "x"})) };
    assert_eq!(listed(&store, rest).await.len(), ids.len() - 3);
}

async fn hostile_metadata_keys_are_only_keys(store: Shared) {
    let keys = [
        "a.b",
        "$",
        "$.a",
        "$[0]",
        "a\"b",
        "a'b",
        "'; DROP TABLE tasks;--",
        "",
        "\u{0}",
        "a\u{0}b",
        "*",
        "%",
        "\\",
        "\\u0061",
        "[0]",
        "#-1",
    ];
    let mut ids = Vec::new();
    for key in keys {
        let metadata = object(json!({key: "found"}));
        ids.push(recorded(&store, NewTask { metadata: Some(metadata), ..new_task() }).await);
    }
    recorded(
        &store,
        NewTask { metadata: Some(object(json!({"a": {"b": "found"}}))), ..new_task() },
    )
    .await;
    for (key, id) in keys.iter().zip(&ids) {
        assert_eq!(listed(&store, with_metadata(json!({*key: "found"}))).await, [*id], "{key:?}");
        assert_eq!(listed(&store, with_metadata(json!({*key: "not"}))).await, [], "{key:?}");
    }
    let many: JsonObject = (0..2000).map(|n| (format!("k{n}"), n.into())).collect();
    let id = recorded(&store, NewTask { metadata: Some(many.clone()), ..new_task() }).await;
    assert_eq!(listed(&store, with_metadata(many.clone().into())).await, [id]);
    let mut one_off = many;
    one_off["k1999"] = json!("else");
    assert_eq!(listed(&store, with_metadata(one_off.into())).await, []);
}

async fn a_foreign_cursor_is_refused(store: Shared) {
    recorded(&store, new_task()).await;
    for cursor in
        ["", "x", "AAAA", "AAAAAAAAAAA", "_________38A", "__________8", "!!!", &"A".repeat(10_000)]
    {
        let refused =
            store.tasks("local", TaskFilter { cursor: Some(cursor.into()), ..limit(10) }).await;
        assert!(
            matches!(&refused, Err(StoreError::BadCursor(shown)) if shown.len() <= 80),
            "{cursor}: {refused:?}"
        );
    }
}

async fn a_page_is_bounded_in_bytes(store: Shared) {
    let code = "x".repeat(256 * 1024);
    for _ in 0..40 {
        drop(store.create_task(NewTask { code: code.clone(), ..new_task() }));
    }
    recorded(&store, new_task()).await;
    let page = store.tasks("local", limit(200)).await.unwrap();
    let bytes: usize = page.tasks.iter().map(|task| task.code.len()).sum();
    assert!(bytes >= LIST_BYTES_MAX && bytes < LIST_BYTES_MAX + 2 * code.len(), "{bytes}");
    let rest =
        store.tasks("local", TaskFilter { cursor: page.next_cursor, ..limit(200) }).await.unwrap();
    assert_eq!(page.tasks.len() + rest.tasks.len(), 41);
    assert_eq!(rest.next_cursor, None);
}

async fn unfinished_tasks_fail_with_the_given_error(store: Shared) {
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
        assert_eq!(last.data, EventData::TaskFailed(TaskEnded::at_recovery(&error)));
    }
}

async fn a_closed_store_says_so(store: Shared) {
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
