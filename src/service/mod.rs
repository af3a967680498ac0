//! What the outside can ask, one function each. No protocol and no SQL here.

mod approvals;
mod artifacts;
mod asks;
mod error;
mod policy;
mod tasks;
mod tools;

use std::sync::{Arc, OnceLock};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    catalog::Catalog,
    model::{JsonObject, RawJson, Task, TaskStatus},
    store::Store,
    task::{
        approval::waiters::ApprovalWaiters, artifacts::Artifacts, engine::TaskEngine,
        policy_reload::ReloadingPolicy,
    },
};

pub use approvals::{ApprovalAnswer, ApprovalList, ApprovalListAnswer, Step, Word};
pub use artifacts::ArtifactList;
pub use asks::{
    Health, NamespaceCount, PendingApproval, Progress, ProgressSink, TaskEvents, TaskEventsAnswer,
    ToolList,
};
pub use error::ServiceError;
pub use policy::{
    PolicyCaller, PolicyExplain, PolicyFileText, PolicyFiles, PolicyQuestion, PolicyReplay,
    RecordedCall, scope_text,
};

/// The arguments of `execute`, by the names of the contract. Bounds are checked by the service.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Execute {
    /// TypeScript or JavaScript. `return` gives the value, `await` works at the top level. 1 byte
    /// to 256 KiB.
    pub code: String,
    /// How long the code may run, in milliseconds, 1 to 600000; 300000 unless the server says
    /// otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Which runtime runs it; leave it out for the one that the server takes by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime_id: Option<String>,
    /// Stored on the task, filterable in lists; at most 16 KiB as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<JsonObject>,
    /// Groups tasks, at most 128 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// False: answer at once with the task id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_for_result: Option<bool>,
    /// How long to hold the answer, in milliseconds, 100 to 900000. When it runs out the task goes
    /// on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_timeout_ms: Option<u64>,
    /// The same key within 24 h returns the same task instead of a new one; at most 128 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}

/// The arguments of `task_get`.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TaskGet {
    /// The id that `execute` gave.
    pub task_id: String,
    /// Wait so long for the task to end, in milliseconds, at most 50000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
    /// Read the result's JSON text from this byte on, as `resultPage`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_offset: Option<u64>,
    /// How many bytes of it, at most 1048576.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_limit: Option<u64>,
}

/// The arguments of `task_list`.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TaskList {
    /// Only tasks of this status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<TaskStatus>,
    /// Only tasks of this session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// Only tasks whose metadata has these keys with equal values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<JsonObject>,
    /// How many, 1 to 200; 50 unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `nextCursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// The arguments of `task_cancel`.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TaskCancel {
    /// The id that `execute` gave.
    pub task_id: String,
}

/// How long an `execute` may be held, by what the client can bear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// The client shows progress, or is our own: the full default.
    Long,
    /// The client may drop a silent call after a minute: at most `limits.hold_ms` unless it asked
    /// for longer itself.
    Short,
}

/// A task as the outside sees it.
#[derive(Debug, Clone)]
pub struct TaskAnswer {
    /// The record.
    pub task: Task,
    /// The result's JSON, whole, where the task completed and it has at most 1 MiB.
    pub result: Option<RawJson>,
    /// The piece of the result that was asked for.
    pub page: Option<ResultPage>,
    /// What it waits for, where it waits for a person.
    pub approvals: Vec<PendingApproval>,
}

/// A piece of a result's JSON text.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResultPage {
    /// The piece.
    pub text: String,
    /// Where it begins, in bytes.
    pub offset: u64,
    /// Where the next one begins; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_offset: Option<u64>,
    /// Length of the whole text in bytes.
    pub total_bytes: u64,
}

/// A page of tasks.
#[derive(Debug, Clone)]
pub struct TaskListAnswer {
    /// Newest first.
    pub tasks: Vec<Task>,
    /// Where the next page begins, if there is one.
    pub next_cursor: Option<String>,
}

/// What the service itself must hold to.
#[derive(Debug, Clone)]
pub struct ServiceLimits {
    /// Source of a task, in bytes.
    pub code_bytes_max: usize,
    /// `timeoutMs` where the caller names none.
    pub timeout_ms: u64,
    /// The cap on an answer that is held for a client with [`Patience::Short`], in milliseconds; 0
    /// for none.
    pub hold_ms: u64,
    /// `runtimeId` where the caller names none.
    pub runtime_id: String,
}

/// Answers what the outside asks. Stateless but for what it is made of.
pub struct Service {
    engine: TaskEngine,
    store: Arc<dyn Store>,
    catalog: Arc<Catalog>,
    policy: Arc<ReloadingPolicy>,
    waiters: Arc<ApprovalWaiters>,
    artifacts: Artifacts,
    limits: ServiceLimits,
    /// Where the pages are, once the server listens.
    url: OnceLock<String>,
}

impl Service {
    /// A service over the engine and what its hosts share.
    pub fn new(engine: TaskEngine, limits: ServiceLimits) -> Self {
        let parts = engine.services();
        let (store, catalog) = (parts.store.clone(), parts.catalog.clone());
        let (policy, waiters) = (parts.policy.clone(), parts.waiters.clone());
        let artifacts = parts.artifacts.clone();
        Self { engine, store, catalog, policy, waiters, artifacts, limits, url: OnceLock::new() }
    }

    /// Says where this server's pages are: `http://127.0.0.1:7411`. The first one counts.
    pub fn answers_at(&self, url: &str) {
        self.url.set(url.to_owned()).ok();
    }
}
