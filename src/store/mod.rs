//! What lasts: tasks, their results, logs and events; counters of what was used; approvals; answers
//! too large for a program.
//!
//! Only this module knows SQL. A write is queued in the order of the calls and is durable once its
//! [`Written`] resolves; a later write is never durable before an earlier one. Reads see every
//! write whose `Written` has resolved.

mod approvals;
mod artifacts;
mod counters;
mod sqlite;

use std::{path::PathBuf, sync::Arc};

use futures::future::BoxFuture;

use crate::model::{
    Approval, ApprovalId, Event, JsonObject, Logs, NewEvent, Principal, RawJson, Task, TaskError,
    TaskId, TaskStatus, Timestamp, Usage,
};
pub use approvals::{APPROVALS_LIST_MAX, ApprovalChange, ApprovalFilter, ApprovalPage, Decided};
pub use artifacts::{
    ARTIFACT_PART_BYTES, ARTIFACTS_LIST_MAX, ArtifactAt, ArtifactFilter, ArtifactOpened,
    ArtifactPage, ArtifactPart, ArtifactStore, SWEEP_PARTS_MAX, Swept,
};
pub use counters::{
    COUNTER_KEY_BYTES_MAX, CounterHold, CounterRead, CounterWindow, HOLDS_MAX, HoldToken, Place,
    ROLLING_SLICES, Reserved, Settle, Slot,
};
pub use sqlite::{SqliteConfig, SqliteStore, Synchronous};

/// Resolves when the write is durable, or says why it never will be. Dropping it does not take the
/// write back.
pub type Written<T = ()> = BoxFuture<'static, Result<T, StoreError>>;

/// How long an idempotency key holds.
pub const IDEMPOTENCY_HOURS: i64 = 24;
/// Tasks in one page at the most.
pub const LIST_MAX: u32 = 200;
/// Bytes of code and console output in one page; it ends with the task that reaches them.
pub const LIST_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Keeps the record. Several callers may share one.
pub trait Store: ArtifactStore + Send + Sync + 'static {
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

    /// A task's events with a number above `after`, oldest first, at most `limit`.
    fn events<'a>(
        &'a self,
        workspace_id: &'a str,
        task: TaskId,
        after: u64,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<Event>, StoreError>>;

    /// Ends every task that has not ended with status `failed`, exit code 1 and an error, which the
    /// event carries too; for the start of a server, before it takes work. The error is `under_way`
    /// where a call has started and its end is not on record, else `idle`. Returns how many.
    fn fail_unfinished(&self, under_way: TaskError, idle: TaskError) -> Written<u64>;

    /// Counts these holds, all of them or none. They are counted when the answer comes, durably;
    /// see [`Settle`].
    ///
    /// `Invalid` where there are more than [`HOLDS_MAX`], a key is longer than
    /// [`COUNTER_KEY_BYTES_MAX`], or a bound or a cost is below zero.
    fn reserve(&self, at: Timestamp, holds: &[CounterHold]) -> Written<Reserved>;

    /// Ends a reservation.
    fn settle(&self, token: HoldToken, how: Settle) -> Written;

    /// The values of counters within their windows, in millionths and in the order of `reads`. What
    /// is reserved is in them.
    fn counters<'a>(
        &'a self,
        at: Timestamp,
        reads: &'a [CounterRead],
    ) -> BoxFuture<'a, Result<Vec<i64>, StoreError>>;

    /// Records an approval that is asked for.
    fn ask_approval(&self, approval: Approval) -> Written;

    /// Changes an approval's status if it has the expected one. Of several at once one succeeds.
    fn decide_approval(&self, workspace_id: &str, change: ApprovalChange) -> Written<Decided>;

    /// The approval, if the workspace has it.
    fn approval<'a>(
        &'a self,
        workspace_id: &'a str,
        id: ApprovalId,
    ) -> BoxFuture<'a, Result<Option<Approval>, StoreError>>;

    /// Approvals of a workspace, the newest first. A page may be shorter than asked for and still
    /// have a next one: at [`LIST_BYTES_MAX`] of arguments.
    fn approvals<'a>(
        &'a self,
        workspace_id: &'a str,
        filter: ApprovalFilter,
    ) -> BoxFuture<'a, Result<ApprovalPage, StoreError>>;

    /// Makes every approval void that is pending, or approved and not let go; for the start of a
    /// server. Returns how many.
    fn void_approvals(&self, at: Timestamp, why: &str) -> Written<u64>;

    /// Whether reads and writes work now.
    fn check(&self) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Waits until everything queued is durable and closes. Later writes and reads resolve to
    /// `Closed`.
    fn close(&self) -> BoxFuture<'_, ()>;
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
    /// Who asked.
    pub principal: Principal,
    /// Now.
    pub created_at: Timestamp,
    /// The caller's key against doing it twice; unique within workspace and account.
    pub idempotency_key: Option<String>,
}

/// What became of a creation.
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
    /// When its code began.
    pub started_at: Option<Timestamp>,
    /// How it ended; present exactly when `status` is terminal.
    pub end: Option<TaskEnd>,
    /// Appended to its history.
    pub events: Vec<NewEvent>,
}

/// How a task ended.
#[derive(Debug, Clone)]
pub struct TaskEnd {
    /// When.
    pub completed_at: Timestamp,
    /// 0, 1, 124, 126, 130 or 137.
    pub exit_code: i32,
    /// The result's JSON text, where the code returned; at most 64 MiB.
    pub result: Option<RawJson>,
    /// Why it did not complete.
    pub error: Option<TaskError>,
    /// All its console output.
    pub logs: Logs,
    /// What the caller should know.
    pub warnings: Vec<String>,
    /// What it used.
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
    /// From where the previous page ended.
    pub cursor: Option<String>,
}

/// One page of tasks.
#[derive(Debug, Clone)]
pub struct TaskPage {
    /// The tasks, newest first. Their `code` and `logs` are whole.
    pub tasks: Vec<Task>,
    /// Where the next page begins, if there is one. Opaque.
    pub next_cursor: Option<String>,
}

/// A piece of a text that is kept: of a result, or of an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultPiece {
    /// The piece.
    pub text: String,
    /// Where it begins, in bytes.
    pub offset: u64,
    /// Where the next one begins, if there is more.
    pub next_offset: Option<u64>,
    /// Length of the whole text in bytes.
    pub total_bytes: u64,
}

impl ResultPiece {
    /// Cuts whole characters out of `bytes`, which begin at `skipped` of the whole text and reach a
    /// character beyond both ends of what is asked for. At least one character, so that every page
    /// gets on.
    pub fn cut(bytes: &[u8], skipped: u64, offset: u64, limit: u64, total: u64) -> Self {
        let place = |at: u64| {
            usize::try_from(at.saturating_sub(skipped))
                .map_or(bytes.len(), |at| at.min(bytes.len()))
        };
        let is_inside = |at: usize| bytes.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
        let mut start = place(offset);
        while start > 0 && is_inside(start) {
            start -= 1;
        }
        let mut end = place(offset.saturating_add(limit));
        while end > start && is_inside(end) {
            end -= 1;
        }
        if end == start && start < bytes.len() {
            end += 1;
            while is_inside(end) {
                end += 1;
            }
        }
        let next = skipped + end as u64;
        Self {
            text: String::from_utf8_lossy(&bytes[start..end]).into_owned(),
            offset: skipped + start as u64,
            next_offset: (next < total).then_some(next),
            total_bytes: total,
        }
    }
}

/// Whether every store can take these holds.
pub fn counters_fit(holds: &[CounterHold]) -> Result<(), StoreError> {
    if holds.len() > HOLDS_MAX {
        return Err(StoreError::Invalid("a call has more limits than a reservation takes"));
    }
    if holds.iter().any(|hold| hold.key.len() > COUNTER_KEY_BYTES_MAX) {
        return Err(StoreError::Invalid("the key of a counter is too long"));
    }
    if holds.iter().any(|hold| hold.max < 0 || hold.cost < 0) {
        return Err(StoreError::Invalid("a limit or a cost is below zero"));
    }
    Ok(())
}

/// Why the store could not.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another server has the database open.
    #[error("the database `{path}` is in use by another airlock server{}", process.map(|id| format!(", process \
        {id}")).unwrap_or_default())]
    InUse {
        /// The database's file.
        path: PathBuf,
        /// The other server, where it has left its number.
        process: Option<u32>,
    },
    /// A later version of airlock made the database.
    #[error(
        "the database `{path}` was made by a later version of airlock: it has schema {version}, \
        which this version does not know"
    )]
    Newer {
        /// The database's file.
        path: PathBuf,
        /// The step of its schema that is not known here.
        version: i64,
    },
    /// It cannot be opened or brought to this version's schema.
    #[error("the database `{path}` cannot be opened")]
    Open {
        /// The database's file.
        path: PathBuf,
        /// What failed.
        #[source]
        source: Source,
    },
    /// The change came too late, or the task was never recorded; for a new task: it is recorded
    /// already.
    #[error("task `{0}` does not take this write: it has ended, or was never recorded")]
    Conflict(TaskId),
    /// The write contradicts itself.
    #[error("the write is not possible: {0}")]
    Invalid(&'static str),
    /// The cursor is not one of ours.
    #[error("`{0}` is not a cursor of this list")]
    BadCursor(String),
    /// More writes are queued than may be.
    #[error("the store is busy: {0} writes are queued")]
    Busy(usize),
    /// The disk is full, or the database has the size it may have.
    #[error("the database is full: the disk has no room, or its largest size is reached")]
    Full,
    /// The database failed.
    #[error("the database failed")]
    Database(#[source] Source),
    /// It was closed.
    #[error("the store is closed")]
    Closed,
}

/// Something that went wrong below.
pub type Source = Arc<dyn std::error::Error + Send + Sync>;
