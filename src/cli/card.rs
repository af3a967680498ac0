//! A call that waits for approval, as lines for a terminal: everything that would be sent, and the
//! reason for asking.
//!
//! Programs and upstreams choose most of the text. Nothing of it can move the cursor, hide itself
//! or look like a line of ours: it is escaped, and each line of it begins with a bar.

use super::screen::duration;
use crate::{
    base::{confusables::escaped_line, json::written::Written},
    model::Timestamp,
    service::view::{Approval, PriorCall},
};

/// What each line of the call begins with.
const BAR: &str = "│ ";
/// Columns of the names before the values.
const NAME_COLUMNS: usize = 10;
/// Columns that stay free at the right, for terminals that break a line at its last column.
const FREE_COLUMNS: usize = 4;
/// Columns of a value, at least.
const VALUE_COLUMNS_MIN: usize = 8;

/// The card of a call, for a terminal of so many columns. Ends with a line end.
pub(super) fn card(approval: &Approval, columns: usize) -> String {
    let mut card = "╭ this call waits for your approval\n".to_owned();
    for (name, value) in facts(approval) {
        fact(&mut card, name, &value, columns);
    }
    match &approval.args {
        Some(args) => {
            fact(&mut card, "arguments", &format!("{} bytes", approval.args_bytes), columns);
            for line in Written::read(args).indented().lines() {
                let depth = line.len() - line.trim_start().len();
                push(&mut card, &escaped_line(line), "  ", depth + 4, columns);
            }
        }
        None => {
            let unseen = format!("{} bytes, which cannot be shown whole", approval.args_bytes);
            fact(&mut card, "arguments", &unseen, columns);
        }
    }
    let left = approval.expires_at.as_second() - Timestamp::now().as_second();
    let left = duration(u64::try_from(left).unwrap_or(0) * 1000);
    let page = approval.url.as_deref().map(|url| format!(", {url}")).unwrap_or_default();
    card.push_str(&format!("╰ expires in {left}{}\n", escaped_line(&page)));
    card
}

/// What is told of a call beside its arguments.
fn facts(approval: &Approval) -> Vec<(&'static str, String)> {
    let route = approval.about.as_ref().and_then(|about| about.route.as_deref());
    let to = match route {
        Some(route) => format!("{} ({route})", approval.upstream),
        None => approval.upstream.clone(),
    };
    let rule = match &approval.rule {
        Some(rule) if rule.pointer.is_empty() => format!("none ({})", rule.layer),
        Some(rule) => format!("{} ({}{})", rule.name, rule.layer, rule.pointer),
        None => "none".into(),
    };
    let who = &approval.principal;
    let mut facts = vec![
        ("tool", approval.tool.clone()),
        ("to", to),
        ("class", approval.class.clone()),
        ("account", format!("{}, requested by {}", who.account_id, who.client_id)),
        ("why", approval.reason.clone()),
        ("rule", rule),
    ];
    let program = approval.code.as_ref();
    if let Some((line, text)) =
        program.and_then(|program| Some((program.line?, program.snippet.as_deref()?)))
    {
        facts.push(("program", format!("line {line}: {}", text.trim())));
    }
    let earlier = approval.prior_calls.iter().flatten();
    let earlier: Vec<_> =
        earlier.filter(|call| call.seq < u64::from(approval.seq)).map(with_outcome).collect();
    if !earlier.is_empty() {
        facts.push(("before", earlier.join(", ")));
    }
    facts
}

fn with_outcome(call: &PriorCall) -> String {
    format!("{} ({})", call.tool, call.outcome)
}

fn fact(card: &mut String, name: &str, value: &str, columns: usize) {
    let name = format!("{name:<NAME_COLUMNS$} ");
    push(card, &escaped_line(value), &name, NAME_COLUMNS + 1, columns);
}

/// Adds a text after a bar. What does not fit goes on in lines of its own, so that the terminal
/// breaks none: those begin with a bar too.
fn push(card: &mut String, text: &str, before: &str, indent: usize, columns: usize) {
    let room = columns.saturating_sub(width_of(BAR) + FREE_COLUMNS);
    let indent = indent.min(room.saturating_sub(VALUE_COLUMNS_MIN));
    let (mut line, mut width) = (before.to_owned(), width_of(before));
    for c in text.chars() {
        let own = columns_of(c);
        if width + own > room {
            card.push_str(&format!("{BAR}{line}\n"));
            line = " ".repeat(indent);
            width = indent;
        }
        line.push(c);
        width += own;
    }
    card.push_str(&format!("{BAR}{line}\n"));
}

fn width_of(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

/// Columns that a terminal takes for a character, at most. Terminals differ: many letters and signs
/// are wide where Chinese, Japanese or Korean is read, and a table of widths is older or newer than
/// that of the terminal.
fn columns_of(c: char) -> usize {
    if c.is_ascii() { 1 } else { 2 }
}

#[cfg(test)]
#[path = "card/tests.rs"]
mod tests;
