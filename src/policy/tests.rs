//! Helpers for the tests of policy.

use serde_json::{Value, value::RawValue};

use super::*;
use crate::model::Annotations;

mod former_names;

/// Options of a server with approvers and the profile `auto`.
pub(super) const ATTENDED: Options = Options { profile: Profile::Auto, approvals: true };

pub(super) fn layer(text: &str) -> Layer {
    Layer {
        scope: LayerScope::Organisation,
        name: "policy.yaml".into(),
        upstream: None,
        text: text.into(),
    }
}

pub(super) fn load(text: &str) -> Policy {
    with(text, ATTENDED)
}

pub(super) fn with(text: &str, options: Options) -> Policy {
    Policy::load(vec![layer(text)], options).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

pub(super) fn problems(text: &str) -> Vec<String> {
    Policy::load(vec![layer(text)], ATTENDED)
        .expect_err("there are problems")
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// Default caller of tests.
pub(super) const CALLER: Caller<'static> = Caller {
    workspace: "local",
    principal: "alice",
    role: "agent",
    key: Some("ci"),
    session: None,
    task: "task_1",
};

pub(super) fn tool(path: &str) -> ToolFacts<'_> {
    let (upstream, name) = path.split_once('.').unwrap_or((path, path));
    ToolFacts {
        path,
        upstream,
        name,
        input_schema: None,
        annotations: Annotations::default(),
        trusted: false,
        operation: None,
        former: None,
    }
}

pub(super) fn decide_raw(
    policy: &Policy,
    tool: ToolFacts<'_>,
    args: &str,
    caller: Caller<'_>,
    counters: &CounterValues,
) -> Decision {
    let args: Box<RawValue> = serde_json::from_str(args).unwrap();
    let call = Call { tool, args: &args, caller, now: "2026-11-21T10:00:00Z".parse().unwrap() };
    let decision = policy.decide(&call, counters);
    let explained = policy.explain(&call, counters);
    assert_eq!(explained.decision.verdict, decision.verdict);
    assert_eq!(explained.decision.reservations, decision.reservations);
    decision
}

pub(super) fn decide(policy: &Policy, path: &str, args: Value) -> Decision {
    decide_raw(policy, tool(path), &args.to_string(), CALLER, &CounterValues::none())
}

/// Summarises the verdict: `allow`, `ask`, `hidden` or the code of the denial, and the rule.
pub(super) fn verdict(policy: &Policy, path: &str, args: Value) -> String {
    summary(&decide(policy, path, args))
}

pub(super) fn summary(decision: &Decision) -> String {
    let rule = decision.rule.as_ref().map_or("", |rule| &rule.name);
    match &decision.verdict {
        Verdict::Deny(denial) if denial.hidden => format!("hidden by {rule}"),
        Verdict::Deny(denial) => format!("{} by {rule}", denial.code.as_str()),
        other => format!("{} by {rule}", other.as_str()),
    }
}

/// Returns `max`, window and key of each reservation.
pub(super) fn limits(decision: &Decision) -> Vec<(String, String, String)> {
    let fields = |reservation: &Reservation| {
        (reservation.max.to_string(), reservation.window.to_string(), reservation.key.to_string())
    };
    decision.reservations.iter().map(fields).collect()
}
