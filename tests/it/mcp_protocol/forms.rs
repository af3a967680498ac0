//! What clients accept, pages of other origins, and requests that are not served.

use super::*;

/// `Accept`, and whether the answer must be JSON or must be events.
const ACCEPTED: [(Option<&str>, Option<bool>); 12] = [
    (None, Some(true)),
    (Some("*/*"), Some(true)),
    (Some("application/json"), Some(true)),
    (Some("application/*, */*"), Some(true)),
    (Some("application/json, */*;q=0.1"), Some(true)),
    (Some("application/json, text/plain, */*"), Some(true)),
    (Some("text/event-stream;q=0, application/json"), Some(true)),
    (Some("APPLICATION/JSON, Text/Event-Stream"), None),
    (Some("application/json;q=0.9, text/event-stream;q=0.8"), None),
    (Some("application/json,text/event-stream"), None),
    (Some("text/event-stream"), Some(false)),
    (Some("text/*"), Some(false)),
];

fn execute(code: &str) -> String {
    json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {
        "name": "execute", "arguments": {"code": code}, "_meta": {"progressToken": "t"}}})
    .to_string()
}

#[tokio::test]
async fn a_client_is_answered_in_a_form_that_it_accepts() {
    let server = Server::start().await;
    let raw = server.raw();
    for (accept, json) in ACCEPTED {
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(accept.map(|accept| ("accept", accept)));
        let check = |reply: &clients::Reply| {
            assert_eq!(reply.status, 200, "{accept:?}: {reply:?}");
            let kind = reply.header("content-type").unwrap();
            if let Some(json) = json {
                let expected = if json { "application/json" } else { "text/event-stream" };
                assert_eq!(kind, expected, "{accept:?}: {reply:?}");
            }
        };
        let greeting = raw.send("POST", "/mcp", &headers, hello("2025-06-18")).await;
        check(&greeting);
        assert_eq!(greeting.json()["result"]["serverInfo"]["name"], "airlock");
        let session = greeting.header("mcp-session-id").unwrap().to_owned();
        headers.push(("mcp-session-id", &session));
        let call = raw.send("POST", "/mcp", &headers, execute("return 40 + 2")).await;
        check(&call);
        assert_eq!(call.json()["result"]["structuredContent"]["result"], 42, "{accept:?}");
        let refused = raw.send("POST", "/mcp", &headers, "{").await;
        assert_eq!((refused.status, &refused.json()["error"]["code"]), (400, &json!(-32700)));
    }
    for accept in ["text/html", "application/xml;q=0.9", "*/*;q=0"] {
        let headers = [("content-type", "application/json"), ("accept", accept)];
        let refused = raw.send("POST", "/mcp", &headers, execute("return 1")).await;
        assert_eq!((refused.status, &refused.json()["id"]), (406, &json!(7)), "{accept}");
        let told = refused.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(told.contains("`Accept`"), "{told}");
    }
}

#[tokio::test]
async fn a_slow_call_of_a_client_that_takes_only_json_is_kept_alive_and_is_json() {
    let options = HttpOptions {
        first_byte_after: Duration::from_millis(50),
        comment_every: Duration::from_millis(50),
        ..HttpOptions::default()
    };
    let server = Server::with(options, &Setup::default()).await;
    let raw = server.raw();
    let (session, _) = begin(&raw, "2025-11-25").await;
    let headers = [
        ("content-type", "application/json"),
        ("accept", "application/json"),
        ("mcp-session-id", session.as_str()),
    ];
    let reply = raw.send("POST", "/mcp", &headers, execute(&sleep(500))).await;
    assert!(reply.text.starts_with("\n\n"), "{reply:?}");
    let answer: Value = serde_json::from_str(&reply.text).unwrap();
    assert_eq!(answer["result"]["structuredContent"]["result"], "slept");
    // In the current revision, too.
    let reply = raw
        .send("POST", "/mcp", &[headers[0], headers[1], MODERN[0], MODERN[1], MODERN[2]], modern())
        .await;
    let answer: Value = serde_json::from_str(&reply.text).unwrap();
    assert_eq!(answer["result"]["structuredContent"]["result"], "slept");
}

const MODERN: [(&str, &str); 3] =
    [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", "execute")];

fn modern() -> String {
    let mut message: Value = serde_json::from_str(&execute(&sleep(300))).unwrap();
    message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2026-07-28".into();
    message["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
    message.to_string()
}

#[tokio::test]
async fn a_stream_of_notices_is_opened_for_whoever_takes_events() {
    let server = Server::start().await;
    let raw = server.raw();
    let (session, _) = begin(&raw, "2025-11-25").await;
    for (accept, status) in [
        ("Accept: text/event-stream\r\n", 200),
        ("Accept: */*\r\n", 200),
        ("Accept: text/*;q=0.5\r\n", 200),
        ("", 200),
        ("Accept: application/json\r\n", 406),
    ] {
        let get = format!(
            "GET /mcp HTTP/1.1\r\nHost: {}\r\n{accept}Mcp-Session-Id: {session}\r\n\r\n",
            server.address
        );
        let (_, head) = raw.exchange(get.as_bytes(), |read| read.contains("\r\n\r\n")).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{accept}: {head}");
    }
    let listen = json!({"jsonrpc": "2.0", "id": "l", "method": "subscriptions/listen",
        "params": {"notifications": {"toolsListChanged": true}}});
    let headers = [("content-type", "application/json"), ("accept", "application/json")];
    let refused = raw.send("POST", "/mcp", &headers, listen.to_string()).await;
    assert_eq!((refused.status, &refused.json()["id"]), (406, &json!("l")));
}

#[tokio::test]
async fn pages_of_allowed_origins_can_read_the_endpoint_and_others_nothing() {
    let page = "http://127.0.0.1:6274";
    let odd = ["null", "file://", "vscode-file://vscode-app", "app://-", "capacitor://localhost"];
    let mut allowed_origins = vec![page.to_owned()];
    allowed_origins.extend(odd.map(str::to_owned));
    let options = HttpOptions { allowed_origins, ..HttpOptions::default() };
    let server = Server::with(options, &Setup::default()).await;
    let raw = server.raw();
    let preflight = [
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "content-type, mcp-session-id, authorization, x-own"),
    ];
    for origin in odd.into_iter().chain([page]) {
        let mut headers = preflight.to_vec();
        headers.push(("origin", origin));
        let reply = raw.send("OPTIONS", "/mcp", &headers, "").await;
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(reply.header("access-control-allow-origin"), Some(origin));
        let methods = reply.header("access-control-allow-methods").unwrap();
        assert!(["GET", "POST", "DELETE"].iter().all(|method| methods.contains(method)));
        let allowed = reply.header("access-control-allow-headers").unwrap();
        assert!(["mcp-session-id", "authorization", "x-own"].iter().all(|h| allowed.contains(h)));
        let mut headers = JSON.to_vec();
        headers.push(("origin", origin));
        for (body, status) in [(hello("2025-11-25"), 200), ("{".to_owned(), 400)] {
            let reply = raw.send("POST", "/mcp", &headers, body).await;
            assert_eq!(reply.status, status, "{reply:?}");
            assert_eq!(reply.header("access-control-allow-origin"), Some(origin));
            let exposed = reply.header("access-control-expose-headers").unwrap();
            assert!(exposed.contains("mcp-session-id"), "{exposed}");
            assert!(reply.header("access-control-allow-credentials").is_none());
            let vary: Vec<_> = reply.headers.get_all("vary").iter().collect();
            assert!(format!("{vary:?}").to_ascii_lowercase().contains("origin"), "{vary:?}");
        }
        // The owner's own routes are none of a page's.
        let reply = raw.send("GET", "/v1/tasks", &[("origin", origin)], "").await;
        assert!(reply.header("access-control-allow-origin").is_none(), "{reply:?}");
    }
    for origin in ["http://127.0.0.1:9999", "https://evil.example", "app://other", "file:///etc"] {
        let mut headers = preflight.to_vec();
        headers.push(("origin", origin));
        for (method, body) in [("OPTIONS", String::new()), ("POST", hello("2025-11-25"))] {
            headers.extend(JSON);
            let reply = raw.send(method, "/mcp", &headers, body).await;
            assert_eq!(reply.status, 403, "{reply:?}");
            assert!(reply.header("access-control-allow-origin").is_none(), "{reply:?}");
            let told = reply.json()["error"]["message"].as_str().unwrap().to_owned();
            assert!(told.contains(origin) && told.contains("server.allowed_origins"), "{told}");
        }
    }
    let reply = raw.send("POST", "/mcp", &JSON, hello("2025-11-25")).await;
    assert_eq!(reply.status, 200);
    assert!(reply.header("access-control-allow-origin").is_none(), "no page asked");
}

#[tokio::test]
async fn arguments_that_are_no_object_are_an_error_of_the_tool_in_each_era() {
    let server = Server::start().await;
    let raw = server.raw();
    let (session, _) = begin(&raw, "2025-11-25").await;
    let mut headers = JSON.to_vec();
    headers.push(("mcp-session-id", &session));
    for (arguments, expected) in [
        (json!("{\"code\":\"return 1\"}"), "arguments must be an object, not its JSON text"),
        (json!(""), "arguments must be an object, not its JSON text"),
        (json!(["return 1"]), "arguments must be an object"),
        (json!(1), "arguments must be an object"),
    ] {
        for tool in ["execute", "task_list"] {
            let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                "params": {"name": tool, "arguments": arguments}});
            let legacy = raw.send("POST", "/mcp", &headers, call.to_string()).await.json();
            let modern = raw.modern(call).await;
            assert_eq!(modern.status, 200);
            let modern = modern.json();
            for result in [&legacy["result"], &modern["result"]] {
                assert_eq!(result["isError"], true, "{legacy} {modern}");
                assert!(text_of(result).contains(expected), "{}", text_of(result));
            }
            assert!(legacy["result"].get("resultType").is_none(), "{legacy}");
            assert_eq!(modern["result"]["resultType"], "complete");
        }
    }
    let result = raw.call("task_list", Value::Null).await;
    assert_eq!(result["isError"], false, "null counts as left out");
    assert_eq!(server.below.tasks().len(), 0);
}

/// Methods with a header more in the current revision, which this client leaves out.
const NAMED: [&str; 4] = ["resources/read", "resources/subscribe", "prompts/get", "tasks/get"];

#[tokio::test]
async fn methods_that_are_not_served_are_refused_in_a_sentence_in_each_era() {
    let server = Server::start().await;
    let raw = server.raw();
    let (session, _) = begin(&raw, "2025-11-25").await;
    let mut headers = JSON.to_vec();
    headers.push(("mcp-session-id", &session));
    for method in [
        "resources/read",
        "resources/subscribe",
        "prompts/get",
        "logging/setLevel",
        "tasks/get",
        "tools/destroy",
    ] {
        let params = match method {
            "resources/read" | "resources/subscribe" => json!({"uri": "file:///x"}),
            "prompts/get" => json!({"name": "x"}),
            "logging/setLevel" => json!({"level": "info"}),
            "tasks/get" => json!({"taskId": "x"}),
            _ => json!({}),
        };
        let request = json!({"jsonrpc": "2.0", "id": "a", "method": method, "params": params});
        let legacy = raw.send("POST", "/mcp", &headers, request.to_string()).await;
        assert_eq!(legacy.status, 200, "{method}");
        let mut answers = vec![legacy.json()];
        if !NAMED.contains(&method) {
            let modern = raw.modern(request).await;
            assert_eq!(modern.status, 404, "{method}");
            answers.push(modern.json());
        }
        for answer in answers {
            assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!("a"), &json!(-32601)));
            let told = answer["error"]["message"].as_str().unwrap();
            assert!(told.starts_with(&format!("`{method}` is not served")), "{told}");
        }
    }
    // Clients ask for these lists whatever a server declares.
    for (method, list) in [
        ("resources/list", "resources"),
        ("resources/templates/list", "resourceTemplates"),
        ("prompts/list", "prompts"),
    ] {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": {}});
        let legacy = raw.send("POST", "/mcp", &headers, request.to_string()).await.json();
        assert_eq!(legacy["result"][list], json!([]), "{legacy}");
        let modern = raw.modern(request).await.json();
        assert_eq!(modern["result"][list], json!([]), "{modern}");
    }
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    let legacy = raw.send("POST", "/mcp", &headers, ping.to_string()).await;
    assert_eq!(legacy.json()["result"], json!({}));
    // The current revision has neither ping nor handshake.
    for method in ["ping", "initialize"] {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": {}});
        let modern = raw.modern(request).await;
        assert_eq!(modern.status, 404, "{modern:?}");
        assert_eq!(modern.json()["error"]["code"], -32601, "{modern:?}");
    }
}

#[tokio::test]
async fn a_notification_needs_neither_session_nor_optional_headers() {
    let server = Server::start().await;
    let raw = server.raw();
    for version in [None, Some("2025-06-18"), Some("2025-11-25"), Some("2026-07-28")] {
        for method in ["notifications/initialized", "notifications/cancelled", "notifications/x"] {
            let mut headers = JSON.to_vec();
            headers.extend(version.map(|version| ("mcp-protocol-version", version)));
            let notice = json!({"jsonrpc": "2.0", "method": method, "params": {"requestId": 1}});
            let reply = raw.send("POST", "/mcp", &headers, notice.to_string()).await;
            assert_eq!((reply.status, reply.text.as_str()), (202, ""), "{version:?} {method}");
        }
    }
}
