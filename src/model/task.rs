//! The durable unit a client sees.

use serde::{Deserialize, Serialize};

use super::{JsonObject, Principal, TaskId, Timestamp};

/// `queued → running ⇄ awaiting_approval → completed | failed | timed_out | denied | cancelled`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskStatus {
    /// Waits for a worker.
    Queued,
    /// Its code runs.
    Running,
    /// Parked until a person answers.
    AwaitingApproval,
    /// The code returned.
    Completed,
    /// It threw, did not parse, used too much memory, or the server lost it.
    Failed,
    /// `timeoutMs` or the CPU budget ran out.
    TimedOut,
    /// A call was refused and the code did not handle it.
    Denied,
    /// Somebody asked.
    Cancelled,
}

impl TaskStatus {
    /// All of them, in the order of the contract.
    pub const ALL: [Self; 8] = [
        Self::Queued,
        Self::Running,
        Self::AwaitingApproval,
        Self::Completed,
        Self::Failed,
        Self::TimedOut,
        Self::Denied,
        Self::Cancelled,
    ];

    /// The name in the contract and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::AwaitingApproval => "awaiting_approval",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Denied => "denied",
            Self::Cancelled => "cancelled",
        }
    }

    /// The status of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }

    /// Returns true if it never changes again.
    pub fn is_terminal(self) -> bool {
        !matches!(self, Self::Queued | Self::Running | Self::AwaitingApproval)
    }
}

impl std::fmt::Display for TaskStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The record of one task. The result itself may be large and is read apart, in pages.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Task {
    /// Its name.
    pub task_id: TaskId,
    /// Its status.
    pub status: TaskStatus,
    /// The guest's source as it was given.
    pub code: String,
    /// The runtime that runs it.
    pub runtime_id: String,
    /// Time limit of the code in milliseconds; waiting for an approval does not count.
    pub timeout_ms: u64,
    /// The caller's own data.
    pub metadata: Option<JsonObject>,
    /// The identity that submitted it; it belongs to that identity's workspace.
    #[serde(flatten)]
    pub principal: Principal,
    /// Time of its creation.
    pub created_at: Timestamp,
    /// Start of its code.
    pub started_at: Option<Timestamp>,
    /// Time of its end.
    pub completed_at: Option<Timestamp>,
    /// 0, 1, 124, 126, 130 or 137, once it has ended.
    pub exit_code: Option<i32>,
    /// Length of the result's JSON text in bytes; none before completion.
    pub result_bytes: Option<u64>,
    /// Why it did not complete.
    pub error: Option<TaskError>,
    /// Console output.
    pub logs: Logs,
    /// Warnings that did not fail the task.
    pub warnings: Vec<String>,
    /// What it used.
    pub usage: Usage,
}

/// Why a task did not complete. Positions are those of the caller's own source, from 1.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskError {
    /// The error's class: `TypeError`, `ToolCallError`, `LimitError`.
    pub name: String,
    /// What went wrong, at most 8 KiB.
    pub message: String,
    /// Machine-readable cause: `uncaught_exception`, `syntax_error`, `memory_limit` …
    pub code: String,
    /// Line in the caller's source, from 1.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub line: Option<u32>,
    /// Column in the caller's source, from 1.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub column: Option<u32>,
    /// The lines around the place, with a marker.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub frame: Option<String>,
    /// At most 10 frames of the caller's own code.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub stack: Option<String>,
    /// The way out.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hint: Option<String>,
}

/// Console output of a task: at most 64 KiB and 1000 lines, what was dropped is counted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Logs {
    /// What was kept, oldest first.
    pub lines: Vec<LogLine>,
    /// Lines that were dropped.
    #[serde(default)]
    pub dropped_lines: u64,
    /// Bytes that were dropped.
    #[serde(default)]
    pub dropped_bytes: u64,
}

impl Logs {
    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.dropped_lines == 0
    }
}

/// One line of console output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LogLine {
    /// Which function of `console` wrote it.
    pub level: LogLevel,
    /// The text.
    pub text: String,
}

/// Which function of `console` wrote a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// `console.debug`
    Debug,
    /// `console.log`, `console.info` and the rest
    Info,
    /// `console.warn`
    Warn,
    /// `console.error`
    Error,
}

/// What a task used. Waiting is told apart from running.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// From the start of the code to its end, in milliseconds.
    pub wall_ms: u64,
    /// CPU time of the guest's thread, in milliseconds.
    pub cpu_ms: u64,
    /// From creation to the start of the code.
    pub queue_ms: u64,
    /// Time in which the code did nothing but wait for tools.
    pub tool_wait_ms: u64,
    /// Time parked on a person's answer.
    pub approval_wait_ms: u64,
    /// Calls of tools, refused ones included.
    pub tool_calls: u64,
    /// The largest heap seen, array buffers included.
    pub heap_peak_bytes: u64,
}
