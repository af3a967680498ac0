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
    let desk = ProgressRouter::default();
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let client_events = heard.clone();
    let token = notice(7, json!({})).progress_token;
    let followed =
        desk.follow(token, Arc::new(move |text: &str| client_events.lock().push(text.to_owned())));
    desk.route(&notice(8, json!({"message": "of another call"})));
    desk.route(&notice(7, json!({"total": 10, "message": " indexing\u{1b}[2J "})));
    desk.route(&notice(7, json!({})));
    drop(followed);
    desk.route(&notice(7, json!({"message": "late"})));
    assert_eq!(*heard.lock(), ["3 of 10, indexing [2J", "3"]);
}

#[test]
fn a_notice_is_short_whatever_the_server_says() {
    let text = status_line(&notice(
        1,
        json!({"progress": 1e300, "total": -1e300, "message": "é".repeat(10_000)}),
    ));
    assert!(text.len() <= NOTICE_BYTES_MAX, "{}", text.len());
}
