//! Tasks: their records, results and lists.

use futures::future::BoxFuture;

use super::{
    error::{StoreError, Written},
    journal::JournalRow,
    piece::ResultPiece,
};
use crate::model::{
    InstanceId, JsonObject, Logs, NewEvent, Principal, RawJson, Task, TaskError, TaskId,
    TaskStatus, Timestamp, Usage,
};

/// Lifetime of an idempotency key.
pub const IDEMPOTENCY_HOURS: i64 = 24;
/// Tasks in one page at the most.
pub const LIST_MAX: u32 = 200;
/// Bytes of code and console output in one page; it ends with the task that reaches them.
pub const LIST_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Keeps the records of tasks.
pub trait TaskStore: Send + Sync + 'static {
    /// Records a task (status `queued`) and its events `task.created` and `task.queued`, unless the
    /// same caller used the same idempotency key within [`IDEMPOTENCY_HOURS`].
    fn create_task(&self, task: NewTask) -> Written<Created>;

    /// Records a change of a task and its events, all or nothing. A task that has ended keeps its
    /// status, result and history: then the write resolves to `Conflict` and nothing of it is kept.
    /// `Invalid` where `end` and a terminal status do not come together.
    fn change_task(&self, change: TaskChange) -> Written;

    /// The task, if the workspace has it.
    fn task<'a>(
        &'a self,
        workspace_id: &'a str,
        task: TaskId,
    ) -> BoxFuture<'a, Result<Option<Task>, StoreError>>;

    /// A piece of the result's JSON text. `offset` and `limit` count bytes; the piece begins with
    /// the character that `offset` is in and is cut to whole characters, at least one. None where
    /// there is no such task in the workspace or it has no result.
    fn result<'a>(
        &'a self,
        workspace_id: &'a str,
        task: TaskId,
        offset: u64,
        limit: u64,
    ) -> BoxFuture<'a, Result<Option<ResultPiece>, StoreError>>;

    /// Tasks of a workspace, in the reverse order of their recording. A page may be shorter than
    /// asked for and still have a next one: at [`LIST_BYTES_MAX`], and after very many tasks that
    /// the filter on metadata passed over.
    fn tasks<'a>(
        &'a self,
        workspace_id: &'a str,
        filter: TaskFilter,
    ) -> BoxFuture<'a, Result<TaskPage, StoreError>>;
}

/// A task as it is first recorded.
#[derive(Debug, Clone)]
pub struct NewTask {
    /// Its name.
    pub task_id: TaskId,
    /// The guest's source.
    pub code: String,
    /// The runtime that will run it.
    pub runtime_id: String,
    /// Milliseconds the code may run.
    pub timeout_ms: u64,
    /// The caller's own data.
    pub metadata: Option<JsonObject>,
    /// The identity that submits it.
    pub principal: Principal,
    /// Now.
    pub created_at: Timestamp,
    /// The instance of the server that runs it.
    pub instance_id: InstanceId,
    /// The caller's key against doing it twice; unique within workspace and account.
    pub idempotency_key: Option<String>,
}

/// The outcome of a creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// It is recorded.
    New,
    /// The key names this earlier task; nothing was recorded.
    Existing(TaskId),
}

/// A change of one task. What is `None` or empty stays as it is.
#[derive(Debug, Clone)]
pub struct TaskChange {
    /// Which task.
    pub task_id: TaskId,
    /// Its new status.
    pub status: Option<TaskStatus>,
    /// Start of its code.
    pub started_at: Option<Timestamp>,
    /// Its end; present exactly when `status` is terminal.
    pub end: Option<TaskEnd>,
    /// Appended to its history.
    pub events: Vec<NewEvent>,
    /// Appended to its journal.
    pub journal: Vec<JournalRow>,
}

/// The end of a task.
#[derive(Debug, Clone)]
pub struct TaskEnd {
    /// Time of the end.
    pub completed_at: Timestamp,
    /// 0, 1, 124, 126, 130 or 137.
    pub exit_code: i32,
    /// The result's JSON text, where the code returned; at most 64 MiB.
    pub result: Option<RawJson>,
    /// The reason why it did not complete.
    pub error: Option<TaskError>,
    /// All its console output.
    pub logs: Logs,
    /// Warnings for the caller.
    pub warnings: Vec<String>,
    /// Resources it used.
    pub usage: Usage,
}

/// Which tasks to list. All given conditions must hold.
#[derive(Debug, Clone, Default)]
pub struct TaskFilter {
    /// Only of this status.
    pub status: Option<TaskStatus>,
    /// Only of this session.
    pub session_id: Option<String>,
    /// Only those whose metadata has each of these keys with an equal value, at the top level.
    pub metadata: Option<JsonObject>,
    /// At most so many, 1 to [`LIST_MAX`].
    pub limit: u32,
    /// `next_cursor` of the previous page.
    pub cursor: Option<String>,
}

/// One page of tasks.
#[derive(Debug, Clone)]
pub struct TaskPage {
    /// The tasks, newest first. Their `code` and `logs` are whole.
    pub tasks: Vec<Task>,
    /// Cursor of the next page, if there is one. Opaque.
    pub next_cursor: Option<String>,
}
