//! The history of a task, its events, and its journal, from which its program can run again. Both
//! are written with the changes of the task.

use futures::future::BoxFuture;

use super::error::StoreError;
use crate::model::{Event, TaskId};

/// A row of a journal. What it holds only the task engine knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalRow {
    /// Its number within the task, from 0 without gaps.
    pub n: u32,
    /// Any text; at most 16 MiB.
    pub entries: String,
}

/// Reads histories and journals of tasks. A change of a task writes to them
/// ([`TaskStore::change_task`](super::TaskStore::change_task)).
pub trait JournalStore: Send + Sync + 'static {
    /// A task's events with a number above `after`, oldest first, at most `limit`.
    fn events<'a>(
        &'a self,
        workspace_id: &'a str,
        task: TaskId,
        after: u64,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<Event>, StoreError>>;

    /// The whole journal of a task, in order; empty if there is no such task in the workspace.
    fn journal<'a>(
        &'a self,
        workspace_id: &'a str,
        task: TaskId,
    ) -> BoxFuture<'a, Result<Vec<JournalRow>, StoreError>>;
}
