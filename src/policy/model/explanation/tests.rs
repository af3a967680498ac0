use serde_json::value::RawValue;

use crate::policy::{tests::*, *};

#[test]
fn an_explanation_names_every_rule_and_the_values_compared() {
    let policy = load(
        r#"
default: deny
tools:
  pay.charge:
    rules:
      - {name: cap, action: deny, when: [{path: args.amount, op: gt, value: 500}]}
      - {name: small, action: allow, when: "args.amount <= 100.0"}
      - {name: often, limit: 5/hour}
"#,
    );
    let args = RawValue::from_string(r#"{"amount": 60}"#.into()).unwrap();
    let call = Call {
        tool: tool("pay.charge"),
        args: &args,
        caller: CALLER,
        now: "2026-11-21T10:00:00Z".parse().unwrap(),
    };
    let text = policy.explain(&call, &CounterValues::none()).to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines,
        [
            "pay.charge: class financial (word `charge` in its name)",
            "  policy.yaml",
            "    pay.charge cap: when args.amount gt 500 [args.amount = 60] → does not apply",
            "    pay.charge small: when args.amount <= 100.0 [args.amount = 60] → applies",
            "    pay.charge small: action of the rule → allow",
            "    pay.charge often: uses 1 of 5 per hour → counts",
            "    small small: permission of the file → allow",
            r#"  uses 1 of 5 per hour in ["often","pay.charge","hour","workspace","local","tool","pay.charge"] (often (policy.yaml/tools/pay.charge/rules/2/limit))"#,
            "allow by small (policy.yaml/tools/pay.charge/rules/1)",
        ]
    );
}
