use serde_json::json;

use crate::{
    base::testing::CpuTimer,
    policy::{tests::*, *},
};

#[test]
fn a_schema_of_an_entry_denies_without_revealing_values() {
    let policy = load(
        r#"
default: allow
tools:
  a.b: {args: {properties: {env: {enum: [dev, staging]}}}}
  a.c: {rules: [{name: v, validate: {schema: {required: [id]}}, message: "Give an id"}]}
"#,
    );
    assert_eq!(verdict(&policy, "a.b", json!({"env": "dev"})), "allow by default");
    let Verdict::Deny(denial) = decide(&policy, "a.b", json!({"env": "hunter2"})).verdict else {
        panic!("denied")
    };
    assert_eq!(
        denial.message,
        "call of `a.b`: rule `args` does not permit these arguments: `/env` fails `enum`"
    );
    let Verdict::Deny(denial) = decide(&policy, "a.c", json!({})).verdict else { panic!("denied") };
    assert_eq!(denial.message, "Give an id");
    // A pattern of a schema takes linear time, so no string of a caller can stall it.
    let policy =
        load("default: allow\ntools: {a.b: {args: {properties: {x: {pattern: \"^(a+)+$\"}}}}}");
    let began = CpuTimer::start();
    assert!(
        verdict(&policy, "a.b", json!({"x": "a".repeat(50_000) + "b"}))
            .starts_with("policy_denied")
    );
    assert!(began.elapsed() < std::time::Duration::from_secs(5));
}
