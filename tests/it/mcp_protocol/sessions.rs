//! The sessions of legacy clients: ids that repeat, sessions that are lost.

use super::*;

/// A legacy session as a client uses it: every message names it.
#[derive(Clone)]
struct Session {
    raw: Raw,
    id: String,
    version: Option<&'static str>,
}

impl Session {
    async fn begin(server: &Server) -> Self {
        let raw = server.raw();
        let (id, _) = begin(&raw, "2025-11-25").await;
        Self { raw, id, version: Some("2025-11-25") }
    }

    fn named(server: &Server, id: &str, version: Option<&'static str>) -> Self {
        Self { raw: server.raw(), id: id.to_owned(), version }
    }

    async fn post(&self, message: Value) -> clients::Reply {
        let mut headers = JSON.to_vec();
        headers.push(("mcp-session-id", self.id.as_str()));
        headers.extend(self.version.map(|version| ("mcp-protocol-version", version)));
        self.raw.send("POST", "/mcp", &headers, message.to_string()).await
    }

    async fn execute(&self, id: Value, code: String, token: Option<&str>) -> clients::Reply {
        let mut call = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call",
            "params": {"name": "execute", "arguments": {"code": code}}});
        if let Some(token) = token {
            call["params"]["_meta"] = json!({"progressToken": token});
        }
        self.post(call).await
    }
}

/// A program that returns a word after so long.
fn word(word: &str, ms: u64) -> String {
    format!("await new Promise((resolve) => setTimeout(resolve, {ms})); return \"{word}\"")
}

#[tokio::test]
async fn requests_with_one_id_and_one_token_each_get_their_own_answer() {
    let server = Server::start().await;
    let session = Session::begin(&server).await;
    for (id, first, second) in
        [(json!(1), 200, 600), (json!(1), 600, 200), (json!("a"), 300, 300), (json!(0), 500, 250)]
    {
        let (a, b, list) = tokio::join!(
            session.execute(id.clone(), word("first", first), Some("t")),
            session.execute(id.clone(), word("second", second), Some("t")),
            session.post(json!({"jsonrpc": "2.0", "id": id, "method": "tools/list"})),
        );
        for (reply, expected) in [(a, "first"), (b, "second")] {
            let answer = reply.json();
            assert_eq!(answer["id"], id, "{reply:?}");
            assert_eq!(answer["result"]["structuredContent"]["result"], expected, "{reply:?}");
            let progress =
                reply.text.lines().filter(|line| line.contains("notifications/progress"));
            let mut told = 0;
            for line in progress {
                let notice: Value =
                    serde_json::from_str(line.strip_prefix("data:").unwrap()).unwrap();
                assert_eq!(notice["params"]["progressToken"], "t");
                told += 1;
            }
            assert!(told > 0, "its own progress: {reply:?}");
            assert_eq!(reply.text.matches("\"result\":{").count(), 1, "one answer: {reply:?}");
        }
        assert_eq!(list.json()["id"], id);
        assert_eq!(list.json()["result"]["tools"].as_array().unwrap().len(), 4);
    }
}

#[tokio::test]
async fn a_cancellation_that_may_mean_two_requests_stops_neither() {
    let server = Server::start().await;
    let session = Session::begin(&server).await;
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled",
        "params": {"requestId": 1}});
    let running = {
        let session = session.clone();
        tokio::spawn(async move {
            tokio::join!(
                session.execute(json!(1), word("first", 1500), None),
                session.execute(json!(1), word("second", 1500), None),
            )
        })
    };
    until("both are recorded", || server.below.tasks().len() == 2).await;
    assert_eq!(session.post(cancel.clone()).await.status, 202);
    let (first, second) = running.await.unwrap();
    assert_eq!(first.json()["result"]["structuredContent"]["result"], "first");
    assert_eq!(second.json()["result"]["structuredContent"]["result"], "second");
    assert_eq!(server.below.count(TaskStatus::Cancelled), 0);
    // One that means one request stops it.
    let alone = {
        let session = session.clone();
        tokio::spawn(async move { session.execute(json!(1), sleep(60_000), None).await })
    };
    until("the third is recorded", || server.below.tasks().len() == 3).await;
    assert_eq!(session.post(cancel).await.status, 202);
    until("it is cancelled", || server.below.count(TaskStatus::Cancelled) == 1).await;
    assert!(!alone.await.unwrap().text.contains("\"result\""), "and is not answered");
}

#[tokio::test]
async fn a_session_that_the_server_does_not_know_is_served() {
    let earlier = Server::start().await;
    let ours = Session::begin(&earlier).await.id;
    drop(earlier);
    let server = Server::start().await;
    for (id, version) in [
        (ours.as_str(), Some("2025-11-25")),
        ("11111111-2222-3333-4444-555555555555", Some("2025-06-18")),
        ("11111111-2222-3333-4444-666666666666", None),
        ("of another server", Some("2025-03-26")),
    ] {
        let session = Session::named(&server, id, version);
        let calls = (0..8).map(|n| session.execute(json!(n), format!("return {n}"), None));
        for (n, reply) in futures::future::join_all(calls).await.into_iter().enumerate() {
            assert_eq!(reply.status, 200, "{id}: {reply:?}");
            let answer = reply.json();
            assert_eq!(
                (&answer["id"], &answer["result"]["structuredContent"]["result"]),
                (&json!(n), &json!(n)),
                "{id}: {reply:?}"
            );
        }
        let get = format!(
            "GET /mcp HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\nMcp-Session-Id: {id}{}\r\n\r\n",
            server.address, "-2"
        );
        let (_, head) =
            server.raw().exchange(get.as_bytes(), |read| read.contains("\r\n\r\n")).await;
        assert!(head.starts_with("HTTP/1.1 200"), "{id}: {head}");
    }
}

#[tokio::test]
async fn a_session_that_its_client_ended_or_that_can_be_none_is_refused_with_the_way_out() {
    let server = Server::start().await;
    let session = Session::begin(&server).await;
    let headers = [("mcp-session-id", session.id.as_str()), ("mcp-protocol-version", "2025-11-25")];
    assert_eq!(session.raw.send("DELETE", "/mcp", &headers, "").await.status, 204);
    let long = Session::named(&server, &"x".repeat(129), None);
    for session in [session, long] {
        let refused = session.execute(json!(77), "return 1".to_owned(), None).await;
        assert_eq!((refused.status, &refused.json()["id"]), (404, &json!(77)));
        let told = refused.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(told.contains("initialize again"), "{told}");
        let headers = [("mcp-session-id", session.id.as_str()), ("accept", "text/event-stream")];
        let refused = session.raw.send("GET", "/mcp", &headers, "").await;
        assert_eq!(refused.status, 404, "{refused:?}");
    }
    let none = server.raw().send("POST", "/mcp", &JSON, sleepless()).await;
    assert_eq!((none.status, &none.json()["id"]), (400, &json!(5)));
    assert!(none.json()["error"]["message"].as_str().unwrap().contains("initialize first"));
}

fn sleepless() -> String {
    json!({"jsonrpc": "2.0", "id": 5, "method": "tools/list"}).to_string()
}

#[tokio::test]
async fn a_greeting_that_names_an_old_session_gets_a_new_one() {
    let server = Server::start().await;
    let old = Session::begin(&server).await.id;
    for named in [old.as_str(), "of an earlier server"] {
        let mut headers = JSON.to_vec();
        headers.push(("mcp-session-id", named));
        let reply = server.raw().send("POST", "/mcp", &headers, hello("2025-11-25")).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_ne!(reply.header("mcp-session-id").unwrap(), named);
    }
}
