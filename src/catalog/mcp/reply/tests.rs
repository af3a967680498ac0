use futures::FutureExt;
use serde_json::{Value, json};

use super::*;
use crate::catalog::upstream::response::LARGE_MAX as PLACES;

/// A message that passes as it is.
const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

/// An answer whose body comes in these pieces.
fn answered(status: u16, kind: &str, pieces: Vec<Vec<u8>>) -> Response {
    let pieces =
        stream::iter(pieces.into_iter().map(|piece| Ok::<_, std::io::Error>(Bytes::from(piece))));
    let response = http::Response::builder().status(status).header(CONTENT_TYPE, kind);
    response.body(reqwest::Body::wrap_stream(pieces)).unwrap().into()
}

fn message(method: &str) -> ClientJsonRpcMessage {
    let params = json!({ "name": "t", "arguments": {}, "_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": { "name": "t", "version": "1" } } });
    serde_json::from_value(json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params }))
        .unwrap()
}

fn notification() -> ClientJsonRpcMessage {
    serde_json::from_value(json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }))
        .unwrap()
}

fn replies() -> ReplyReader {
    let (response_limits, doubt) = Default::default();
    ReplyReader { response_limits, incoming: incoming(), doubt }
}

fn incoming() -> Incoming {
    Incoming::new("its event stream")
}

async fn posted(
    response: Response,
    message: &ClientJsonRpcMessage,
    in_session: bool,
) -> Result<Value, Failure> {
    match replies().of_post(response, message, in_session).await? {
        StreamableHttpPostResponse::Json(message, _) => Ok(serde_json::to_value(message).unwrap()),
        StreamableHttpPostResponse::Sse(events, _) => {
            let data: Vec<_> = events.map(|event| event.unwrap().data).collect().await;
            Ok(json!(data))
        }
        _ => Ok(Value::Null),
    }
}

fn intake(kind: &str, pieces: Vec<Vec<u8>>, bytes_max: usize) -> Intake {
    Intake::new(
        answered(200, kind, pieces),
        ResponseLimits::default(),
        Bounds { bytes_max, ..SERVER },
    )
}

#[tokio::test]
async fn each_event_is_a_message_however_it_arrives_and_as_many_as_there_are() {
    let event = format!("event: message\r\ndata: {PING}\r\n\r\n: a comment\n\n");
    let text = event.repeat(30);
    for size in [1, 2, 7, 40, text.len()] {
        let pieces = text.as_bytes().chunks(size).map(<[u8]>::to_vec).collect();
        // The longest that is read between two ends of events is an event and the piece that its
        // end stands in.
        let events =
            intake("text/event-stream", pieces, event.len() + size).events(None, incoming());
        let data: Vec<String> =
            events.filter_map(async |event| event.unwrap().data).collect().await;
        assert_eq!(data, vec![PING; 30], "in pieces of {size}");
    }
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_an_error_to_the_call_that_waits_for_it() {
    let long = || vec![b"data: ".to_vec(), vec![b'x'; 600], vec![b'x'; 600]];
    assert!(matches!(
        intake("application/json", long(), 1_000).whole().await,
        Err(Broken::TooLong)
    ));
    let mut events = intake("text/event-stream", long(), 1_000)
        .events(asked(&message("tools/call")), incoming());
    let error: Value =
        serde_json::from_str(&events.next().await.unwrap().unwrap().data.unwrap()).unwrap();
    assert_eq!((&error["id"], &error["error"]["code"]), (&json!(7), &json!(OVERSIZED)));
    assert!(events.next().await.is_none());
    // Where nobody waits, it is left out, and the stream ends.
    assert!(
        intake("text/event-stream", long(), 1_000).events(None, incoming()).next().await.is_none()
    );
}

#[tokio::test]
async fn a_server_cannot_ask_for_a_pause_of_more_than_a_minute() {
    let text = "retry: 3\ndata: {}\n\nretry: 18446744073709551615\ndata: {}\n\n";
    let events = intake("text/event-stream", vec![text.into()], 1_000).events(None, incoming());
    let pauses: Vec<_> = events.map(|event| event.unwrap().retry).collect().await;
    assert_eq!(pauses, [Some(3), Some(RETRY_MS_MAX)]);
}

#[tokio::test]
async fn an_answer_of_very_many_values_is_an_error_too() {
    let crowded = format!(r#"{{"jsonrpc":"2.0","id":7,"result":[{}1]}}"#, "1,".repeat(VALUES_MAX));
    let call = message("tools/call");
    let json =
        posted(answered(200, "application/json", vec![crowded.clone().into_bytes()]), &call, false)
            .await
            .unwrap();
    assert_eq!((&json["id"], &json["error"]["code"]), (&json!(7), &json!(OVERSIZED)));
    let event = format!("data: {crowded}\n\ndata: {PING}\n\n").into_bytes();
    let events =
        posted(answered(200, "text/event-stream", vec![event]), &call, false).await.unwrap();
    assert!(events[0].as_str().unwrap().contains(&OVERSIZED.to_string()), "{events}");
    assert_eq!(events[1], PING, "the next event passes");
}

#[tokio::test]
async fn a_large_event_is_not_read_on_before_there_is_a_place_for_it() {
    let response_limits = ResponseLimits::default();
    let mut permits = Vec::new();
    for _ in 0..PLACES {
        permits.push(response_limits.memory_permit().await);
    }
    let large = || {
        let (begin, end) = PING.split_at(PING.len() - 1);
        let begin = format!("data: {begin},\"x\":\"");
        let end = format!("\"{end}\n\n");
        let pieces = vec![begin.into_bytes(), vec![b'x'; LARGE_BYTES], end.into_bytes()];
        answered(200, "text/event-stream", pieces)
    };
    let mut events = Intake::new(large(), response_limits.clone(), SERVER).events(None, incoming());
    assert!(events.next().now_or_never().is_none(), "all of it is there, and it waits");
    permits.pop();
    assert!(events.next().await.unwrap().unwrap().data.unwrap().len() > LARGE_BYTES);
    assert!(response_limits.memory_permit().now_or_never().is_some(), "its place is free again");
}

#[tokio::test]
async fn a_large_answer_that_does_not_come_to_its_end_is_given_up() {
    let long = Duration::from_secs(3_600);
    for (large_max, large_silence_max) in
        [(Duration::from_millis(50), long), (long, Duration::from_millis(50))]
    {
        let body =
            stream::iter([Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; LARGE_BYTES + 1]))])
                .chain(stream::pending());
        let response = http::Response::new(reqwest::Body::wrap_stream(body)).into();
        let bounds = Bounds { large_max, large_silence_max, ..SERVER };
        assert!(matches!(
            Intake::new(response, ResponseLimits::default(), bounds).whole().await,
            Err(Broken::Late)
        ));
    }
}

#[tokio::test]
async fn what_is_no_success_keeps_its_meaning() {
    let error = |id: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32601,"message":"no such method"}}}}"#
        )
    };
    let (call, discover) = (message("tools/call"), message("server/discover"));
    let ask = async |status: u16,
                     kind: &str,
                     body: &str,
                     message: &ClientJsonRpcMessage,
                     in_session: bool| {
        let got =
            posted(answered(status, kind, vec![body.as_bytes().to_vec()]), message, in_session)
                .await;
        got.map_or_else(|failure| format!("failed: {failure}"), |got| got.to_string())
    };
    let json = "application/json";
    // An error of the protocol is one, whatever the status.
    assert!(ask(400, json, &error("7"), &call, false).await.contains("no such method"));
    assert!(ask(500, json, &error("7"), &call, false).await.contains("no such method"));
    // A server that does not know the first request of the modern era: whatever it says is the
    // answer.
    assert!(ask(400, json, &error("null"), &discover, false).await.contains(r#""id":7"#));
    assert!(
        ask(404, "text/plain", "not here", &discover, false)
            .await
            .contains("HTTP 404 Not Found: not here")
    );
    for (status, kind, body, in_session, expected) in [
        (401, json, error("7"), false, "failed: HTTP 401"),
        (404, "text/html", String::new(), true, "failed: Session expired (HTTP 404)"),
        (404, "text/html", "gone".to_owned(), false, "failed: HTTP 404"),
        (429, json, error("7"), false, "failed: HTTP 429"),
        (503, "text/html", "<html>".to_owned(), false, "failed: HTTP 503"),
        (503, json, "{}".to_owned(), false, "failed: HTTP 503"),
        (202, json, String::new(), false, "null"),
        (
            200,
            "text/html",
            "<html>".to_owned(),
            false,
            "failed: Unexpected content type: Some(\"text/html\")",
        ),
        (200, json, "{\"half\": ".to_owned(), false, "failed: unexpected server response: EOF"),
        (200, json, "{}".to_owned(), false, "failed: unexpected server response: it is not"),
        (200, json, String::new(), false, "failed: unexpected server response: EOF"),
        (400, "text/plain", "no".to_owned(), true, "failed: HTTP 400"),
        (410, "text/html", "gone".to_owned(), true, "failed: HTTP 410"),
    ] {
        let got = ask(status, kind, &body, &call, in_session).await;
        assert!(got.starts_with(expected), "{status} {body}: {got}");
    }
    // A refusal is read to its bound and no further.
    let long = ask(400, "text/plain", &"x".repeat(200_000), &call, false).await;
    assert!(long.len() < REFUSAL_BYTES_MAX + 200, "{}", long.len());
    // What needs no answer needs none of a kind.
    assert_eq!(ask(200, json, "", &notification(), false).await, "null");
    for (status, kind, body) in [
        (200, "text/plain", "ok"),
        (201, "text/html", "<p>ok</p>"),
        (200, json, "null"),
        (200, "text/event-stream", "data: ok\n\n"),
        (204, "", ""),
    ] {
        assert_eq!(ask(status, kind, body, &notification(), true).await, "null", "{kind}");
    }
}

#[tokio::test]
async fn a_session_that_the_server_forgot_is_told_by_words_too() {
    let error = |id: &str, words: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32000,"message":"{words}"}}}}"#)
    };
    let json = "application/json";
    let lost = "Session expired (HTTP 404)";
    for (status, kind, body, expected, doubted) in [
        (400, json, error("null", "Bad Request: No valid session ID provided"), lost, false),
        (400, json, error("\"server-error\"", "Missing session ID"), lost, false),
        (400, "text/plain", "Session not found".to_owned(), lost, false),
        (400, json, r#"{"error":"Server not initialized"}"#.to_owned(), lost, false),
        (404, "text/html", "<p>gone</p>".to_owned(), lost, false),
        (410, "text/plain", "the session has ended".to_owned(), lost, false),
        (200, json, error("null", "Session not found"), lost, false),
        // What names the request may be about a session of the tool's own: nothing is repeated, and
        // the tools are asked for, which shows whether the session is there.
        (400, json, error("7", "Server not initialized"), "Server not initialized", true),
        (400, json, error("null", "Bad Request"), "Bad Request", true),
        (400, "text/plain", "Bad Request".to_owned(), "HTTP 400", true),
        (200, json, error("7", "Session not found"), "Session not found", false),
    ] {
        let replies = replies();
        let response = answered(status, kind, vec![body.clone().into_bytes()]);
        let got = replies.of_post(response, &message("tools/call"), true).await;
        let got = match got {
            Ok(StreamableHttpPostResponse::Json(message, _)) => {
                let message = serde_json::to_value(message).unwrap();
                assert_eq!(message["id"], 7, "{body}");
                message.to_string()
            }
            Ok(_) => panic!("{body}"),
            Err(failure) => failure.to_string(),
        };
        assert!(got.contains(expected), "{status} {body}: {got}");
        let is_doubted = replies.doubt.notified().now_or_never().is_some();
        assert_eq!(is_doubted, doubted, "{status} {body}");
    }
    // Without a session there is none to lose.
    let response = answered(400, json, vec![error("null", "Session not found").into_bytes()]);
    let got = posted(response, &message("tools/call"), false).await.unwrap();
    assert_eq!(got["error"]["message"], "Session not found");
}

#[tokio::test]
async fn an_answer_is_read_whatever_its_type_and_however_many_messages_it_has() {
    let result = r#"{"jsonrpc":"2.0","id":7,"result":{}}"#;
    let call = message("tools/call");
    for kind in ["application/json; charset=utf-8", "text/plain", "application/json-rpc", ""] {
        let got = posted(answered(200, kind, vec![result.into()]), &call, false).await.unwrap();
        assert_eq!(got["id"], 7, "{kind}");
    }
    let list = format!("[{PING},{result}]").into_bytes();
    let got = posted(answered(200, "application/json", vec![list]), &call, false).await.unwrap();
    assert_eq!(got, json!([PING, result]));
    // An event without a message still says where to go on after it.
    let text = "id: 5\ndata: [DONE]\n\nevent: ping\ndata: {}\n\n";
    let events = intake("text/event-stream", vec![text.into()], 1_000).events(None, incoming());
    let events: Vec<_> = events.map(|event| event.unwrap()).collect().await;
    assert_eq!((events[0].id.as_deref(), &events[0].data), (Some("5"), &None));
    assert!(events.iter().all(|event| event.data.is_none()));
}
