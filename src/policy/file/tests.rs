use std::collections::BTreeSet;

use serde_json::Value;

use super::{form, *};
use crate::policy::tests::problems;

#[test]
fn a_mistake_is_reported_with_its_position_and_a_hint() {
    let messages = problems(
        "version: \"1\"\ntools:\n  a.b:\n    rules:\n      - name: x\n        acton: \
        deny\n        whem: \"true\"\n",
    );
    assert_eq!(
        messages,
        [
            "policy.yaml:6:9: unknown key `acton` (at /tools/a.b/rules/0/acton); did you mean \
            `action`?",
            "policy.yaml:7:9: unknown key `whem` (at /tools/a.b/rules/0/whem); did you mean \
            `when`?",
        ]
    );
}

#[test]
fn all_problems_are_reported_at_once() {
    let messages = problems(
        r#"
version: 1
defalt: deny
catalogue: {mine: convex}
mode: shadows
hide: [a.get_*]
tools:
  a.b: {rules: [{action: denied}, {limit: 5/week}, {action: deny, require: "true"}, {}], class: harmless, spend: 5}
  "a..b": {}
  a.c: {args: {type: wrong}, approval: {by: [role:approver], remember: once, timeout: 2 weeks}}
all_tools: {limits: [{window: minute}]}
tests: [{tool: a.b}]
"#,
    );
    for expected in [
        ":2:1: version 1 is not supported",
        ":3:1: unknown key `defalt` (at /defalt); did you mean `default`?",
        ":4:1: unknown key `catalogue` (at /catalogue); the key is `presets`",
        ":5:1: `shadows` is not one of `enforce`, `shadow` (at /mode); did you mean `shadow`?",
        "`denied` is not one of `allow`, `ask`, `deny`, `evaluate`",
        "`harmless` is not one of",
        "unknown key `by` (at /tools/a.c/approval/by); approvers with roles are not supported yet",
        "unknown key `remember` (at /tools/a.c/approval/remember); grants are not supported yet",
        "unknown key `spend` (at /tools/a.b/spend); write a spending limit",
        ":11:22: `max` is missing",
        ":12:9: `expect` is missing",
    ] {
        assert!(
            messages.iter().any(|message| message.contains(expected)),
            "{expected}: {messages:#?}"
        );
    }
    // Problems of meaning are reported once the format is right.
    let messages = problems(
        r#"
hide: [a.get_*]
tools:
  a.b: {rules: [{limit: 5/week}, {action: deny, require: "true"}, {}, {approval_timeout: 5m, require: "true"}]}
  "a..b": {}
  a.c: {args: {type: wrong}, approval: {timeout: 2 weeks}}
"#,
    );
    for expected in [
        ":2:8: `a.get_*` is not a tool pattern: `*` must be a whole segment",
        "`5/week` is not a rate",
        "a rule that denies cannot have `require`",
        "the rule has no effect",
        "`approval` needs `action: ask`",
        ":5:3: `a..b` is not a tool pattern: it has an empty segment",
        "the schema does not compile",
        "this is not a duration",
    ] {
        assert!(
            messages.iter().any(|message| message.contains(expected)),
            "{expected}: {messages:#?}"
        );
    }
}

#[test]
fn text_that_is_not_yaml_is_reported_with_its_position() {
    for (text, position, expected) in [
        ("tools:\n  a.b: {}\n  a.b: {}\n", ":3:3:", "duplicate"),
        ("tools: [\n", ":", "the file cannot be read"),
        ("a: &x [*x]", ":", "the file cannot be read"),
        ("{\"tools\": {\"a.b\": {}, \"a.b\": {}}}", ":1:", "duplicate"),
        ("default: deny\n---\ndefault: allow\n", ":", "the file cannot be read"),
        ("tools: {a.b: {limits: [{window: minute, max: .nan}]}}", ":1:", "the file cannot be read"),
        ("tools: {a.b: {limits: [{window: minute, max: .inf}]}}", ":1:", "the file cannot be read"),
        ("- a\n- b\n", ":1:1:", "expected a mapping, found a list"),
        ("default: !danger allow\n", ":", "the file cannot be read"),
        ("", ":", "the file is empty"),
        ("\u{feff}\n \n", ":", "the file is empty"),
        ("# being written\n", ":", "the file is empty"),
        ("null\n", ":1:1:", "expected a mapping, found nothing"),
        ("---\n", ":", "found nothing"),
    ] {
        let messages = problems(text);
        assert_eq!(messages.len(), 1, "{text:?}: {messages:?}");
        assert!(
            messages[0].contains(position) && messages[0].contains(expected),
            "{text:?}: {messages:?}"
        );
    }
}

#[test]
fn a_file_is_bounded() {
    let large = format!("description: \"{}\"", "a".repeat(FILE_BYTES_MAX));
    let deep = format!("tests: {}1{}", "[".repeat(100), "]".repeat(100));
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c \
        [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e \
        [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\n";
    let many_rules = format!("tools: {{a.b: {{rules: [{}]}}}}", "{action: deny},".repeat(1001));
    let all_rules: String = (0..11)
        .map(|n| format!("  a.b{n}: {{rules: [{}]}}\n", "{action: deny},".repeat(1000)))
        .collect();
    let long = format!("tools: {{a.b: {{rules: [{{name: {}, action: deny}}]}}}}", "a".repeat(5000));
    for (text, expected) in [
        (large.as_str(), "bytes; the limit is 1048576"),
        (&deep, "cannot be read"),
        (bomb, "cannot be read"),
        (&many_rules, "the list has 1001 items; the limit is 1000"),
        (&format!("tools:\n{all_rules}"), "there are more than 10000 rules"),
        (&long, "the string is 5000 bytes; the limit is 4096"),
    ] {
        let messages = problems(text);
        assert!(
            messages.iter().any(|message| message.contains(expected)),
            "{expected}: {messages:?}"
        );
    }
    let many: String = (0..500).map(|n| format!("key{n}: 1\n")).collect();
    let messages = problems(&many);
    assert_eq!(messages.len(), crate::policy::PROBLEMS_MAX + 1);
    assert_eq!(messages.last().unwrap(), "policy.yaml: and 400 more problems");
}

#[test]
fn json_and_yaml_are_equivalent() {
    let json = "{\n\t\"version\": \"1\",\n\t\"default\": \"deny\",\n\t\"tools\": {\"a.b\": \
        {\"rules\": [{\"name\": \"\\u00e9\\ud83d\\ude00 \\/\", \"action\": \"allow\"}]}}\n}";
    let yaml = "version: \"1\"\ndefault: deny\ntools:\n  a.b:\n    rules:\n      - {name: \"é😀 \
        /\", action: approve}\n";
    assert_eq!(
        PolicyFile::parse("a.json", json).unwrap(),
        PolicyFile::parse("a.yaml", yaml).unwrap()
    );
    assert_eq!(PolicyFile::parse("a.yaml", "{} # nothing\n\n").unwrap(), PolicyFile::default());
    assert_eq!(
        PolicyFile::parse("a.yaml", "\u{feff}default: ask").unwrap().default,
        Some(DefaultAction::Ask)
    );
}

#[test]
fn a_serialised_file_is_read_back() {
    let text = r#"
version: "1"
default: auto
mode: enforce
presets: {mine: convex}
hide: [a.hidden]
tools:
  a.b:
    class: write
    approval: {timeout: 30m}
    args: {type: object}
    require: ["args.x == 1", {path: args.y, op: in, value: [1, 2]}, {conditions: [{path: args.z, op: exists}], on_deny: no}]
    deny_if: [{conditions: [], on_deny: never}]
    limits: [{counter: c, window: 90s, max: 1.5, scope: [principal, tool], cost: args.x, algo: rolling, count: attempt, on_exceed: wait, wait: 5s}]
    rules: [{name: r, action: require_approval, when: "true", approval_timeout: 5m, applies_to: {role: x}, rate_limit: 5/hour, mode: shadow}]
all_tools: {limits: [{window: day, max: 5}]}
budgets: {calls: 5, wall_time: 90s}
tests: [{tool: a.b, args: {x: 1}, as: {key: ci}, expect: deny, rule: r}]
"#;
    let read = PolicyFile::parse("a.yaml", text).unwrap();
    let written = serde_json::to_string(&read).unwrap();
    assert_eq!(PolicyFile::parse("b.json", &written).unwrap(), read, "{written}");
}

#[test]
fn the_schema_has_every_key_and_no_other() {
    let schema: Value = serde_json::from_str(&json_schema()).unwrap();
    for (pointer, keys) in [
        ("/properties", form::FILE_KEYS),
        ("/$defs/Entry/properties", form::ENTRY_KEYS),
        ("/$defs/Rule/properties", form::RULE_KEYS),
        ("/$defs/Limit/properties", form::LIMIT_KEYS),
        ("/$defs/Comparison/properties", form::CONDITION_KEYS),
        ("/$defs/ConditionGroup/properties", form::GROUP_KEYS),
        ("/$defs/State/properties", form::STATE_KEYS),
        ("/$defs/Validate/properties", form::VALIDATE_KEYS),
        ("/$defs/Approval/properties", form::APPROVAL_KEYS),
        ("/$defs/AppliesTo/properties", form::APPLIES_KEYS),
        ("/$defs/Budgets/properties", form::BUDGET_KEYS),
        ("/$defs/TestCase/properties", form::TEST_KEYS),
        ("/$defs/TestCaller/properties", form::CALLER_KEYS),
    ] {
        let known: BTreeSet<&str> = keys.iter().flat_map(|key| key.split('=')).collect();
        let properties = schema
            .pointer(pointer)
            .and_then(Value::as_object)
            .unwrap_or_else(|| panic!("{pointer} is in the schema"));
        assert_eq!(
            properties.keys().map(String::as_str).collect::<BTreeSet<_>>(),
            known,
            "{pointer}"
        );
    }
}
