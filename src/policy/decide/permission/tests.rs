use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    model::Schema,
    policy::{tests::*, *},
};

fn file(name: &str) -> String {
    // Files that PolicyLayer's website prints, byte for byte.
    let files: BTreeMap<&str, &str> = BTreeMap::from([
        ("convex", include_str!("../../fixtures/website-convex-run.yaml")),
        ("trigger", include_str!("../../fixtures/website-trigger-cancel_run.yaml")),
        ("graph", include_str!("../../fixtures/policylayer-runGraphTool.json")),
    ]);
    files[name].to_owned()
}

fn bound(name: &str, upstream: &str) -> Policy {
    let layer = Layer { upstream: Some(upstream.into()), text: file(name), ..layer("") };
    Policy::load(vec![layer], ATTENDED).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

#[test]
fn the_website_files_mean_ten_calls_in_sixty_seconds_with_required_arguments() {
    for (name, path, key) in
        [("convex", "convex.run", "functionName"), ("trigger", "trigger.cancel_run", "runId")]
    {
        let upstream = path.split('.').next().unwrap();
        let policy = bound(name, upstream);
        let schema = Schema::new(&json!({"type": "object", "required": [key]})).unwrap();
        let tool = ToolFacts { input_schema: Some(&schema), ..tool(path) };
        let ask = |args: Value| {
            decide_raw(&policy, tool, &args.to_string(), CALLER, &CounterValues::none())
        };
        let allowed = ask(json!({key: "x"}));
        assert_eq!(summary(&allowed), "allow by rules[0]");
        let scope = format!(r#"["rate","{path}","60 s","workspace","local","tool","{path}"]"#);
        assert_eq!(limits(&allowed), [("10".into(), "60 s".into(), scope)]);
        assert_eq!(summary(&ask(json!({}))), "policy_denied by rules[0]");
        assert_eq!(summary(&ask(json!({key: null}))), "policy_denied by rules[0]");
        // As in Intercept, whose default is to allow, the other tools of the server may be called;
        // other servers are not its business.
        assert_eq!(verdict(&policy, &format!("{upstream}.other"), json!({})), "allow by default");
        assert_eq!(verdict(&policy, "elsewhere.other", json!({})), "ask by class default");
    }
}

#[test]
fn the_json_file_denies_by_default_and_limits_each_grant() {
    let policy = bound("graph", "mcpgraph");
    let allowed = decide(&policy, "mcpgraph.runGraphTool", json!({}));
    assert_eq!(summary(&allowed), "allow by listed");
    let scope =
        r#"["rungraphtool_rate","mcpgraph.runGraphTool","minute","principal","local","alice"]"#;
    assert_eq!(limits(&allowed), [("10".into(), "minute".into(), scope.into())]);
    assert_eq!(verdict(&policy, "mcpgraph.addGraphTool", json!({})), "policy_denied by default");
}

#[test]
fn a_bare_name_needs_an_upstream() {
    let messages = problems(&file("convex"));
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert!(
        messages[0].starts_with(
            "policy.yaml:2:3: `run` names a tool without its upstream (at \
            /tools/run); write `UPSTREAM.run`"
        ),
        "{messages:?}"
    );
}

#[test]
fn guards_add_up_permission_goes_to_the_most_specific_and_deny_wins() {
    let policy = load(
        r#"
default: deny
tools:
  "github.*": {rules: [{action: ask, name: careful}]}
  github.list_issues: {rules: [{action: allow, name: fine}]}
  github.delete_repo: {rules: [{action: allow}]}
  "*": {deny_if: [{conditions: [{path: args.repo, op: eq, value: secret}], on_deny: "Not this one"}]}
  github.both: {rules: [{action: allow}, {action: ask, name: tie}]}
  stripe.charge: {}
  "pages.*": {limits: [{window: minute, max: 5}]}
"#,
    );
    assert_eq!(verdict(&policy, "github.any", json!({})), "ask by careful");
    assert_eq!(verdict(&policy, "github.list_issues", json!({})), "allow by fine");
    assert_eq!(verdict(&policy, "github.both", json!({})), "ask by tie");
    assert_eq!(verdict(&policy, "stripe.charge", json!({})), "allow by listed");
    assert_eq!(
        verdict(&policy, "stripe.other", json!({})),
        "policy_denied by default",
        "`*` rescues nothing"
    );
    assert_eq!(verdict(&policy, "pages.read.deep", json!({})), "allow by listed", "a prefix does");
    let denied = decide(&policy, "github.list_issues", json!({"repo": "secret"}));
    assert_eq!(summary(&denied), "policy_denied by deny_if[0]");
    let Verdict::Deny(denial) = denied.verdict else { panic!() };
    assert_eq!(denial.message, "Not this one");
    assert!(denied.reservations.is_empty());
}

#[test]
fn of_several_layers_the_strictest_permission_counts() {
    let layer = |scope, name: &str, text: &str| Layer {
        scope,
        name: name.into(),
        upstream: None,
        text: text.into(),
    };
    let policy = Policy::load(
        vec![
            layer(
                LayerScope::Organisation,
                "org.yaml",
                "tools: {\"a.*\": {rules: [{action: allow}]}, a.c: {rules: [{action: ask}]}}",
            ),
            layer(LayerScope::Workspace("other".into()), "other.yaml", "default: deny"),
            layer(
                LayerScope::Key("ci".into()),
                "ci.yaml",
                "default: deny\ntools: {a.b: {}, a.c: {rules: [{action: allow}]}}",
            ),
        ],
        ATTENDED,
    )
    .unwrap();
    assert_eq!(verdict(&policy, "a.b", json!({})), "allow by rules[0]");
    assert_eq!(
        verdict(&policy, "a.c", json!({})),
        "ask by rules[0]",
        "a key cannot free from what the organisation asks about"
    );
    assert_eq!(
        verdict(&policy, "a.d", json!({})),
        "policy_denied by default",
        "a default that denies is an answer too"
    );
    let without_key = decide_raw(
        &policy,
        tool("a.d"),
        "{}",
        Caller { key: None, ..CALLER },
        &CounterValues::none(),
    );
    assert_eq!(summary(&without_key), "allow by rules[0]");
    let other = decide_raw(
        &policy,
        tool("a.d"),
        "{}",
        Caller { key: None, workspace: "other", ..CALLER },
        &CounterValues::none(),
    );
    assert_eq!(summary(&other), "policy_denied by default");
}

#[test]
fn profiles_decide_by_class_if_no_file_does() {
    let table = [
        (Profile::ReadOnly, ["allow", "policy_denied", "policy_denied", "policy_denied"]),
        (Profile::Auto, ["allow", "ask", "ask", "ask"]),
        (Profile::Open, ["allow", "allow", "allow", "ask"]),
        (Profile::Strict, ["policy_denied", "policy_denied", "policy_denied", "policy_denied"]),
    ];
    for (profile, expected) in table {
        let policy = with("{}", Options { profile, approvals: true });
        for (path, expected) in ["convex.tables", "convex.envSet", "convex.run", "convex.envRemove"]
            .iter()
            .zip(expected)
        {
            assert_eq!(
                verdict(&policy, path, json!({})),
                format!("{expected} by class default"),
                "{profile:?} {path}"
            );
        }
    }
}

#[test]
fn limits_of_a_class_belong_to_its_default_only() {
    let policy = load("tools: {convex.tables: {rules: [{action: allow}]}}");
    assert_eq!(limits(&decide(&policy, "convex.tables", json!({}))), []);
    for (path, max) in [
        ("convex.data", "1200"),
        ("convex.envSet", "30"),
        ("convex.run", "10"),
        ("convex.envRemove", "5"),
        ("x.unheard", "10"),
    ] {
        let reservations = limits(&decide(&policy, path, json!({})));
        assert_eq!(
            (reservations.len(), reservations[0].0.as_str(), reservations[0].1.as_str()),
            (1, max, "minute"),
            "{path}"
        );
        assert!(reservations[0].2.contains(r#""principal","local","alice""#), "{reservations:?}");
    }
}

#[test]
fn if_nobody_can_approve_asking_is_denying() {
    let policy = with(
        "tools: {a.b: {rules: [{action: ask}]}}",
        Options { profile: Profile::Auto, approvals: false },
    );
    let Verdict::Deny(denial) = decide(&policy, "a.b", json!({})).verdict else { panic!("denied") };
    assert_eq!(
        denial.message,
        "call of `a.b`: it needs an approval, and nobody can approve on this server"
    );
    assert_eq!(policy.view(&tool("a.b"), &CALLER), Listing::Hidden);
}

#[test]
fn a_rule_applies_only_to_its_callers() {
    let policy = load(
        "default: deny\ntools: {a.b: {rules: [{action: allow, applies_to: {role: [admin, owner], \
        key: ci}}]}}",
    );
    assert_eq!(verdict(&policy, "a.b", json!({})), "policy_denied by default");
    for (role, key, expected) in [
        ("admin", Some("ci"), "allow"),
        ("owner", Some("x"), "policy_denied"),
        ("owner", None, "policy_denied"),
    ] {
        let decision = decide_raw(
            &policy,
            tool("a.b"),
            "{}",
            Caller { role, key, ..CALLER },
            &CounterValues::none(),
        );
        assert!(summary(&decision).starts_with(expected), "{role} {key:?}");
    }
    // Under `default: deny` guards for others do not let in.
    let guards =
        load("default: deny\ntools: {a.b: {rules: [{limit: 5/hour, applies_to: {role: admin}}]}}");
    assert_eq!(verdict(&guards, "a.b", json!({})), "policy_denied by default");
}

#[test]
fn shadow_is_recorded_and_changes_nothing() {
    let policy = load(
        r#"
default: allow
tools:
  a.b: {rules: [{name: no, action: deny, mode: shadow}, {name: maybe, action: ask, mode: shadow}, {name: bad, require: "args.x == 1", mode: shadow}]}
"#,
    );
    let decision = decide(&policy, "a.b", json!({}));
    assert_eq!(summary(&decision), "allow by default");
    let found: Vec<(&str, &str)> =
        decision.shadow.iter().map(|finding| (&*finding.rule.name, finding.would)).collect();
    assert_eq!(found, [("no", "deny"), ("maybe", "ask"), ("bad", "deny")]);
    let whole = load(
        "mode: shadow\ndefault: deny\nhide: [a.c]\ntools: {a.b: {limits: [{window: hour, max: \
        1}]}}",
    );
    let decision = decide(&whole, "convex.tables", json!({}));
    assert_eq!(summary(&decision), "allow by class default");
    assert_eq!(decision.shadow.iter().map(|finding| finding.would).collect::<Vec<_>>(), ["deny"]);
    assert_eq!(
        decide(&whole, "a.b", json!({})).reservations.len(),
        1,
        "the limit in shadow is not counted, that of the class is"
    );
    assert_eq!(summary(&decide(&whole, "a.c", json!({}))), "ask by class default");
    // A rule in shadow does not let in what the default denies.
    let shadowed = load(
        "default: deny\ntools: {a.b: {rules: [{action: allow, mode: shadow}]}, a.c: {rules: \
        [{limit: 5/hour, mode: shadow}]}}",
    );
    assert_eq!(verdict(&shadowed, "a.b", json!({})), "policy_denied by default");
    assert_eq!(verdict(&shadowed, "a.c", json!({})), "policy_denied by default");
}

#[test]
fn the_class_that_the_owner_sets_counts() {
    let policy = load(
        "tools: {convex.run: {class: read}, \"convex.*\": {class: destructive}}\npresets: \
        {mine: convex, trigger: none}",
    );
    assert_eq!(decide(&policy, "convex.run", json!({})).class, Class::Read);
    assert_eq!(decide(&policy, "convex.tables", json!({})).class, Class::Destructive);
    assert_eq!(decide(&policy, "mine.tables", json!({})).class, Class::Read);
    assert_eq!(decide(&policy, "trigger.whoami", json!({})).class, Class::Unknown);
    assert_eq!(decide(&policy, "trigger-dev.whoami", json!({})).class, Class::Read);
}
