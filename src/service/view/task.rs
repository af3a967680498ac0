//! Tasks, their results and their histories.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    base::text::clip,
    model::{
        Event, JsonObject, Logs, RawJson, Task, TaskError, TaskId, TaskStatus, Timestamp, Usage,
    },
    task::Latest,
};

/// Bytes of a result that an answer suggests to read at once: fits a text block of MCP.
pub const PAGE_BYTES: u64 = 25_000;
/// Characters of an error's message in a list.
const ROW_ERROR_CHARS_MAX: usize = 200;

/// The state of a task: what `execute` answers.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskOutcome {
    /// Names the task; give it to task_get or task_cancel.
    #[schemars(with = "String")]
    pub task_id: TaskId,
    /// Its status.
    pub status: TaskStatus,
    /// The runtime that runs it.
    pub runtime_id: String,
    /// 0 completed, 1 failed, 124 timed out, 126 denied, 130 cancelled, 137 out of memory; null
    /// before the end.
    pub exit_code: Option<i32>,
    /// The value that the code returned, as JSON; null before the end or where `truncated` is set.
    pub result: Value,
    /// The workspace it belongs to.
    pub workspace_id: String,
    /// The account of the caller.
    pub account_id: String,
    /// The caller's grouping.
    pub session_id: Option<String>,
    /// The error that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<TaskError>,
    /// Console output, where there is any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logs: Option<Logs>,
    /// Warnings for the caller: the task did not fail on them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Its usage.
    pub usage: Usage,
    /// Approvals that a person must give before the task goes on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<PendingApproval>,
    /// The piece of the result that was requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_page: Option<ResultPage>,
    /// The result is larger than 1 MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truncated: Option<Truncated>,
}

/// A result that is too large for one answer.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Truncated {
    /// Length of its JSON text in bytes.
    pub total_bytes: u64,
    /// The call that reads it.
    pub next: String,
}

/// A piece of a result's JSON text.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResultPage {
    /// The piece.
    pub text: String,
    /// Its first byte.
    pub offset: u64,
    /// First byte of the next piece; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_offset: Option<u64>,
    /// Length of the whole text in bytes.
    pub total_bytes: u64,
}

/// An approval that a task waits for, as the agent sees it: nothing of who may decide it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PendingApproval {
    /// Its id.
    pub approval_id: String,
    /// The tool that would be called.
    pub tool: String,
    /// The reason for the request.
    pub reason: String,
    /// Time of expiry.
    #[schemars(with = "String")]
    pub expires_at: Timestamp,
    /// The page where a person decides, signed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// The whole record of a task: what `task_get` and `/v1` answer.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskRecord {
    /// Its state.
    #[serde(flatten)]
    pub outcome: TaskOutcome,
    /// The source.
    pub code: String,
    /// Time limit of the code, in milliseconds.
    pub timeout_ms: u64,
    /// The caller's own data.
    pub metadata: Option<JsonObject>,
    /// The client program.
    pub client_id: String,
    /// Time of creation.
    #[schemars(with = "String")]
    pub created_at: Timestamp,
    /// Start of its code.
    #[schemars(with = "Option<String>")]
    pub started_at: Option<Timestamp>,
    /// Time of its end.
    #[schemars(with = "Option<String>")]
    pub completed_at: Option<Timestamp>,
}

impl From<&Task> for TaskRecord {
    /// The view of a task without its result, which [`TaskRecord::with_result`] adds.
    fn from(task: &Task) -> Self {
        let logs = Some(&task.logs).filter(|logs| !logs.is_empty()).cloned();
        let outcome = TaskOutcome {
            task_id: task.task_id,
            status: task.status,
            runtime_id: task.runtime_id.clone(),
            exit_code: task.exit_code,
            result: Value::Null,
            workspace_id: task.principal.workspace_id.clone(),
            account_id: task.principal.account_id.clone(),
            session_id: task.principal.session_id.clone(),
            error: task.error.clone(),
            logs,
            warnings: task.warnings.clone(),
            usage: task.usage,
            approvals: vec![],
            result_page: None,
            truncated: None,
        };
        Self {
            outcome,
            code: task.code.clone(),
            timeout_ms: task.timeout_ms,
            metadata: task.metadata.clone(),
            client_id: task.principal.client_id.clone(),
            created_at: task.created_at,
            started_at: task.started_at,
            completed_at: task.completed_at,
        }
    }
}

impl TaskRecord {
    /// With the whole result, or with its length where it is too large to be in the answer. A
    /// result that cannot be read, because it is nested deeper than JSON readers take, is given as
    /// its text, and a warning says why.
    pub fn with_result(mut self, raw: Option<&RawJson>, bytes: u64) -> Self {
        let outcome = &mut self.outcome;
        let Some(raw) = raw else {
            outcome.truncated = Some(Truncated { total_bytes: bytes, next: outcome.read_on(0) });
            return self;
        };
        outcome.result = serde_json::from_str(raw.get()).unwrap_or_else(|error| {
            let error = error.to_string();
            outcome.warnings.push(match error.starts_with("recursion limit exceeded") {
                true => "the result is nested deeper than 128 levels: it is given as JSON text"
                    .to_owned(),
                false => {
                    format!("the result is JSON that cannot be read ({error}): it is given as text")
                }
            });
            raw.get().into()
        });
        self
    }
}

impl TaskOutcome {
    /// The call that reads the result from this byte on.
    pub fn read_on(&self, offset: u64) -> String {
        format!(
            "Call task_get with \
            {{\"taskId\":\"{}\",\"resultOffset\":{offset},\"resultLimit\":{PAGE_BYTES}}} and go \
            on at resultPage.nextOffset.",
            self.task_id
        )
    }
}

/// A page of tasks.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskPage {
    /// Newest first.
    pub tasks: Vec<TaskRow>,
    /// Cursor of the next page; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// A task in a list: neither its code nor its output.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskRow {
    /// Names the task.
    #[schemars(with = "String")]
    pub task_id: TaskId,
    /// Its status.
    pub status: TaskStatus,
    /// The runtime that runs it.
    pub runtime_id: String,
    /// Its exit code, once it has ended.
    pub exit_code: Option<i32>,
    /// The caller's grouping.
    pub session_id: Option<String>,
    /// The caller's own data.
    pub metadata: Option<JsonObject>,
    /// The client program.
    pub client_id: String,
    /// Time of creation.
    #[schemars(with = "String")]
    pub created_at: Timestamp,
    /// Start of its code.
    #[schemars(with = "Option<String>")]
    pub started_at: Option<Timestamp>,
    /// Time of its end.
    #[schemars(with = "Option<String>")]
    pub completed_at: Option<Timestamp>,
    /// Length of the result's JSON text in bytes.
    pub result_bytes: Option<u64>,
    /// The error that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<TaskRowError>,
    /// Its usage.
    pub usage: Usage,
}

/// The error of a task in a list.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskRowError {
    /// The error's class.
    pub name: String,
    /// The message, cut to 200 characters.
    pub message: String,
    /// Machine-readable cause.
    pub code: String,
}

impl From<&Task> for TaskRow {
    fn from(task: &Task) -> Self {
        let error = task.error.as_ref().map(|error| TaskRowError {
            name: error.name.clone(),
            message: clip(&error.message, ROW_ERROR_CHARS_MAX),
            code: error.code.clone(),
        });
        Self {
            task_id: task.task_id,
            status: task.status,
            runtime_id: task.runtime_id.clone(),
            exit_code: task.exit_code,
            session_id: task.principal.session_id.clone(),
            metadata: task.metadata.clone(),
            client_id: task.principal.client_id.clone(),
            created_at: task.created_at,
            started_at: task.started_at,
            completed_at: task.completed_at,
            result_bytes: task.result_bytes,
            error,
            usage: task.usage,
        }
    }
}

/// A piece of a task's history.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventPage {
    /// Oldest first.
    #[schemars(with = "Vec<Value>")]
    pub events: Vec<Event>,
    /// The number to go on after.
    pub next_after: u64,
}

/// The progress of a task, for a caller who waits for it.
#[derive(Debug, Clone)]
pub struct Progress {
    /// The task, from the moment it is recorded.
    pub task_id: TaskId,
    /// Its status.
    pub status: TaskStatus,
    /// Calls of tools so far.
    pub tool_calls: u64,
    /// The latest that happened in it.
    pub latest: Option<Latest>,
    /// The approvals that it waits for, the newest first.
    pub approvals: Arc<[PendingApproval]>,
}
