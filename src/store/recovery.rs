//! What the start of a server does to the record that the one before it left.

use futures::future::BoxFuture;

use super::error::{StoreError, Written};
use crate::model::{InstanceId, Task, TaskError, TaskId, Timestamp};

/// Takes over, or ends, what no running instance will end.
pub trait RecoveryStore: Send + Sync + 'static {
    /// Tasks that other instances left unfinished, oldest first, at most `limit`.
    fn unfinished(
        &self,
        instance_id: InstanceId,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<Task>, StoreError>>;

    /// Makes unfinished tasks the instance's own, which goes on with them:
    /// [`recover`](Self::recover) leaves them and their approvals alone.
    fn adopt(&self, tasks: Vec<TaskId>, instance_id: InstanceId) -> Written;

    /// Ends everything that other instances than the starting one left unfinished:
    ///
    /// - tasks, with status `failed`, exit code 1 and an error, which their last event carries too;
    /// - approvals that are pending, or approved and not consumed: they become void;
    /// - artifacts that are not whole: they are removed.
    ///
    /// Call it before the instance takes work, and only while it alone uses the store.
    fn recover(&self, recovery: Recovery) -> Written<Recovered>;
}

/// The start of an instance.
#[derive(Debug, Clone)]
pub struct Recovery {
    /// The instance that starts; what it began itself stays as it is.
    pub instance_id: InstanceId,
    /// Now.
    pub at: Timestamp,
    /// The error of a task with a call that has started and whose end is not on record.
    pub under_way: TaskError,
    /// The error of every other task.
    pub idle: TaskError,
    /// The reason recorded with void approvals.
    pub why: String,
}

/// Numbers of what was ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Tasks.
    pub tasks: u64,
    /// Approvals.
    pub approvals: u64,
    /// Artifacts.
    pub artifacts: u64,
}
