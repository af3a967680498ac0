use bytes::Bytes;
use futures::FutureExt;
use serde_json::{Value, json};

use super::*;
use crate::catalog::mcp::message::OVERSIZED;

/// A message that passes as it is.
const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

/// An answer whose body comes in these pieces.
fn answered(status: u16, kind: &str, pieces: Vec<Vec<u8>>) -> Response {
    let pieces =
        stream::iter(pieces.into_iter().map(|piece| Ok::<_, std::io::Error>(Bytes::from(piece))));
    let response = http::Response::builder().status(status).header(CONTENT_TYPE, kind);
    response.body(reqwest::Body::wrap_stream(pieces)).unwrap().into()
}

/// The beginning of an error in place of an answer that cannot be read.
const LOST: &str = r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32097"#;
/// An error of a server that does not know the method.
const UNKNOWN: &str =
    r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32601,"message":"no such method"}}"#;

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
    let (response_limits, doubt, elsewhere) = Default::default();
    ReplyReader { response_limits, incoming: incoming(), doubt, elsewhere }
}

fn incoming() -> Incoming {
    Incoming::new("its event stream")
}

async fn posted(
    response: Response,
    message: &ClientJsonRpcMessage,
    in_session: bool,
) -> Result<Value, Failure> {
    match replies().of_post(response, message, in_session).await.answer? {
        StreamableHttpPostResponse::Json(message, _) => Ok(serde_json::to_value(message).unwrap()),
        StreamableHttpPostResponse::Sse(events, _) => {
            let data: Vec<_> = events.map(|event| event.unwrap().data).collect().await;
            Ok(json!(data))
        }
        _ => Ok(Value::Null),
    }
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
        (202, json, String::new(), false, LOST),
        (204, "", String::new(), true, "null"),
        (200, "text/html", "<html>".to_owned(), false, "failed: Unexpected content type: Some"),
        (200, json, "{\"half\": ".to_owned(), false, "failed: unexpected server response: EOF"),
        (200, json, "{}".to_owned(), false, "failed: unexpected server response: it is not"),
        (200, json, PING.to_owned(), false, "[\"{"),
        (200, json, UNKNOWN.replace('7', "8"), false, LOST),
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
    for (status, kind, body, expected, notified, doubtful) in [
        (400, json, error("null", "Bad Request: No valid session ID"), lost, false, false),
        (400, json, error("\"server-error\"", "Missing session ID"), lost, false, false),
        (400, "text/plain", "Session not found".to_owned(), lost, false, false),
        (400, json, r#"{"error":"Server not initialized"}"#.to_owned(), lost, false, false),
        (403, json, error("null", "Unknown session"), lost, false, false),
        (422, "text/plain", "session expired".to_owned(), lost, false, false),
        (404, "text/html", "<p>gone</p>".to_owned(), lost, false, false),
        (410, "text/plain", "the session has ended".to_owned(), lost, false, false),
        (200, json, error("null", "Session not found"), lost, false, false),
        // What names the request may be about a session of the tool's own: whether the session is
        // there can be asked.
        (400, json, error("7", "Server not initialized"), "Server not initialized", false, true),
        (200, json, error("7", "Session not found"), "Session not found", false, true),
        (500, "text/plain", "Session not found".to_owned(), "HTTP 500", false, true),
        (500, json, error("7", "Session not found"), "Session not found", false, true),
        // The tools are asked for, which shows whether the session is there.
        (400, json, error("null", "Bad Request"), "Bad Request", true, false),
        (400, "text/plain", "Bad Request".to_owned(), "HTTP 400", true, false),
        (404, json, UNKNOWN.to_owned(), "no such method", false, false),
    ] {
        let replies = replies();
        let response = answered(status, kind, vec![body.clone().into_bytes()]);
        let reply = replies.of_post(response, &message("tools/call"), true).await;
        let got = match reply.answer {
            Ok(StreamableHttpPostResponse::Json(message, _)) => {
                let message = serde_json::to_value(message).unwrap();
                assert_eq!(message["id"], 7, "{body}");
                message.to_string()
            }
            Ok(_) => panic!("{body}"),
            Err(failure) => failure.to_string(),
        };
        assert!(got.contains(expected), "{status} {body}: {got}");
        let is_notified = replies.doubt.notified().now_or_never().is_some();
        assert_eq!((is_notified, reply.is_doubtful), (notified, doubtful), "{status} {body}");
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
}

#[tokio::test]
async fn a_session_that_does_not_answer_counts_as_there() {
    let within = Duration::from_millis(50);
    let answer = |kind: &str, text: &'static str| -> Response {
        let begun = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(text.as_bytes()))]);
        let body = reqwest::Body::wrap_stream(begun.chain(stream::pending()));
        http::Response::builder().header(CONTENT_TYPE, kind).body(body).unwrap().into()
    };
    let lost = r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"session not found"}}"#;
    assert!(!ReplyReader::denies_session(answer(JSON, lost), within).await, "it has no end");
    assert!(!ReplyReader::denies_session(answer(EVENT_STREAM, ": open\n\n"), within).await);
    let event = "data: {\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":1,\"message\":\"session \
        not found\"}}\n\n";
    let long = Duration::from_secs(3_600);
    assert!(ReplyReader::denies_session(answer(EVENT_STREAM, event), long).await);
    let whole = answered(200, JSON, vec![lost.into()]);
    assert!(ReplyReader::denies_session(whole, long).await);
}
