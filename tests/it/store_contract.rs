//! What every store promises, shown on each: one case here is one test per implementation. Each
//! module has the cases of one trait.

mod approvals;
mod artifacts;
mod counters;
mod journal;
mod lists;
pub(crate) mod memory;
mod overview;
mod recovery;
mod results;
mod sqlite;
mod tasks;

use std::sync::Arc;

use airlock::{
    model::{
        Approval, ApprovalId, ApprovalStatus, Asked, AskingRule, EventDetails, EventKind,
        InstanceId, JsonObject, Logs, NewEvent, Principal, TaskEnded, TaskError, TaskId,
        TaskStatus, Timestamp, Usage,
    },
    store::{ApprovalChange, Created, NewTask, Recovery, Store, TaskChange, TaskEnd, TaskFilter},
};
use serde_json::{json, value::RawValue};

type Shared = Arc<dyn Store>;

/// Names the cases of a module. A case that is missing is an unused function, which the compiler
/// reports.
macro_rules! contract {
    ($module:ident: $($case:ident)*) => {
        /// Each case, as a test in a module of the implementation.
        macro_rules! cases {
            () => {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let opened = super::open().await;
                    $crate::store_contract::$module::$case(opened.store()).await;
                })*
            };
        }
        pub(super) use cases;
    };
}
use contract;

/// All cases, as tests of the implementation that invokes it; it has a function `open`.
macro_rules! contracts {
    () => {
        $crate::store_contract::contracts! {
            tasks results lists journal counters approvals artifacts recovery overview
        }
    };
    ($($module:ident)*) => {
        $(mod $module {
            $crate::store_contract::$module::cases! {}
        })*
    };
}
use contracts;

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
    TaskChange {
        task_id,
        status: None,
        started_at: None,
        end: None,
        events: vec![],
        journal: vec![],
    }
}

/// An event of this kind about the call of this number, with details that do not matter.
fn event(kind: EventKind, call: u32) -> NewEvent {
    let details = json!({
        "seq": call, "tool": "a.b", "upstream": "a", "argumentKeys": [], "argumentBytes": 2,
        "digest": "sha256:00", "bytes": 1, "name": "E", "code": "x", "message": "m",
        "exitCode": 0, "approvalId": ApprovalId::new(), "status": "pending", "reason": "r",
        "expiresAt": Timestamp::now(),
    });
    NewEvent::now(EventDetails::parse(kind.as_str(), &details.to_string()).expect("all are there"))
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

fn ended(status: TaskStatus) -> EventDetails {
    let ended = TaskEnded { exit_code: 0, error: None };
    match status {
        TaskStatus::Completed => EventDetails::TaskCompleted(ended),
        TaskStatus::Cancelled => EventDetails::TaskCancelled(ended),
        TaskStatus::Failed => EventDetails::TaskFailed(ended),
        TaskStatus::TimedOut => EventDetails::TaskTimedOut(ended),
        TaskStatus::Denied => EventDetails::TaskDenied(ended),
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

/// The task with another principal.
fn by(mut task: NewTask, change: impl FnOnce(&mut Principal)) -> NewTask {
    change(&mut task.principal);
    task
}

/// The middle of a minute, so that no case crosses its edge by chance.
fn moment() -> Timestamp {
    Timestamp::from_second(1_795_257_030).unwrap()
}

fn later(seconds: i64) -> Timestamp {
    moment() + jiff::SignedDuration::from_secs(seconds)
}

fn approval() -> Approval {
    Approval {
        id: ApprovalId::new(),
        status: ApprovalStatus::Pending,
        principal: Principal::local("tests"),
        task_id: TaskId::new(),
        seq: 3,
        tool: "bank.pay".into(),
        args: "{ \"amount\": 1.0,\"to\": \"\u{202e}x\" }".into(),
        digest: "sha256:00".into(),
        asked: Asked {
            upstream: "bank".into(),
            class: "Financial".into(),
            rule: Some(AskingRule {
                name: "big".into(),
                pointer: "/tools/bank.pay".into(),
                layer: "p.yaml".into(),
            }),
            line: Some(7),
            ..Asked::default()
        },
        created_at: moment(),
        expires_at: later(60),
        decided_at: None,
        decided_by: None,
        note: None,
        why: None,
    }
}

async fn asked(store: &Shared) -> Approval {
    let approval = approval();
    store.ask_approval(approval.clone()).await.unwrap();
    approval
}

fn decision(approval: &Approval, from: ApprovalStatus, to: ApprovalStatus) -> ApprovalChange {
    ApprovalChange { id: approval.id, from, to, at: later(1), by: None, note: None, why: None }
}

fn decided_by_a_person(approval: &Approval, to: ApprovalStatus) -> ApprovalChange {
    let note = Some("because".into());
    ApprovalChange {
        by: Some("owner".into()),
        note,
        ..decision(approval, ApprovalStatus::Pending, to)
    }
}
