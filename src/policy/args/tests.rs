use serde_json::value::RawValue;

use crate::policy::{tests::*, *};

#[test]
fn ambiguous_arguments_are_denied() {
    let policy = load("default: allow");
    let large = format!(r#"{{"x": "{}"}}"#, "a".repeat(ARGS_BYTES_MAX));
    let deep = format!(r#"{{"x": {}1{}}}"#, "[".repeat(126), "]".repeat(126));
    let deeper = format!(r#"{{"x": {}1{}}}"#, "[".repeat(200), "]".repeat(200));
    for (args, expected) in [
        ("{}", "allow by default"),
        ("null", "allow by default"),
        (&deep, "allow by default"),
        (&deeper, "policy_error by arguments"),
        (r#"{"a": 1, "a": 2}"#, "policy_error by arguments"),
        (r#"{"a": {"b": 1, "b": 2}}"#, "policy_error by arguments"),
        (r#"{"a": 1, "\u0061": 2}"#, "policy_error by arguments"),
        ("[1]", "policy_error by arguments"),
        ("1e999", "policy_error by arguments"),
        (r#"{"a": 1e999}"#, "policy_error by arguments"),
        (&large, "policy_error by arguments"),
    ] {
        let args: Box<RawValue> = RawValue::from_string(args.to_owned()).unwrap();
        let call = Call {
            tool: tool("a.b"),
            args: &args,
            caller: CALLER,
            now: "2026-11-21T10:00:00Z".parse().unwrap(),
        };
        let shown = &args.get()[..args.get().len().min(40)];
        assert_eq!(summary(&policy.decide(&call, &CounterValues::none())), expected, "{shown}");
    }
}
