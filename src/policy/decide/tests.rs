//! Random policies and calls: explanations match decisions, and every failure is a denial.

use proptest::{prelude::*, sample::select, strategy::ValueTree, test_runner::TestRunner};
use serde_json::{Value, json, value::RawValue};

use crate::policy::tests::*;
use crate::policy::*;

const PATHS: &[&str] = &["a.b", "a.c", "a.b.c", "b.delete_x", "convex.tables", "convex.run"];

fn pattern() -> impl Strategy<Value = &'static str> {
    select(vec!["a.b", "a.c", "a.*", "*", "*.b", "a.b.*", "b.*", "convex.run", "convex.*"])
}

fn condition() -> impl Strategy<Value = Value> {
    prop_oneof![
        (
            select(vec!["eq", "neq", "lt", "gte", "exists"]),
            select(vec!["args.x", "args.y", "args.o.z"]),
            0..4_i32
        )
            .prop_map(|(op, path, value)| json!({
                "path": path, "op": op,
                "value": if op == "exists" { json!(value > 1) } else { json!(value) }
            })),
        (select(vec!["in", "not_in"]), select(vec!["args.x", "args.y"]))
            .prop_map(|(op, path)| json!({"path": path, "op": op, "value": [1, "s"]})),
        select(vec![
            "args.x == 1",
            "has(args.y) && args.y > 1",
            "tool.class == \"read\"",
            "caller.role == \"agent\"",
            "args.x < args.y"
        ])
        .prop_map(|text| json!(text)),
    ]
}

fn rule() -> impl Strategy<Value = Value> {
    let action = select(vec!["allow", "ask", "deny", "evaluate"]);
    let when = prop::option::weighted(0.5, prop::collection::vec(condition(), 0..3));
    let guards = prop::option::weighted(0.5, prop::collection::vec(condition(), 1..3));
    let limit = prop::option::weighted(
        0.3,
        select(vec![
            json!({"window": "minute", "max": 5}),
            json!({"window": "day", "max": 9, "cost": "args.x"}),
        ]),
    );
    (action, when, guards, limit, prop::bool::weighted(0.15), prop::bool::weighted(0.15)).prop_map(
        |(action, when, require, limit, shadow, other)| {
            let mut rule = json!({"action": action});
            if let Some(when) = when {
                rule["when"] = when.into();
            }
            if let (Some(require), true) = (require, action != "deny") {
                rule["require"] = require.into();
            }
            if let (Some(limit), true) = (limit, action != "deny") {
                rule["limit"] = limit;
            }
            if action == "evaluate" && rule.get("require").is_none() && rule.get("limit").is_none()
            {
                rule["require"] = json!([{"path": "args.x", "op": "exists"}]);
            }
            if shadow {
                rule["mode"] = "shadow".into();
            }
            if other {
                rule["applies_to"] = json!({"role": "admin"});
            }
            rule
        },
    )
}

fn file() -> impl Strategy<Value = Value> {
    let default = select(vec![None, Some("allow"), Some("deny"), Some("ask"), Some("auto")]);
    let entries = prop::collection::btree_map(pattern(), prop::collection::vec(rule(), 0..3), 0..4);
    (default, entries, prop::bool::weighted(0.1), prop::bool::weighted(0.1)).prop_map(
        |(default, entries, hide, shadow)| {
            let mut named = 0;
            let tools: serde_json::Map<String, Value> = entries
                .into_iter()
                .map(|(pattern, mut rules)| {
                    for rule in &mut rules {
                        // Each rule has a counter of its own.
                        rule["name"] = format!("r{named}").into();
                        named += 1;
                    }
                    (pattern.to_owned(), json!({"rules": rules}))
                })
                .collect();
            let mut file = json!({"tools": tools});
            if let Some(default) = default {
                file["default"] = default.into();
            }
            if hide {
                file["hide"] = json!(["a.c"]);
            }
            if shadow {
                file["mode"] = "shadow".into();
            }
            file
        },
    )
}

fn policy() -> impl Strategy<Value = Policy> {
    let profile = select(vec![Profile::ReadOnly, Profile::Auto, Profile::Open, Profile::Strict]);
    (prop::collection::vec(file(), 0..3), profile, any::<bool>()).prop_map(
        |(files, profile, approvals)| {
            let scopes = [
                LayerScope::Organisation,
                LayerScope::Workspace("local".into()),
                LayerScope::Key("ci".into()),
            ];
            let layers =
                files.iter().zip(scopes).enumerate().map(|(number, (file, scope))| Layer {
                    scope,
                    name: format!("{number}.json"),
                    upstream: None,
                    text: file.to_string(),
                });
            Policy::load(layers.collect(), Options { profile, approvals })
                .unwrap_or_else(|problems| panic!("{problems:#?}"))
        },
    )
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        (0..4_i32).prop_map(|n| json!(n)),
        Just(json!(1.5)),
        Just(json!("s")),
        Just(json!("2")),
        Just(json!(null)),
        Just(json!(-1)),
        Just(json!(1e300))
    ]
}

fn args() -> impl Strategy<Value = Value> {
    (prop::option::of(value()), prop::option::of(value()), prop::option::of(value())).prop_map(
        |(x, y, z)| {
            let mut args = json!({});
            for (key, value) in [("x", x), ("y", y)] {
                if let Some(value) = value {
                    args[key] = value;
                }
            }
            if let Some(z) = z {
                args["o"] = json!({"z": z});
            }
            args
        },
    )
}

#[test]
fn explain_agrees_with_decide_for_ten_thousand_pairs() {
    let mut runner = TestRunner::deterministic();
    let mut seen = std::collections::BTreeMap::new();
    for _ in 0..500 {
        let policy = policy().new_tree(&mut runner).unwrap().current();
        for _ in 0..20 {
            let (path, args, role) = (select(PATHS), args(), select(vec!["agent", "admin"]))
                .new_tree(&mut runner)
                .unwrap()
                .current();
            let args = RawValue::from_string(args.to_string()).unwrap();
            let caller = Caller { role, ..CALLER };
            let call = Call {
                tool: tool(path),
                args: &args,
                caller,
                now: "2026-11-21T10:00:00Z".parse().unwrap(),
            };
            let decision = policy.decide(&call, &CounterValues::none());
            let explained = policy.explain(&call, &CounterValues::none());
            assert_eq!(decision.verdict, explained.decision.verdict);
            assert_eq!(
                (&decision.rule, &decision.reservations, &decision.shadow),
                (
                    &explained.decision.rule,
                    &explained.decision.reservations,
                    &explained.decision.shadow
                )
            );
            steps_agree(&explained);
            consistent(&policy, &call, &decision);
            *seen.entry(decision.verdict.as_str()).or_insert(0) += 1;
        }
    }
    assert!(
        seen.values().all(|count| *count > 500) && seen.len() == 3,
        "every verdict occurs often: {seen:?}"
    );
}

/// Checks that the steps alone lead to the verdict.
fn steps_agree(explained: &Explanation) {
    let enforced = || explained.steps.iter().filter(|step| !step.shadow);
    let rule = explained.decision.rule.as_ref().expect("there is always a rule");
    let first_denial = enforced().find(|step| step.outcome == "deny");
    match (&explained.decision.verdict, first_denial) {
        (Verdict::Deny(_), Some(step)) => assert_eq!(step.rule, *rule.name, "{explained}"),
        // Without a step of a layer the profile decides; if nobody can approve, asking is
        // denying.
        (Verdict::Deny(_), None) => {
            let asked = enforced().any(|step| step.outcome == "ask");
            assert!(asked || &*rule.name == "class default", "{explained}");
        }
        (_, Some(step)) => panic!("{step:?} denies, but {explained}"),
        (Verdict::Ask(_), None) => {
            assert!(
                enforced().any(|step| step.outcome == "ask") || &*rule.name == "class default",
                "{explained}"
            )
        }
        (Verdict::Allow, None) => {
            assert!(
                !enforced().any(|step| matches!(step.outcome.as_str(), "error" | "fails")),
                "{explained}"
            )
        }
    }
    let last = explained.to_string().lines().last().unwrap_or_default().to_owned();
    assert!(
        explained.final_line().starts_with(explained.decision.verdict.as_str())
            && explained.final_line().ends_with(&last),
        "{last}"
    );
}

/// Checks that lists and calls agree, and that a denial reserves nothing.
fn consistent(policy: &Policy, call: &Call<'_>, decision: &Decision) {
    let view = policy.view(&call.tool, &call.caller);
    match &decision.verdict {
        Verdict::Deny(denial) => {
            assert!(decision.reservations.is_empty());
            assert!(!denial.hidden || view == Listing::Hidden);
        }
        Verdict::Allow | Verdict::Ask(_) => {
            assert_ne!(
                view,
                Listing::Hidden,
                "a tool that can be called is listed: {}",
                policy.explain(call, &CounterValues::none())
            )
        }
    }
    let keys: std::collections::BTreeSet<&str> =
        decision.reservations.iter().map(|reservation| reservation.key.as_str()).collect();
    assert_eq!(keys.len(), decision.reservations.len(), "no counter is reserved twice");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn unreadable_arguments_are_denied_by_every_policy(policy in policy(), path in select(PATHS)) {
        for args in [r#"{"x": 1, "x": 2}"#, r#"{"x": 1e999}"#, "[]", "1"] {
            let args = RawValue::from_string(args.to_owned()).unwrap();
            let call = Call {
                tool: tool(path), args: &args, caller: CALLER,
                now: "2026-11-21T10:00:00Z".parse().unwrap()
            };
            prop_assert!(matches!(
                policy.decide(&call, &CounterValues::none()).verdict, Verdict::Deny(_)
            ));
        }
        let large = format!(r#"{{"x": "{}"}}"#, "a".repeat(ARGS_BYTES_MAX));
        let args = RawValue::from_string(large).unwrap();
        let call = Call {
            tool: tool(path), args: &args, caller: CALLER,
            now: "2026-11-21T10:00:00Z".parse().unwrap()
        };
        prop_assert!(matches!(
            policy.decide(&call, &CounterValues::none()).verdict, Verdict::Deny(_)
        ));
    }

    #[test]
    fn another_layer_never_opens(
        files in prop::collection::vec(file(), 2), args in args(), path in select(PATHS)
    ) {
        // A layer with a permission of its own can only be made stricter by another one. Without
        // one, the profile decided.
        let mut first = files[0].clone();
        first["default"] = "ask".into();
        first.as_object_mut().unwrap().remove("mode");
        let load = |texts: &[String]| {
            Policy::load(texts.iter().map(|text| layer(text)).collect(), ATTENDED).unwrap()
        };
        let rank = |policy: &Policy| match decide(policy, path, args.clone()).verdict {
            Verdict::Allow => 0,
            Verdict::Ask(_) => 1,
            Verdict::Deny(_) => 2,
        };
        let (one, both) = (
            load(&[first.to_string()]), load(&[first.to_string(), files[1].to_string()])
        );
        prop_assert!(rank(&both) >= rank(&one));
    }

    #[test]
    fn a_misspelt_key_never_loads(
        file in file(), at in any::<prop::sample::Index>(), letter in "[a-z]"
    ) {
        let text = serde_json::to_string_pretty(&file).unwrap();
        let known = [
            "\"rules\"", "\"action\"", "\"when\"", "\"require\"", "\"limit\"", "\"path\"", "\"op\"",
            "\"window\"", "\"max\"", "\"cost\"", "\"default\"", "\"mode\"", "\"tools\"", "\"hide\"",
            "\"role\"", "\"applies_to\""
        ];
        let places: Vec<usize> = known.iter().flat_map(|key| text.match_indices(&format!("{key}:")).map(|(at, _)| at + 1).collect::<Vec<_>>()).collect();
        prop_assume!(!places.is_empty());
        let mut broken = text.clone();
        broken.insert_str(places[at.index(places.len())], &letter);
        prop_assert!(Policy::load(vec![layer(&broken)], ATTENDED).is_err(), "{}", broken);
    }

    #[test]
    fn a_file_with_any_byte_changed_loads_or_has_problems(
        file in file(), at in any::<prop::sample::Index>(), byte in 0_u8..128, args in args()
    ) {
        let mut text = serde_json::to_string_pretty(&file).unwrap().into_bytes();
        let at = at.index(text.len());
        text[at] = byte;
        let text = String::from_utf8(text).unwrap();
        match Policy::load(vec![layer(&text)], ATTENDED) {
            Ok(policy) => drop(decide(&policy, "a.b", args)),
            Err(problems) => prop_assert!(!problems.is_empty() && problems.iter().all(|problem| !problem.message.is_empty())),
        }
    }
}
