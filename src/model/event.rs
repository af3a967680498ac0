//! The history of a task: typed events in the order in which they happened. Events are appended
//! and never changed.

use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use super::{ApprovalId, ApprovalStatus, ArtifactId, TaskError, TaskId, Timestamp};

/// One entry of a task's history, serialised as `{taskId, seq, at, type, data}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// The task it belongs to.
    pub task_id: TaskId,
    /// Its number within the task, from 1 without gaps.
    pub seq: u64,
    /// Time of the event.
    pub at: Timestamp,
    /// Its kind and details.
    #[serde(flatten)]
    pub data: EventDetails,
}

/// An event that has no number yet; the store gives it one.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// Time of the event.
    pub at: Timestamp,
    /// Its kind and details.
    pub data: EventDetails,
}

impl NewEvent {
    /// An event of this moment.
    pub fn now(data: EventDetails) -> Self {
        Self { at: Timestamp::now(), data }
    }
}

macro_rules! events {
    ($($(#[$doc:meta])* $variant:ident($data:ty) = $name:literal,)*) => {
        /// The closed list of kinds.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum EventKind { $($(#[$doc])* #[serde(rename = $name)] $variant,)* }

        /// The kind of an event, with its details.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "type", content = "data")]
        pub enum EventDetails { $($(#[$doc])* #[serde(rename = $name)] $variant($data),)* }

        impl EventKind {
            /// The name in the contract and in the store.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }

        impl EventDetails {
            /// Its kind.
            pub fn kind(&self) -> EventKind {
                match self { $(Self::$variant(_) => EventKind::$variant,)* }
            }

            /// Reads the details of an event from its kind's name and their JSON text.
            ///
            /// # Errors
            /// If the name is of no kind, or the details are not those of the kind.
            pub fn parse(kind: &str, details: &str) -> Result<Self, serde_json::Error> {
                match kind {
                    $($name => serde_json::from_str(details).map(Self::$variant),)*
                    unknown => Err(serde::de::Error::unknown_variant(unknown, &[$($name),*])),
                }
            }

            /// The details alone, as the contract shows them.
            pub fn details(&self) -> Value {
                self.serialize_details(serde_json::value::Serializer)
                    .expect("plain data with text keys has a JSON form")
            }

            /// Serialises the details alone, without the kind.
            pub fn serialize_details<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                match self { $(Self::$variant(details) => details.serialize(to),)* }
            }
        }
    };
}

events! {
    /// The record exists.
    TaskCreated(NoDetails) = "task.created",
    /// It waits for a worker.
    TaskQueued(NoDetails) = "task.queued",
    /// Its code runs.
    TaskRunning(TaskRunning) = "task.running",
    /// It pauses until a person decides.
    TaskAwaitingApproval(NoDetails) = "task.awaiting_approval",
    /// The code returned.
    TaskCompleted(TaskEnded) = "task.completed",
    /// The code threw, did not parse, used too much memory, or was lost.
    TaskFailed(TaskEnded) = "task.failed",
    /// Wall or CPU time ran out.
    TaskTimedOut(TaskEnded) = "task.timed_out",
    /// A denied call ended it.
    TaskDenied(TaskEnded) = "task.denied",
    /// Somebody cancelled it.
    TaskCancelled(TaskEnded) = "task.cancelled",
    /// The code called a tool.
    CallRequested(CallRequested) = "tool.call.requested",
    /// The call leaves for the upstream.
    CallStarted(CallStarted) = "tool.call.started",
    /// The upstream responded.
    CallCompleted(CallCompleted) = "tool.call.completed",
    /// The upstream failed, or the arguments were invalid.
    CallFailed(CallFailed) = "tool.call.failed",
    /// Policy or a person denied the call.
    CallDenied(CallDenied) = "tool.call.denied",
    /// A person is asked.
    ApprovalRequested(ApprovalRequested) = "approval.requested",
    /// A person decided, or nobody can any more.
    ApprovalResolved(ApprovalResolved) = "approval.resolved",
}

impl EventDetails {
    /// The number of the call it belongs to; none for events of the task itself.
    pub fn call(&self) -> Option<u32> {
        match self {
            Self::CallRequested(call) => Some(call.seq),
            Self::CallStarted(call) => Some(call.seq),
            Self::CallCompleted(call) => Some(call.seq),
            Self::CallFailed(call) => Some(call.seq),
            Self::CallDenied(call) => Some(call.seq),
            Self::ApprovalRequested(approval) => Some(approval.seq),
            Self::ApprovalResolved(approval) => Some(approval.seq),
            Self::TaskCreated(_)
            | Self::TaskQueued(_)
            | Self::TaskRunning(_)
            | Self::TaskAwaitingApproval(_)
            | Self::TaskCompleted(_)
            | Self::TaskFailed(_)
            | Self::TaskTimedOut(_)
            | Self::TaskDenied(_)
            | Self::TaskCancelled(_) => None,
        }
    }
}

/// The details of an event that its kind says everything about: `{}`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoDetails {}

/// The details of `task.running`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskRunning {
    /// Milliseconds from creation to the start of the code; none where it goes on after a pause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_ms: Option<u64>,
}

/// The details of the event that ends a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskEnded {
    /// 0, 1, 124, 126, 130 or 137.
    pub exit_code: i32,
    /// The reason why it did not complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<EndError>,
}

impl TaskEnded {
    /// The end of a task that ran when its server stopped, recorded by the next start: exit code 1,
    /// with the whole message.
    pub fn at_recovery(error: &TaskError) -> Self {
        let error = EndError {
            name: error.name.clone(),
            code: error.code.clone(),
            message: Some(error.message.clone()),
            hint: error.hint.clone(),
        };
        Self { exit_code: 1, error: Some(error) }
    }
}

/// The error that ended a task, by its class and code; the task's record has the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndError {
    /// The error's class: `TypeError`, `LimitError`.
    pub name: String,
    /// The machine-readable cause: `uncaught_exception`, `time_limit`.
    pub code: String,
    /// The message, for an end that the server's next start recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The way out, for an end that the server's next start recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// The details of `tool.call.requested`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallRequested {
    /// The call's number in the run, from 1.
    pub seq: u32,
    /// The tool's path as the code gave it, at most 128 bytes.
    pub tool: String,
    /// The names of the arguments, at most 32 of at most 128 bytes.
    pub argument_keys: Vec<String>,
    /// The length of the arguments' JSON text in bytes.
    pub argument_bytes: u64,
    /// SHA-256 over the arguments in the canonical form of RFC 8785: `sha256:…`.
    pub digest: String,
    /// The policy's decision; none where the call failed before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<CallDecision>,
    /// The arguments' values, where `policy.record_values` is set and they are at most 64 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Value>,
}

/// One decision of the policy about a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallDecision {
    /// `allow`, `ask` or `deny`.
    pub outcome: String,
    /// The error code of a denial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// True if the tool must look as if it did not exist.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
    /// The rule that decided; none where the profile did.
    #[serde(flatten)]
    pub rule: Option<DecidingRule>,
    /// The tool's class of risk.
    pub class: String,
    /// The revision of the policy that decided.
    pub revision: String,
    /// Microseconds that deciding took.
    pub elapsed_us: u64,
    /// Rules in shadow mode that would have decided otherwise, at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shadow: Vec<ShadowFinding>,
}

/// A rule by its name and place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecidingRule {
    /// Its name.
    pub rule: String,
    /// Its place in its file; none for what is built in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// The layer it belongs to.
    pub layer: String,
}

/// A rule in shadow mode, and what it would have decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShadowFinding {
    /// `allow`, `ask` or `deny`.
    pub would: String,
    /// The rule.
    #[serde(flatten)]
    pub rule: DecidingRule,
}

/// The details of `tool.call.started`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallStarted {
    /// The call's number in the run, from 1.
    pub seq: u32,
    /// The tool's path.
    pub tool: String,
    /// The upstream that performs it.
    pub upstream: String,
    /// The approval that it uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval_id: Option<ApprovalId>,
    /// The decision that let it go, where that was not the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<CallDecision>,
}

/// The details of `tool.call.completed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallCompleted {
    /// The call's number in the run, from 1.
    pub seq: u32,
    /// The length of the response's JSON text in bytes.
    pub bytes: u64,
    /// The artifact that holds the response, if it was too large for a program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<ArtifactId>,
}

/// The details of `tool.call.failed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallFailed {
    /// The call's number in the run, from 1.
    pub seq: u32,
    /// The class of the error that the code saw; none where it saw none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The error's code.
    pub code: Option<String>,
    /// The error's message, at most 1024 bytes; for invalid arguments without their values.
    pub message: String,
}

/// The details of `tool.call.denied`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallDenied {
    /// The call's number in the run, from 1.
    pub seq: u32,
    /// The class of the error that the code saw.
    pub name: String,
    /// The error's code.
    pub code: Option<String>,
    /// The error's message, at most 1024 bytes.
    pub message: String,
    /// The rule that denied it, by its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The approval that denied it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval_id: Option<String>,
}

/// The details of `approval.requested`; the approval's row has the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalRequested {
    /// The call's number in the run, from 1.
    pub seq: u32,
    /// The approval.
    pub approval_id: ApprovalId,
    /// The tool's path.
    pub tool: String,
    /// The digest that the approval binds.
    pub digest: String,
    /// The rule that asks, by its name; none where the profile does.
    pub rule: Option<String>,
    /// The reason for asking.
    pub reason: String,
    /// The time at which it expires.
    pub expires_at: Timestamp,
}

/// The details of `approval.resolved`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalResolved {
    /// The call's number in the run, from 1.
    pub seq: u32,
    /// The approval.
    pub approval_id: ApprovalId,
    /// The status it came to.
    pub status: ApprovalStatus,
}

#[cfg(test)]
#[path = "event/tests.rs"]
mod tests;
