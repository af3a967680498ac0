use serde_json::{Value, json};

use super::{Code, Finding, lint, schema, schema::ArgumentStatus};
use crate::{
    model::{Annotations, Schema},
    policy::{Layer, LayerScope, Options, Profile, ToolFacts},
};

fn layer(name: &str, text: &str) -> Layer {
    Layer { scope: LayerScope::Organisation, name: name.into(), upstream: None, text: text.into() }
}

fn charge() -> Value {
    json!({
        "type": "object",
        "properties": {
            "amount": { "type": "integer" },
            "currency": { "type": "string" },
            "card": {
                "type": "object", "properties": { "number": { "type": "string" } },
                "required": ["number"]
            },
            "meta": { "type": "object", "additionalProperties": true },
        },
        "required": ["amount"],
    })
}

fn found(texts: &[&str], approvals: bool) -> Vec<Finding> {
    let schema = Schema::new(&charge()).unwrap();
    let tool = |path: &'static str| ToolFacts {
        path,
        upstream: path.split('.').next().unwrap(),
        name: path.split_once('.').unwrap().1,
        input_schema: Some(&schema),
        annotations: Annotations::default(),
        trusted: false,
        operation: None,
        former: None,
    };
    let tools = ["pay.charge", "pay.refund", "shop.list"].map(tool);
    let layers: Vec<_> =
        texts.iter().enumerate().map(|(at, text)| layer(&format!("{at}.yaml"), text)).collect();
    lint(&layers, Options { profile: Profile::Auto, approvals }, &tools)
        .unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn findings_of(text: &str) -> String {
    found(&[text], true).iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_pattern_of_no_tool_is_reported_with_the_most_similar_path() {
    insta::assert_snapshot!(findings_of("hide: [pay.refnud]\ntools:\n  pay.charge: {}\n  pay.chagre: \
        {}\n  pya.charge: {}\n  x.*: {}\n"), @"
    0.yaml:1:8: warning [no-such-tool] `pay.refnud` matches no tool; did you mean `pay.refund`?
    0.yaml:4:3: warning [no-such-tool] `pay.chagre` matches no tool; did you mean `pay.charge`?
    0.yaml:5:3: warning [no-such-tool] `pya.charge` matches no tool: the upstream `pya` has no tools at present; upstreams with tools: pay, shop
    0.yaml:6:3: warning [no-such-tool] `x.*` matches no tool: the upstream `x` has no tools at present; upstreams with tools: pay, shop
    ");
}

#[test]
fn an_argument_that_no_schema_has_is_reported() {
    let text = "tools:\n  pay.charge:\n    rules:\n      - {name: a, require: [{path: \
        args.amuont, op: lte, value: 5}]}\n      - {name: b, require: [{path: args.card.numbr, \
        op: exists}]}\n      - {name: c, require: [{path: args.meta.anything, op: exists}, {path: \
        args.card.number, op: exists}]}\n  \"*\":\n    require: [{path: args.nothing, op: \
        exists}]\n";
    insta::assert_snapshot!(findings_of(text), @"
    0.yaml:4:9: warning [no-such-argument] `a` reads `args.amuont`, which is not an argument of `pay.charge`; did you mean `amount`?
    0.yaml:5:9: warning [no-such-argument] `b` reads `args.card.numbr`, which is not an argument of `pay.charge`; did you mean `number`?
    0.yaml:8:15: warning [no-such-argument] `require[0]` reads `args.nothing`, which is not an argument of the 3 tools of `*`
    ");
}

#[test]
fn an_expression_that_reads_an_optional_argument_is_reported() {
    let text = "tools:\n  pay.charge:\n    rules:\n      - {name: bare, when: 'args.currency \
        == \"usd\"', action: deny}\n      - {name: guarded, when: 'has(args.currency) && \
        args.currency == \"usd\"', action: deny}\n      - {name: required, when: 'args.amount > \
        5', action: deny}\n    limits: [{counter: c, window: day, max: 5, cost: \
        args.meta.price}]\n";
    insta::assert_snapshot!(findings_of(text), @"0.yaml:4:9: warning [may-be-missing] `bare` reads \
        `args.currency`, which is optional for `pay.charge`; a call without it is denied; if \
        that is not intended: `has(args.currency) && …`");
}

#[test]
fn a_rule_under_an_unconditional_denial_is_unreachable() {
    let refusing = "hide: [shop.list]\ntools:\n  pay.*:\n    rules: [{name: shut, action: deny}]\n";
    let allowing = "tools:\n  pay.charge:\n    rules: [{name: yes, action: \
        allow}]\n  shop.list:\n    rules: [{name: sees, action: allow}]\n";
    let findings = found(&[refusing, allowing], true);
    let codes: Vec<_> =
        findings.iter().map(|finding| (finding.code, finding.file.as_str())).collect();
    assert_eq!(
        codes,
        [(Code::Unreachable, "1.yaml"), (Code::Unreachable, "1.yaml")],
        "{findings:#?}"
    );
    assert!(findings[0].message.contains("0.yaml:4:"), "{}", findings[0]);
    let conditional = "tools:\n  pay.*:\n    rules: [{name: shut, action: deny, when: \
        'args.amount > 5'}]\n  pay.charge:\n    rules: [{name: yes, action: allow}]\n";
    assert_eq!(findings_of(conditional), "");
}

#[test]
fn a_rule_that_never_decides_is_reported() {
    let text = "tools:\n  pay.*:\n    rules: [{name: wide, action: \
        allow}]\n  pay.charge:\n    rules: [{name: one, action: ask}]\n  pay.refund:\n    rules: \
        [{name: two, action: ask}]\n  shop.list:\n    rules: [{name: yes, action: allow}, {name: \
        maybe, action: ask}]\n";
    let findings = found(&[text], true);
    let names: Vec<_> = findings
        .iter()
        .map(|finding| (finding.code, finding.message.split('`').nth(1).unwrap()))
        .collect();
    assert_eq!(names, [(Code::Shadowed, "wide"), (Code::Shadowed, "yes")], "{findings:#?}");
}

#[test]
fn a_limit_by_session_alone_is_reported() {
    let alone = "tools:\n  pay.charge:\n    limits: [{counter: c, window: day, max: 5, scope: \
        [session]}]\n";
    assert!(findings_of(alone).contains("[session-only]"), "{}", findings_of(alone));
    let both = "tools:\n  pay.charge:\n    limits: [{counter: c, window: day, max: 5, scope: \
        [session]}, {counter: d, window: day, max: 50, scope: [principal]}]\n";
    assert_eq!(findings_of(both), "");
}

#[test]
fn asking_where_nobody_can_approve_is_reported() {
    let text = "tools:\n  pay.charge:\n    rules: [{name: q, action: ask}]\n";
    let findings = found(&[text], false);
    assert_eq!(
        findings.iter().map(|finding| finding.code).collect::<Vec<_>>(),
        [Code::NobodyApproves]
    );
    assert_eq!(findings_of(text), "");
}

#[test]
fn a_condition_that_can_only_fail_is_an_error() {
    let text = "tools:\n  pay.charge:\n    rules:\n      - {name: mixed, when: \
        'args.amount.startsWith(\"5\")', action: deny}\n      - {name: fine, when: 'args.amount > \
        5', action: deny}\n";
    let findings = found(&[text], true);
    let codes: Vec<_> = findings.iter().map(|finding| (finding.code, finding.line)).collect();
    assert_eq!(codes, [(Code::AlwaysFails, 4)], "{findings:#?}");
}

#[test]
fn findings_are_bounded() {
    let entries: String =
        (0..super::FINDINGS_MAX + 20).map(|n| format!("  nowhere.t{n}: {{}}\n")).collect();
    let findings = found(&[&format!("tools:\n{entries}")], true);
    assert_eq!(findings.len(), super::FINDINGS_MAX);
    assert!(findings.last().unwrap().hint.as_deref().unwrap().starts_with("20 more"));
}

#[test]
fn a_schema_is_read_through_references_and_branches() {
    let schema = json!({
        "$defs": { "p": {
            "properties": { "x": {}, "loop": { "$ref": "#/$defs/p" } }, "required": ["x"]
        } },
        "allOf": [{ "properties": { "a": { "$ref": "#/$defs/p" } }, "required": ["a"] }],
        "anyOf": [{ "properties": { "b": {} }, "required": ["b"] }, { "properties": { "c": {} } }],
    });
    let status = |path: &str| {
        schema::argument_status(&schema, &path.split('.').map(str::to_owned).collect::<Vec<_>>())
    };
    assert_eq!(status("a.x"), ArgumentStatus::Required);
    assert_eq!(status("a.loop.loop.x"), ArgumentStatus::Optional);
    assert_eq!(status("b"), ArgumentStatus::Optional);
    assert!(
        matches!(status("a.y"), ArgumentStatus::Missing(names) if names == ["x", "loop", "b", "c"])
    );
    assert_eq!(schema::argument_status(&json!({}), &["a".into()]), ArgumentStatus::Unspecified);
    let circle = json!({ "$defs": { "a": { "$ref": "#/$defs/a" } }, "$ref": "#/$defs/a" });
    assert_eq!(schema::argument_status(&circle, &["a".into()]), ArgumentStatus::Unspecified);
    assert_eq!(schema::sample(&circle, true), json!({}));
    assert_eq!(schema::sample(&charge(), false), json!({ "amount": 1 }));
    assert_eq!(
        schema::sample(&charge(), true),
        json!({ "amount": 1, "currency": "text", "card": { "number": "text" }, "meta": {} })
    );
}
