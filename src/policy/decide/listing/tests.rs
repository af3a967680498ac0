use serde_json::json;

use crate::policy::{tests::*, *};

#[test]
fn hidden_is_hidden_in_calls_and_lists() {
    let policy = load("hide: [\"a.*\"]\ndefault: allow\ntools: {b.c: {hide: true}}");
    for path in ["a.b", "b.c"] {
        assert_eq!(verdict(&policy, path, json!({})), "hidden by hide");
        assert_eq!(policy.view(&tool(path), &CALLER), Listing::Hidden);
    }
    assert_eq!(verdict(&policy, "b.d", json!({})), "allow by default");
}

#[test]
fn lists_hide_what_every_call_would_be_denied() {
    let policy = load(
        r#"
default: deny
tools:
  a.never: {rules: [{action: allow}, {action: deny}]}
  a.some: {rules: [{action: allow, when: "args.x == 1"}]}
  a.asked: {rules: [{action: ask}]}
  a.sometimes: {rules: [{action: allow}, {action: deny, when: "args.x == 1"}]}
  a.role: {rules: [{action: allow, applies_to: {role: admin}}]}
  a.listed: {}
"#,
    );
    let view = |path| policy.view(&tool(path), &CALLER);
    assert_eq!(view("a.never"), Listing::Hidden);
    assert_eq!(view("a.some"), Listing::Auto);
    assert_eq!(view("a.asked"), Listing::Required);
    assert_eq!(view("a.sometimes"), Listing::Auto);
    assert_eq!(view("a.role"), Listing::Hidden);
    assert_eq!(policy.view(&tool("a.role"), &Caller { role: "admin", ..CALLER }), Listing::Auto);
    assert_eq!(view("a.listed"), Listing::Auto);
    assert_eq!(view("a.unlisted"), Listing::Hidden);
    assert_eq!(load("{}").view(&tool("convex.run"), &CALLER), Listing::Required);
}

#[test]
fn callers_of_one_view_key_see_the_same_and_most_share_one() {
    let rules = r#"
default: deny
tools:
  a.role: {rules: [{action: allow, applies_to: {role: admin}}]}
  a.key: {rules: [{action: ask, applies_to: {key: ci}}]}
  a.workspace: {rules: [{action: allow, applies_to: {workspace: w1}}]}
  a.all: {}
"#;
    let narrow = |scope, tool: &str| Layer { scope, ..layer(&format!("hide: [\"{tool}\"]")) };
    let layers = vec![
        layer(rules),
        narrow(LayerScope::Workspace("w2".into()), "a.all"),
        narrow(LayerScope::Key("deploy".into()), "a.all"),
    ];
    let policy = Policy::load(layers, ATTENDED).unwrap();
    let mut seen = std::collections::BTreeMap::new();
    for workspace in ["w1", "w2", "w3", "w4", "None", "Some(\"w1\")"] {
        for role in ["admin", "agent", "other"] {
            for key in [None, Some("ci"), Some("deploy"), Some("w1"), Some("admin")] {
                for (principal, session, task) in [("alice", None, "t1"), ("bob", Some("s"), "t2")]
                {
                    let caller = Caller { workspace, role, key, principal, session, task };
                    let sees = ["a.role", "a.key", "a.workspace", "a.all", "a.b"]
                        .map(|path| policy.view(&tool(path), &caller));
                    let first = *seen.entry(policy.view_key(&caller)).or_insert(sees);
                    assert_eq!(first, sees, "{caller:?}");
                }
            }
        }
    }
    assert_eq!(
        seen.len(),
        3 * 2 * 3,
        "workspaces, roles and keys that are named, and all others: {seen:?}"
    );
    assert_ne!(
        policy.view_key(&CALLER),
        load(rules).view_key(&CALLER),
        "another policy is another key"
    );
}
