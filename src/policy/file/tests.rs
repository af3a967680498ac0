use std::collections::BTreeSet;

use serde_json::Value;

use super::*;
use crate::policy::tests::problems;

#[test]
fn a_mistake_is_told_with_its_place_and_the_way_out() {
    let told = problems(
        "version: \"1\"\ntools:\n  a.b:\n    rules:\n      - name: x\n        acton: \
        deny\n        whem: \"true\"\n",
    );
    assert_eq!(
        told,
        [
            "policy.yaml:6:9: unknown key `acton` (at /tools/a.b/rules/0/acton); did you mean \
            `action`?",
            "policy.yaml:7:9: unknown key `whem` (at /tools/a.b/rules/0/whem); did you mean \
            `when`?",
        ]
    );
}

#[test]
fn all_problems_are_told_at_once() {
    let told = problems(
        r#"
version: 1
defalt: deny
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
        ":2:1: version 1 is not known",
        ":3:1: unknown key `defalt` (at /defalt); did you mean `default`?",
        ":4:1: `shadows` is none of `enforce`, `shadow` (at /mode); did you mean `shadow`?",
        "`denied` is none of `allow`, `ask`, `deny`, `evaluate`",
        "`harmless` is none of",
        "unknown key `by` (at /tools/a.c/approval/by); approvers with roles are not supported yet",
        "unknown key `remember` (at /tools/a.c/approval/remember); nothing of an approval is",
        "unknown key `spend` (at /tools/a.b/spend); limits of money",
        ":10:22: `max` is missing",
        ":11:9: `expect` is missing",
    ] {
        assert!(told.iter().any(|told| told.contains(expected)), "{expected}: {told:#?}");
    }
    // What is wrong beyond the form is told once the form is right.
    let told = problems(
        r#"
hide: [a.get_*]
tools:
  a.b: {rules: [{limit: 5/week}, {action: deny, require: "true"}, {}, {approval_timeout: 5m, require: "true"}]}
  "a..b": {}
  a.c: {args: {type: wrong}, approval: {timeout: 2 weeks}}
"#,
    );
    for expected in [
        ":2:8: `a.get_*` is no address: a `*` stands for a whole segment",
        "`5/week` is no rate",
        "a rule that denies cannot have `require`",
        "the rule says nothing",
        "`approval` needs `action: ask`",
        ":5:3: `a..b` is no address: the address has an empty segment",
        "the schema does not compile",
        "this is no duration",
    ] {
        assert!(told.iter().any(|told| told.contains(expected)), "{expected}: {told:#?}");
    }
}

#[test]
fn what_is_no_tree_is_told_with_its_place() {
    for (text, place, expected) in [
        ("tools:\n  a.b: {}\n  a.b: {}\n", ":3:3:", "duplicate"),
        ("tools: [\n", ":", "the file cannot be read"),
        ("a: &x [*x]", ":", "the file cannot be read"),
        ("{\"tools\": {\"a.b\": {}, \"a.b\": {}}}", ":1:", "duplicate"),
        ("default: deny\n---\ndefault: allow\n", ":", "the file cannot be read"),
        ("tools: {a.b: {limits: [{window: minute, max: .nan}]}}", ":1:", "the file cannot be read"),
        ("tools: {a.b: {limits: [{window: minute, max: .inf}]}}", ":1:", "the file cannot be read"),
        ("- a\n- b\n", ":1:1:", "expected a mapping, found a list"),
        ("default: !danger allow\n", ":", "the file cannot be read"),
    ] {
        let told = problems(text);
        assert_eq!(told.len(), 1, "{text:?}: {told:?}");
        assert!(told[0].contains(place) && told[0].contains(expected), "{text:?}: {told:?}");
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
        (large.as_str(), "bytes, allowed are 1048576"),
        (&deep, "cannot be read"),
        (bomb, "cannot be read"),
        (&many_rules, "the list has 1001 items, allowed are 1000"),
        (&format!("tools:\n{all_rules}"), "there are more than 10000 rules"),
        (&long, "the text has 5000 bytes, allowed are 4096"),
    ] {
        let told = problems(text);
        assert!(told.iter().any(|told| told.contains(expected)), "{expected}: {told:?}");
    }
    let many: String = (0..500).map(|n| format!("key{n}: 1\n")).collect();
    let told = problems(&many);
    assert_eq!(told.len(), crate::policy::PROBLEMS_MAX + 1);
    assert_eq!(told.last().unwrap(), "policy.yaml: and 400 problems more");
}

#[test]
fn json_and_yaml_say_the_same() {
    let json = "{\n\t\"version\": \"1\",\n\t\"default\": \"deny\",\n\t\"tools\": {\"a.b\": \
        {\"rules\": [{\"name\": \"\\u00e9\\ud83d\\ude00 \\/\", \"action\": \"allow\"}]}}\n}";
    let yaml = "version: \"1\"\ndefault: deny\ntools:\n  a.b:\n    rules:\n      - {name: \"é😀 \
        /\", action: approve}\n";
    assert_eq!(
        PolicyFile::parse("a.json", json).unwrap(),
        PolicyFile::parse("a.yaml", yaml).unwrap()
    );
    assert_eq!(PolicyFile::parse("a.yaml", "# nothing\n\n").unwrap(), PolicyFile::default());
    assert_eq!(
        PolicyFile::parse("a.yaml", "\u{feff}default: ask").unwrap().default,
        Some(Default::Ask)
    );
}

#[test]
fn what_is_written_is_read_again() {
    let text = r#"
version: "1"
default: auto
mode: enforce
catalogue: {mine: convex}
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
fn the_schema_knows_every_key_and_no_other() {
    let schema: Value = serde_json::from_str(&json_schema()).unwrap();
    for (pointer, keys) in [
        ("/properties", form::FILE_KEYS),
        ("/$defs/Entry/properties", form::ENTRY_KEYS),
        ("/$defs/Rule/properties", form::RULE_KEYS),
        ("/$defs/Limit/properties", form::LIMIT_KEYS),
        ("/$defs/Structured/properties", form::CONDITION_KEYS),
        ("/$defs/Spoken/properties", form::SPOKEN_KEYS),
        ("/$defs/State/properties", form::STATE_KEYS),
        ("/$defs/Validate/properties", form::VALIDATE_KEYS),
        ("/$defs/Approval/properties", form::APPROVAL_KEYS),
        ("/$defs/AppliesTo/properties", form::APPLIES_KEYS),
        ("/$defs/Budgets/properties", form::BUDGET_KEYS),
        ("/$defs/Case/properties", form::CASE_KEYS),
        ("/$defs/CaseCaller/properties", form::CALLER_KEYS),
    ] {
        let known: BTreeSet<&str> = keys.iter().flat_map(|key| key.split('=')).collect();
        let told = schema
            .pointer(pointer)
            .and_then(Value::as_object)
            .unwrap_or_else(|| panic!("{pointer} is in the schema"));
        assert_eq!(told.keys().map(String::as_str).collect::<BTreeSet<_>>(), known, "{pointer}");
    }
}
