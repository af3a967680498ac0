use serde_json::json;

use super::*;

fn form(accept: Option<&str>) -> Option<AnswerForm> {
    let mut headers = HeaderMap::new();
    if let Some(accept) = accept {
        headers.insert(header::ACCEPT, HeaderValue::from_str(accept).unwrap());
    }
    AnswerForm::of(&headers)
}

#[test]
fn every_form_of_accept_is_understood() {
    use AnswerForm::{Either, Events, Json};
    for (accept, expected) in [
        ("application/json, text/event-stream", Some(Either)),
        ("application/json,text/event-stream", Some(Either)),
        ("APPLICATION/JSON, Text/Event-Stream", Some(Either)),
        ("application/json;q=0.9, text/event-stream;q=0.8", Some(Either)),
        ("text/event-stream, */*;q=0.1", Some(Either)),
        ("application/json; charset=utf-8 , text/event-stream ; q = 1", Some(Either)),
        ("application/json", Some(Json)),
        ("application/json, */*;q=0.1", Some(Json)),
        ("application/json, text/plain, */*", Some(Json)),
        ("application/*, */*", Some(Json)),
        ("application/*", Some(Json)),
        ("*/*", Some(Json)),
        ("*", Some(Json)),
        ("", Some(Json)),
        ("text/html, application/xhtml+xml, */*;q=0.8", Some(Json)),
        ("application/json, text/event-stream;q=0", Some(Json)),
        ("*/*, text/event-stream;q=0.000", Some(Json)),
        ("application/json;q=abc", Some(Json)),
        ("text/event-stream", Some(Events)),
        ("text/*", Some(Events)),
        ("*/*, application/json;q=0", Some(Events)),
        ("text/event-stream, application/json;q=0", Some(Events)),
        ("text/html", None),
        ("application/xml, text/plain", None),
        ("*/*;q=0", None),
        ("application/json;q=0.0", None),
    ] {
        assert_eq!(form(Some(accept)), expected, "{accept}");
    }
    assert_eq!(form(None), Some(Json));
}

#[test]
fn several_headers_count_together() {
    let mut headers = HeaderMap::new();
    headers.append(header::ACCEPT, HeaderValue::from_static("application/json"));
    headers.append(header::ACCEPT, HeaderValue::from_static("text/event-stream"));
    assert_eq!(AnswerForm::of(&headers), Some(AnswerForm::Either));
}

fn stream(text: &'static str) -> Response {
    Response::builder().header("content-type", EVENTS).body(Body::from(text)).unwrap()
}

async fn text(response: Response) -> String {
    String::from_utf8(error::body_of(response).await.1.to_vec()).unwrap()
}

#[tokio::test]
async fn a_stream_becomes_its_answer() {
    let notice = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{}}"#;
    let answer = r#"{"jsonrpc":"2.0","id":7,"result":{"a":"data: x"}}"#;
    let events = format!(": hello\n\nid: 0\ndata:\n\ndata: {notice}\n\ndata: {answer}\n\n");
    let response = AnswerForm::Json.apply(stream(events.leak()), &json!(7)).await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
    assert_eq!(text(response).await, answer);
}

#[tokio::test]
async fn a_stream_without_an_answer_was_cancelled() {
    let response = AnswerForm::Json.apply(stream(": hello\n\n"), &json!("a")).await;
    let answer: Value = serde_json::from_str(&text(response).await).unwrap();
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!("a"), &json!(CANCELLED)));
}

#[tokio::test]
async fn an_answer_becomes_an_event_and_a_refusal_stays_json() {
    let answer = |status| {
        let builder = Response::builder().status(status).header("content-type", JSON);
        builder.body(Body::from("{\n\"id\":1}")).unwrap()
    };
    let response = AnswerForm::Events.apply(answer(200), &json!(1)).await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
    assert_eq!(text(response).await, "data: {\ndata: \"id\":1}\n\n");
    let refused = AnswerForm::Events.apply(answer(400), &json!(1)).await;
    assert_eq!(refused.headers()[header::CONTENT_TYPE], "application/json");
    let either = AnswerForm::Either.apply(answer(200), &json!(1)).await;
    assert_eq!(either.headers()[header::CONTENT_TYPE], "application/json");
}
