//! Upstreams over HTTP: honest, hostile, absent; and the public reference server both ways.

use std::{sync::Arc, time::Duration};

use airlock::catalog::{Catalog, ResponseLimits, UpstreamErrorCode, UpstreamKind, UpstreamState};
use axum::{http::StatusCode, response::IntoResponse};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::{call, find, paths, start, started, state};
use crate::support::upstream::{
    PATIENCE, Scripted, body, command, error, eventually, everything, http, http_with, one_tool,
    open, result,
};

#[tokio::test]
async fn a_server_of_the_modern_era_alone_is_spoken_with_over_http_too() {
    let server = Scripted::modern(|request| match request["method"].as_str() {
        Some("tools/list") => one_tool(request),
        Some("tools/call") => result(
            request,
            json!({
                "resultType": "complete", "content": [],
                "structuredContent": request["params"]["name"]
            }),
        ),
        _ => error(request, -32601, "no such method"),
    })
    .await;
    let catalog = started(vec![http("up", &server.url())]).await;
    assert_eq!(call(&catalog, "up.t", json!({})).await, Ok(json!("t")));
    catalog.shutdown().await;
    server.stop().await;
}

#[tokio::test]
async fn a_modern_upstream_that_wants_input_is_refused() {
    let server = Scripted::modern(|request| match request["method"].as_str() {
        Some("tools/list") => one_tool(request),
        _ => result(request, json!({"resultType": "input_required", "requestState": "s"})),
    })
    .await;
    let catalog = started(vec![http("up", &server.url())]).await;
    let error = call(&catalog, "up.t", json!({})).await.unwrap_err();
    assert_eq!((error.code, error.retryable), (UpstreamErrorCode::InputRequired, false));
    assert!(error.message.contains("Airlock refuses"), "{}", error.message);
    catalog.shutdown().await;
    server.stop().await;
}

#[tokio::test]
async fn a_dead_address_is_named_without_its_secrets() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let catalog =
        started(vec![http("up", &format!("http://{address}/mcp?token=tok-123456"))]).await;
    let (status, _, message) = state(&catalog);
    assert_eq!(status, UpstreamState::Failed);
    assert!(message.contains(&format!("`http://{address}/mcp` could not be reached")), "{message}");
    assert!(message.contains("refused") && !message.contains("tok-123456"), "{message}");
    catalog.shutdown().await;
}

#[tokio::test]
async fn an_address_that_never_answers_is_given_up_in_time() {
    // Connections are accepted by the system and nobody reads them.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = http("up", &format!("http://{}/mcp", silent.local_addr().unwrap()));
    config.start_timeout = Duration::from_millis(300);
    let catalog = start(vec![config]);
    eventually("it is given up", || state(&catalog).0 == UpstreamState::Failed).await;
    assert!(state(&catalog).2.contains("300 ms"), "{}", state(&catalog).2);
    catalog.shutdown().await;
}

#[tokio::test]
async fn an_address_that_wants_authorization_says_so() {
    let closed = axum::Router::new().fallback(async || (StatusCode::UNAUTHORIZED, "who are you?"));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let server = tokio::spawn(async move { axum::serve(listener, closed).await });
    let catalog = started(vec![http("up", &url)]).await;
    let message = state(&catalog).2;
    assert!(message.contains("HTTP 401") && message.contains("`headers`"), "{message}");
    catalog.shutdown().await;
    server.abort();
}

#[tokio::test]
async fn a_configured_secret_is_sent_and_is_in_no_error_and_no_answer() {
    let server = Scripted::start(|request| match request["method"].as_str() {
        Some("tools/list") => one_tool(request),
        _ => {
            let text =
                format!("bad token in {}", request["authorization"].as_str().unwrap_or("nothing"));
            let failed = request["params"]["arguments"]["fail"] == true;
            result(request, json!({"content": [{"type": "text", "text": text}], "isError": failed}))
        }
    })
    .await;
    let catalog = started(vec![http_with("up", &server.url(), "Bearer tok-123456")]).await;
    let error = call(&catalog, "up.t", json!({"fail": true})).await.unwrap_err();
    assert_eq!(error.message, "bad token in [redacted]");
    assert_eq!(call(&catalog, "up.t", json!({})).await, Ok(json!("bad token in [redacted]")));
    catalog.shutdown().await;
    server.stop().await;
}

#[tokio::test]
async fn a_configured_secret_is_in_no_list_of_tools_however_it_is_written() {
    let server = Scripted::start(|request| match request["method"].as_str() {
        Some("tools/list") => {
            let told = "for tok/123456";
            let schema = json!({
                "type": "object", "properties": {"a": {"enum": [told], "description": told}},
                "title": told
            });
            let tool = |name: &str| json!({
                "name": name, "title": told, "description": told, "inputSchema": schema,
                "outputSchema": schema
            });
            result(request, json!({"tools": [tool("t"), tool("tok/123456")]}))
        }
        _ => {
            let text = r#"{"token": "tok\/123456", "again": "tok\u002f123456", "exact": 12345678901234567.10}"#;
            result(request, json!({"content": [{"type": "text", "text": text}]}))
        }
    })
    .await;
    let catalog = started(vec![http_with("up", &server.url(), "Bearer tok/123456")]).await;
    let (status, tools, message) = state(&catalog);
    assert_eq!((status, tools), (UpstreamState::Ready, 1));
    assert!(message.contains("tools left out: 1"), "{message}");
    let described = find(&catalog, "describe", json!("up.t")).await;
    let found =
        find(&catalog, "discover", json!({"query": "t", "includeSchemas": true, "compact": false}))
            .await;
    for told in [
        message,
        described.to_string(),
        found.to_string(),
        format!("{:?}", catalog.resolve("up.t", &open).await.unwrap()),
    ] {
        assert!(told.contains("[redacted]") && !told.contains("tok/123456"), "{told}");
    }
    let tool = catalog.resolve("up.t", &open).await.unwrap();
    let answer = catalog.call(&tool, catalog.check(&tool, "{}").await.unwrap()).await.unwrap();
    assert_eq!(
        answer.get(),
        r#"{"token": "[redacted]", "again": "[redacted]", "exact": 12345678901234567.10}"#
    );
    catalog.shutdown().await;
    server.stop().await;
}

#[tokio::test]
async fn a_secret_of_the_address_is_in_no_error_and_no_answer() {
    let server = Scripted::start(|request| match request["method"].as_str() {
        Some("tools/list") => one_tool(request),
        _ => result(
            request,
            json!({
                "content": [{"type": "text", "text": "unknown key tok-123456"}], "isError": true
            }),
        ),
    })
    .await;
    let catalog = started(vec![http("up", &format!("{}?api_key=tok-123456", server.url()))]).await;
    assert_eq!(
        call(&catalog, "up.t", json!({})).await.unwrap_err().message,
        "unknown key [redacted]"
    );
    catalog.shutdown().await;
    server.stop().await;
}

#[tokio::test]
async fn an_answer_that_outgrows_its_bound_when_secrets_are_blanked_out_is_refused() {
    let server = Scripted::start(|request| match request["method"].as_str() {
        Some("tools/list") => one_tool(request),
        _ => result(
            request,
            json!({"content": [], "structuredContent": ["hushhh".repeat(1_000_000)]}),
        ),
    })
    .await;
    let mut config = http_with("up", &server.url(), "hushhh");
    let UpstreamKind::McpHttp(address) = &mut config.kind else { panic!("it has an address") };
    address.access.shared.response_limits = ResponseLimits::new(8 * 1024 * 1024);
    let catalog = started(vec![config]).await;
    let error = call(&catalog, "up.t", json!({})).await.unwrap_err();
    assert_eq!(error.code, UpstreamErrorCode::AnswerTooLarge);
    assert!(error.message.contains("8388608"), "{}", error.message);
    catalog.shutdown().await;
    server.stop().await;
}

#[tokio::test]
async fn an_http_upstream_that_goes_away_comes_back_without_a_restart() {
    let serve = |request: &Value| match request["method"].as_str() {
        Some("tools/list") => one_tool(request),
        _ => result(request, json!({"content": [{"type": "text", "text": "hi"}]})),
    };
    let server = Scripted::start(serve).await;
    let address = server.address();
    let catalog = started(vec![http("up", &server.url())]).await;
    assert_eq!(call(&catalog, "up.t", json!({})).await, Ok(json!("hi")));
    server.stop().await;
    let error = call(&catalog, "up.t", json!({})).await.unwrap_err();
    assert!(
        matches!(error.code, UpstreamErrorCode::Unavailable | UpstreamErrorCode::Lost),
        "{error:?}"
    );
    let server = Scripted::start_on(address, Arc::default(), serve).await;
    let began = std::time::Instant::now();
    loop {
        match call(&catalog, "up.t", json!({})).await {
            Ok(answer) => break assert_eq!(answer, json!("hi")),
            Err(error) => assert!(began.elapsed() < PATIENCE, "{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    catalog.shutdown().await;
    server.stop().await;
}

#[tokio::test]
async fn endless_pages_and_circles_end_with_a_note() {
    for circle in [true, false] {
        let server = Scripted::start(move |request| {
            let page = request["params"]["cursor"]
                .as_str()
                .and_then(|cursor| cursor.parse::<u32>().ok())
                .unwrap_or(0);
            let next = if circle { "7".to_owned() } else { (page + 1).to_string() };
            let tool = json!({"name": format!("t{page}"), "inputSchema": {"type": "object"}});
            result(request, json!({"tools": [tool], "nextCursor": next}))
        })
        .await;
        let catalog = started(vec![http("up", &server.url())]).await;
        let (status, tools, message) = state(&catalog);
        assert_eq!((status, tools), (UpstreamState::Ready, if circle { 2 } else { 200 }));
        assert!(message.contains(if circle { "circles" } else { "200 pages" }), "{message}");
        catalog.shutdown().await;
        server.stop().await;
    }
}

#[tokio::test]
async fn giant_and_unfit_tools_are_cut_or_left_out_with_a_note() {
    let server = Scripted::start(|request| {
        let tool = |name: &str, description: &str, title: &str| {
            json!({
                "name": name, "description": description,
                "inputSchema": {"type": "object", "title": title}
            })
        };
        let tools = [
            tool("good", &"y".repeat(1_000_000), ""),
            tool("", "no name", ""),
            tool("new\nline", "", ""),
            tool("heavy", "", &"z".repeat(300 * 1024)),
            tool("good", "a second one", ""),
        ];
        result(request, json!({"tools": tools}))
    })
    .await;
    let catalog = started(vec![http("up", &server.url())]).await;
    let (status, tools, message) = state(&catalog);
    assert_eq!((status, tools), (UpstreamState::Ready, 1));
    assert!(message.contains("tools left out: 4"), "{message}");
    assert_eq!(catalog.resolve("up.good", &open).await.unwrap().description.len(), 8 * 1024);
    catalog.shutdown().await;
    server.stop().await;
}

#[tokio::test]
async fn bad_answers_become_clear_errors_and_the_upstream_stays() {
    let server = Scripted::start(|request| {
        match (request["method"].as_str(), request["params"]["arguments"]["how"].as_str()) {
            (Some("tools/list"), _) => one_tool(request),
            (_, Some("500")) => (StatusCode::INTERNAL_SERVER_ERROR, "stack trace").into_response(),
            (_, Some("429")) => (StatusCode::TOO_MANY_REQUESTS, "later").into_response(),
            (_, Some("garbage")) => body("{\"jsonrpc\": nonsense"),
            (_, Some("html")) => axum::response::Html("<html>").into_response(),
            (_, Some("error")) => error(request, -32000, "the disk is full"),
            _ => result(request, json!({"content": [{"type": "text", "text": "fine"}]})),
        }
    })
    .await;
    let catalog = started(vec![http("up", &server.url())]).await;
    for (how, code, status, retryable, word) in [
        ("500", UpstreamErrorCode::Refused, Some(500), false, "HTTP 500"),
        ("429", UpstreamErrorCode::Refused, Some(429), true, "HTTP 429"),
        ("garbage", UpstreamErrorCode::BadAnswer, None, false, "not understood"),
        ("html", UpstreamErrorCode::BadAnswer, None, false, "not understood"),
        ("error", UpstreamErrorCode::Refused, None, false, "the disk is full"),
    ] {
        let error = call(&catalog, "up.t", json!({"how": how})).await.unwrap_err();
        assert_eq!(
            (error.code, error.status, error.retryable),
            (code, status, retryable),
            "{how}: {error:?}"
        );
        assert!(
            error.message.contains(word) && !error.message.contains("stack trace"),
            "{how}: {error:?}"
        );
    }
    assert_eq!(call(&catalog, "up.t", json!({})).await, Ok(json!("fine")));
    catalog.shutdown().await;
    server.stop().await;
}

#[tokio::test]
async fn an_upstream_that_asks_for_a_person_is_refused_and_the_error_says_so() {
    // It asks on the call's own stream, and fails once it got its refusal.
    let answered: Arc<Notify> = Arc::default();
    let heard = answered.clone();
    let server = Scripted::start_on("127.0.0.1:0".parse().unwrap(), answered, move |request| {
        if request["method"] == "tools/list" {
            return one_tool(request);
        }
        let ask = json!({"jsonrpc": "2.0", "id": 77, "method": "elicitation/create",
        "params": {
            "message": "sure?", "requestedSchema": {"type": "object", "properties": {}}
        }});
        let fail = json!({"jsonrpc": "2.0", "id": request["id"],
            "result": {"content": [{"type": "text", "text": "nobody answered"}], "isError": true}});
        let event = |message: &Value| Ok::<_, std::io::Error>(format!("data: {message}\n\n"));
        let (first, second, heard) = (event(&ask), event(&fail), heard.clone());
        let later = futures::stream::once(async move {
            heard.notified().await;
            second
        });
        let stream = futures::StreamExt::chain(futures::stream::iter([first]), later);
        ([("content-type", "text/event-stream")], axum::body::Body::from_stream(stream))
            .into_response()
    })
    .await;
    let catalog = started(vec![http("up", &server.url())]).await;
    let error = call(&catalog, "up.t", json!({})).await.unwrap_err();
    assert_eq!(error.code, UpstreamErrorCode::ToolFailed);
    assert!(
        error.message.starts_with("nobody answered")
            && error.message.contains("which Airlock refuses"),
        "{}",
        error.message
    );
    catalog.shutdown().await;
    server.stop().await;
}

/// How a stream ends on which a server speaks unasked.
#[derive(Clone, Copy)]
enum End {
    Closed,
    Broken,
    /// After an event with an id, to be taken up there.
    Resumed,
}

#[tokio::test]
async fn a_server_that_closes_its_stream_again_and_again_is_not_asked_without_pause() {
    for end in [End::Closed, End::Broken, End::Resumed] {
        let opened: Arc<parking_lot::Mutex<Vec<std::time::Instant>>> = Arc::default();
        let times = opened.clone();
        let stream = move || {
            times.lock().push(std::time::Instant::now());
            let id = if matches!(end, End::Resumed) { "id: 1\n" } else { "" };
            let first = Ok(format!("{id}retry: 0\ndata:\n\n"));
            let first = futures::stream::iter([first]);
            let then = futures::stream::once(async move {
                // What came before is on its way by then.
                tokio::time::sleep(Duration::from_millis(50)).await;
                if matches!(end, End::Broken) {
                    Err(std::io::Error::other("broken"))
                } else {
                    Ok(": the end\n\n".to_owned())
                }
            });
            let body = axum::body::Body::from_stream(futures::StreamExt::chain(first, then));
            std::future::ready(([("content-type", "text/event-stream")], body).into_response())
        };
        let server = Scripted::start_with(stream, one_tool).await;
        let catalog = started(vec![http("up", &server.url())]).await;
        eventually("it was opened four times", || opened.lock().len() >= 4).await;
        let opened = opened.lock().clone();
        let distances: Vec<u128> =
            opened.windows(2).map(|pair| (pair[1] - pair[0]).as_millis()).collect();
        let doubled = if matches!(end, End::Resumed) { [1, 1, 1] } else { [1, 2, 4] };
        for (distance, least) in distances.iter().zip(doubled) {
            assert!(*distance + 50 >= least * 1_000, "{distances:?}");
        }
        catalog.shutdown().await;
        server.stop().await;
    }
}

async fn works_with_the_reference_server(catalog: &Catalog) {
    let (status, tools, message) = state(catalog);
    assert_eq!((status, message.as_str()), (UpstreamState::Ready, ""));
    assert!(tools >= 8, "{tools}");
    assert_eq!(
        call(catalog, "everything.echo", json!({"message": "hi"})).await,
        Ok(json!("Echo: hi"))
    );
    let sum = call(catalog, "everything.getSum", json!({"a": 2, "b": 40})).await.unwrap();
    assert!(sum.as_str().unwrap().contains("42"), "{sum}");
    let weather =
        call(catalog, "everything.get-structured-content", json!({"location": "New York"}))
            .await
            .unwrap();
    assert!(weather["temperature"].is_number(), "{weather}");

    let found = find(catalog, "discover", json!("add two numbers and get their sum")).await;
    assert_eq!(paths(&found)[0], "everything.get-sum", "{found}");
    let hint = found["results"][0]["hint"].as_str().unwrap();
    assert_eq!(
        hint,
        r#"tools.everything["get-sum"](args: { a: number; b: number }): Promise</* observed */ string>"#
    );
}

#[tokio::test]
async fn the_reference_server_works_as_a_child() {
    let Some(entry) = everything() else { return };
    let catalog =
        started(vec![command("everything", "node", &[entry.to_str().unwrap(), "stdio"])]).await;
    works_with_the_reference_server(&catalog).await;
    catalog.shutdown().await;
}

#[tokio::test]
async fn the_reference_server_works_over_http() {
    let Some(entry) = everything() else { return };
    let port = free_port().await;
    let _server = tokio::process::Command::new("node")
        .arg(entry)
        .arg("streamableHttp")
        .env("PORT", port.to_string())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    // It is not up yet, so this also shows that an upstream may come later than its client.
    let catalog = start(vec![http("everything", &format!("http://127.0.0.1:{port}/mcp"))]);
    eventually("it is reached", || state(&catalog).0 == UpstreamState::Ready).await;
    works_with_the_reference_server(&catalog).await;
    catalog.shutdown().await;
}

async fn free_port() -> u16 {
    tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}
