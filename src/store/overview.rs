//! How much is on record, and ids by their first characters.

use futures::future::BoxFuture;

use super::StoreError;
use crate::model::{IdBeginning, Timestamp};

/// Ids in one answer, at most: more are no help to whoever must choose.
pub const IDS_MAX: u32 = 10;

/// What a workspace has on record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tasks.
    pub tasks: u64,
    /// Tasks that have not ended.
    pub unfinished_tasks: u64,
    /// Approvals that wait for a decision.
    pub pending_approvals: u64,
    /// Artifacts that can be read.
    pub artifacts: u64,
}

/// Answers questions about the record as a whole.
pub trait OverviewStore: Send + Sync + 'static {
    /// The ids of the workspace that begin so, the newest first, at most [`IDS_MAX`].
    fn ids<'a>(
        &'a self,
        workspace_id: &'a str,
        at: Timestamp,
        beginning: IdBeginning,
    ) -> BoxFuture<'a, Result<Vec<String>, StoreError>>;

    /// How much the workspace has on record.
    fn counts<'a>(
        &'a self,
        workspace_id: &'a str,
        at: Timestamp,
    ) -> BoxFuture<'a, Result<Counts, StoreError>>;
}
