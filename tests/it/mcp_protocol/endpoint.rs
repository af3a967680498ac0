//! What the HTTP server lets in, how it refuses, and how it holds a silent call.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{clients::modern_post, *};

fn list() -> String {
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {}}}})
    .to_string()
}

const MODERN: [(&str, &str); 4] =
    [JSON[0], JSON[1], ("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/list")];

#[tokio::test]
async fn only_our_own_names_and_pages_come_in() {
    let server = Server::start().await;
    let raw = server.raw();
    let own = server.address.to_string();
    let port = server.address.port();
    let page = |host: &str| format!("http://{host}:{port}");
    for (host, origin, status) in [
        (own.as_str(), None, 200),
        (&format!("localhost:{port}"), None, 200),
        (&format!("[::1]:{port}"), None, 200),
        (&own, Some(page("127.0.0.1")), 200),
        (&own, Some(page("localhost")), 200),
        (&own, Some("http://localhost:1".to_owned()), 403),
        (&own, Some(format!("https://localhost:{port}")), 403),
        (&own, Some("https://evil.example".to_owned()), 403),
        (&own, Some("null".to_owned()), 403),
        (&own, Some(String::new()), 403),
        (&own, Some(format!("http://127.0.0.1:{port}.evil.example")), 403),
        ("evil.example", None, 403),
        (&format!("evil.example:{port}"), None, 403),
        (&format!("localhost.evil.example:{port}"), None, 403),
        (&format!("127.0.0.1.nip.io:{port}"), None, 403),
        ("0.0.0.0", None, 403),
        ("", None, 400),
        ("a b", None, 400),
    ] {
        for path in ["/mcp", "/healthz", "/metrics", "/v1/tasks", "/nothing"] {
            let method = if path == "/mcp" { "POST" } else { "GET" };
            let body = if path == "/mcp" { list() } else { String::new() };
            let origin =
                origin.as_ref().map(|origin| format!("Origin: {origin}\r\n")).unwrap_or_default();
            let headers: String =
                MODERN.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            let request = format!(
                "{method} {path} HTTP/1.1\r\nHost: {host}\r\n{origin}{headers}Authorization: \
                Bearer {OWNER}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            let (_, reply) =
                raw.exchange(request.as_bytes(), |read| read.contains("\r\n\r\n")).await;
            let expected = if path == "/nothing" && status == 200 { 404 } else { status };
            assert!(
                reply.starts_with(&format!("HTTP/1.1 {expected}")),
                "{host} {origin} {path}: {reply}"
            );
        }
    }
}

#[tokio::test]
async fn two_hosts_or_two_origins_are_refused() {
    let server = Server::start().await;
    let raw = server.raw();
    let own = server.address;
    for doubled in [
        format!("Host: {own}\r\nHost: evil.example"),
        format!("Host: {own}\r\nOrigin: http://{own}\r\nOrigin: https://evil.example"),
    ] {
        let request = format!("GET /healthz HTTP/1.1\r\n{doubled}\r\nConnection: close\r\n\r\n");
        let (_, reply) = raw.exchange(request.as_bytes(), |read| read.contains("\r\n\r\n")).await;
        assert!(reply.starts_with("HTTP/1.1 4"), "{doubled}: {reply}");
    }
}

#[tokio::test]
async fn configured_hosts_and_origins_come_in() {
    let options = HttpOptions {
        rates: RateLimits::new(0, 0),
        allowed_hosts: vec!["airlock.example".to_owned()],
        allowed_origins: vec!["https://app.example".to_owned(), "http://dev.example:*".to_owned()],
        ..HttpOptions::default()
    };
    let server = Server::with(options, &Setup::default()).await;
    let raw = server.raw();
    for (origin, status) in [
        ("https://app.example", 200),
        ("https://app.example:443", 200),
        ("https://app.example:8443", 403),
        ("http://dev.example:3000", 200),
        ("http://dev.example", 200),
        ("http://dev.example.evil.example:3000", 403),
    ] {
        let mut headers = MODERN.to_vec();
        headers.extend([("host", "airlock.example"), ("origin", origin)]);
        let reply = raw.send("POST", "/mcp", &headers, list()).await;
        assert_eq!(reply.status, status, "{origin}: {reply:?}");
    }
}

#[tokio::test]
async fn what_is_no_message_is_refused_as_a_json_rpc_error() {
    let server = Server::start().await;
    let raw = server.raw();
    for (body, status, code) in [
        ("{", 400, -32700),
        ("", 400, -32700),
        ("\u{0}\u{1}", 400, -32700),
        ("[]", 400, -32600),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, 400, -32600),
        ("5", 400, -32600),
        ("{}", 400, -32600),
        (r#"{"jsonrpc":"1.0","id":9,"method":"ping"}"#, 400, -32600),
    ] {
        let reply = raw.send("POST", "/mcp", &JSON, body.to_owned()).await;
        assert_eq!(reply.status, status, "{body}: {reply:?}");
        assert_eq!(reply.json()["error"]["code"], code, "{body}: {reply:?}");
    }
    let reply =
        raw.send("POST", "/mcp", &JSON, r#"{"jsonrpc":"1.0","id":9,"method":"ping"}"#).await;
    assert_eq!(reply.json()["id"], 9);
    let reply = raw.send("POST", "/mcp", &[("content-type", "text/plain"), JSON[1]], list()).await;
    assert_eq!(reply.status, 415);
    assert_eq!(reply.json()["error"]["code"], -32600);
}

#[tokio::test]
async fn an_unknown_method_is_not_found() {
    let server = Server::start().await;
    let reply = server
        .raw()
        .modern(json!({"jsonrpc": "2.0", "id": "a", "method": "tools/destroy", "params": {}}))
        .await;
    assert_eq!(reply.status, 404);
    let answer = reply.json();
    assert_eq!((&answer["error"]["code"], &answer["id"]), (&json!(-32601), &json!("a")));
}

#[tokio::test]
async fn a_body_over_the_cap_is_too_large_and_the_largest_code_fits() {
    let server = Server::start().await;
    let raw = server.raw();
    // Every byte of the code takes six in JSON.
    let begin = "return 1 //";
    let rest = "\u{1}".repeat(256 * 1024 - begin.len());
    let largest = raw.call("execute", json!({"code": format!("{begin}{rest}")})).await;
    assert_eq!(largest["structuredContent"]["status"], "completed");
    let reply = raw.send("POST", "/mcp", &JSON, " ".repeat(3 * 1024 * 1024)).await;
    assert_eq!(reply.status, 413);
    assert!(reply.json()["error"]["message"].as_str().unwrap().contains("bytes"), "{reply:?}");
}

#[tokio::test]
async fn tools_that_accept_anything_are_served() {
    let server = Server::start().await;
    let headers = [MODERN[0], ("accept", "*/*"), MODERN[2], MODERN[3]];
    assert_eq!(server.raw().send("POST", "/mcp", &headers, list()).await.status, 200);
}

#[tokio::test]
async fn other_routes_and_methods_answer_in_one_json_shape() {
    let server = Server::start().await;
    let raw = server.raw();
    for (method, path, status, code) in [
        ("GET", "/x", 404, "route_not_found"),
        ("GET", "/mcp/x", 404, "route_not_found"),
        ("DELETE", "/healthz", 405, "method_not_allowed"),
        ("GET", "/v1/tasks", 401, "unauthorized"),
        ("GET", "/v1/nothing", 401, "unauthorized"),
    ] {
        let reply = raw.send(method, path, &[], "").await;
        assert_eq!(reply.status, status, "{path}: {reply:?}");
        assert_eq!(reply.json()["error"]["code"], code, "{path}");
    }
}

#[tokio::test]
async fn a_workspace_has_its_requests_a_minute_and_then_waits() {
    let options = HttpOptions { rates: RateLimits::new(5, 7), ..HttpOptions::default() };
    let server = Server::with(options, &Setup::default()).await;
    let raw = server.raw();
    let call = |tool: &str, arguments: Value| {
        let params = json!({"name": tool, "arguments": arguments});
        raw.modern(json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}))
    };
    let work = || call("execute", json!({"code": "return 1"}));
    for left in (0..5).rev() {
        let reply = work().await;
        assert_eq!(reply.status, 200);
        let limit = reply.header("ratelimit").unwrap();
        assert!(limit.starts_with(&format!("\"workspace\";r={left};")), "{reply:?}");
        assert_eq!(reply.header("ratelimit-policy"), Some("\"workspace\";q=5;w=60"));
    }
    let reply = work().await;
    assert_eq!(reply.status, 429);
    let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=12).contains(&wait), "{wait}");
    let answer = reply.json();
    assert_eq!(answer["id"], 1);
    let code = answer["error"]["code"].as_i64().unwrap();
    assert!((-32019..=-32000).contains(&code) && !(-32004..=-32001).contains(&code), "{code}");
    let data = &answer["error"]["data"];
    assert_eq!(data["type"], "rate_limited");
    assert_eq!(
        (&data["limit"], &data["windowMs"], &data["scope"]),
        (&json!(5), &json!(60_000), &json!("workspace"))
    );
    assert!(data["retryAfterMs"].as_u64().unwrap() <= 12_001);
    assert_eq!(server.below.tasks().len(), 5);
    // Whoever asks about work is not refused for having started it: another limit counts.
    let legacy = [JSON[0], JSON[1], ("mcp-session-id", "lost")];
    let ping = json!({"jsonrpc": "2.0", "id": 2, "method": "ping"}).to_string();
    for (left, reply) in [
        (6, raw.send("POST", "/mcp", &MODERN, list()).await),
        (5, call("task_list", json!({})).await),
        (4, call("task_get", json!({"taskId": "task_1"})).await),
        (3, raw.send("POST", "/mcp", &legacy, ping.clone()).await),
        (2, raw.send("POST", "/mcp", &JSON, "{").await),
        (1, raw.send("POST", "/mcp", &legacy[..2], ping.clone()).await),
    ] {
        assert_ne!(reply.status, 429);
        let limit = reply.header("ratelimit").unwrap();
        assert!(limit.starts_with(&format!("\"polls\";r={left};")), "{reply:?}");
    }
    let delete = raw.send("DELETE", "/mcp", &[("mcp-session-id", "lost")], "").await;
    assert_eq!(delete.status, 204);
    for (method, body) in [("POST", ping), ("DELETE", String::new()), ("GET", String::new())] {
        let refused = raw.send(method, "/mcp", &legacy, body).await;
        assert_eq!(refused.status, 429, "{method}: {refused:?}");
        assert_eq!(refused.json()["error"]["data"]["limit"], 7);
    }
    // Neither the health check nor the owner's own tools count or are counted.
    let owner = [("authorization", "Bearer owner-token-of-the-test")];
    assert_eq!(raw.send("GET", "/healthz", &[], "").await.status, 200);
    assert_eq!(raw.send("GET", "/v1/tasks", &owner, "").await.status, 200);
    assert!(raw.send("GET", "/metrics", &[], "").await.status == 200);
}

fn quick() -> HttpOptions {
    HttpOptions {
        rates: RateLimits::new(0, 0),
        first_byte_after: Duration::from_millis(50),
        comment_every: Duration::from_millis(100),
        ..HttpOptions::default()
    }
}

#[tokio::test]
async fn a_silent_call_gets_its_first_byte_early_comments_after_and_the_answer_at_last() {
    let server = Server::with(quick(), &Setup::default()).await;
    let raw = server.raw();
    let post = modern_post(server.address, &sleep(600));
    let (_, read) = raw.exchange(&post, |read| read.contains("\r\n0\r\n\r\n")).await;
    let head = read.split("\r\n\r\n").next().unwrap().to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(head.contains("content-type: text/event-stream"), "{head}");
    assert!(head.contains("x-accel-buffering: no"), "{head}");
    let before = &read[..read.find("data:").expect("an event")];
    assert!(before.matches(": waiting").count() >= 3, "comments come before the answer: {read}");
    let data = read.lines().find_map(|line| line.strip_prefix("data:")).unwrap();
    let answer: Value = serde_json::from_str(data.trim()).unwrap();
    assert_eq!(
        (&answer["id"], &answer["result"]["structuredContent"]["result"]),
        (&json!(7), &json!("slept"))
    );
}

#[tokio::test]
async fn a_quick_call_is_answered_in_plain_json() {
    let server = Server::with(quick(), &Setup::default()).await;
    let message = json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "execute", "arguments": {"code": "return 1 + 1"}}
    });
    let reply = server.raw().modern(message).await;
    assert_eq!(reply.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn closing_the_stream_of_a_modern_call_cancels_its_task() {
    let server = Server::with(quick(), &Setup::default()).await;
    let raw = server.raw();
    // Once before the first byte and once after it.
    let post = modern_post(server.address, &sleep(60000));
    let (early, _) = raw.exchange(&post, |_| true).await;
    until("the first task is recorded", || server.below.tasks().len() == 1).await;
    drop(early);
    until("the first is cancelled", || server.below.count(TaskStatus::Cancelled) == 1).await;
    let (late, _) = raw.exchange(&post, |read| read.contains(": waiting")).await;
    drop(late);
    until("the second is cancelled", || server.below.count(TaskStatus::Cancelled) == 2).await;
}

#[tokio::test]
async fn a_stopping_server_answers_what_is_under_way_and_takes_nothing_new() {
    let server = Server::start().await;
    let raw = server.raw();
    let under_way = tokio::spawn({
        let raw = raw.clone();
        async move { raw.call("execute", json!({"code": sleep(300)})).await }
    });
    until("the task is recorded", || server.below.tasks().len() == 1).await;
    server.shutdown.cancel();
    assert_eq!(under_way.await.unwrap()["structuredContent"]["result"], "slept");
    until("the server has ended", || server.serving.is_finished()).await;
    assert!(tokio::net::TcpStream::connect(server.address).await.is_err(), "nothing new is taken");
}

#[tokio::test]
async fn a_stopping_server_cuts_off_what_takes_too_long_without_cancelling_it() {
    let options = HttpOptions { drain: Duration::from_millis(100), ..quick() };
    let mut server = Server::with(options, &Setup::default()).await;
    let raw = server.raw();
    let (mut stream, _) = raw
        .exchange(&modern_post(server.address, &sleep(60000)), |read| read.contains(": waiting"))
        .await;
    server.shutdown.cancel();
    assert_eq!((&mut server.serving).await.unwrap().unwrap(), Drained::Forced);
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest))
        .await
        .expect("the stream ends");
    assert_eq!(server.below.tasks().len(), 1, "the task is recorded");
    assert_eq!(server.below.count(TaskStatus::Cancelled), 0, "nobody asked for a cancellation");
}

#[tokio::test]
async fn connections_have_a_bound_and_the_next_one_waits() {
    let options = HttpOptions { connections_max: 2, ..quick() };
    let server = Server::with(options, &Setup::default()).await;
    let raw = server.raw();
    let health = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", server.address);
    let answered = |read: &str| read.contains("\"status\"");
    let (first, _) = raw.exchange(health.as_bytes(), answered).await;
    let (_second, _) = raw.exchange(health.as_bytes(), answered).await;
    let third = tokio::spawn({
        let (raw, health) = (raw.clone(), health.clone());
        async move { raw.exchange(health.as_bytes(), |read| read.contains("\"status\"")).await.1 }
    });
    assert!(
        tokio::time::timeout(Duration::from_millis(200), async {
            while !third.is_finished() {
                tokio::task::yield_now().await
            }
        })
        .await
        .is_err()
    );
    drop(first);
    assert!(third.await.unwrap().starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_client_that_accepts_nothing_is_disconnected() {
    let options =
        HttpOptions { connections_max: 1, write_max: Duration::from_millis(200), ..quick() };
    let server = Server::with(options, &Setup::default()).await;
    let health = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", server.address);
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut silent = socket.connect(server.address).await.unwrap();
    // Asks until nothing is read any more, and takes none of the answers.
    let asked = tokio::time::timeout(Duration::from_secs(20), async {
        while silent.write_all(health.as_bytes()).await.is_ok() {}
    })
    .await;
    asked.expect("the server breaks off");
    let (_, reply) =
        server.raw().exchange(health.as_bytes(), |read| read.contains("\"status\"")).await;
    assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
}

#[tokio::test]
async fn silent_connections_are_closed() {
    let options =
        HttpOptions { connections_max: 3, head_max: Duration::from_millis(300), ..quick() };
    let server = Server::with(options, &Setup::default()).await;
    let raw = server.raw();
    let health = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", server.address);
    // One says nothing, one does not come to an end, one has had its answer and stays.
    let (silent, _) = raw.exchange(b"", |_| true).await;
    let (slow, _) = raw.exchange(b"GET /healthz HTTP/1.1\r\nHost: ", |_| true).await;
    let (idle, _) = raw.exchange(health.as_bytes(), |read| read.contains("\"status\"")).await;
    let (_, reply) = raw.exchange(health.as_bytes(), |read| read.contains("\"status\"")).await;
    assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
    for mut stream in [silent, slow, idle] {
        let mut rest = Vec::new();
        let ended =
            tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await;
        let _ = ended.expect("the server closes it");
    }
}

#[tokio::test]
async fn a_call_that_takes_longer_than_a_head_may_is_answered() {
    let options = HttpOptions { head_max: Duration::from_millis(100), ..quick() };
    let server = Server::with(options, &Setup::default()).await;
    assert_eq!(
        server.raw().call("execute", json!({"code": sleep(600)})).await["structuredContent"]["result"],
        "slept"
    );
}

#[tokio::test]
async fn a_flood_of_health_checks_asks_once_a_second() {
    let server = Server::start().await;
    let raw = server.raw();
    let began = tokio::time::Instant::now();
    let replies =
        futures::future::join_all((0..200).map(|_| raw.send("GET", "/healthz", &[], ""))).await;
    let seconds = began.elapsed().as_secs() as usize;
    assert!(replies.iter().all(|reply| reply.status == 200 && reply.json()["status"] == "ok"));
    let asked = || server.below.store.checks();
    assert!((1..=seconds + 1).contains(&asked()), "asked {} times in {seconds} s", asked());
    // An answer is never reused for long.
    let before = asked();
    let deadline = began + Duration::from_secs(10);
    while asked() == before {
        assert!(tokio::time::Instant::now() < deadline, "nobody asked again");
        raw.send("GET", "/healthz", &[], "").await;
    }
}

#[tokio::test]
async fn a_silent_connection_does_not_hold_up_the_end() {
    let mut server = Server::start().await;
    let raw = server.raw();
    let (_silent, _) = raw.exchange(b"", |_| true).await;
    let health = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", server.address);
    let (_idle, _) = raw.exchange(health.as_bytes(), |read| read.contains("\"status\"")).await;
    server.shutdown.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(5), &mut server.serving)
        .await
        .expect("sooner than the time to drain");
    assert_eq!(ended.unwrap().unwrap(), Drained::Complete);
}
