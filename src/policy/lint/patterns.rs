//! Checks that patterns match a known tool. Must not read arguments.

use std::collections::BTreeSet;

use super::report::{Code, Location, Report, Severity};
use crate::{
    base::suggest::nearest,
    policy::{
        loaded::Policy,
        model::{call::ToolFacts, pattern::Pattern},
    },
};

/// Checks every pattern of every file.
pub(super) fn check(policy: &Policy, tools: &[ToolFacts<'_>], report: &mut Report) {
    if tools.is_empty() {
        return;
    }
    let paths: BTreeSet<&str> = tools.iter().map(|tool| tool.path).collect();
    let upstreams: BTreeSet<&str> = tools.iter().map(|tool| tool.upstream).collect();
    for entry in policy.entries() {
        let pattern = entry.pattern;
        let matches = pattern.is_exact() && paths.contains(pattern.as_str())
            || tools.iter().any(|tool| tool.is_matched_by(pattern));
        if !matches {
            let (message, hint) = describe(pattern, tools, &upstreams);
            let location =
                Location { file: entry.file, position: entry.position, pointer: &entry.pointer };
            report.add(location, (Code::NoSuchTool, Severity::Warning), message, hint);
        }
    }
}

fn describe(
    pattern: &Pattern,
    tools: &[ToolFacts<'_>],
    upstreams: &BTreeSet<&str>,
) -> (String, Option<String>) {
    let text = pattern.as_str();
    let first = text.split('.').next().unwrap_or_default();
    if first != "*" && !upstreams.contains(first) {
        let hint = nearest(first, upstreams.iter().copied())
            .map(|name| format!("did you mean the upstream `{name}`?"));
        let hint = hint.or_else(|| {
            Some(format!(
                "upstreams with tools: {}",
                upstreams.iter().copied().collect::<Vec<_>>().join(", ")
            ))
        });
        return (
            format!("`{text}` matches no tool: the upstream `{first}` has no tools at present"),
            hint,
        );
    }
    let same = tools.iter().filter(|tool| tool.upstream == first).map(|tool| tool.path);
    let hint = nearest(text, same).map(|path| format!("did you mean `{path}`?"));
    (format!("`{text}` matches no tool"), hint)
}
