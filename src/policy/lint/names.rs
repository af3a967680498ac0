//! Addresses that fit no tool. Must not look at arguments.

use std::collections::BTreeSet;

use super::{Code, Place, Report, Severity};
use crate::{
    base::suggest::nearest,
    policy::{Pattern, Policy, ToolFacts},
};

/// Looks at every address of every file.
pub(super) fn check(policy: &Policy, tools: &[ToolFacts<'_>], report: &mut Report) {
    if tools.is_empty() {
        return;
    }
    let paths: BTreeSet<&str> = tools.iter().map(|tool| tool.path).collect();
    let upstreams: BTreeSet<&str> = tools.iter().map(|tool| tool.upstream).collect();
    for entry in policy.entries() {
        let pattern = entry.pattern;
        let exact = pattern.is_exact();
        let fits = if exact {
            paths.contains(pattern.as_str())
        } else {
            tools.iter().any(|tool| pattern.fits(tool.path))
        };
        if !fits {
            let (message, hint) = tell(pattern, tools, &upstreams);
            let place = Place { file: entry.file, place: entry.place, pointer: &entry.pointer };
            report.add(place, (Code::NoSuchTool, Severity::Warning), message, hint);
        }
    }
}

fn tell(
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
                "with tools now: {}",
                upstreams.iter().copied().collect::<Vec<_>>().join(", ")
            ))
        });
        return (format!("`{text}` fits no tool: the upstream `{first}` has none now"), hint);
    }
    let same = tools.iter().filter(|tool| tool.upstream == first).map(|tool| tool.path);
    let hint = nearest(text, same).map(|path| format!("did you mean `{path}`?"));
    (format!("`{text}` fits no tool"), hint)
}
