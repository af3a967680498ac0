//! Sessions that a server has lost, in all the ways that servers say so: a new one is begun, and a
//! call that certainly did not reach its tool is sent again.

use axum::{http::HeaderMap, response::Response};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::{
    called,
    over_http::{serve, tables, typed},
};
use crate::support::{
    server::{TestServer, eventually},
    upstream::result,
};

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

/// Ends the sessions: the next number is the one that counts.
static ENDED: Mutex<bool> = Mutex::new(false);

/// How a server says that it has no such session.
fn refusal(name: &str, message: &Value) -> Response {
    let json = "application/json";
    let error = |id: &Value, words: &str| {
        let error = json!({"code": -32000, "message": words});
        json!({"jsonrpc": "2.0", "id": id, "error": error}).to_string()
    };
    let (own, none) = (&message["id"], &Value::Null);
    match name {
        "nullid" => typed(400, json, error(none, "Bad Request: No valid session ID provided")),
        "ownid" => typed(400, json, error(own, "Server not initialized")),
        "plain" => typed(400, "text/plain", "Session not found"),
        "mute" => typed(400, "text/plain", "Bad Request"),
        "ok" => typed(200, json, error(none, "session not found")),
        "okown" => typed(200, json, error(own, "Session expired")),
        "event" => {
            let event = format!("data: {}\n\n", error(own, "Invalid session ID"));
            typed(200, "text/event-stream", event)
        }
        "forbidden" => typed(403, json, error(none, "Unknown session")),
        "conflict" => typed(409, json, r#"{"error":"session_expired"}"#),
        "entity" => typed(422, "text/plain", "Missing session"),
        "broken" => typed(500, "text/html", "<p>Error: Session not found</p>"),
        "trouble" => typed(503, json, error(own, "unknown session")),
        _ => typed(404, "text/plain", "gone"),
    }
}

/// A new session of this server.
fn begun(name: &str, message: &Value) -> Response {
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
    answer
}

fn forgetful(name: &str, message: &Value, headers: &HeaderMap) -> Option<Response> {
    let session = headers.get("mcp-session-id").and_then(|value| value.to_str().ok());
    if message["method"] == "initialize" {
        return Some(begun(name, message));
    }
    if session == Some("s1") && *ENDED.lock() {
        return Some(refusal(name, message));
    }
    match message["method"].as_str() {
        Some("ping") => return Some(result(message, json!({}))),
        Some("tools/call") => count(name, 0, 1),
        _ => {}
    }
    None
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_the_server_forgot_is_begun_anew() {
    let names = [
        "gone",
        "nullid",
        "plain",
        "ok",
        "ownid",
        "mute",
        "okown",
        "event",
        "forbidden",
        "conflict",
        "entity",
        "broken",
        "trouble",
    ];
    let (url, task) = serve(forgetful).await;
    let server = TestServer::with(&tables(&url, &names)).await;
    for name in names {
        assert_eq!(called(&server, &format!("{name}.t")).await["result"], "fine", "{name}");
    }
    *ENDED.lock() = true;
    for name in names {
        let first = called(&server, &format!("{name}.t")).await;
        // What says nothing of the session is not sent again.
        let is_repeated = name != "mute";
        assert_eq!(first["result"] == "fine", is_repeated, "{name}: {first}");
        eventually(&format!("{name} works again"), async || {
            (called(&server, &format!("{name}.t")).await["result"] == "fine").then_some(())
        })
        .await;
        let (sessions, calls) = sessions(name);
        assert_eq!(sessions, 2, "{name}");
        // Each call was performed once: the refused one too, where it was sent again.
        assert_eq!(calls, if is_repeated { 3 } else { 2 }, "{name}");
    }
    server.stop().await;
    task.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_tool_says_of_a_session_of_its_own_is_passed_on_and_the_call_is_not_repeated() {
    let (url, task) = serve(|name, message, _| match message["method"].as_str() {
        Some("tools/call") => {
            count(name, 0, 1);
            let error = json!({"code": -32000, "message": "Session not found: 7"});
            let body = json!({"jsonrpc": "2.0", "id": message["id"], "error": error});
            let status = if name == "sick" { 500 } else { 200 };
            Some(typed(status, "application/json", body.to_string()))
        }
        Some("initialize") => Some(begun(name, message)),
        Some("ping") => Some(result(message, json!({}))),
        _ => None,
    })
    .await;
    let names = ["fine", "sick"];
    let server = TestServer::with(&tables(&url, &names)).await;
    for name in names {
        let answer = called(&server, &format!("{name}.t")).await;
        assert!(answer["error"].to_string().contains("Session not found: 7"), "{name}: {answer}");
        assert_eq!(sessions(name), (1, 1), "{name}");
    }
    server.stop().await;
    task.abort();
}
