use std::collections::BTreeMap;

use serde_json::{Value, json, value::RawValue};

use super::*;
use crate::model::{Annotations, Schema};

/// A server with people who approve, and the profile `auto`.
pub(super) const ATTENDED: Options = Options { profile: Profile::Auto, approvals: true };

pub(super) fn layer(text: &str) -> Layer {
    Layer {
        scope: LayerScope::Organisation,
        name: "policy.yaml".into(),
        upstream: None,
        text: text.into(),
    }
}

pub(super) fn load(text: &str) -> Policy {
    with(text, ATTENDED)
}

pub(super) fn with(text: &str, options: Options) -> Policy {
    Policy::load(vec![layer(text)], options).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

pub(super) fn problems(text: &str) -> Vec<String> {
    Policy::load(vec![layer(text)], ATTENDED)
        .expect_err("there are problems")
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// The one that calls unless a test says otherwise.
pub(super) const CALLER: Caller<'static> = Caller {
    workspace: "local",
    principal: "alice",
    role: "agent",
    key: Some("ci"),
    session: None,
    task: "task_1",
};

pub(super) fn tool(path: &str) -> ToolFacts<'_> {
    let (upstream, name) = path.split_once('.').unwrap_or((path, path));
    ToolFacts {
        path,
        upstream,
        name,
        input_schema: None,
        annotations: Annotations::default(),
        trusted: false,
        operation: None,
    }
}

pub(super) fn decide_raw(
    policy: &Policy,
    tool: ToolFacts<'_>,
    args: &str,
    caller: Caller<'_>,
    counters: &CounterValues,
) -> Decision {
    let args: Box<RawValue> = serde_json::from_str(args).unwrap();
    let call = Call { tool, args: &args, caller, now: "2026-11-21T10:00:00Z".parse().unwrap() };
    let decision = policy.decide(&call, counters);
    let explained = policy.explain(&call, counters);
    assert_eq!(explained.decision.verdict, decision.verdict);
    assert_eq!(explained.decision.holds, decision.holds);
    decision
}

pub(super) fn decide(policy: &Policy, path: &str, args: Value) -> Decision {
    decide_raw(policy, tool(path), &args.to_string(), CALLER, &CounterValues::none())
}

/// `allow`, `ask`, `hidden`, or the code of the denial, and the rule.
pub(super) fn verdict(policy: &Policy, path: &str, args: Value) -> String {
    told(&decide(policy, path, args))
}

pub(super) fn told(decision: &Decision) -> String {
    let rule = decision.rule.as_ref().map_or("", |rule| &rule.name);
    match &decision.verdict {
        Verdict::Deny(denial) if denial.hidden => format!("hidden by {rule}"),
        Verdict::Deny(denial) => format!("{} by {rule}", denial.code.as_str()),
        other => format!("{} by {rule}", other.as_str()),
    }
}

fn file(name: &str) -> String {
    // The files that PolicyLayer's website prints, kept byte for byte.
    let files: BTreeMap<&str, &str> = BTreeMap::from([
        ("convex", include_str!("fixtures/website-convex-run.yaml")),
        ("trigger", include_str!("fixtures/website-trigger-cancel_run.yaml")),
        ("graph", include_str!("fixtures/policylayer-runGraphTool.json")),
    ]);
    files[name].to_owned()
}

fn bound(name: &str, upstream: &str) -> Policy {
    let layer = Layer { upstream: Some(upstream.into()), text: file(name), ..layer("") };
    Policy::load(vec![layer], ATTENDED).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn limits(decision: &Decision) -> Vec<(String, String, String)> {
    let told = |hold: &Hold| (hold.max.to_string(), hold.window.to_string(), hold.key.to_string());
    decision.holds.iter().map(told).collect()
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
        assert_eq!(told(&allowed), "allow by rules[0]");
        let scope = format!(r#"["rate","{path}","60 s","workspace","local","tool","{path}"]"#);
        assert_eq!(limits(&allowed), [("10".into(), "60 s".into(), scope)]);
        assert_eq!(told(&ask(json!({}))), "policy_denied by rules[0]");
        assert_eq!(told(&ask(json!({key: null}))), "policy_denied by rules[0]");
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
    assert_eq!(told(&allowed), "allow by listed");
    let scope =
        r#"["rungraphtool_rate","mcpgraph.runGraphTool","minute","principal","local","alice"]"#;
    assert_eq!(limits(&allowed), [("10".into(), "minute".into(), scope.into())]);
    assert_eq!(verdict(&policy, "mcpgraph.addGraphTool", json!({})), "policy_denied by default");
}

#[test]
fn a_bare_name_needs_an_upstream() {
    let told = problems(&file("convex"));
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with(
            "policy.yaml:2:3: `run` names a tool without its upstream (at \
            /tools/run); write `UPSTREAM.run`"
        ),
        "{told:?}"
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
    assert_eq!(told(&denied), "policy_denied by deny_if[0]");
    let Verdict::Deny(denial) = denied.verdict else { panic!() };
    assert_eq!(denial.message, "Not this one");
    assert!(denied.holds.is_empty());
}

#[test]
fn of_several_layers_the_most_restrictive_answer_counts() {
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
    assert_eq!(told(&without_key), "allow by rules[0]");
    let other = decide_raw(
        &policy,
        tool("a.d"),
        "{}",
        Caller { key: None, workspace: "other", ..CALLER },
        &CounterValues::none(),
    );
    assert_eq!(told(&other), "policy_denied by default");
}

#[test]
fn profiles_answer_by_class_where_no_file_does() {
    let table = [
        (Profile::ReadOnly, ["allow", "policy_denied", "policy_denied", "policy_denied"]),
        (Profile::Auto, ["allow", "ask", "ask", "ask"]),
        (Profile::Open, ["allow", "allow", "allow", "ask"]),
        (Profile::Strict, ["policy_denied", "policy_denied", "policy_denied", "policy_denied"]),
    ];
    for (profile, expected) in table {
        let policy = with("", Options { profile, approvals: true });
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
        let holds = limits(&decide(&policy, path, json!({})));
        assert_eq!(
            (holds.len(), holds[0].0.as_str(), holds[0].1.as_str()),
            (1, max, "minute"),
            "{path}"
        );
        assert!(holds[0].2.contains(r#""principal","local","alice""#), "{holds:?}");
    }
}

#[test]
fn where_nobody_can_approve_asking_is_denying() {
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
    assert_eq!(load("").view(&tool("convex.run"), &CALLER), Listing::Required);
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

#[test]
fn a_rule_speaks_only_to_whom_it_applies() {
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
        assert!(told(&decision).starts_with(expected), "{role} {key:?}");
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
    assert_eq!(told(&decision), "allow by default");
    let found: Vec<(&str, &str)> =
        decision.shadow.iter().map(|finding| (&*finding.rule.name, finding.would)).collect();
    assert_eq!(found, [("no", "deny"), ("maybe", "ask"), ("bad", "deny")]);
    let whole = load(
        "mode: shadow\ndefault: deny\nhide: [a.c]\ntools: {a.b: {limits: [{window: hour, max: \
        1}]}}",
    );
    let decision = decide(&whole, "convex.tables", json!({}));
    assert_eq!(told(&decision), "allow by class default");
    assert_eq!(decision.shadow.iter().map(|finding| finding.would).collect::<Vec<_>>(), ["deny"]);
    assert_eq!(
        decide(&whole, "a.b", json!({})).holds.len(),
        1,
        "the limit in shadow is not counted, that of the class is"
    );
    assert_eq!(told(&decide(&whole, "a.c", json!({}))), "ask by class default");
    // A rule in shadow does not let in what the default denies.
    let shadowed = load(
        "default: deny\ntools: {a.b: {rules: [{action: allow, mode: shadow}]}, a.c: {rules: \
        [{limit: 5/hour, mode: shadow}]}}",
    );
    assert_eq!(verdict(&shadowed, "a.b", json!({})), "policy_denied by default");
    assert_eq!(verdict(&shadowed, "a.c", json!({})), "policy_denied by default");
}

#[test]
fn the_class_an_owner_says_counts() {
    let policy = load(
        "tools: {convex.run: {class: read}, \"convex.*\": {class: destructive}}\ncatalogue: \
        {mine: convex, trigger: none}",
    );
    assert_eq!(decide(&policy, "convex.run", json!({})).class, Class::Read);
    assert_eq!(decide(&policy, "convex.tables", json!({})).class, Class::Destructive);
    assert_eq!(decide(&policy, "mine.tables", json!({})).class, Class::Read);
    assert_eq!(decide(&policy, "trigger.whoami", json!({})).class, Class::Unknown);
    assert_eq!(decide(&policy, "trigger-dev.whoami", json!({})).class, Class::Read);
}

#[test]
fn budgets_are_the_least_that_any_layer_says() {
    let text = [
        "budgets: {calls: 100, wall_time: 5m}",
        "budgets: {calls: 50, bytes_returned: 1000}",
        "mode: shadow\nbudgets: {calls: 1}",
    ];
    let policy = Policy::load(text.iter().map(|text| layer(text)).collect(), ATTENDED).unwrap();
    let budget = policy.budget(&CALLER);
    assert_eq!(
        budget,
        Budget {
            calls: Some(50),
            bytes_returned: Some(1000),
            wall_time: Some(std::time::Duration::from_secs(300))
        }
    );
}

#[test]
fn a_revision_names_all_that_it_was_made_from() {
    let revision = |text: &str, options| with(text, options).revision().to_owned();
    let one = revision("default: deny", ATTENDED);
    assert!(one.starts_with("sha256:") && one.len() == 71);
    assert_eq!(one, revision("default: deny", ATTENDED));
    assert_ne!(one, revision("default: deny ", ATTENDED));
    assert_ne!(one, revision("default: deny", Options { approvals: false, ..ATTENDED }));
    assert_ne!(one, revision("default: deny", Options { profile: Profile::Open, ..ATTENDED }));
}

#[test]
fn arguments_that_could_be_understood_in_two_ways_are_denied() {
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
        assert_eq!(told(&policy.decide(&call, &CounterValues::none())), expected, "{shown}");
    }
}

#[test]
fn a_schema_beside_the_tools_own_refuses_without_telling_values() {
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
    // A pattern of a schema takes linear time, so that no text of a caller can stall it.
    let policy =
        load("default: allow\ntools: {a.b: {args: {properties: {x: {pattern: \"^(a+)+$\"}}}}}");
    let began = std::time::Instant::now();
    assert!(
        verdict(&policy, "a.b", json!({"x": "a".repeat(50_000) + "b"}))
            .starts_with("policy_denied")
    );
    assert!(began.elapsed() < std::time::Duration::from_secs(5));
}

#[test]
fn an_account_names_every_rule_and_the_values_compared() {
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
    let told = policy.explain(&call, &CounterValues::none()).to_string();
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(
        lines,
        [
            "pay.charge: class financial (word `charge` of its name)",
            "  policy.yaml",
            "    pay.charge cap: when args.amount gt 500 [args.amount = 60] → does not apply",
            "    pay.charge small: when args.amount <= 100.0 [args.amount = 60] → applies",
            "    pay.charge small: it answers → allow",
            "    pay.charge often: counts 1 of 5 per hour → counts",
            "    small small: the layer answers → allow",
            r#"  counts 1 of 5 per hour in ["often","pay.charge","hour","workspace","local","tool","pay.charge"] (often (policy.yaml/tools/pay.charge/rules/2/limit))"#,
            "allow by small (policy.yaml/tools/pay.charge/rules/1)",
        ]
    );
}

#[test]
fn what_lint_needs_can_be_read() {
    let policy = load(
        r#"
hide: [a.x]
tools:
  "a.*":
    limits: [{window: minute, max: 5, scope: session, cost: args.n}]
    rules:
      - {name: one, action: deny, when: 'has(args.p.q) && args.p.r == 1 && args["s"] == 2'}
      - {name: two, action: allow, applies_to: {role: admin}}
"#,
    );
    let rules: Vec<RuleView<'_>> = policy.rules().collect();
    let paths = |rule: &RuleView<'_>| {
        rule.arg_paths.iter().map(|read| (read.path.join("."), read.must_exist)).collect::<Vec<_>>()
    };
    assert_eq!(
        (rules[0].limit_scopes[0], paths(&rules[0])),
        (&[file::Scope::Session][..], vec![("n".to_owned(), true)])
    );
    assert_eq!(
        paths(&rules[1]),
        [
            ("p".to_owned(), true),
            ("p.q".to_owned(), false),
            ("p.r".to_owned(), true),
            ("s".to_owned(), true)
        ]
    );
    assert!(
        rules[1].conditional
            && !rules[1].restricted
            && rules[2].restricted
            && rules[2].answers_only
    );
    assert_eq!(
        (rules[1].place, rules[1].pattern.as_str(), &*rules[1].rule.pointer),
        ((7, 9), "a.*", "/tools/a.*/rules/0")
    );
    let entries: Vec<(String, bool, (usize, usize))> =
        policy.entries().map(|entry| (entry.pointer.clone(), entry.hidden, entry.place)).collect();
    assert_eq!(
        entries,
        [("/hide/0".to_owned(), true, (2, 8)), ("/tools/a.*".to_owned(), false, (4, 3))]
    );
}
