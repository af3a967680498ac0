//! Finds limits that can be evaded and approvals that nobody can give. Must not read tools.

use super::report::{Code, Location, Report, Severity};
use crate::policy::{
    file::{Action, Scope},
    loaded::Policy,
    view::RuleView,
};

/// Checks every limit and every rule that asks.
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
                "`{}` counts by session alone, and the caller chooses the session",
                rule.rule.name
            );
            let hint = "add a limit with `scope: principal`".to_owned();
            report.add(
                Location::of(rule),
                (Code::SessionOnly, Severity::Warning),
                message,
                Some(hint),
            );
        }
        if !policy.options().approvals && rule.action == Action::Ask {
            let message = format!(
                "`{}` denies the calls that it asks about, because nobody can approve on this \
                server",
                rule.rule.name
            );
            report.add(
                Location::of(rule),
                (Code::NobodyApproves, Severity::Warning),
                message,
                None,
            );
        }
    }
}
