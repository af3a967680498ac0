//! How an approval ended, in words.

use crate::{model::ApprovalStatus, service::view::Approval};

/// The outcome: who decided what, or why nobody did.
pub(super) fn outcome(approval: &Approval) -> String {
    let by = approval.decided_by.as_ref().map(|by| format!(" by the {by}")).unwrap_or_default();
    let note = approval.note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
    let why = approval.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    match approval.status {
        ApprovalStatus::Pending => "waiting for your approval".into(),
        ApprovalStatus::Approved => format!("approved{by}, not sent yet{note}"),
        ApprovalStatus::Consumed => format!("approved{by}, and sent{note}"),
        ApprovalStatus::Denied => format!("denied{by}, not sent{note}"),
        ApprovalStatus::Expired => "nobody decided in time, not sent".into(),
        ApprovalStatus::Cancelled => format!("cancelled, not sent{why}"),
        ApprovalStatus::Void => format!("void, not sent{why}"),
    }
}
