use proptest::prelude::*;
use serde_json::{Number, json};

use super::*;
use crate::policy::tests::*;

fn number(text: &str) -> Number {
    serde_json::from_str(text).unwrap()
}

#[test]
fn an_amount_keeps_its_decimals_and_refuses_what_cannot_be_counted() {
    for (text, shown) in [
        ("0", "0"),
        ("-0.0", "0"),
        ("1", "1"),
        ("0.99", "0.99"),
        ("0.1", "0.1"),
        ("1e3", "1000"),
        ("1e-7", "0.000001"),
        ("0.0000001", "0.000001"),
        ("12345.678901", "12345.678901"),
        ("0.1234561", "0.123457"),
        ("9223372036853", "9223372036853"),
    ] {
        assert_eq!(Amount::from_number(&number(text)).unwrap().to_string(), shown, "{text}");
    }
    for (text, error) in [
        ("-1", NoAmount::Negative),
        ("-0.000001", NoAmount::Negative),
        ("1e300", NoAmount::TooLarge),
        ("9223372036855", NoAmount::TooLarge),
        ("18446744073709551615", NoAmount::TooLarge),
    ] {
        assert_eq!(Amount::from_number(&number(text)), Err(error), "{text}");
    }
    assert_eq!(Amount::from_f64(f64::NAN), Err(NoAmount::NotFinite));
    assert_eq!(Amount::from_f64(f64::INFINITY), Err(NoAmount::NotFinite));
    let mut sum = Amount::ZERO;
    for _ in 0..100 {
        sum = sum.checked_add(Amount::from_number(&number("0.99")).unwrap()).unwrap();
    }
    assert_eq!(sum.to_string(), "99", "decimals add up exactly");
}

proptest! {
    #[test]
    fn an_amount_is_never_less_than_the_number(value in 0.0_f64..1e12) {
        let amount = Amount::from_f64(value).unwrap();
        prop_assert!(amount.as_f64() >= value * (1.0 - f64::EPSILON));
        prop_assert!(amount.as_f64() <= value * (1.0 + f64::EPSILON) + 0.000_001_1);
    }

    #[test]
    fn keys_of_other_parts_are_other_keys(one in prop::collection::vec("[a|\"\\\\,=]{0,4}", 0..5), other in prop::collection::vec("[a|\"\\\\,=]{0,4}", 0..5)) {
        let key = |parts: &[String]| CounterKey::new(&parts.iter().map(String::as_str).collect::<Vec<_>>());
        prop_assert_eq!(key(&one) == key(&other), one == other);
    }
}

#[test]
fn a_key_is_bounded() {
    let long = "x".repeat(2000);
    let key = CounterKey::new(&["a", &long]);
    assert!(key.as_str().starts_with("sha256:") && key.as_str().len() <= COUNTER_KEY_BYTES_MAX);
    assert_ne!(key, CounterKey::new(&["b", &long]));
}

fn limited(limit: &str) -> crate::policy::Policy {
    load(&format!("default: allow\ntools: {{pay.charge: {{limits: [{limit}]}}}}"))
}

#[test]
fn a_cost_that_is_no_amount_denies_and_counts_nothing() {
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
        assert_eq!(told(&decision), "policy_error by spend", "{args}");
        assert!(decision.holds.is_empty());
    }
    let decision = decide(&policy, "pay.charge", json!({"amount": 0.99}));
    assert_eq!(
        (decision.holds[0].cost.to_string(), decision.holds[0].max.to_string()),
        ("0.99".into(), "100".into())
    );
    let policy = limited("{window: day, max: 100, cost: \"double(args.amount) * 1.5\"}");
    assert_eq!(
        decide(&policy, "pay.charge", json!({"amount": 3})).holds[0].cost.to_string(),
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
        assert_eq!(decision.holds[0].window, window, "{limit}");
        assert_eq!(
            decision.holds[0].key.as_str().contains(r#""task","local","task_1""#),
            window == Window::Task
        );
    }
    let scoped = |scope: &str| {
        let policy = limited(&format!("{{window: minute, max: 1, scope: {scope}}}"));
        let caller = crate::policy::Caller { session: Some("s"), ..CALLER };
        decide_raw(&policy, tool("pay.charge"), "{}", caller, &CounterValues::none()).holds[0]
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
    let told = problems(
        "tools: {a.b: {limits: [{window: week, max: 1}, {window: 0, max: 1}, {window: minute, \
        max: -1}, {window: 40d, max: 1}]}}",
    );
    assert_eq!(told.len(), 4, "{told:?}");
}

#[test]
fn a_pattern_counts_all_that_it_fits_together() {
    let policy = load(
        "default: allow\ntools: {\"a.*\": {limits: [{window: minute, max: 5}]}, \"*\": {rules: \
        [{name: all, rate_limit: 7/day}]}}",
    );
    let keys = |path| {
        decide(&policy, path, json!({}))
            .holds
            .iter()
            .map(|hold| hold.key.to_string())
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
fn one_counter_of_two_files_is_held_once_at_the_lesser_bound() {
    let text = |max: u32, end: &str| {
        format!(
            "default: allow\ntools: {{a.b: {{limits: [{{counter: c, window: minute, max: {max}, \
            on_exceed: {end}}}]}}}}"
        )
    };
    let policy = crate::policy::Policy::load(
        vec![layer(&text(5, "wait")), layer(&text(3, "ask"))],
        ATTENDED,
    )
    .unwrap();
    let decision = decide(&policy, "a.b", json!({}));
    assert_eq!(decision.holds.len(), 1);
    assert_eq!(decision.holds[0].max, Amount::whole(3).unwrap());
    assert!(matches!(decision.holds[0].on_exceed, OnExceed::Ask(_)));
    let told =
        problems("tools: {a.b: {limits: [{window: minute, max: 5}, {window: minute, max: 6}]}}");
    assert!(told[0].contains("counts the same"), "{told:?}");
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
    assert_eq!(told(&decision), "allow by default");
    let held: Vec<_> = decision
        .holds
        .iter()
        .map(|hold| (hold.max.to_string(), hold.cost.to_string(), hold.window.to_string()))
        .collect();
    assert_eq!(
        held,
        [
            ("999.999999".into(), "100.5".into(), "day".into()),
            ("5".into(), "1".into(), "hour".into())
        ] as [(String, String, String); 2]
    );
    assert_eq!(decision.holds[0].denial(None).message, "Over the day's budget");
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
fn what_happens_over_a_limit_is_told() {
    let policy = limited("{window: minute, max: 2.5, on_exceed: wait, wait: 10s, count: attempt}");
    let hold = &decide(&policy, "pay.charge", json!({})).holds[0];
    assert_eq!(
        (&hold.on_exceed, hold.count),
        (&OnExceed::Wait { max: Duration::from_secs(10) }, Count::Attempt)
    );
    let denial = hold.denial(Some(Duration::from_secs(3)));
    assert_eq!(denial.message, "limit of 2.5 per minute reached (rule `limits[0]`)");
    assert_eq!(
        (denial.code, denial.retry_after),
        (DenialCode::RateLimited, Some(Duration::from_secs(3)))
    );
    let told = problems(
        "tools: {a.b: {limits: [{window: minute, max: 1, wait: 10s}, {counter: x, window: task, \
        max: 1, on_exceed: wait}, {counter: y, window: hour, max: 1, on_exceed: wait, wait: 1h}]}}",
    );
    assert_eq!(told.len(), 3, "{told:?}");
}
