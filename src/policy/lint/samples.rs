//! Finds conditions that always fail, by evaluating each tool with arguments that its schema
//! accepts. Must not judge verdicts.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, value::to_raw_value};

use super::{
    report::{Code, Location, Report, Severity},
    schema::sample,
};
use crate::{
    model::Timestamp,
    policy::{
        loaded::Policy,
        model::{
            amount::Amount,
            call::{Call, Caller, ToolFacts},
            counter::CounterValues,
        },
    },
};

/// Most tools that are evaluated.
const TOOLS_MAX: usize = 500;
/// Outcome of a failed condition in `explain`.
const ERROR: &str = "error";

/// Identity of a rule: its file and its JSON Pointer.
type RuleId = (String, String);

/// Evaluates known tools that a file has rules for.
pub(super) fn check(policy: &Policy, tools: &[ToolFacts<'_>], report: &mut Report) {
    let rules: Vec<_> =
        policy.rules().filter(|rule| !rule.arg_paths.is_empty() || rule.conditional).collect();
    let named =
        tools.iter().filter(|tool| rules.iter().any(|rule| tool.is_matched_by(rule.pattern)));
    // Each rule that failed, with the tool and the condition that failed.
    let mut failing: BTreeMap<RuleId, (String, String)> = BTreeMap::new();
    let mut passing: BTreeSet<RuleId> = BTreeSet::new();
    for tool in named.take(TOOLS_MAX) {
        let Some(schema) = tool.input_schema else { continue };
        let schema = schema.value();
        for everything in [false, true] {
            for (rule, failure) in evaluate(policy, tool, &sample(&schema, everything)) {
                match failure {
                    Some(what) => drop(failing.entry(rule).or_insert((tool.path.to_owned(), what))),
                    None => drop(passing.insert(rule)),
                }
            }
        }
    }
    for rule in &rules {
        let id = (rule.file.to_owned(), rule.rule.pointer.to_string());
        // One sample for which the rule did not fail is enough.
        if let Some((tool, what)) = failing.get(&id)
            && !passing.contains(&id)
        {
            let message = format!(
                "`{}` failed for every sample call of `{tool}` and denies it: {what}",
                rule.rule.name
            );
            report.add(Location::of(rule), (Code::AlwaysFails, Severity::Error), message, None);
        }
    }
}

/// Returns the rules that were evaluated for one call, each with the condition that failed.
fn evaluate(policy: &Policy, tool: &ToolFacts<'_>, args: &Value) -> Vec<(RuleId, Option<String>)> {
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
    // All counters are at zero.
    let counters: CounterValues =
        policy.counters_read(&call).into_iter().map(|read| (read.key, Amount::ZERO)).collect();
    // A rule may have several steps; one that failed is enough.
    let mut seen: BTreeMap<RuleId, Option<String>> = BTreeMap::new();
    for step in policy.explain(&call, &counters).steps {
        let failure = (step.outcome == ERROR).then_some(step.what);
        let known = seen.entry((step.layer, step.pointer)).or_default();
        *known = known.take().or(failure);
    }
    seen.into_iter().collect()
}
