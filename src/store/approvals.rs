//! Approvals as they are written, decided and listed.

use futures::future::BoxFuture;

use super::error::{StoreError, Written};
use crate::model::{Approval, ApprovalId, ApprovalStatus, TaskId, Timestamp};

/// Approvals in one page at the most.
pub const APPROVALS_LIST_MAX: u32 = 200;

/// Keeps approvals. They change by compare-and-set and are never removed.
pub trait ApprovalStore: Send + Sync + 'static {
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
    /// have a next one: at [`LIST_BYTES_MAX`](super::LIST_BYTES_MAX) of arguments.
    fn approvals<'a>(
        &'a self,
        workspace_id: &'a str,
        filter: ApprovalFilter,
    ) -> BoxFuture<'a, Result<ApprovalPage, StoreError>>;

    /// The numbers of approvals of a workspace.
    fn count_approvals<'a>(
        &'a self,
        workspace_id: &'a str,
    ) -> BoxFuture<'a, Result<ApprovalCounts, StoreError>>;
}

/// A change of an approval's status, which happens only where the row has exactly this one now.
#[derive(Debug, Clone)]
pub struct ApprovalChange {
    /// Which.
    pub id: ApprovalId,
    /// The status it must have.
    pub from: ApprovalStatus,
    /// The status it gets.
    pub to: ApprovalStatus,
    /// Time of the change. A person's decision counts only before the row's `expires_at`.
    pub at: Timestamp,
    /// The person who decides; none for the clock, the task's end and policy.
    pub by: Option<String>,
    /// The person's note.
    pub note: Option<String>,
    /// The reason, if no person decides.
    pub why: Option<String>,
}

/// The outcome of such a change.
#[derive(Debug, Clone, PartialEq)]
pub enum Decided {
    /// The row as it is now.
    Changed(Box<Approval>),
    /// Nothing was changed: the row stands otherwise, or its time is over.
    Refused(Box<Approval>),
    /// There is no such row in the workspace.
    Absent,
}

/// Which approvals to list. All given conditions must hold.
#[derive(Debug, Clone, Default)]
pub struct ApprovalFilter {
    /// Only of this status.
    pub status: Option<ApprovalStatus>,
    /// Only those that are not pending any more.
    pub past: bool,
    /// Only of this task.
    pub task_id: Option<TaskId>,
    /// At most so many, 1 to [`APPROVALS_LIST_MAX`].
    pub limit: u32,
    /// `next_cursor` of the previous page.
    pub cursor: Option<String>,
}

/// Numbers of approvals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ApprovalCounts {
    /// Those that are pending.
    pub waiting: u64,
    /// The others.
    pub past: u64,
}

/// One page of approvals.
#[derive(Debug, Clone)]
pub struct ApprovalPage {
    /// The newest first.
    pub approvals: Vec<Approval>,
    /// Cursor of the next page, if there is one. Opaque.
    pub next_cursor: Option<String>,
}
