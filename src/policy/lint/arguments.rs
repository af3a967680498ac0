//! Arguments that rules read and schemas do not have. Must not evaluate conditions.

use super::{
    Code, Place, Report, Severity,
    schema::{Said, look},
};
use crate::{
    base::suggest::nearest,
    policy::{ArgPath, Policy, RuleView, ToolFacts},
};

/// Tools of one address that are looked at.
const TOOLS_MAX: usize = 100;

/// Looks at every condition and every cost.
pub(super) fn check(policy: &Policy, tools: &[ToolFacts<'_>], report: &mut Report) {
    for rule in policy.rules().filter(|rule| !rule.arg_paths.is_empty()) {
        let fitting =
            tools.iter().filter(|tool| rule.pattern.fits(tool.path) && tool.input_schema.is_some());
        let known: Vec<_> = fitting.take(TOOLS_MAX).collect();
        let mut seen: Vec<&ArgPath> = vec![];
        for path in rule.arg_paths.iter().filter(|path| !path.path.is_empty()) {
            if !seen.contains(&path) {
                seen.push(path);
                look_up(&rule, path, &known, report);
            }
        }
    }
}

fn look_up(rule: &RuleView<'_>, path: &ArgPath, known: &[&ToolFacts<'_>], report: &mut Report) {
    let said: Vec<_> = known
        .iter()
        .filter_map(|tool| Some((tool.path, look(&tool.input_schema?.value(), &path.path))))
        .collect();
    let Some((first, _)) = said.first() else { return };
    let place = Place::of(rule);
    let shown = format!("args.{}", path.path.join("."));
    let whose = if said.len() == 1 {
        format!("`{first}`")
    } else {
        format!("the {} tools of `{}`", said.len(), rule.pattern)
    };
    if said.iter().all(|(_, said)| matches!(said, Said::Missing(_))) {
        let names = said.iter().flat_map(|(_, said)| match said {
            Said::Missing(names) => names.as_slice(),
            _ => &[],
        });
        let last = path.path.last().map_or("", String::as_str);
        let hint =
            nearest(last, names.map(String::as_str)).map(|name| format!("did you mean `{name}`?"));
        let message =
            format!("`{}` reads `{shown}`, which is no argument of {whose}", rule.rule.name);
        report.add(place, (Code::NoSuchArgument, Severity::Warning), message, hint);
    } else if path.must_exist
        && !guarded(rule, path)
        && let Some((tool, _)) =
            said.iter().find(|(_, said)| matches!(said, Said::Optional | Said::Missing(_)))
    {
        let message = format!(
            "`{}` reads `{shown}`, which a call of `{tool}` may leave out; such a call is denied",
            rule.rule.name
        );
        let hint = format!("where that is not meant: `has({shown}) && …`");
        report.add(place, (Code::MayBeMissing, Severity::Warning), message, Some(hint));
    }
}

/// Whether the rule also asks if the argument, or what it lies in, is there.
fn guarded(rule: &RuleView<'_>, path: &ArgPath) -> bool {
    rule.arg_paths.iter().any(|other| !other.must_exist && path.path.starts_with(&other.path))
}
