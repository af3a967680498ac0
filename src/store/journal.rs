//! The journal of a task: its events, which are written with the changes that they record.

use futures::future::BoxFuture;

use super::error::StoreError;
use crate::model::{Event, TaskId};

/// Reads the journals of tasks. A change of a task writes to its journal
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
}
