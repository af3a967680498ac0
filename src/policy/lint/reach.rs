//! Rules that can never speak, or never decide. Must not look at arguments.

use super::{Code, Place, Report, Severity};
use crate::policy::{EntryView, LayerScope, Pattern, Policy, RuleView, ToolFacts, file::Action};

/// Something that refuses every call of its tools.
struct Refusal<'p> {
    layer: usize,
    pattern: &'p Pattern,
    pointer: String,
    what: String,
}

/// Looks at every rule that allows or asks.
pub(super) fn check(
    policy: &Policy,
    scopes: &[LayerScope],
    tools: &[ToolFacts<'_>],
    report: &mut Report,
) {
    let rules: Vec<RuleView<'_>> = policy.rules().collect();
    let refusals: Vec<Refusal<'_>> =
        policy.entries().filter_map(hiding).chain(rules.iter().filter_map(denying)).collect();
    let speaking: Vec<&RuleView<'_>> = rules.iter().filter(|rule| is_unconditional(rule)).collect();
    for rule in rules.iter().filter(|rule| matches!(rule.action, Action::Allow | Action::Ask)) {
        let own = &scopes[rule.layer_index];
        let refused = refusals.iter().find(|refusal| {
            let itself = refusal.layer == rule.layer_index && refusal.pointer == *rule.rule.pointer;
            let scope = &scopes[refusal.layer];
            let always = *scope == LayerScope::Organisation || scope == own;
            !itself && always && refusal.pattern.covers(rule.pattern)
        });
        let name = &rule.rule.name;
        if let Some(refusal) = refused {
            let message = format!("`{name}` can never speak: {}", refusal.what);
            let hint = "a deny always wins; take one of the two out".to_owned();
            report.add(
                Place::of(rule),
                (Code::Unreachable, Severity::Warning),
                message,
                Some(hint),
            );
        } else if let Some(by) = shadowing(rule, &speaking, tools) {
            report.add(
                Place::of(rule),
                (Code::Shadowed, Severity::Warning),
                format!("`{name}` never decides: {by}"),
                None,
            );
        }
    }
}

/// Whether it answers every call of everybody.
fn is_unconditional(rule: &RuleView<'_>) -> bool {
    !rule.conditional && !rule.restricted && !rule.shadow && rule.action != Action::Evaluate
}

fn hiding(entry: EntryView<'_>) -> Option<Refusal<'_>> {
    let (line, column) = entry.place;
    let what = format!("{}:{line}:{column} hides its tools", entry.file);
    entry.hidden.then_some(Refusal {
        layer: entry.layer_index,
        pattern: entry.pattern,
        pointer: entry.pointer,
        what,
    })
}

fn denying<'p>(rule: &RuleView<'p>) -> Option<Refusal<'p>> {
    let (line, column) = rule.place;
    let what = format!("{}:{line}:{column} denies every call", rule.file);
    let denies = rule.action == Action::Deny && is_unconditional(rule);
    denies.then(|| Refusal {
        layer: rule.layer_index,
        pattern: rule.pattern,
        pointer: rule.rule.pointer.to_string(),
        what,
    })
}

/// What speaks in a rule's stead for each of its tools, within its file.
fn shadowing(
    rule: &RuleView<'_>,
    speaking: &[&RuleView<'_>],
    tools: &[ToolFacts<'_>],
) -> Option<String> {
    let others: Vec<&&RuleView<'_>> = speaking
        .iter()
        .filter(|other| {
            other.layer_index == rule.layer_index
                && matches!(other.action, Action::Allow | Action::Ask)
        })
        .collect();
    let asks =
        others.iter().any(|other| other.pattern == rule.pattern && other.action == Action::Ask);
    if rule.action == Action::Allow && asks {
        return Some(
            "another rule of this address asks, and where two of one address differ it is asked"
                .into(),
        );
    }
    let narrower: Vec<_> =
        others.iter().filter(|other| other.pattern.more_specific(rule.pattern).is_gt()).collect();
    let mut fitting = tools.iter().filter(|tool| rule.pattern.fits(tool.path)).peekable();
    fitting.peek()?;
    let all = fitting.all(|tool| narrower.iter().any(|other| other.pattern.fits(tool.path)));
    all.then(|| "for each of its tools a more specific address speaks".to_owned())
}
