//! One approval: everything that a person must see before deciding, the two decisions, and after
//! the decision what became of the call.

use maud::{Markup, html};

use super::{
    inbox::{class, label},
    time::{ago, exact, left, moment},
    visible::{prose, value, visible},
};
use crate::{base::json::written::Written, model::ApprovalStatus, service::view::Approval};

/// Characters of a tool's description that are shown unfolded.
const OPEN_CHARS: usize = 400;

/// The content of the page. `next` is another call that waits.
pub(super) fn content(approval: &Approval, next: Option<&Approval>, form: &str) -> Markup {
    let is_pending = approval.status == ApprovalStatus::Pending;
    let prior_calls = approval.prior_calls.iter().flatten();
    let earlier: Vec<_> = prior_calls.filter(|call| call.seq < u64::from(approval.seq)).collect();
    html! {
        h1 { span.tool { (visible(&approval.tool, false)) } " " (class(approval)) }
        @if is_pending {
            p.status {
                "Requested by " (visible(&approval.principal.client_id, false))
                " · " (ago(approval.created_at))
                " · " span #left { (left(approval.expires_at)) }
            }
        } @else { (outcome(approval, next)) }
        p.reason { (prose(&approval.reason)) }
        h2 { (heading(approval)) (visible(&approval.upstream, false)) }
        @if let Some(route) = approval.about.as_ref().and_then(|about| about.route.as_ref()) {
            p.route { code { (visible(route, false)) } }
        }
        (arguments(approval))
        @if is_pending { (decisions(approval, form)) }
        (about(approval))
        h2 { "Program" }
        (program(approval))
        h2 { "Earlier calls of this task" }
        @if earlier.is_empty() {
            p.empty { "None." }
        } @else {
            ol.trail {
                @for call in earlier {
                    li value=(call.seq) {
                        (visible(&call.tool, false)) " "
                        span class={ "is-" (call.outcome) } { (call.outcome) }
                    }
                }
            }
        }
        h2 { "Who requests it" }
        (facts(approval))
    }
}

fn heading(approval: &Approval) -> &'static str {
    match approval.status {
        ApprovalStatus::Pending => "This call will be sent, once, to ",
        ApprovalStatus::Approved => "This call is about to be sent to ",
        ApprovalStatus::Consumed => "This call was sent to ",
        _ => "This call was not sent to ",
    }
}

/// What became of a call that does not wait any more, and the way onward.
fn outcome(approval: &Approval, next: Option<&Approval>) -> Markup {
    let label = label(approval.status);
    let (first, rest) = label.split_at(1);
    html! {
        div class={ "outcome is-" (approval.status) } role="status" {
            p {
                strong { (first.to_uppercase()) (rest) }
                @if let Some(by) = &approval.decided_by { " · by the " (visible(by, false)) }
                @if let Some(at) = approval.decided_at { " · " (ago(at)) ", " (moment(at)) }
            }
            @if let Some(why) = &approval.why { p { "Reason: " (visible(why, true)) } }
            @if let Some(note) = &approval.note { p.note { (visible(note, true)) } }
            p.onward {
                @match next {
                    Some(next) => {
                        a href={ "/approvals/" (next.id) } {
                            "Next waiting call: " (visible(&next.tool, false)) " →"
                        }
                    }
                    None => { span.empty { "No other call is waiting." } }
                }
                a href="/approvals" { "All approvals" }
            }
        }
    }
}

/// The upstream's description of its tool: a claim that nobody checked, and set apart as one.
fn about(approval: &Approval) -> Markup {
    let description = approval
        .about
        .as_ref()
        .map(|about| about.description.trim())
        .filter(|text| !text.is_empty());
    html! {
        @if let Some(description) = description {
            details.about-tool open[description.chars().count() <= OPEN_CHARS] {
                summary { (visible(&approval.upstream, false)) "'s description of this tool \
                    (not checked)" }
                blockquote { (visible(description, true)) }
            }
        }
    }
}

fn facts(approval: &Approval) -> Markup {
    let who = &approval.principal;
    html! {
        dl {
            dt { "Requested by" } dd { (visible(&who.client_id, false)) }
            dt { "Account" } dd { (visible(&who.account_id, false)) }
            @if let Some(session) = &who.session_id {
                dt { "Session" } dd { (visible(session, false)) }
            }
            dt { "Rule" }
            dd {
                @match &approval.rule {
                    // Only rules of a file have a place in it.
                    Some(rule) if !rule.pointer.is_empty() => {
                        (visible(&rule.name, false))
                        " (" (visible(&rule.layer, false)) (visible(&rule.pointer, false)) ")"
                    }
                    Some(rule) => { "none (" (visible(&rule.layer, false)) ")" }
                    None => { "none: the profile asks" }
                }
            }
            dt { "Requested" } dd { (moment(approval.created_at)) }
            dt { "Expires" } dd { (moment(approval.expires_at)) }
        }
        details {
            summary { "Ids and digests" }
            dl {
                dt { "Approval" } dd { code { (approval.id) } }
                dt { "Task" } dd { code { (approval.task_id) } ", call " (approval.seq) }
                dt { "Workspace" } dd { (visible(&approval.workspace_id, false)) }
                dt { "Requested" } dd { (exact(approval.created_at)) }
                dt { "Digest" } dd { code { (visible(&approval.digest, false)) } }
                dt { "Policy" } dd { code { (visible(&approval.policy_revision, false)) } }
            }
        }
    }
}

fn arguments(approval: &Approval) -> Markup {
    html! {
        @match &approval.args {
            Some(args) => {
                (value(&Written::read(args)))
                details {
                    summary { "Raw arguments (" (approval.args_bytes) " bytes)" }
                    pre.raw { (visible(args.get(), true)) }
                }
            },
            None => p.bad {
                "The arguments are " (approval.args_bytes) " bytes and cannot be shown whole. \
                What cannot be seen cannot be approved."
            },
        }
    }
}

/// The decisions, each a form of its own: Enter in the field of the reason denies, and never
/// approves.
fn decisions(approval: &Approval, form: &str) -> Markup {
    let id = approval.id;
    html! {
        div.decisions {
            form method="post" action={ "/approvals/" (id) "/approve" } {
                input type="hidden" name="csrf" value=(form);
                @if approval.args_complete { button.approve type="submit" { "Approve once" } }
                @else { button.approve type="submit" disabled { "Approve once" } }
            }
            form method="post" action={ "/approvals/" (id) "/deny" } {
                input type="hidden" name="csrf" value=(form);
                button.deny type="submit" { "Deny" }
            }
            form.because method="post" action={ "/approvals/" (id) "/deny" } {
                input type="hidden" name="csrf" value=(form);
                label for="note" { "Or deny with a reason, which the program gets" }
                input #note type="text" name="note" maxlength="2000" required autocomplete="off";
                button type="submit" { "Deny with reason" }
            }
        }
    }
}

fn program(approval: &Approval) -> Markup {
    let Some(program) = &approval.code else {
        return html! { p.empty { "Its record is not there." } };
    };
    let first = program.line.unwrap_or(u32::MAX);
    let last = program.last_line.unwrap_or(first);
    html! {
        @if program.line.is_none() { p.empty { "Which line makes the call is not known." } }
        pre.program {
            @for (number, text) in (1_u32..).zip(program.text.lines()) {
                @if (first..=last).contains(&number) {
                    mark.line {
                        span.number { (number) } span.code { (visible(text, true)) "\n" }
                    }
                }
                @else {
                    span.line {
                        span.number { (number) } span.code { (visible(text, true)) "\n" }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "approval_page/tests.rs"]
mod tests;
