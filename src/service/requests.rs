//! The requests that the outside can make, as it writes them. Bounds are checked by the service.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};
use tokio::sync::watch;

use super::view::Progress;
use crate::model::{ApprovalStatus, ArtifactId, JsonObject, TaskId, TaskStatus, Timestamp};

/// The arguments of `execute`, by the names of the contract.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Execute {
    /// TypeScript or JavaScript. `return` gives the value, `await` works at the top level. 1 byte
    /// to 256 KiB.
    pub code: String,
    /// Time limit of the code, in milliseconds, 1 to 600000; 300000 unless configured otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Runtime that runs it; leave it out for the default.
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
    /// Time to hold the answer, in milliseconds, 100 to 900000. The task goes on when it runs out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_timeout_ms: Option<u64>,
    /// Key against running it twice: within 24 h the same key returns the same task. At most 128
    /// characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}

/// An `execute` with what its transport knows of the client.
#[derive(Debug, Clone)]
pub struct Execution {
    /// The arguments.
    pub arguments: Execute,
    /// Policy for holding the answer where the arguments do not say.
    pub wait: WaitPolicy,
    /// Receives the task's id as soon as it is recorded, and each later change.
    pub progress: ProgressSink,
}

impl Execution {
    /// An execution whose progress nobody watches.
    pub fn unwatched(arguments: Execute, wait: WaitPolicy) -> Self {
        Self { arguments, wait, progress: watch::channel(None).0 }
    }
}

/// Takes the latest [`Progress`]; a value that was not read in time is replaced.
pub type ProgressSink = watch::Sender<Option<Progress>>;

/// Policy for holding the answer of an `execute`, by what the client can bear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitPolicy {
    /// The client is our own: the full default.
    Full,
    /// The client shows progress: the full default, and 60 s while the task waits for an approval.
    Progress,
    /// The client may drop a silent call after a minute: at most `limits.hold_ms` unless it asked
    /// for longer itself.
    Capped,
}

/// The arguments of `task_get`.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TaskGet {
    /// The id that `execute` gave.
    pub task_id: String,
    /// Time to wait for the task to end, in milliseconds, at most 50000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
    /// Read the result's JSON text from this byte on, as `resultPage`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_offset: Option<u64>,
    /// Bytes of it, at most 1048576.
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
    /// Items in the page, 1 to 200; 50 unless given.
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

/// A page of a task's history.
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

/// A page of tools: the arguments of `tools.catalog.tools`.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ToolList {
    /// Only tools that match these words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Only tools of this namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Items in the page, 1 to 200; 50 unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `nextCursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// One tool: the arguments of `tools.describe`.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ToolDescribe {
    /// Its path.
    pub path: String,
}

/// TypeScript declarations of tools.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ToolTypes {
    /// Only tools of this upstream, or below this path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// A refresh of the tools of one upstream; of all without a name.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ToolRefresh {
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
}

/// The namespaces that the caller may see.
#[derive(Debug, Clone, Copy)]
pub struct NamespaceList;

/// Notice of changes to the tools.
#[derive(Debug, Clone, Copy)]
pub struct ToolChanges;

/// A page of approvals.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApprovalList {
    /// Only of this status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ApprovalStatus>,
    /// True: only those that are not pending any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub past: Option<bool>,
    /// Only of this task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    /// Items in the page, 1 to 200; 50 unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `nextCursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// The numbers of approvals.
#[derive(Debug, Clone, Copy)]
pub struct ApprovalCount;

/// One approval.
#[derive(Debug, Clone)]
pub struct ApprovalGet {
    /// Its id.
    pub id: String,
}

/// A person's decision about an approval.
#[derive(Debug, Clone)]
pub struct ApprovalDecision {
    /// The approval's id.
    pub id: String,
    /// True if the call may be made.
    pub approve: bool,
    /// The person's note, at most 2000 characters. A denial's reaches the code.
    pub note: Option<String>,
    /// The person who decides, as the transport knows from a token or a session, never from a
    /// request's body.
    pub decided_by: String,
}

/// A page of artifacts.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ArtifactList {
    /// Items in the page, 1 to 200; 50 unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `nextCursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// The images and sounds whose handles stand in a task's result.
#[derive(Debug, Clone, Copy)]
pub struct TaskMedia {
    /// The task.
    pub task_id: TaskId,
}

/// The ids of tasks, approvals or artifacts that begin so.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IdList {
    /// The first characters: `task_`, `apr_` or `art_`, then at least four digits.
    pub begins: String,
}

/// How much is on record.
#[derive(Debug, Clone, Copy)]
pub struct OverviewGet;

/// One artifact, without its text.
#[derive(Debug, Clone)]
pub struct ArtifactGet {
    /// Its id.
    pub id: String,
}

/// A part of what an artifact stands for.
#[derive(Debug, Clone, Copy)]
pub struct ArtifactRead {
    /// The artifact.
    pub id: ArtifactId,
    /// Its number, from 0.
    pub part: u32,
}

/// The removal of an artifact.
#[derive(Debug, Clone)]
pub struct ArtifactRemove {
    /// Its id.
    pub id: String,
}

/// The policy in force.
#[derive(Debug, Clone, Copy)]
pub struct PolicyShow;

/// Tools as policy sees them.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyTools {
    /// Only tools of this upstream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
}

/// A call to be explained: the decision of the policy in force, and its reasons.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyExplain {
    /// The tool's path.
    pub tool: String,
    /// The arguments; none: `{}`.
    #[serde(default)]
    pub args: Option<Box<RawValue>>,
    /// The caller.
    #[serde(default, rename = "as")]
    pub caller: PolicyCaller,
}

/// A caller. Defaults: the workspace and the principal `local`, the role `agent`, no key and no
/// session.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyCaller {
    /// The workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// The account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<String>,
    /// The role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The label of the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
}

/// Policy files, at most 64.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyFiles {
    /// The files.
    pub files: Vec<PolicyFileText>,
}

/// One policy file.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyFileText {
    /// Its name, for findings.
    pub name: String,
    /// Callers it applies to: `organisation`, `workspace:NAME` or `key:LABEL`.
    #[serde(default)]
    pub scope: Option<String>,
    /// The upstream it is bound to.
    #[serde(default)]
    pub upstream: Option<String>,
    /// Its text.
    pub text: String,
}

/// Policy files to be searched for mistakes.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(transparent)]
pub struct PolicyLint(pub PolicyFiles);

/// Policy files whose tests are to be run.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(transparent)]
pub struct PolicyTest(pub PolicyFiles);

/// Calls on record, at most 1000, and the files that are to decide about them.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyReplay {
    /// The files.
    pub files: Vec<PolicyFileText>,
    /// The calls.
    pub calls: Vec<RecordedCall>,
}

/// A call on record.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecordedCall {
    /// Its name in the answer.
    pub call: String,
    /// Time of the call.
    pub at: Timestamp,
    /// The tool's path.
    pub tool: String,
    /// Its arguments, where they are on record.
    #[serde(default)]
    pub arguments: Option<Value>,
    /// The keys of its arguments.
    #[serde(default)]
    pub argument_keys: Vec<String>,
    /// The workspace of the caller.
    #[serde(default)]
    pub workspace: Option<String>,
    /// The account of the caller.
    #[serde(default)]
    pub principal: Option<String>,
    /// The session of the caller.
    #[serde(default)]
    pub session: Option<String>,
    /// The decision then: `allow`, `ask` or `deny`.
    pub was: String,
    /// The rule that decided then.
    #[serde(default)]
    pub was_rule: Option<String>,
}

/// The configuration is to be read again.
#[derive(Debug, Clone, Copy)]
pub struct ConfigReload;

/// The state of the server.
#[derive(Debug, Clone, Copy)]
pub struct HealthCheck;
