//! Bodies of the fuzz targets in `fuzz/`, kept here so that every build compiles them and tests run
//! them.

use serde_json::value::RawValue;

use super::{
    loaded::Policy,
    model::{
        call::{Call, Caller, ToolFacts},
        counter::CounterValues,
        layer::{Layer, LayerScope, Options, Profile},
        verdict::Verdict,
    },
};
use crate::model::Annotations;

const ATTENDED: Options = Options { profile: Profile::Auto, approvals: true };

fn layer(text: String) -> Layer {
    Layer { scope: LayerScope::Organisation, name: "fuzz.yaml".into(), upstream: None, text }
}

fn call<'a>(args: &'a RawValue, now: crate::model::Timestamp) -> Call<'a> {
    let tool = ToolFacts {
        path: "up.tool",
        upstream: "up",
        name: "tool",
        input_schema: None,
        annotations: Annotations::default(),
        trusted: false,
        operation: None,
        former: None,
    };
    let caller = Caller {
        workspace: "local",
        principal: "local",
        role: "agent",
        key: None,
        session: None,
        task: "task_1",
    };
    Call { tool, args, caller, now }
}

fn check(policy: &Policy, args: &RawValue) {
    let call = call(args, crate::model::Timestamp::UNIX_EPOCH);
    let decision = policy.decide(&call, &CounterValues::none());
    let explained = policy.explain(&call, &CounterValues::none());
    assert_eq!(
        decision.verdict, explained.decision.verdict,
        "the explanation has the same verdict"
    );
    assert_eq!(
        decision.reservations, explained.decision.reservations,
        "the explanation has the same reservations"
    );
    assert!(
        decision.reservations.is_empty() || !matches!(decision.verdict, Verdict::Deny(_)),
        "a denied call has no reservations"
    );
    let _ = policy.view(&call.tool, &call.caller);
    let _ = explained.to_string();
}

/// Loads a file; if it loads, decides about a call.
pub fn file(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let args =
        RawValue::from_string(r#"{"a": {"b": 1}, "c": ["x"], "d": "y"}"#.into()).expect("JSON");
    match Policy::load(vec![layer(text.to_owned())], ATTENDED) {
        Ok(policy) => check(&policy, &args),
        Err(problems) => assert!(!problems.is_empty(), "a file that does not load has problems"),
    }
}

/// Evaluates a condition: the first line is an expression or a JSON object, the second line holds
/// the arguments.
pub fn condition(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (condition, args) = text.split_once('\n').unwrap_or((text, "{}"));
    let condition = serde_json::from_str(condition)
        .ok()
        .filter(serde_json::Value::is_object)
        .unwrap_or_else(|| condition.into());
    let rules = serde_json::json!([{"action": "deny", "when": [condition]}, {"action": "allow"}]);
    let file = serde_json::json!({"tools": {"up.tool": {"rules": rules}}});
    let Ok(policy) = Policy::load(vec![layer(file.to_string())], ATTENDED) else { return };
    if let Ok(args) = RawValue::from_string(args.to_owned()) {
        check(&policy, &args);
    }
}

#[cfg(test)]
mod tests;
