//! What happened to a task, in order. Events are appended and never changed.

use serde::{Deserialize, Serialize};

use super::{TaskId, Timestamp};

/// One entry of a task's history. `seq` counts from 1 per task without gaps.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// The task it belongs to.
    pub task_id: TaskId,
    /// Its number within the task, from 1.
    pub seq: u64,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// Details; an object, its keys depend on the kind.
    pub data: serde_json::Value,
}

/// An event that has no number yet; the store gives it one.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub kind: EventKind,
    /// Details; an object.
    pub data: serde_json::Value,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// The closed list of kinds.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum EventKind { $($(#[$doc])* #[serde(rename = $name)] $variant,)* }

        impl EventKind {
            /// The name in the contract and in the store.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
            /// The kind of that name.
            pub fn parse(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

kinds! {
    /// The record exists.
    TaskCreated = "task.created",
    /// It waits for a worker.
    TaskQueued = "task.queued",
    /// Its code runs.
    TaskRunning = "task.running",
    /// It parks until a person answers.
    TaskAwaitingApproval = "task.awaiting_approval",
    /// The code returned.
    TaskCompleted = "task.completed",
    /// The code threw, did not parse, used too much memory, or was lost.
    TaskFailed = "task.failed",
    /// Wall or CPU time ran out.
    TaskTimedOut = "task.timed_out",
    /// A refused call ended it.
    TaskDenied = "task.denied",
    /// Somebody asked for its end.
    TaskCancelled = "task.cancelled",
    /// Code asked for a tool.
    CallRequested = "tool.call.requested",
    /// The call leaves for the upstream.
    CallStarted = "tool.call.started",
    /// The upstream answered.
    CallCompleted = "tool.call.completed",
    /// The upstream failed, or the arguments were refused.
    CallFailed = "tool.call.failed",
    /// Policy or a person refused.
    CallDenied = "tool.call.denied",
    /// A person is asked.
    ApprovalRequested = "approval.requested",
    /// A person, or the clock, answered.
    ApprovalResolved = "approval.resolved",
    /// Console output.
    Log = "log",
}
