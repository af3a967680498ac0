//! Conditions that fail whatever is sent: each tool is asked about with arguments that its schema
//! accepts. Must not judge answers.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, value::to_raw_value};

use super::{Code, Place, Report, Severity, schema::sample};
use crate::{
    model::Timestamp,
    policy::{Amount, Call, Caller, CounterValues, Policy, ToolFacts},
};

/// Tools that are asked about.
const TOOLS_MAX: usize = 500;
/// What `explain` calls a condition that failed.
const ERROR: &str = "error";

/// A rule: its file and its JSON Pointer.
type RuleId = (String, String);

/// Asks about known tools that a file speaks of.
pub(super) fn check(policy: &Policy, tools: &[ToolFacts<'_>], report: &mut Report) {
    let rules: Vec<_> =
        policy.rules().filter(|rule| !rule.arg_paths.is_empty() || rule.conditional).collect();
    let named = tools.iter().filter(|tool| rules.iter().any(|rule| rule.pattern.fits(tool.path)));
    // Each rule that failed: the tool it was seen at, and what failed.
    let mut failing: BTreeMap<RuleId, (String, String)> = BTreeMap::new();
    let mut passing: BTreeSet<RuleId> = BTreeSet::new();
    for tool in named.take(TOOLS_MAX) {
        let Some(schema) = tool.input_schema else { continue };
        let schema = schema.value();
        for everything in [false, true] {
            for (rule, failure) in looked_at(policy, tool, &sample(&schema, everything)) {
                match failure {
                    Some(what) => drop(failing.entry(rule).or_insert((tool.path.to_owned(), what))),
                    None => drop(passing.insert(rule)),
                }
            }
        }
    }
    for rule in &rules {
        let id = (rule.file.to_owned(), rule.rule.pointer.to_string());
        // One sample for which it did not fail is enough.
        if let Some((tool, what)) = failing.get(&id)
            && !passing.contains(&id)
        {
            let message = format!(
                "`{}` fails for every call of `{tool}` that was tried, and denies it: {what}",
                rule.rule.name
            );
            report.add(Place::of(rule), (Code::AlwaysFails, Severity::Error), message, None);
        }
    }
}

/// The rules that were looked at for one call, each with what failed there.
fn looked_at(policy: &Policy, tool: &ToolFacts<'_>, args: &Value) -> Vec<(RuleId, Option<String>)> {
    let Ok(args) = to_raw_value(args) else { return vec![] };
    let caller = Caller {
        workspace: "local",
        principal: "local",
        role: "agent",
        key: None,
        session: Some("lint"),
        task: "task_lint",
    };
    let call = Call { tool: *tool, args: &args, caller, now: Timestamp::UNIX_EPOCH };
    // Counters stand at their beginning.
    let counters: CounterValues =
        policy.counters_read(&call).into_iter().map(|read| (read.key, Amount::ZERO)).collect();
    // A rule may take several steps; one that failed is enough.
    let mut seen: BTreeMap<RuleId, Option<String>> = BTreeMap::new();
    for step in policy.explain(&call, &counters).steps {
        let failure = (step.outcome == ERROR).then_some(step.what);
        let known = seen.entry((step.layer, step.pointer)).or_default();
        *known = known.take().or(failure);
    }
    seen.into_iter().collect()
}
