//! Limits that can be escaped, and questions that nobody can answer. Must not look at tools.

use super::{Code, Place, Report, Severity};
use crate::policy::{
    Policy, RuleView,
    file::{Action, Scope},
};

/// Looks at every limit and every question.
pub(super) fn check(policy: &Policy, report: &mut Report) {
    let rules: Vec<RuleView<'_>> = policy.rules().collect();
    let by_session = |scopes: &&[Scope]| scopes.contains(&Scope::Session);
    for rule in &rules {
        let mut beside = rules.iter().filter(|other| {
            other.layer_index == rule.layer_index && other.pattern.covers(rule.pattern)
        });
        let bounded =
            beside.any(|other| other.limit_scopes.iter().any(|scopes| !by_session(scopes)));
        if rule.limit_scopes.iter().any(by_session) && !bounded {
            let message = format!(
                "`{}` counts by session alone, and the caller chooses its session",
                rule.rule.name
            );
            let hint = "add a limit for each `principal` beside it".to_owned();
            report.add(
                Place::of(rule),
                (Code::SessionOnly, Severity::Warning),
                message,
                Some(hint),
            );
        }
        if !policy.options().approvals && rule.action == Action::Ask {
            let message = format!(
                "`{}` denies what it would ask about: nobody can approve here",
                rule.rule.name
            );
            report.add(Place::of(rule), (Code::NobodyApproves, Severity::Warning), message, None);
        }
    }
}
