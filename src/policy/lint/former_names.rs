//! Finds patterns that hold by names of the release before, and names the present ones. Must not
//! read arguments.

use super::report::{Code, Location, Report, Severity};
use crate::policy::{
    file::Action,
    loaded::Policy,
    model::{call::ToolFacts, pattern::Pattern},
};

/// Tools that a finding names.
const NAMED_MAX: usize = 5;

/// Checks every entry by its pattern, and every rule that allows.
pub(super) fn check(policy: &Policy, tools: &[ToolFacts<'_>], report: &mut Report) {
    let renamed: Vec<&ToolFacts<'_>> = tools.iter().filter(|tool| tool.former.is_some()).collect();
    if renamed.is_empty() {
        return;
    }
    for entry in policy.entries() {
        let pattern = entry.pattern;
        let by_former: Vec<&str> = renamed
            .iter()
            .filter(|tool| tool.has_former(pattern) && !pattern.matches(tool.path))
            .map(|tool| tool.path)
            .collect();
        if !by_former.is_empty() {
            let message = format!(
                "`{pattern}` holds for {} by names of the release before; the next release does \
                not know them",
                counted(by_former.len())
            );
            let location =
                Location { file: entry.file, position: entry.position, pointer: &entry.pointer };
            let hint = Some(present(pattern, &by_former));
            report.add(location, (Code::FormerName, Severity::Warning), message, hint);
        }
    }
    for rule in policy.rules().filter(|rule| rule.action == Action::Allow) {
        let not_allowed: Vec<&str> = renamed
            .iter()
            .filter(|tool| {
                rule.pattern.matches(tool.path) && tool.is_only_restricted_by(rule.pattern)
            })
            .map(|tool| tool.path)
            .collect();
        if !not_allowed.is_empty() {
            let message = format!(
                "`{}` does not allow {} that had other names in the release before, since `{}` may \
                be written for those",
                rule.rule.name,
                counted(not_allowed.len()),
                rule.pattern
            );
            let hint = format!("to allow them, name them: {}", listed(&not_allowed));
            let finding = (Code::FormerName, Severity::Warning);
            report.add(Location::of(&rule), finding, message, Some(hint));
        }
    }
}

fn counted(tools: usize) -> String {
    if tools == 1 { "a tool".to_owned() } else { format!("{tools} tools") }
}

fn present(pattern: &Pattern, paths: &[&str]) -> String {
    match (pattern.is_exact(), paths) {
        (true, [path]) => format!("write `{path}`"),
        _ => format!("they are now {}", listed(paths)),
    }
}

fn listed(paths: &[&str]) -> String {
    let named: Vec<String> = paths.iter().take(NAMED_MAX).map(|path| format!("`{path}`")).collect();
    match paths.len().saturating_sub(NAMED_MAX) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}
