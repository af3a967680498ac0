//! What the protocols need from below: the service, as they see it.

use futures::future::BoxFuture;
use serde_json::Value;
use tokio::sync::watch;

use crate::{
    model::{Artifact, Principal, RawJson},
    service::{
        ApprovalAnswer, ApprovalList, ApprovalListAnswer, ArtifactList, Execute, Health,
        NamespaceCount, Patience, PolicyQuestion, ProgressSink, ServiceError, TaskAnswer,
        TaskCancel, TaskEvents, TaskEventsAnswer, TaskGet, TaskList, TaskListAnswer, ToolList,
        Word,
    },
};

/// An answer that is on its way.
pub type Asked<'a, T> = BoxFuture<'a, Result<T, ServiceError>>;

/// Everything a protocol may ask. What belongs to another workspace is answered as if it did not
/// exist.
pub trait Port: Send + Sync + 'static {
    /// Records a task, runs it, and waits for its end as long as the request and `patience` allow.
    /// Tells `progress` the task's id as soon as it is recorded, and what changes after. Dropping
    /// the future ends the waiting, not the task.
    fn execute<'a>(
        &'a self,
        who: &'a Principal,
        request: Execute,
        patience: Patience,
        progress: ProgressSink,
    ) -> Asked<'a, TaskAnswer>;

    /// The record, or a piece of its result.
    fn task_get<'a>(&'a self, who: &'a Principal, request: TaskGet) -> Asked<'a, TaskAnswer>;

    /// Tasks, newest first.
    fn task_list<'a>(&'a self, who: &'a Principal, request: TaskList) -> Asked<'a, TaskListAnswer>;

    /// Ends a task; one that has ended stays as it is.
    fn task_cancel<'a>(&'a self, who: &'a Principal, request: TaskCancel) -> Asked<'a, TaskAnswer>;

    /// A task's history.
    fn task_events<'a>(
        &'a self,
        who: &'a Principal,
        request: TaskEvents,
    ) -> Asked<'a, TaskEventsAnswer>;

    /// The tools the caller may find, as `tools.catalog.tools` answers.
    fn tools<'a>(&'a self, who: &'a Principal, request: ToolList) -> Asked<'a, RawJson>;

    /// One tool by its path, as `tools.describe` answers.
    fn tool<'a>(&'a self, who: &'a Principal, path: String) -> Asked<'a, RawJson>;

    /// TypeScript declarations of all tools, or of those of a namespace.
    fn tool_types<'a>(&'a self, who: &'a Principal, namespace: Option<String>)
    -> Asked<'a, String>;

    /// Has one upstream, or all, asked for their tools again; how they stand then.
    fn tools_refresh<'a>(
        &'a self,
        who: &'a Principal,
        upstream: Option<String>,
    ) -> Asked<'a, RawJson>;

    /// Approvals, the newest first. For the owner alone.
    fn approvals<'a>(
        &'a self,
        who: &'a Principal,
        request: ApprovalList,
    ) -> Asked<'a, ApprovalListAnswer>;

    /// One approval with everything that a person must see. For the owner alone.
    fn approval<'a>(&'a self, who: &'a Principal, id: &'a str) -> Asked<'a, ApprovalAnswer>;

    /// Takes a person's word. For the owner alone.
    fn decide_approval<'a>(&'a self, who: &'a Principal, word: Word) -> Asked<'a, ApprovalAnswer>;

    /// Kept answers, the newest first. For the owner alone.
    fn artifacts<'a>(&'a self, who: &'a Principal, request: ArtifactList) -> Asked<'a, Value>;

    /// One of them, its text aside. For the owner alone.
    fn artifact<'a>(&'a self, who: &'a Principal, id: &'a str) -> Asked<'a, Artifact>;

    /// The bytes of its text from this one on, as many as there are at once; none at the end. For
    /// the owner alone.
    fn artifact_bytes<'a>(
        &'a self,
        who: &'a Principal,
        artifact: &'a Artifact,
        offset: u64,
    ) -> Asked<'a, Vec<u8>>;

    /// Takes it away. For the owner alone.
    fn remove_artifact<'a>(&'a self, who: &'a Principal, id: &'a str) -> Asked<'a, Value>;

    /// Answers a question about policy. For the owner alone.
    fn policy(&self, question: PolicyQuestion) -> Asked<'_, Value>;

    /// The connected namespaces and how many tools each has that the caller may see, in a stable
    /// order.
    fn namespaces(&self, who: &Principal) -> Vec<NamespaceCount>;

    /// One of them changes whenever there may be other tools to see.
    fn tools_changed(&self) -> [watch::Receiver<u64>; 2];

    /// How the server is.
    fn health(&self) -> BoxFuture<'_, Health>;
}
