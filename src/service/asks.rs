//! What the outside asks beside the four tools: how a task gets on, its history, the catalog, and
//! how the server is.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::model::{Event, TaskId, TaskStatus, Timestamp};

/// How a task gets on, for a caller who waits for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The task, from the moment it is recorded.
    pub task_id: TaskId,
    /// Where it stands.
    pub status: TaskStatus,
    /// Calls of tools so far.
    pub tool_calls: u64,
    /// What the tool that spoke last says of how far it is.
    pub said: Option<Arc<str>>,
}

/// Takes the latest [`Progress`]; what was not read in time is replaced.
pub type ProgressSink = watch::Sender<Option<Progress>>;

/// Which part of a task's history.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TaskEvents {
    /// The id that `execute` gave.
    pub task_id: String,
    /// Only events with a number above this one; 0 unless given.
    #[serde(default)]
    pub after: u64,
    /// At most so many, 1 to 1000; 200 unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// A piece of a task's history.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskEventsAnswer {
    /// Oldest first.
    pub events: Vec<Event>,
    /// The number to go on after.
    pub next_after: u64,
}

/// Which tools to list: the arguments of `tools.catalog.tools`.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ToolList {
    /// Only tools that match these words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Only tools of this namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// How many, 1 to 200; 50 unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `nextCursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// A namespace and how many tools it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespaceCount {
    /// Its name.
    pub namespace: String,
    /// Its tools, as last known; none where its upstream has not said yet what it offers.
    pub tools: usize,
    /// Calls of them fail at present.
    pub is_down: bool,
}

/// A person's word that a task waits for, as the agent sees it: nothing of who may give it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PendingApproval {
    /// Its id.
    pub approval_id: String,
    /// The tool that would be called.
    pub tool: String,
    /// Why it is asked.
    pub reason: String,
    /// Until when it may be answered.
    #[schemars(with = "String")]
    pub expires_at: Timestamp,
    /// Where a person answers, signed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// How the server is: the answer of `/healthz`.
#[derive(Debug, Clone, Serialize)]
pub struct Health {
    /// `ok`, or `degraded` where something that is needed does not work.
    pub status: String,
    /// The server's version.
    pub version: String,
    /// State of the sandbox; for each runtime its engine, tier and locks.
    pub sandbox: serde_json::Value,
    /// The store's state.
    pub store: serde_json::Value,
    /// The policy in force, and why the files as they are now are not, where that is so.
    pub policy: serde_json::Value,
    /// One entry per configured upstream.
    pub upstreams: serde_json::Value,
}
