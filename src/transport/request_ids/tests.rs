use rmcp::model::{
    ClientJsonRpcMessage, EmptyResult, ProgressNotification, ProgressNotificationParam,
};
use serde_json::{Value, json};

use super::*;

fn request(id: Value, token: Option<&str>) -> JsonRpcRequest<ClientRequest> {
    let mut message = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call",
        "params": {"name": "execute", "arguments": {}}});
    if let Some(token) = token {
        message["params"]["_meta"] = json!({"progressToken": token});
    }
    match serde_json::from_value(message).unwrap() {
        ClientJsonRpcMessage::Request(request) => request,
        other => panic!("{other:?}"),
    }
}

fn cancellation(id: Value) -> ClientNotification {
    let message = json!({"jsonrpc": "2.0", "method": "notifications/cancelled",
        "params": {"requestId": id}});
    match serde_json::from_value(message).unwrap() {
        ClientJsonRpcMessage::Notification(notification) => notification.notification,
        other => panic!("{other:?}"),
    }
}

fn answer(id: &RequestId) -> ServerJsonRpcMessage {
    JsonRpcMessage::response(ServerResult::EmptyResult(EmptyResult {}), id.clone())
}

fn progress(request: &JsonRpcRequest<ClientRequest>) -> ServerJsonRpcMessage {
    let token = request.request.get_meta().get_progress_token().unwrap();
    let notice = ProgressNotification::new(ProgressNotificationParam::new(token, 1.0));
    JsonRpcMessage::notification(ServerNotification::ProgressNotification(notice))
}

#[test]
fn every_form_of_id_and_token_comes_back_as_the_client_wrote_it() {
    let ids = RequestIds::new(Repeats::Answered);
    for id in [json!(1), json!(-7), json!(0), json!("1"), json!(""), json!("3 \"x\""), json!("ä\n")]
    {
        let mut request = request(id.clone(), Some("a \"b\" 5"));
        ids.admit(&mut request).unwrap();
        assert_ne!(json!(request.id), id);
        let mut answer = answer(&request.id);
        restore(&mut answer);
        assert_eq!(serde_json::to_value(&answer).unwrap()["id"], id);
        let mut progress = progress(&request);
        restore(&mut progress);
        let progress = serde_json::to_value(&progress).unwrap();
        assert_eq!(progress["params"]["progressToken"], "a \"b\" 5");
    }
}

#[test]
fn requests_with_one_id_and_one_token_have_different_ones_inside() {
    let ids = RequestIds::new(Repeats::Answered);
    let (mut first, mut second) = (request(json!(1), Some("t")), request(json!(1), Some("t")));
    ids.admit(&mut first).unwrap();
    ids.admit(&mut second).unwrap();
    assert_ne!(first.id, second.id);
    let token = |request: &JsonRpcRequest<ClientRequest>| request.request.get_meta().clone();
    assert_ne!(token(&first), token(&second));
}

#[test]
fn a_repeated_id_or_token_is_refused_until_its_request_is_answered() {
    let ids = RequestIds::new(Repeats::Refused);
    let mut first = request(json!(1), Some("t"));
    ids.admit(&mut first).unwrap();
    for (repeated, named) in
        [(request(json!(1), None), "id `1`"), (request(json!(2), Some("t")), "progress token `t`")]
    {
        let refused = ids.admit(&mut { repeated }).unwrap_err();
        assert!(refused.message.contains(named), "{refused:?}");
    }
    ids.admit(&mut request(json!("1"), Some("u"))).unwrap();
    ids.answered(&answer(&first.id));
    ids.admit(&mut request(json!(1), Some("t"))).unwrap();
}

#[test]
fn a_cancellation_means_one_request_and_frees_its_id() {
    let ids = RequestIds::new(Repeats::Refused);
    let mut first = request(json!(1), None);
    ids.admit(&mut first).unwrap();
    assert!(!ids.admit_notification(&mut cancellation(json!(2))), "there is no such request");
    let mut cancelled = cancellation(json!(1));
    assert!(ids.admit_notification(&mut cancelled));
    let ClientNotification::CancelledNotification(cancelled) = cancelled else { unreachable!() };
    assert_eq!(cancelled.params.request_id, Some(first.id));
    ids.admit(&mut request(json!(1), None)).unwrap();
}

#[test]
fn a_cancellation_that_may_mean_several_requests_means_none() {
    let ids = RequestIds::new(Repeats::Answered);
    let mut first = request(json!(1), None);
    ids.admit(&mut first).unwrap();
    ids.admit(&mut request(json!(1), None)).unwrap();
    assert!(!ids.admit_notification(&mut cancellation(json!(1))));
    ids.answered(&answer(&first.id));
    assert!(ids.admit_notification(&mut cancellation(json!(1))), "one is left");
}

#[test]
fn requests_under_way_have_a_bound() {
    let ids = RequestIds::new(Repeats::Answered);
    let mut last = None;
    for _ in 0..REQUESTS_MAX {
        let mut request = request(json!(1), None);
        ids.admit(&mut request).unwrap();
        last = Some(request.id);
    }
    let refused = ids.admit(&mut request(json!(1), None)).unwrap_err();
    assert!(refused.message.contains("1024"), "{refused:?}");
    ids.answered(&answer(&last.unwrap()));
    ids.admit(&mut request(json!(1), None)).unwrap();
}
