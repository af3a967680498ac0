//! Finds rules that never apply or never decide. Must not read arguments.

use super::report::{Code, Location, Report, Severity};
use crate::policy::{
    file::Action,
    loaded::Policy,
    model::{call::ToolFacts, layer::LayerScope, pattern::Pattern},
    view::{EntryView, RuleView},
};

/// Rule or entry that denies every call of its tools.
struct Denier<'p> {
    layer: usize,
    pattern: &'p Pattern,
    pointer: String,
    description: String,
}

/// Checks every rule that allows or asks.
pub(super) fn check(
    policy: &Policy,
    scopes: &[LayerScope],
    tools: &[ToolFacts<'_>],
    report: &mut Report,
) {
    let rules: Vec<RuleView<'_>> = policy.rules().collect();
    let deniers: Vec<Denier<'_>> = policy
        .entries()
        .filter_map(hiding_entry)
        .chain(rules.iter().filter_map(denying_rule))
        .collect();
    let unconditional: Vec<&RuleView<'_>> =
        rules.iter().filter(|rule| is_unconditional(rule)).collect();
    for rule in rules.iter().filter(|rule| matches!(rule.action, Action::Allow | Action::Ask)) {
        let own = &scopes[rule.layer_index];
        let denied_by = deniers.iter().find(|denier| {
            let itself = denier.layer == rule.layer_index && denier.pointer == *rule.rule.pointer;
            let scope = &scopes[denier.layer];
            let always = *scope == LayerScope::Organisation || scope == own;
            !itself && always && denier.pattern.covers(rule.pattern)
        });
        let name = &rule.rule.name;
        if let Some(denier) = denied_by {
            let message = format!("`{name}` never applies: {}", denier.description);
            let hint = "deny always wins; remove one of the two".to_owned();
            report.add(
                Location::of(rule),
                (Code::Unreachable, Severity::Warning),
                message,
                Some(hint),
            );
        } else if let Some(by) = shadowed_by(rule, &unconditional, tools) {
            report.add(
                Location::of(rule),
                (Code::Shadowed, Severity::Warning),
                format!("`{name}` never decides: {by}"),
                None,
            );
        }
    }
}

/// Returns true if the action of the rule applies to every call of every caller.
fn is_unconditional(rule: &RuleView<'_>) -> bool {
    !rule.conditional && !rule.restricted && !rule.shadow && rule.action != Action::Evaluate
}

fn hiding_entry(entry: EntryView<'_>) -> Option<Denier<'_>> {
    let (line, column) = entry.position;
    let description = format!("{}:{line}:{column} hides its tools", entry.file);
    entry.hidden.then_some(Denier {
        layer: entry.layer_index,
        pattern: entry.pattern,
        pointer: entry.pointer,
        description,
    })
}

fn denying_rule<'p>(rule: &RuleView<'p>) -> Option<Denier<'p>> {
    let (line, column) = rule.position;
    let description = format!("{}:{line}:{column} denies every call", rule.file);
    let denies = rule.action == Action::Deny && is_unconditional(rule);
    denies.then(|| Denier {
        layer: rule.layer_index,
        pattern: rule.pattern,
        pointer: rule.rule.pointer.to_string(),
        description,
    })
}

/// Describes the rules of the same file that decide instead of this one for each of its tools.
fn shadowed_by(
    rule: &RuleView<'_>,
    unconditional: &[&RuleView<'_>],
    tools: &[ToolFacts<'_>],
) -> Option<String> {
    let others: Vec<&&RuleView<'_>> = unconditional
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
            "another rule of this pattern asks, and of two rules of one pattern the one that asks \
            decides"
                .into(),
        );
    }
    let narrower: Vec<_> =
        others.iter().filter(|other| other.pattern.cmp_specificity(rule.pattern).is_gt()).collect();
    let mut matching = tools.iter().filter(|tool| tool.is_matched_by(rule.pattern)).peekable();
    matching.peek()?;
    let all = matching.all(|tool| narrower.iter().any(|other| tool.is_matched_by(other.pattern)));
    all.then(|| "a more specific rule decides for each of its tools".to_owned())
}
