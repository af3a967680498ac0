//! Checks that the arguments that rules read exist in the schemas. Must not evaluate conditions.

use super::{
    report::{Code, Location, Report, Severity},
    schema::{ArgumentStatus, argument_status},
};
use crate::{
    base::suggest::nearest,
    policy::{condition::ArgPath, loaded::Policy, model::call::ToolFacts, view::RuleView},
};

/// Most tools of one pattern that are checked.
const TOOLS_MAX: usize = 100;

/// Checks every condition and every cost.
pub(super) fn check(policy: &Policy, tools: &[ToolFacts<'_>], report: &mut Report) {
    for rule in policy.rules().filter(|rule| !rule.arg_paths.is_empty()) {
        let matching = tools
            .iter()
            .filter(|tool| tool.is_matched_by(rule.pattern) && tool.input_schema.is_some());
        let known: Vec<_> = matching.take(TOOLS_MAX).collect();
        let mut seen: Vec<&ArgPath> = vec![];
        for path in rule.arg_paths.iter().filter(|path| !path.path.is_empty()) {
            if !seen.contains(&path) {
                seen.push(path);
                check_path(&rule, path, &known, report);
            }
        }
    }
}

fn check_path(rule: &RuleView<'_>, path: &ArgPath, known: &[&ToolFacts<'_>], report: &mut Report) {
    let statuses: Vec<_> = known
        .iter()
        .filter_map(|tool| {
            Some((tool.path, argument_status(&tool.input_schema?.value(), &path.path)))
        })
        .collect();
    let Some((first, _)) = statuses.first() else { return };
    let location = Location::of(rule);
    let shown = format!("args.{}", path.path.join("."));
    let owner = if statuses.len() == 1 {
        format!("`{first}`")
    } else {
        format!("the {} tools of `{}`", statuses.len(), rule.pattern)
    };
    if statuses.iter().all(|(_, status)| matches!(status, ArgumentStatus::Missing(_))) {
        let names = statuses.iter().flat_map(|(_, status)| match status {
            ArgumentStatus::Missing(names) => names.as_slice(),
            _ => &[],
        });
        let last = path.path.last().map_or("", String::as_str);
        let hint =
            nearest(last, names.map(String::as_str)).map(|name| format!("did you mean `{name}`?"));
        let message =
            format!("`{}` reads `{shown}`, which is not an argument of {owner}", rule.rule.name);
        report.add(location, (Code::NoSuchArgument, Severity::Warning), message, hint);
    } else if path.must_exist
        && !is_tested(rule, path)
        && let Some((tool, _)) = statuses.iter().find(|(_, status)| {
            matches!(status, ArgumentStatus::Optional | ArgumentStatus::Missing(_))
        })
    {
        let message = format!(
            "`{}` reads `{shown}`, which is optional for `{tool}`; a call without it is denied",
            rule.rule.name
        );
        let hint = format!("if that is not intended: `has({shown}) && …`");
        report.add(location, (Code::MayBeMissing, Severity::Warning), message, Some(hint));
    }
}

/// Returns true if the rule also tests the presence of the argument or of a parent of it.
fn is_tested(rule: &RuleView<'_>, path: &ArgPath) -> bool {
    rule.arg_paths.iter().any(|other| !other.must_exist && path.path.starts_with(&other.path))
}
