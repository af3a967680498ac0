//! The same over HTTP: whole bodies and events, acknowledgements, and sessions that were forgotten.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::{CALL_TIMEOUT_MS, called};
use crate::support::{
    server::TestServer,
    upstream::{install_crypto, one_tool, result},
};

type Answer = fn(&str, &Value, &HeaderMap) -> Option<Response>;

/// A server whose path decides how it is odd; what `answer` leaves is answered well.
async fn serve(answer: Answer) -> (String, tokio::task::JoinHandle<()>) {
    async fn odd(
        State(answer): State<Answer>,
        Path(name): Path<String>,
        headers: HeaderMap,
        body: Bytes,
    ) -> Response {
        let message: Value = serde_json::from_slice(&body).unwrap();
        if let Some(odd) = answer(&name, &message, &headers) {
            return odd;
        }
        match message["method"].as_str() {
            _ if message.get("id").is_none() => StatusCode::ACCEPTED.into_response(),
            Some("initialize") => result(
                &message,
                json!({
                    "protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                    "serverInfo": {"name": "odd", "version": "1"}
                }),
            ),
            Some("tools/list") => one_tool(&message),
            Some("tools/call") => {
                result(&message, json!({"content": [{"type": "text", "text": "fine"}]}))
            }
            _ => crate::support::upstream::error(&message, -32601, "no such method"),
        }
    }
    install_crypto();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/{name}", post(odd)).with_state(answer);
    let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (format!("http://{address}"), task)
}

fn tables(url: &str, names: &[&str]) -> String {
    let table = |name: &&str| {
        format!(
            "[upstreams.{name}]\nurl = \"{url}/{name}\"\nallow_private = true\ncall_timeout_ms = \
            {CALL_TIMEOUT_MS}\n"
        )
    };
    names.iter().map(table).collect()
}

fn typed(status: u16, kind: &str, body: impl Into<Body>) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    (status, [(header::CONTENT_TYPE, kind.to_owned())], body.into()).into_response()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_answers_come_through_in_bodies_and_in_events_alike() {
    let names = ["half", "nan", "nullid", "plain", "batch", "code", "cut"];
    let all: Vec<String> =
        names.iter().flat_map(|name| [(*name).to_owned(), format!("{name}_event")]).collect();
    let (url, task) = serve(|name, message, _| {
        if message["method"] != "tools/call" {
            return None;
        }
        let id = &message["id"];
        let raw = |result: &str| format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#);
        let fine = raw(r#"{"content":[{"type":"text","text":"fine"}]}"#);
        let (kind, body) = match name.trim_end_matches("_event") {
            "half" => ("application/json", raw(r#"{"content":[{"type":"text","text":"x \ud83d"}]}"#)),
            "nan" => ("application/json", raw(r#"{"content":[],"structuredContent":{"v":NaN}}"#)),
            "nullid" => (
                "application/json",
                r#"{"jsonrpc":"2.0","id":null,"error":{"code":-1,"message":"no such row"}}"#.to_owned(),
            ),
            "plain" => ("text/plain", fine),
            "batch" => ("application/json", format!("[{fine}]")),
            "code" => (
                "application/json",
                format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":"E","message":"no such row"}}}}"#),
            ),
            _ => ("application/json", raw(r#"{"content":[{"ty"#)),
        };
        if !name.ends_with("_event") {
            return Some(typed(200, kind, body));
        }
        // The stream stays open after the event.
        let event = futures::stream::iter([Ok::<_, std::io::Error>(format!("data: {body}\n\n"))]);
        let open = futures::StreamExt::chain(event, futures::stream::pending());
        Some(typed(200, "text/event-stream", Body::from_stream(open)))
    })
    .await;
    let server =
        TestServer::with(&tables(&url, &all.iter().map(String::as_str).collect::<Vec<_>>())).await;
    for name in &all {
        let answer = called(&server, &format!("{name}.t")).await;
        let (value, words) = match name.trim_end_matches("_event") {
            "half" => (json!("x \u{FFFD}"), ""),
            "nan" => (json!({"v": null}), ""),
            "plain" | "batch" => (json!("fine"), ""),
            "cut" => (Value::Null, "cannot be read"),
            _ => (Value::Null, "no such row"),
        };
        match words {
            "" => assert_eq!(answer["result"], value, "{name}: {answer}"),
            words => {
                let message = answer["error"]["message"].as_str().unwrap_or_default();
                assert!(message.contains(words), "{name}: {answer}");
            }
        }
    }
    server.stop().await;
    task.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_success_acknowledges_a_notification() {
    let names = ["plain", "html", "jsonnull", "jsonobject", "event", "created", "nocontent"];
    let (url, task) = serve(|name, message, _| {
        if message.get("id").is_some() {
            return None;
        }
        Some(match name {
            "plain" => typed(200, "text/plain", "ok"),
            "html" => typed(200, "text/html", "<p>ok</p>"),
            "jsonnull" => typed(200, "application/json", "null"),
            "jsonobject" => typed(200, "application/json", "{}"),
            "event" => typed(200, "text/event-stream", ""),
            "created" => typed(201, "text/plain", "ok"),
            _ => StatusCode::NO_CONTENT.into_response(),
        })
    })
    .await;
    let server = TestServer::with(&tables(&url, &names)).await;
    for name in names {
        let answer = called(&server, &format!("{name}.t")).await;
        assert_eq!(answer["result"], "fine", "{name}: {answer}");
    }
    server.stop().await;
    task.abort();
}

/// Sessions by the name of their server: how many there were, and the calls that were performed.
static SESSIONS: Mutex<Vec<(String, usize, usize)>> = Mutex::new(Vec::new());

fn sessions(name: &str) -> (usize, usize) {
    let all = SESSIONS.lock();
    let of = all.iter().find(|(known, ..)| known == name);
    of.map(|(_, sessions, calls)| (*sessions, *calls)).unwrap_or_default()
}

fn count(name: &str, sessions: usize, calls: usize) {
    let mut all = SESSIONS.lock();
    let at = all.iter().position(|(known, ..)| known == name).unwrap_or_else(|| {
        all.push((name.to_owned(), 0, 0));
        all.len() - 1
    });
    all[at].1 += sessions;
    all[at].2 += calls;
}

/// Ends the session of a server: the next number is the one that counts.
static ENDED: Mutex<bool> = Mutex::new(false);

fn forgetful(name: &str, message: &Value, headers: &HeaderMap) -> Option<Response> {
    let session = headers.get("mcp-session-id").and_then(|value| value.to_str().ok());
    if message["method"] == "initialize" {
        count(name, 1, 0);
        let mut answer = result(
            message,
            json!({
                "protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                "serverInfo": {"name": "odd", "version": "1"}
            }),
        );
        let session = format!("s{}", sessions(name).0);
        answer.headers_mut().insert("mcp-session-id", session.parse().unwrap());
        return Some(answer);
    }
    if session == Some("s1") && *ENDED.lock() {
        let error = |id: &Value, words: &str| {
            let error = json!({"code": -32000, "message": words});
            json!({"jsonrpc": "2.0", "id": id, "error": error}).to_string()
        };
        return Some(match name {
            "nullid" => {
                let words = "Bad Request: No valid session ID provided";
                typed(400, "application/json", error(&Value::Null, words))
            }
            "ownid" => {
                typed(400, "application/json", error(&message["id"], "Server not initialized"))
            }
            "plain" => typed(400, "text/plain", "Session not found"),
            "mute" => typed(400, "text/plain", "Bad Request"),
            "ok" => typed(200, "application/json", error(&Value::Null, "session not found")),
            _ => typed(404, "text/plain", "gone"),
        });
    }
    if message["method"] == "tools/call" {
        count(name, 0, 1);
    }
    None
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_the_server_forgot_is_begun_anew() {
    let names = ["gone", "nullid", "plain", "ok", "ownid", "mute"];
    let (url, task) = serve(forgetful).await;
    let server = Arc::new(TestServer::with(&tables(&url, &names)).await);
    for name in names {
        assert_eq!(called(&server, &format!("{name}.t")).await["result"], "fine", "{name}");
    }
    *ENDED.lock() = true;
    for name in names {
        let first = called(&server, &format!("{name}.t")).await;
        // What may be about a session of the tool's own is not sent again.
        let is_repeated = !matches!(name, "ownid" | "mute");
        assert_eq!(first["result"] == "fine", is_repeated, "{name}: {first}");
        crate::support::server::eventually(&format!("{name} works again"), async || {
            (called(&server, &format!("{name}.t")).await["result"] == "fine").then_some(())
        })
        .await;
        let (sessions, calls) = sessions(name);
        assert_eq!(sessions, 2, "{name}");
        // Each call was performed once: the refused one too, where it was sent again.
        assert_eq!(calls, if is_repeated { 3 } else { 2 }, "{name}");
    }
    let Ok(server) = Arc::try_unwrap(server) else { panic!("nobody else has it") };
    server.stop().await;
    task.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_the_old_transport_is_named() {
    use axum::routing::{any, get};
    install_crypto();
    let stream = |first: &'static str| {
        move || async move {
            let begun = futures::stream::iter([Ok::<_, std::io::Error>(first)]);
            let body = futures::StreamExt::chain(begun, futures::stream::pending());
            ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(body))
        }
    };
    let old = "event: endpoint\ndata: /messages?sessionId=1\n\n";
    let refuse = |status: StatusCode| move || async move { status };
    let router = Router::new()
        .route("/missing", get(stream(old)).post(refuse(StatusCode::NOT_FOUND)))
        .route("/method", get(stream(old)))
        .route("/bad", get(stream(old)).post(|| async { (StatusCode::BAD_REQUEST, "no session") }))
        .route(
            "/other",
            get(stream("event: message\ndata: {}\n\n")).post(refuse(StatusCode::NOT_FOUND)),
        )
        .route("/silent", get(stream(": open\n\n")).post(refuse(StatusCode::NOT_FOUND)))
        .route("/nothing", any(refuse(StatusCode::NOT_FOUND)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let names = ["missing", "method", "bad", "other", "silent", "nothing"];
    let server = TestServer::with(&tables(&url, &names)).await;
    for (at, name) in names.into_iter().enumerate() {
        let message = crate::support::server::eventually("it failed", async || {
            let (_, health) = server.owner(reqwest::Method::GET, "/healthz").await;
            let all = health["upstreams"].as_array().expect("a list").clone();
            let status = all.into_iter().find(|status| status["name"] == name)?;
            status["message"].as_str().map(str::to_owned)
        })
        .await;
        let is_named = message.contains("speaks only HTTP+SSE") && message.contains("mcp-remote");
        assert_eq!(is_named, at < 3, "{name}: {message}");
    }
    task.abort();
}
