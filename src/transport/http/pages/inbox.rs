//! The inbox: approvals of one status, the newest first.

use maud::{Markup, html};

use super::visible::visible;
use crate::{
    model::{ApprovalStatus, Timestamp},
    service::view::{Approval, ApprovalPage},
};

/// Seconds between two reloads of the inbox.
pub(super) const AGAIN_SECONDS: u32 = 10;
/// Characters of a call's arguments in the list.
const BRIEF_CHARS: usize = 160;

pub(super) fn content(page: &ApprovalPage, status: ApprovalStatus) -> Markup {
    html! {
        h1 { "Approvals" }
        nav {
            @for one in ApprovalStatus::ALL {
                @if one == status { strong { (label(one)) } }
                @else { a href={ "/approvals?status=" (one) } { (label(one)) } }
                " "
            }
        }
        @if page.approvals.is_empty() {
            p.empty { "Nothing is " (label(status)) "." }
        } @else {
            ul.inbox {
                @for approval in &page.approvals {
                    li {
                        a href={ "/approvals/" (approval.id) } {
                            span.tool { (visible(&approval.tool, false)) }
                            span class={ "class risk-" (approval.class) } { (approval.class) }
                        }
                        code.brief { (visible(&brief(approval), false)) }
                        span.reason { (visible(&approval.reason, false)) }
                        span.about {
                            (visible(&approval.principal.client_id, false))
                            " · " (ago(approval.created_at))
                            @if status == ApprovalStatus::Pending {
                                " · " (left(approval.expires_at))
                            }
                        }
                    }
                }
            }
        }
        @if let Some(cursor) = &page.next_cursor {
            p { a href={ "/approvals?status=" (status) "&cursor=" (cursor) } { "Earlier ones" } }
        }
    }
}

/// The head of a call's arguments, to distinguish calls of one tool; their length where they cannot
/// be shown.
fn brief(approval: &Approval) -> String {
    match &approval.args {
        Some(args) => args.get().chars().take(BRIEF_CHARS).collect(),
        None => format!("{} bytes", approval.args_bytes),
    }
}

/// The label of a status.
pub(super) fn label(status: ApprovalStatus) -> &'static str {
    match status {
        ApprovalStatus::Consumed => "approved and sent",
        ApprovalStatus::Approved => "approved, not sent yet",
        other => other.as_str(),
    }
}

/// The time since then: `5 min ago`.
pub(super) fn ago(at: Timestamp) -> String {
    format!("{} ago", span(Timestamp::now().as_second() - at.as_second()))
}

/// The time until then: `5 min left`.
pub(super) fn left(until: Timestamp) -> String {
    match until.as_second() - Timestamp::now().as_second() {
        seconds if seconds > 0 => format!("{} left", span(seconds)),
        _ => "expired".into(),
    }
}

fn span(seconds: i64) -> String {
    match seconds.max(0) {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}
