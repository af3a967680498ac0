use std::time::Duration;

use serde_json::json;

use crate::policy::{tests::*, *};

fn limited(limit: &str) -> Policy {
    load(&format!("default: allow\ntools: {{pay.charge: {{limits: [{limit}]}}}}"))
}

#[test]
fn an_invalid_cost_denies_and_counts_nothing() {
    let policy = limited("{counter: spend, window: day, max: 100, cost: args.amount}");
    for args in [
        json!({}),
        json!({"amount": null}),
        json!({"amount": "5"}),
        json!({"amount": -1}),
        json!({"amount": 1e300}),
        json!({"amount": [5]}),
    ] {
        let decision = decide(&policy, "pay.charge", args.clone());
        assert_eq!(summary(&decision), "policy_error by spend", "{args}");
        assert!(decision.reservations.is_empty());
    }
    let decision = decide(&policy, "pay.charge", json!({"amount": 0.99}));
    assert_eq!(
        (decision.reservations[0].cost.to_string(), decision.reservations[0].max.to_string()),
        ("0.99".into(), "100".into())
    );
    let policy = limited("{window: day, max: 100, cost: \"double(args.amount) * 1.5\"}");
    assert_eq!(
        decide(&policy, "pay.charge", json!({"amount": 3})).reservations[0].cost.to_string(),
        "4.5"
    );
    assert_eq!(verdict(&policy, "pay.charge", json!({"amount": -3})), "policy_error by limits[0]");
    assert_eq!(
        verdict(&policy, "pay.charge", json!({"amount": true})),
        "policy_error by limits[0]"
    );
}

#[test]
fn windows_and_scopes_are_read() {
    for (limit, window) in [
        ("{window: minute, max: 1}", Window::Fixed(FixedWindow::Minute)),
        ("{window: hour, max: 1}", Window::Fixed(FixedWindow::Hour)),
        ("{window: day, max: 1}", Window::Fixed(FixedWindow::Day)),
        ("{window: 60, max: 1}", Window::Fixed(FixedWindow::Seconds(60))),
        ("{window: 90s, max: 1}", Window::Fixed(FixedWindow::Seconds(90))),
        ("{window: 2h, max: 1, algo: rolling}", Window::Rolling(Duration::from_secs(7200))),
        ("{window: minute, max: 1, algo: rolling}", Window::Rolling(Duration::from_secs(60))),
        ("{window: task, max: 1}", Window::Task),
    ] {
        let decision = decide(&limited(limit), "pay.charge", json!({}));
        assert_eq!(decision.reservations[0].window, window, "{limit}");
        assert_eq!(
            decision.reservations[0].key.as_str().contains(r#""task","local","task_1""#),
            window == Window::Task
        );
    }
    let scoped = |scope: &str| {
        let policy = limited(&format!("{{window: minute, max: 1, scope: {scope}}}"));
        let caller = Caller { session: Some("s"), ..CALLER };
        decide_raw(&policy, tool("pay.charge"), "{}", caller, &CounterValues::none()).reservations
            [0]
        .key
        .to_string()
    };
    let head = r#"["rate","pay.charge","minute""#;
    assert_eq!(scoped("global"), format!(r#"{head},"global"]"#));
    assert_eq!(scoped("grant"), format!(r#"{head},"principal","local","alice"]"#));
    assert_eq!(
        scoped("session"),
        format!(r#"{head},"session","local","alice","s"]"#),
        "a session is a part of its principal"
    );
    assert_eq!(
        scoped("[tool, upstream, workspace]"),
        format!(r#"{head},"workspace","local","tool","pay.charge","upstream","pay"]"#)
    );
    let messages = problems(
        "tools: {a.b: {limits: [{window: week, max: 1}, {window: 0, max: 1}, {window: minute, \
        max: -1}, {window: 40d, max: 1}]}}",
    );
    assert_eq!(messages.len(), 4, "{messages:?}");
}

#[test]
fn a_pattern_counts_all_tools_that_it_matches_together() {
    let policy = load(
        "default: allow\ntools: {\"a.*\": {limits: [{window: minute, max: 5}]}, \"*\": {rules: \
        [{name: all, rate_limit: 7/day}]}}",
    );
    let keys = |path| {
        decide(&policy, path, json!({}))
            .reservations
            .iter()
            .map(|reservation| reservation.key.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(keys("a.b"), keys("a.c"));
    assert_eq!(
        keys("a.b"),
        [
            r#"["rate","a.*","minute","workspace","local"]"#,
            r#"["all","*","day","workspace","local"]"#
        ]
    );
}

#[test]
fn one_counter_of_two_files_is_reserved_once_at_the_lower_bound() {
    let text = |max: u32, end: &str| {
        format!(
            "default: allow\ntools: {{a.b: {{limits: [{{counter: c, window: minute, max: {max}, \
            on_exceed: {end}}}]}}}}"
        )
    };
    let policy =
        Policy::load(vec![layer(&text(5, "wait")), layer(&text(3, "ask"))], ATTENDED).unwrap();
    let decision = decide(&policy, "a.b", json!({}));
    assert_eq!(decision.reservations.len(), 1);
    assert_eq!(decision.reservations[0].max, Amount::whole(3).unwrap());
    assert!(matches!(decision.reservations[0].on_exceed, OnExceed::Ask(_)));
    let messages =
        problems("tools: {a.b: {limits: [{window: minute, max: 5}, {window: minute, max: 6}]}}");
    assert!(messages[0].contains("has the same counter"), "{messages:?}");
}

#[test]
fn a_counter_of_intercept_has_its_bound_in_the_conditions() {
    let policy = load(
        r#"
upstream: stripe
tools:
  create_charge:
    rules:
      - name: daily spend
        conditions: [{path: args.amount, op: lte, value: 500}, {path: state.create_charge.daily, op: lt, value: 1000}]
        state: {counter: daily, window: day, increment_from: args.amount}
        on_deny: "Over the day's budget"
      - name: often
        conditions: [{path: state.create_charge.calls, op: lte, value: 5}]
        state: {counter: calls, window: hour, increment: 0}
"#,
    );
    let decision = decide(&policy, "stripe.create_charge", json!({"amount": 100.5}));
    assert_eq!(summary(&decision), "allow by default");
    let held: Vec<_> = decision
        .reservations
        .iter()
        .map(|reservation| {
            (
                reservation.max.to_string(),
                reservation.cost.to_string(),
                reservation.window.to_string(),
            )
        })
        .collect();
    assert_eq!(
        held,
        [
            ("999.999999".into(), "100.5".into(), "day".into()),
            ("5".into(), "1".into(), "hour".into())
        ] as [(String, String, String); 2]
    );
    assert_eq!(decision.reservations[0].denial(None).message, "Over the day's budget");
    assert_eq!(
        verdict(&policy, "stripe.create_charge", json!({"amount": 501})),
        "policy_denied by daily spend"
    );
    // Intercept's bug: a negative increment lowered the counter.
    assert_eq!(
        verdict(&policy, "stripe.create_charge", json!({"amount": -100})),
        "policy_error by daily spend"
    );
}

#[test]
fn the_outcome_over_a_limit_is_part_of_the_reservation() {
    let policy = limited("{window: minute, max: 2.5, on_exceed: wait, wait: 10s, count: attempt}");
    let reservation = &decide(&policy, "pay.charge", json!({})).reservations[0];
    assert_eq!(
        (&reservation.on_exceed, reservation.count),
        (&OnExceed::Wait { max: Duration::from_secs(10) }, Count::Attempt)
    );
    let denial = reservation.denial(Some(Duration::from_secs(3)));
    assert_eq!(denial.message, "limit of 2.5 per minute reached (rule `limits[0]`)");
    assert_eq!(
        (denial.code, denial.retry_after),
        (DenialCode::RateLimited, Some(Duration::from_secs(3)))
    );
    let messages = problems(
        "tools: {a.b: {limits: [{window: minute, max: 1, wait: 10s}, {counter: x, window: task, \
        max: 1, on_exceed: wait}, {counter: y, window: hour, max: 1, on_exceed: wait, wait: 1h}]}}",
    );
    assert_eq!(messages.len(), 3, "{messages:?}");
}
