//! One approval: everything that a person must see before the word, and the two words.

use maud::{Markup, html};
use serde_json::Value;

use super::{
    inbox::{ago, left, told},
    visible::{value, visible},
};
use crate::{
    model::{Approval, ApprovalStatus},
    service::ApprovalAnswer,
};

/// Characters of a digest that are enough to compare by eye.
const DIGEST_CHARS: usize = 7 + 16;
/// Characters of a tool's description that stand there unfolded.
const OPEN_CHARS: usize = 400;

pub(super) fn content(answer: &ApprovalAnswer, form: &str) -> Markup {
    let approval = &answer.approval;
    let earlier: Vec<_> =
        answer.trail.iter().filter(|step| step.seq < u64::from(approval.seq)).collect();
    html! {
        h1 { span.tool { (visible(&approval.tool, false)) } " " span class={ "class risk-" (approval.asked.class) } { (approval.asked.class) } }
        p.status { span class={ "is-" (approval.status) } { (told(approval.status)) }
            @if approval.status == ApprovalStatus::Pending { " · " (left(approval.expires_at)) }
        }
        (ended(approval))
        p.reason { (visible(&approval.asked.reason, true)) }
        h2 { "Would be sent to " (visible(&approval.asked.upstream, false)) ", once" }
        @if let Some(route) = answer.about.as_ref().and_then(|about| about.route.as_ref()) { p.route { code { (visible(route, false)) } } }
        (arguments(answer))
        @if approval.status == ApprovalStatus::Pending { (words(answer, form)) }
        (about(answer))
        h2 { "Who asks, and why it is asked" }
        (facts(approval))
        h2 { "Program" }
        (program(answer))
        h2 { "Earlier calls of this task" }
        @if earlier.is_empty() {
            p.empty { "None." }
        } @else {
            ol.trail {
                @for step in earlier {
                    li value=(step.seq) { (visible(&step.tool, false)) " " span class={ "is-" (step.outcome) } { (step.outcome) } }
                }
            }
        }
    }
}

/// What the upstream says of its tool. A claim of a stranger's, and set apart as one.
fn about(answer: &ApprovalAnswer) -> Markup {
    let description =
        answer.about.as_ref().map(|about| about.description.trim()).filter(|text| !text.is_empty());
    html! {
        @if let Some(description) = description {
            details.about-tool open[description.chars().count() <= OPEN_CHARS] {
                summary { (visible(&answer.approval.asked.upstream, false)) " says of this tool \
                    (not checked)" }
                blockquote { (visible(description, true)) }
            }
        }
    }
}

fn ended(approval: &Approval) -> Markup {
    html! {
        @if let Some(by) = &approval.decided_by { p { "Decided by " (visible(by, false)) @if let Some(at) = approval.decided_at { ", " (ago(at)) } "." } }
        @if let Some(why) = &approval.why { p { "Because " (visible(why, true)) "." } }
        @if let Some(note) = &approval.note { p.note { (visible(note, true)) } }
    }
}

fn facts(approval: &Approval) -> Markup {
    let asked = &approval.asked;
    let digest: String = approval.digest.chars().take(DIGEST_CHARS).collect();
    html! {
        dl {
            dt { "Asked by" }
            dd { (visible(&approval.principal.client_id, false)) ", account " (visible(&approval.principal.account_id, false)) ", workspace " (visible(&approval.principal.workspace_id, false))
                @if let Some(session) = &approval.principal.session_id { ", session " (visible(session, false)) } }
            dt { "Rule" }
            dd {
                @if let Some(rule) = &asked.rule { (visible(&rule.name, false)) " (" (visible(&rule.layer, false)) (visible(&rule.pointer, false)) ")" }
                @else { "none: the profile asks" }
            }
            dt { "Policy" } dd { code { (asked.revision) } }
            dt { "Task" } dd { code { (approval.task_id) } ", call " (approval.seq) }
            dt { "Asked" } dd { (ago(approval.created_at)) " (" (approval.created_at) "), open \
                until " (approval.expires_at) }
            dt { "Digest" } dd { code title=(approval.digest) { (digest) "…" } }
        }
    }
}

fn arguments(answer: &ApprovalAnswer) -> Markup {
    let args = &answer.approval.args;
    let parsed = serde_json::from_str::<Value>(args).ok().filter(|_| answer.is_showable());
    html! {
        @match parsed {
            Some(parsed) => {
                (value(&parsed))
                details { summary { "As they will be sent, " (args.len()) " bytes" } pre.raw { (visible(args, true)) } }
            },
            None => p.bad { "The arguments have " (args.len()) " bytes and cannot be shown whole. \
                What cannot be seen cannot be approved." },
        }
    }
}

fn words(answer: &ApprovalAnswer, form: &str) -> Markup {
    let id = answer.approval.id;
    html! {
        div.words {
            form method="post" action={ "/approvals/" (id) "/approve" } {
                input type="hidden" name="csrf" value=(form);
                @if answer.is_showable() { button.approve type="submit" { "Approve once" } }
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

fn program(answer: &ApprovalAnswer) -> Markup {
    let line = answer.approval.asked.line;
    html! {
        @if let Some(code) = &answer.code {
            @if line.is_none() { p.empty { "Which line makes the call is not known." } }
            pre.program {
                @for (number, text) in (1_u32..).zip(code.lines()) {
                    @if line == Some(number) { mark { span.number { (number) } " " (visible(text, true)) } "\n" }
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
