//! Approvals as they are written, decided and listed.

use crate::model::{Approval, ApprovalId, ApprovalStatus, TaskId, Timestamp};

/// Approvals in one page at the most.
pub const APPROVALS_LIST_MAX: u32 = 200;

/// A change of an approval's status, which happens only where the row has exactly this one now.
#[derive(Debug, Clone)]
pub struct ApprovalChange {
    /// Which.
    pub id: ApprovalId,
    /// The status it must have.
    pub from: ApprovalStatus,
    /// The status it gets.
    pub to: ApprovalStatus,
    /// When. A person's word counts only before the row's `expires_at`.
    pub at: Timestamp,
    /// The person whose word it is; none for the clock, the task's end and policy.
    pub by: Option<String>,
    /// What the person says.
    pub note: Option<String>,
    /// Why, where it is nobody's word.
    pub why: Option<String>,
}

/// What became of such a change.
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
    /// Only of this task.
    pub task_id: Option<TaskId>,
    /// At most so many, 1 to [`APPROVALS_LIST_MAX`].
    pub limit: u32,
    /// From where the previous page ended.
    pub cursor: Option<String>,
}

/// One page of approvals.
#[derive(Debug, Clone)]
pub struct ApprovalPage {
    /// The newest first.
    pub approvals: Vec<Approval>,
    /// Where the next page begins, if there is one. Opaque.
    pub next_cursor: Option<String>,
}
