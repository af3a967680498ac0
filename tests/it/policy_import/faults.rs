//! The faults that Intercept is known to have, one test for each: an imported file does not have
//! them.

use airlock::policy::import::{Dialect, ImportOptions, import};

use super::judge::{Judge, load, midnight};

async fn imported(text: &str) -> Judge {
    let options = ImportOptions { upstream: Some("up"), compat_warn: false };
    let ours = import(Dialect::Intercept, "f.yaml", text, options).unwrap().layers.remove(0).text;
    Judge::over(load(&ours, None).unwrap_or_else(|problems| panic!("{problems:#?}\n{ours}")), "up")
        .await
}

const SPEND: &str = "version: '1'\ntools:\n  pay:\n    rules:\n      - name: \
    spend\n        conditions: [{path: state.pay.sum, op: lte, value: 10}]\n        state: \
    {counter: sum, window: day, increment_from: args.amount}\n";

#[tokio::test]
async fn arguments_that_do_not_parse_are_refused_and_not_forwarded() {
    let judge = imported("version: '1'\ntools:\n  read: {rules: []}\n").await;
    assert_eq!(judge.call("read", r#"{"a": 1}"#, false).await.what, "allow");
    let huge = format!(r#"{{"a": "{}"}}"#, "x".repeat(300 * 1024));
    for args in [r#"{"a": 1, "a": 2}"#, "[1]", "\"text\"", "7", r#"{"a": {"b": 1, "b": 2}}"#, &huge]
    {
        let answer = judge.call("read", args, false).await;
        assert_eq!(answer.what, "error", "{}: {answer:?}", &args[..args.len().min(40)]);
    }
}

#[tokio::test]
async fn a_negative_amount_gives_no_quota_back() {
    let judge = imported(SPEND).await;
    assert_eq!(judge.call("pay", r#"{"amount": 10}"#, false).await.what, "allow");
    for args in [
        r#"{"amount": -10}"#,
        r#"{"amount": -0.000001}"#,
        r#"{"amount": "5"}"#,
        r#"{"amount": null}"#,
        "{}",
        r#"{"amount": 1e300}"#,
    ] {
        assert_eq!(judge.call("pay", args, false).await.what, "error", "{args}");
    }
    assert_eq!(
        judge.call("pay", r#"{"amount": 1}"#, false).await.what,
        "rate_limited",
        "nothing was given back"
    );
}

#[tokio::test]
async fn fractions_of_an_amount_count() {
    let judge = imported(SPEND).await;
    for _ in 0..10 {
        assert_eq!(judge.call("pay", r#"{"amount": 0.99}"#, false).await.what, "allow");
    }
    assert_eq!(
        judge.call("pay", r#"{"amount": 0.11}"#, false).await.what,
        "rate_limited",
        "9.9 and 0.11 are more than 10"
    );
    assert_eq!(judge.call("pay", r#"{"amount": 0.1}"#, false).await.what, "allow");
}

#[tokio::test]
async fn a_hidden_tool_stays_hidden_whatever_comes() {
    let judge = imported("version: '1'\nhide: [secret]\ntools:\n  secret: {rules: []}\n").await;
    for args in ["{}", r#"{"a": 1, "a": 2}"#, "[]", "7"] {
        let answer = judge.call("secret", args, false).await;
        assert_eq!(answer.what, "hidden", "{args}: {answer:?}");
    }
}

#[tokio::test]
async fn a_rolling_window_does_not_admit_twice_the_limit_at_an_edge() {
    let fixed =
        "version: '1'\ntools:\n  a:\n    rules:\n      - {name: r, rate_limit: 10/minute}\n";
    let at_the_edge = async |judge: &mut Judge| {
        judge.now = midnight();
        judge.pass(59);
        let mut admitted = 0;
        for call in 0..30 {
            if call == 15 {
                judge.pass(2);
            }
            admitted += u32::from(judge.call("a", "{}", false).await.what == "allow");
        }
        admitted
    };
    let options = ImportOptions { upstream: Some("up"), compat_warn: false };
    let ours = import(Dialect::Intercept, "f.yaml", fixed, options).unwrap().layers.remove(0).text;
    assert!(ours.contains("algo: fixed"), "parity is written out: {ours}");
    let mut judge = Judge::over(load(&ours, None).unwrap(), "up").await;
    assert_eq!(at_the_edge(&mut judge).await, 20, "a fixed window does, as the original's");
    let rolling = ours.replace("algo: fixed", "algo: rolling");
    let mut judge = Judge::over(load(&rolling, None).unwrap(), "up").await;
    assert_eq!(at_the_edge(&mut judge).await, 10);
}

#[tokio::test]
async fn two_upstreams_with_a_tool_of_one_name_do_not_share_a_limit() {
    let text = "version: '1'\ntools:\n  a:\n    rules:\n      - {name: r, rate_limit: 1/minute}\n";
    let mut layers = vec![];
    for upstream in ["one", "two"] {
        let options = ImportOptions { upstream: Some(upstream), compat_warn: false };
        layers.push(
            import(Dialect::Intercept, "f.yaml", text, options).unwrap().layers.remove(0).text,
        );
    }
    let one = Judge::over(load(&layers[0], None).unwrap(), "one").await;
    assert_eq!(one.call("a", "{}", false).await.what, "allow");
    assert_eq!(one.call("a", "{}", false).await.what, "rate_limited");
    let (first, second) = (
        one.decide("a", "{}").await,
        Judge::over(load(&layers[1], None).unwrap(), "two").await.decide("a", "{}").await,
    );
    assert_ne!(first.reservations[0].key, second.reservations[0].key);
}
