//! The same over HTTP: whole bodies and events, acknowledgements, and what is no answer.

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};

use super::{CALL_TIMEOUT_MS, called};
use crate::support::{
    server::TestServer,
    upstream::{install_crypto, one_tool, result},
};

pub(super) type Answer = fn(&str, &Value, &HeaderMap) -> Option<Response>;

/// A server whose path decides how it is odd; what `answer` leaves is answered well.
pub(super) async fn serve(answer: Answer) -> (String, tokio::task::JoinHandle<()>) {
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

pub(super) fn tables(url: &str, names: &[&str]) -> String {
    let table = |name: &&str| {
        format!(
            "[upstreams.{name}]\nurl = \"{url}/{name}\"\nallow_private = true\ncall_timeout_ms = \
            {CALL_TIMEOUT_MS}\n"
        )
    };
    names.iter().map(table).collect()
}

pub(super) fn typed(status: u16, kind: &str, body: impl Into<Body>) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    (status, [(header::CONTENT_TYPE, kind.to_owned())], body.into()).into_response()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_answers_come_through_in_bodies_and_in_events_alike() {
    let names = ["half", "nan", "nullid", "plain", "batch", "code", "cut", "log", "two"];
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
            "log" => ("application/json", format!("LOG {fine}")),
            "two" => ("application/json", format!(r#"{{"jsonrpc":"2.0","method":"x"}}{fine}"#)),
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
            "plain" | "batch" | "log" | "two" => (json!("fine"), ""),
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
async fn what_is_no_answer_to_the_call_fails_it_at_once() {
    let names = ["accepted", "nothing", "other", "otherror", "notice", "event", "type", "unended"];
    let (url, task) = serve(|name, message, _| {
        if message["method"] != "tools/call" {
            return None;
        }
        let fine = json!({"content": [{"type": "text", "text": "fine"}]});
        let other = json!({"jsonrpc": "2.0", "id": 9999, "result": fine}).to_string();
        let own = json!({"jsonrpc": "2.0", "id": message["id"], "result": fine}).to_string();
        let error = json!({"jsonrpc": "2.0", "id": 0, "error": {"code": 1, "message": "no row"}});
        let json = "application/json";
        Some(match name {
            "accepted" => StatusCode::ACCEPTED.into_response(),
            "nothing" => StatusCode::NO_CONTENT.into_response(),
            "other" => typed(200, json, other),
            "otherror" => typed(200, json, error.to_string()),
            "notice" => typed(200, json, r#"{"jsonrpc":"2.0","method":"notifications/x"}"#),
            "event" => typed(200, "text/event-stream", format!("data: {other}\n\n")),
            "type" => typed(200, "Text/Event-Stream; charset=UTF-8", format!("data: {own}\n\n")),
            // The stream ends right after the event.
            _ => typed(200, "text/event-stream", format!("event: message\ndata: {own}")),
        })
    })
    .await;
    let server = TestServer::with(&tables(&url, &names)).await;
    for name in names {
        let answer = called(&server, &format!("{name}.t")).await;
        let words = match name {
            "accepted" => "HTTP 202 Accepted, which is no answer to a request",
            "nothing" => "HTTP 204 No Content, which is no answer to a request",
            "other" | "event" => "it names request 9999 instead of",
            "otherror" => ": no row",
            "notice" => "its messages have no answer",
            _ => {
                assert_eq!(answer["result"], "fine", "{name}: {answer}");
                continue;
            }
        };
        let message = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(message.contains(words), "{name}: {answer}");
        assert!(message.contains("may have taken effect"), "{name}: {answer}");
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
