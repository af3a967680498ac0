use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::json;

use super::*;

fn notice(token: i64, more: serde_json::Value) -> ProgressNotificationParam {
    let mut params = json!({"progressToken": token, "progress": 3});
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(params).unwrap()
}

#[test]
fn a_notice_reaches_its_own_call_as_long_as_that_is_on_its_way() {
    let router = ProgressRouter::default();
    let received: Arc<Mutex<Vec<String>>> = Arc::default();
    let client_events = received.clone();
    let token = notice(7, json!({})).progress_token;
    let followed = router
        .follow(token, Arc::new(move |text: &str| client_events.lock().push(text.to_owned())));
    router.route(&notice(8, json!({"message": "of another call"})));
    router.route(&notice(7, json!({"total": 10, "message": " indexing\u{1b}[2J "})));
    router.route(&notice(7, json!({})));
    drop(followed);
    router.route(&notice(7, json!({"message": "late"})));
    assert_eq!(*received.lock(), ["3 of 10, indexing [2J", "3"]);
}

#[test]
fn a_notice_that_comes_before_its_call_is_followed_is_not_lost() {
    let router = ProgressRouter::default();
    router.route(&notice(7, json!({"message": "older"})));
    router.route(&notice(7, json!({"message": "early"})));
    let received: Arc<Mutex<Vec<String>>> = Arc::default();
    let news = received.clone();
    let token = notice(7, json!({})).progress_token;
    let _followed =
        router.follow(token, Arc::new(move |text: &str| news.lock().push(text.to_owned())));
    router.route(&notice(7, json!({"message": "later"})));
    assert_eq!(*received.lock(), ["3, early", "3, later"]);
}

#[test]
fn notices_that_concern_no_call_are_kept_in_bounds() {
    let router = ProgressRouter::default();
    for token in 0..10_000 {
        router.route(&notice(token, json!({})));
    }
    router.route(&notice(1, json!({"progressToken": "x".repeat(1_000_000)})));
    let kept = &router.0.lock().early;
    assert_eq!(kept.len(), EARLY_NOTICES_MAX);
    assert!(kept.iter().all(|(token, _)| matches!(token.0, NumberOrString::Number(_))));
}

#[test]
fn a_notice_is_short_whatever_the_server_says() {
    let text = status_line(&notice(
        1,
        json!({"progress": 1e300, "total": -1e300, "message": "é".repeat(10_000)}),
    ));
    assert!(text.len() <= NOTICE_BYTES_MAX, "{}", text.len());
}
