//! What the fuzz targets in `fuzz/` run, kept here so that tests compile and exercise it without
//! their tools.

use serde_json::value::RawValue;

use super::{
    Call, Caller, CounterValues, Layer, LayerScope, Options, Policy, Profile, ToolFacts, Verdict,
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
    assert_eq!(decision.verdict, explained.decision.verdict, "the account tells the decision");
    assert_eq!(decision.holds, explained.decision.holds, "the account tells the holds");
    assert!(
        decision.holds.is_empty() || !matches!(decision.verdict, Verdict::Deny(_)),
        "what is denied holds nothing"
    );
    let _ = policy.view(&call.tool, &call.caller);
    let _ = explained.to_string();
}

/// A file: it loads or has problems; if it loads it decides.
pub fn file(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let args =
        RawValue::from_string(r#"{"a": {"b": 1}, "c": ["x"], "d": "y"}"#.into()).expect("JSON");
    match Policy::load(vec![layer(text.to_owned())], ATTENDED) {
        Ok(policy) => check(&policy, &args),
        Err(problems) => assert!(!problems.is_empty(), "what does not load says why"),
    }
}

/// A condition and arguments, in two lines: the first is an expression or a mapping of JSON, the
/// second are arguments.
pub fn condition(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (condition, args) = text.split_once('\n').unwrap_or((text, "{}"));
    let condition = serde_json::from_str(condition)
        .ok()
        .filter(serde_json::Value::is_object)
        .unwrap_or_else(|| condition.into());
    let file = serde_json::json!({"tools": {"up.tool": {"rules": [{"action": "deny", "when": [condition]}, {"action": "allow"}]}}});
    let Ok(policy) = Policy::load(vec![layer(file.to_string())], ATTENDED) else { return };
    if let Ok(args) = RawValue::from_string(args.to_owned()) {
        check(&policy, &args);
    }
}

#[cfg(test)]
mod tests;
