//! The inbox: the calls that wait for a decision, and those of the past, the newest first.

use maud::{Markup, html};

use super::{
    time::{ago, left},
    visible::{brief, prose, visible},
};
use crate::{
    model::{ApprovalStatus, ErrorCode},
    service::{
        ApprovalList, ServiceError,
        view::{Approval, ApprovalCounts, ApprovalPage},
    },
};

/// Seconds between two reloads of the inbox.
pub(super) const AGAIN_SECONDS: u32 = 10;
/// Characters of a call's arguments in the list.
const BRIEF_CHARS: usize = 160;
/// Name of the filter for what does not wait any more.
const PAST: &str = "past";

/// What the inbox shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Filter {
    /// What waits.
    #[default]
    Waiting,
    /// What does not wait any more.
    Past,
    /// One status of the past.
    Only(ApprovalStatus),
}

impl Filter {
    /// The filter of that name.
    ///
    /// # Errors
    /// Names what is allowed.
    pub(super) fn parse(name: &str) -> Result<Self, ServiceError> {
        match (name, ApprovalStatus::parse(name)) {
            (PAST, _) => Ok(Self::Past),
            ("waiting", _) | (_, Some(ApprovalStatus::Pending)) => Ok(Self::Waiting),
            (_, Some(status)) => Ok(Self::Only(status)),
            (_, None) => {
                let shown: String = name.chars().take(80).collect();
                let names: Vec<_> =
                    ApprovalStatus::ALL.iter().map(|status| format!("`{status}`")).collect();
                let message = format!(
                    "`status` is `{shown}`; allowed: `waiting`, `{PAST}`, {}",
                    names.join(", ")
                );
                Err(ServiceError::new(ErrorCode::InvalidArgument, message))
            }
        }
    }

    /// The request for a page of it.
    pub(super) fn request(self, cursor: Option<String>) -> ApprovalList {
        let (status, past) = match self {
            Self::Waiting => (Some(ApprovalStatus::Pending), None),
            Self::Past => (None, Some(true)),
            Self::Only(status) => (Some(status), None),
        };
        ApprovalList { status, past, cursor, ..ApprovalList::default() }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Past => PAST,
            Self::Only(status) => status.as_str(),
        }
    }
}

pub(super) fn content(page: &ApprovalPage, filter: Filter, counts: ApprovalCounts) -> Markup {
    let tab = |shown: Filter, href: &str, label: &str, count: u64| {
        let is_current = (shown == Filter::Waiting) == (filter == Filter::Waiting);
        let current = is_current.then_some("page");
        html! { a href=(href) aria-current=[current] { (label) " (" (count) ")" } }
    };
    html! {
        h1 { "Approvals" }
        nav.filters {
            (tab(Filter::Waiting, "/approvals", "Waiting", counts.waiting))
            (tab(Filter::Past, "/approvals?status=past", "Past", counts.past))
        }
        @if let Filter::Only(status) = filter {
            p.about { "Only those of status " code { (status) } "." }
        }
        @if page.approvals.is_empty() {
            p.empty {
                @match filter {
                    Filter::Waiting => "No call is waiting for your approval.",
                    Filter::Past | Filter::Only(_) => "There is none.",
                }
            }
        } @else {
            ul.inbox { @for approval in &page.approvals { li { (row(approval)) } } }
        }
        @if let Some(cursor) = &page.next_cursor {
            p { a href={ "/approvals?status=" (filter.name()) "&cursor=" (cursor) } {
                "Earlier ones"
            } }
        }
    }
}

fn row(approval: &Approval) -> Markup {
    html! {
        a.row href={ "/approvals/" (approval.id) } {
            span {
                span.tool { (visible(&approval.tool, false)) }
                (class(approval))
            }
            code.brief {
                @match &approval.args {
                    Some(args) => { (brief(args.get(), BRIEF_CHARS)) }
                    None => { (approval.args_bytes) " bytes" }
                }
            }
            span.reason { (prose(&approval.reason)) }
            span.about {
                (visible(&approval.principal.client_id, false))
                " · " (ago(approval.created_at)) " · "
                @if approval.status == ApprovalStatus::Pending { (left(approval.expires_at)) }
                @else { span class={ "is-" (approval.status) } { (label(approval.status)) } }
            }
        }
    }
}

/// The class of a call's tool, in the colour of its risk.
pub(super) fn class(approval: &Approval) -> Markup {
    html! { span class={ "class risk-" (approval.class) } { (approval.class) } }
}

/// The label of a status.
pub(super) fn label(status: ApprovalStatus) -> &'static str {
    match status {
        ApprovalStatus::Pending => "waiting for your decision",
        ApprovalStatus::Consumed => "approved and sent",
        ApprovalStatus::Approved => "approved, about to be sent",
        ApprovalStatus::Denied => "denied",
        ApprovalStatus::Expired => "expired: nobody decided in time",
        ApprovalStatus::Cancelled => "cancelled",
        ApprovalStatus::Void => "void: the program that waited is gone",
    }
}
