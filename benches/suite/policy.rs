//! What one decision costs, at the size of a large installation: 1000 rules, 10,000 tools.

use std::time::{Duration, Instant};

use airlock::{
    model::Annotations,
    policy::{Call, Caller, CounterValues, Layer, LayerScope, Options, Policy, Profile, ToolFacts},
};
use serde_json::{Value, json, value::RawValue};

use crate::{Outcome, Scale, record::Record};

const UPSTREAMS: usize = 100;
const TOOLS: usize = 10_000;
const RULES: usize = 1000;

/// Decisions with comparisons only, and with an expression of CEL in every entry.
pub(crate) async fn policy(scale: Scale, record: &mut Record) -> Outcome {
    for (what, with_cel) in [("without CEL", false), ("with CEL", true)] {
        let text = file(with_cel).to_string();
        let began = Instant::now();
        let policy = load(&text)?;
        let loaded = began.elapsed();
        let paths: Vec<String> = (0..TOOLS)
            .map(|number| format!("up{}.group{}.tool{number}", number % UPSTREAMS, number % 7))
            .collect();
        let first = decisions(&policy, &paths, scale.times(TOOLS));
        let again = decisions(&policy, &paths, scale.times(200_000));
        record.latency("policy", format!("one decision {what}, the first about each tool"), first);
        record.latency(
            "policy",
            format!("one decision {what}, at 1000 rules and 10,000 tools"),
            again,
        );
        record.figure(
            "policy",
            format!("loading 1000 rules {what}"),
            loaded.as_secs_f64() * 1000.0,
            "ms",
        );
    }
    Ok(())
}

/// A policy of the size that is measured here.
pub(crate) fn thousand_rules() -> Result<Policy, String> {
    load(&file(false).to_string())
}

fn load(text: &str) -> Result<Policy, String> {
    let layer = Layer {
        scope: LayerScope::Organisation,
        name: "bench.json".into(),
        upstream: None,
        text: text.to_owned(),
    };
    let options = Options { profile: Profile::Auto, approvals: true };
    Policy::load(vec![layer], options)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

/// Half of the rules stand at exact addresses, half at patterns; a call meets about ten of them.
fn file(with_cel: bool) -> Value {
    let mut tools = serde_json::Map::new();
    let guard = |number: usize| match with_cel {
        true => {
            json!({"name": format!("r{number}"), "require": "args.amount < 50000 && \
                !args.to.startsWith(\"prod:\")", "limit": "5000/hour"})
        }
        false => {
            json!({
                "name": format!("r{number}"),
                "require": [
                    {"path": "args.amount", "op": "lt", "value": 50_000},
                    {"path": "args.to", "op": "neq", "value": "prod"}
                ],
                "limit": "5000/hour"
            })
        }
    };
    for number in 0..RULES / 2 {
        let rules = json!([guard(number)]);
        tools.insert(
            format!("up{}.group{}.tool{number}", number % UPSTREAMS, number % 7),
            json!({ "rules": rules }),
        );
    }
    for number in 0..UPSTREAMS {
        let rules: Vec<Value> = (0..4)
            .map(|rule| guard(10_000 + number * 4 + rule))
            .chain([json!({"action": "allow"})])
            .collect();
        tools.insert(format!("up{number}.*"), json!({ "rules": rules }));
    }
    json!({"default": "deny", "tools": tools})
}

fn decisions(policy: &Policy, paths: &[String], times: usize) -> Vec<Duration> {
    let args = json!({
        "amount": 120.5, "to": "dev:acme", "note": "x".repeat(200),
        "items": [{"id": 1}, {"id": 2}, {"id": 3}]
    });
    let args = RawValue::from_string(args.to_string()).expect("it is JSON");
    let caller = Caller {
        workspace: "local",
        principal: "local",
        role: "agent",
        key: Some("ci"),
        session: None,
        task: "task_1",
    };
    let now = airlock::model::Timestamp::now();
    let counters = CounterValues::none();
    (0..times)
        .map(|number| {
            // A step that is prime to the number of tools, so that no two neighbours share an
            // upstream.
            let path = &paths[number * 7919 % paths.len()];
            let (upstream, name) = path.split_once('.').unwrap_or((path, path));
            let annotations = Annotations::default();
            let tool = ToolFacts {
                path,
                upstream,
                name,
                input_schema: None,
                annotations,
                trusted: false,
                operation: None,
                former: None,
            };
            let call = Call { tool, args: &args, caller, now };
            let began = Instant::now();
            let decision = policy.decide(&call, &counters);
            let took = began.elapsed();
            assert_eq!(decision.verdict.as_str(), "allow", "what is measured is a whole decision");
            took
        })
        .collect()
}
