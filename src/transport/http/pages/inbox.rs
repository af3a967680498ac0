//! The inbox: approvals of one status, the newest first.

use maud::{Markup, html};

use super::visible::visible;
use crate::{
    model::{ApprovalStatus, Timestamp},
    service::ApprovalListAnswer,
};

/// How often the browser asks again.
pub(super) const AGAIN_SECONDS: u32 = 10;
/// Characters of a call's arguments in the list.
const BRIEF_CHARS: usize = 160;

pub(super) fn content(answer: &ApprovalListAnswer, status: ApprovalStatus) -> Markup {
    html! {
        h1 { "Approvals" }
        nav {
            @for one in ApprovalStatus::ALL {
                @if one == status { strong { (told(one)) } } @else { a href={ "/approvals?status=" (one) } { (told(one)) } }
                " "
            }
        }
        @if answer.approvals.is_empty() {
            p.empty { "Nothing is " (told(status)) "." }
        } @else {
            ul.inbox {
                @for answer in &answer.approvals {
                    @let approval = &answer.approval;
                    li {
                        a href={ "/approvals/" (approval.id) } {
                            span.tool { (visible(&approval.tool, false)) }
                            span class={ "class risk-" (approval.asked.class) } { (approval.asked.class) }
                        }
                        code.brief { (visible(brief(&approval.args), false)) }
                        span.reason { (visible(&approval.asked.reason, false)) }
                        span.about {
                            (visible(&approval.principal.client_id, false)) " · " (ago(approval.created_at))
                            @if status == ApprovalStatus::Pending { " · " (left(approval.expires_at)) }
                        }
                    }
                }
            }
        }
        @if let Some(cursor) = &answer.next_cursor {
            p { a href={ "/approvals?status=" (status) "&cursor=" (cursor) } { "Earlier ones" } }
        }
    }
}

/// The head of a call's arguments, to tell calls of one tool apart.
fn brief(args: &str) -> &str {
    args.char_indices().nth(BRIEF_CHARS).map_or(args, |(end, _)| &args[..end])
}

/// A status in a person's words.
pub(super) fn told(status: ApprovalStatus) -> &'static str {
    match status {
        ApprovalStatus::Consumed => "approved and sent",
        ApprovalStatus::Approved => "approved, not sent yet",
        other => other.as_str(),
    }
}

/// How long ago.
pub(super) fn ago(at: Timestamp) -> String {
    format!("{} ago", span(Timestamp::now().as_second() - at.as_second()))
}

/// How long it is until then.
pub(super) fn left(until: Timestamp) -> String {
    match until.as_second() - Timestamp::now().as_second() {
        seconds if seconds > 0 => format!("{} left", span(seconds)),
        _ => "its time is over".into(),
    }
}

fn span(seconds: i64) -> String {
    match seconds.max(0) {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}
