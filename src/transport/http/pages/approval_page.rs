//! One approval: everything that a person must see before deciding, and the two decisions.

use maud::{Markup, html};
use serde_json::Value;

use super::{
    inbox::{ago, label, left},
    visible::{value, visible},
};
use crate::{model::ApprovalStatus, service::view::Approval};

/// Characters of a digest that are enough to compare by eye.
const DIGEST_CHARS: usize = 7 + 16;
/// Characters of a tool's description that are shown unfolded.
const OPEN_CHARS: usize = 400;

pub(super) fn content(approval: &Approval, form: &str) -> Markup {
    let prior_calls = approval.prior_calls.iter().flatten();
    let earlier: Vec<_> = prior_calls.filter(|call| call.seq < u64::from(approval.seq)).collect();
    html! {
        h1 {
            span.tool { (visible(&approval.tool, false)) } " "
            span class={ "class risk-" (approval.class) } { (approval.class) }
        }
        p.status { span class={ "is-" (approval.status) } { (label(approval.status)) }
            @if approval.status == ApprovalStatus::Pending { " · " (left(approval.expires_at)) }
        }
        (ended(approval))
        p.reason { (visible(&approval.reason, true)) }
        h2 { "Would be sent to " (visible(&approval.upstream, false)) ", once" }
        @if let Some(route) = approval.about.as_ref().and_then(|about| about.route.as_ref()) {
            p.route { code { (visible(route, false)) } }
        }
        (arguments(approval))
        @if approval.status == ApprovalStatus::Pending { (decisions(approval, form)) }
        (about(approval))
        h2 { "Who requests it, and why" }
        (facts(approval))
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

fn ended(approval: &Approval) -> Markup {
    html! {
        @if let Some(by) = &approval.decided_by {
            p {
                "Decided by " (visible(by, false))
                @if let Some(at) = approval.decided_at { ", " (ago(at)) }
                "."
            }
        }
        @if let Some(why) = &approval.why { p { "Because " (visible(why, true)) "." } }
        @if let Some(note) = &approval.note { p.note { (visible(note, true)) } }
    }
}

fn facts(approval: &Approval) -> Markup {
    let who = &approval.principal;
    let digest: String = approval.digest.chars().take(DIGEST_CHARS).collect();
    html! {
        dl {
            dt { "Requested by" }
            dd {
                (visible(&who.client_id, false))
                ", account " (visible(&who.account_id, false))
                ", workspace " (visible(&approval.workspace_id, false))
                @if let Some(session) = &who.session_id { ", session " (visible(session, false)) }
            }
            dt { "Rule" }
            dd {
                @if let Some(rule) = &approval.rule {
                    (visible(&rule.name, false))
                    " (" (visible(&rule.layer, false)) (visible(&rule.pointer, false)) ")"
                }
                @else { "none: the profile asks" }
            }
            dt { "Policy" } dd { code { (approval.policy_revision) } }
            dt { "Task" } dd { code { (approval.task_id) } ", call " (approval.seq) }
            dt { "Requested" } dd { (ago(approval.created_at)) " (" (approval.created_at) "), open \
                until " (approval.expires_at) }
            dt { "Digest" } dd { code title=(approval.digest) { (digest) "…" } }
        }
    }
}

fn arguments(approval: &Approval) -> Markup {
    html! {
        @match &approval.args {
            Some(args) => {
                (value(&serde_json::from_str(args.get()).unwrap_or(Value::Null)))
                details {
                    summary { "As they will be sent, " (approval.args_bytes) " bytes" }
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
                label for="note" { "Reason, for the program" }
                input #note type="text" name="note" maxlength="2000" autocomplete="off";
                button.deny type="submit" { "Deny" }
            }
        }
    }
}

fn program(approval: &Approval) -> Markup {
    html! {
        @if let Some(program) = &approval.code {
            @if program.line.is_none() { p.empty { "Which line makes the call is not known." } }
            pre.program {
                @for (number, text) in (1_u32..).zip(program.text.lines()) {
                    @if program.line == Some(number) {
                        mark { span.number { (number) } " " (visible(text, true)) } "\n"
                    }
                    @else { span.number { (number) } " " (visible(text, true)) "\n" }
                }
            }
        } @else {
            p.empty { "Its record is not there." }
        }
    }
}

#[cfg(test)]
#[path = "approval_page/tests.rs"]
mod tests;
