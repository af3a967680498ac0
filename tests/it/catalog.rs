//! The catalog against real servers: as children, over HTTP, honest and hostile.

use std::{sync::Arc, time::Duration};

use airlock::catalog::{
    CALLS_MAX, Catalog, ResolveError, StdioConfig, Tool, UpstreamConfig, UpstreamError, UpstreamErrorCode, UpstreamState,
    Visibility, WAITING_MAX,
};
use axum::{http::StatusCode, response::IntoResponse};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::upstream::{
    PATIENCE, Scripted, body, command, demo, environment, error, eventually, everything, http, http_with, is_alive, one_tool, open,
    result, stdio,
};

fn start(configs: Vec<UpstreamConfig>) -> Catalog {
    Catalog::start(configs, &environment())
}

async fn started(configs: Vec<UpstreamConfig>) -> Catalog {
    let catalog = start(configs);
    assert!(catalog.settled(PATIENCE).await, "{:?}", catalog.status());
    catalog
}

/// One call the way a program's call goes: resolved, checked, performed.
async fn call(catalog: &Catalog, path: &str, args: Value) -> Result<Value, UpstreamError> {
    let tool = catalog.resolve(path, &open).await.unwrap_or_else(|error| panic!("{error}"));
    let args = catalog.check(&tool, &args.to_string()).unwrap_or_else(|error| panic!("{error}"));
    catalog.call(&tool, args).await.map(|json| serde_json::from_str(json.get()).unwrap())
}

async fn find(catalog: &Catalog, function: &str, args: Value) -> Value {
    let answer = catalog.find(function, &args.to_string(), &open).await.expect("is a finding function");
    serde_json::from_str(answer.unwrap_or_else(|error| panic!("{error}")).get()).unwrap()
}

fn paths(answer: &Value) -> Vec<&str> {
    answer["results"].as_array().unwrap().iter().map(|found| found["path"].as_str().unwrap()).collect()
}

fn state(catalog: &Catalog) -> (UpstreamState, usize, String) {
    let status = catalog.status().remove(0);
    (status.status, status.tools, status.message.unwrap_or_default())
}

#[tokio::test]
async fn a_child_is_listed_page_by_page_found_and_called() {
    let catalog = started(vec![demo("demo", &["--pages", "3"])]).await;
    assert_eq!(state(&catalog), (UpstreamState::Ready, 8, String::new()));
    assert_eq!(call(&catalog, "demo.add", json!({"a": 2, "b": 40})).await, Ok(json!({"sum": 42.0})));
    assert_eq!(call(&catalog, "demo.notes.add", json!({"text": "milk"})).await, Ok(json!({"id": 1})));
    assert_eq!(call(&catalog, "demo.notes.list", json!({})).await, Ok(json!({"notes": [{"id": 1, "text": "milk"}]})));
    assert_eq!(call(&catalog, "Demo.NOTES.List", Value::Null).await.unwrap()["notes"][0]["text"], "milk");
    catalog.shutdown().await;
}

#[tokio::test]
async fn starting_does_not_wait_and_a_call_waits_for_its_upstream() {
    let began = std::time::Instant::now();
    let catalog = start(vec![demo("demo", &["--slow-start", "700"])]);
    assert!(began.elapsed() < Duration::from_millis(500), "starting waited {:?}", began.elapsed());
    assert_eq!(state(&catalog).0, UpstreamState::Connecting);
    assert_eq!(call(&catalog, "demo.echo", json!({"message": "hi"})).await, Ok(json!("hi")));
    catalog.shutdown().await;
}

#[tokio::test]
async fn an_upstream_that_does_not_start_in_time_says_so_and_is_worth_a_retry() {
    let mut config = demo("demo", &["--slow-start", "60000"]);
    config.start_timeout = Duration::from_millis(300);
    let catalog = start(vec![config]);
    let error = match catalog.resolve("demo.echo", &open).await {
        Err(ResolveError::Unavailable(error)) => error,
        other => panic!("{other:?}"),
    };
    assert!(error.retryable, "{error:?}");
    eventually("the failure is shown", || state(&catalog).0 == UpstreamState::Failed).await;
    let message = state(&catalog).2;
    assert!(message.contains("300 ms") && message.contains("start_timeout_ms"), "{message}");
    catalog.shutdown().await;
}

#[tokio::test]
async fn a_server_of_the_modern_era_alone_is_spoken_with_too() {
    let catalog = started(vec![demo("demo", &["--modern-only", "--grow"])]).await;
    assert_eq!(call(&catalog, "demo.echo", json!({"message": "hi"})).await, Ok(json!("hi")));
    eventually("the list grew", || state(&catalog).1 == 9).await;
    catalog.shutdown().await;
}

#[tokio::test]
async fn a_server_of_the_modern_era_alone_is_spoken_with_over_http_too() {
    let server = Scripted::modern(|request| match request["method"].as_str() {
        Some("tools/list") => one_tool(request),
        Some("tools/call") => {
            result(request, json!({"resultType": "complete", "content": [], "structuredContent": request["params"]["name"]}))
        }
        _ => error(request, -32601, "no such method"),
    })
    .await;
    let catalog = started(vec![http("up", &server.url())]).await;
    assert_eq!(call(&catalog, "up.t", json!({})).await, Ok(json!("t")));
    catalog.shutdown().await;
    server.stop().await;
}

#[tokio::test]
async fn a_question_right_after_the_start_waits_for_the_first_lists() {
    let catalog = start(vec![demo("demo", &["--slow-start", "500"])]);
    assert_eq!(find(&catalog, "discover", json!("echo")).await["total"], 1);
    catalog.shutdown().await;
}

#[tokio::test]
async fn a_queue_that_is_full_says_so_at_once() {
    let catalog = started(vec![demo("demo", &[])]).await;
    let tool = catalog.resolve("demo.wait", &open).await.unwrap();
    let wait = || catalog.call(&tool, catalog.check(&tool, r#"{"ms": 60000}"#).unwrap());
    let mut pending: Vec<_> = (0..CALLS_MAX + WAITING_MAX).map(|_| Box::pin(wait())).collect();
    for call in &mut pending {
        assert!(futures::poll!(call).is_pending());
    }
    let error = wait().await.unwrap_err();
    assert_eq!((error.code, error.retryable), (UpstreamErrorCode::Busy, true));
    assert!(error.message.contains("1088 calls"), "{}", error.message);
    drop(pending);
    assert_eq!(call(&catalog, "demo.echo", json!({"message": "free again"})).await, Ok(json!("free again")));
    catalog.shutdown().await;
}

#[tokio::test]
async fn a_list_that_changes_is_read_again_and_told_downstream() {
    let catalog = started(vec![demo("demo", &["--grow"])]).await;
    let mut changed = catalog.changed();
    let before = *changed.borrow_and_update();
    assert!(matches!(catalog.resolve("demo.grown", &open).await, Err(ResolveError::NotFound(_))));
    call(&catalog, "demo.echo", json!({"message": "hi"})).await.unwrap();
    tokio::time::timeout(PATIENCE, changed.wait_for(|now| *now > before)).await.expect("told in time").unwrap();
    assert_eq!(call(&catalog, "demo.grown", json!({})).await, Ok(json!("here I am")));
    catalog.shutdown().await;
}

#[tokio::test]
async fn a_crash_fails_the_call_keeps_the_tools_and_the_upstream_comes_back() {
    let catalog = started(vec![demo("demo", &[])]).await;
    let error = call(&catalog, "demo.crash", json!({})).await.unwrap_err();
    assert_eq!((error.code, error.retryable, error.tool.as_str()), (UpstreamErrorCode::Lost, false, "demo.crash"));
    assert_eq!(state(&catalog).1, 8, "the tools stay listed");
    assert_eq!(call(&catalog, "demo.echo", json!({"message": "again"})).await, Ok(json!("again")));
    catalog.shutdown().await;
}

#[tokio::test]
async fn a_tool_that_fails_says_what_it_said() {
    let catalog = started(vec![demo("demo", &[])]).await;
    let error = call(&catalog, "demo.fail", json!({"message": "no such file"})).await.unwrap_err();
    assert_eq!((error.code, error.message.as_str(), error.retryable), (UpstreamErrorCode::ToolFailed, "no such file", false));
    catalog.shutdown().await;
}

#[tokio::test]
async fn an_answer_beyond_either_bound_is_refused_and_names_it() {
    let catalog = started(vec![demo("demo", &[])]).await;
    for (bytes, bound) in [(8 * 1024 * 1024, "8388608"), (33 * 1024 * 1024, "33554432")] {
        let error = call(&catalog, "demo.big", json!({"bytes": bytes})).await.unwrap_err();
        assert_eq!(error.code, UpstreamErrorCode::AnswerTooLarge);
        assert!(error.message.contains(bound), "{}", error.message);
    }
    assert_eq!(call(&catalog, "demo.big", json!({"bytes": 3})).await, Ok(json!("xxx")));
    catalog.shutdown().await;
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_cancelled_upstream() {
    let folder = tempfile::tempdir().unwrap();
    let counts = folder.path().join("counts");
    let mut config = demo("demo", &["--count-file", counts.to_str().unwrap()]);
    config.call_timeout = Duration::from_millis(200);
    let catalog = started(vec![config]).await;
    let error = call(&catalog, "demo.wait", json!({"ms": 60000})).await.unwrap_err();
    assert_eq!((error.code, error.retryable), (UpstreamErrorCode::Timeout, true));
    assert!(error.message.contains("200 ms"), "{}", error.message);
    eventually("the upstream heard it", || std::fs::read_to_string(&counts).unwrap_or_default() == "wait\nwait cancelled\n").await;
    catalog.shutdown().await;
}

#[tokio::test]
async fn a_dropped_call_is_cancelled_upstream() {
    let folder = tempfile::tempdir().unwrap();
    let counts = folder.path().join("counts");
    let catalog = started(vec![demo("demo", &["--count-file", counts.to_str().unwrap()])]).await;
    let read = || std::fs::read_to_string(&counts).unwrap_or_default();
    {
        let mut pending = std::pin::pin!(call(&catalog, "demo.wait", json!({"ms": 60000})));
        let arrived = eventually("the call arrived", || read() == "wait\n");
        tokio::select! {
            outcome = &mut pending => panic!("{outcome:?}"),
            () = arrived => {}
        }
    }
    eventually("the upstream heard it", || read() == "wait\nwait cancelled\n").await;
    catalog.shutdown().await;
}

#[tokio::test]
async fn fifty_calls_to_one_upstream_run_side_by_side() {
    let catalog = started(vec![demo("demo", &[])]).await;
    let began = std::time::Instant::now();
    let catalog = Arc::new(catalog);
    // On tasks of their own, as programs do it.
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let catalog = catalog.clone();
            tokio::spawn(async move { call(&catalog, "demo.wait", json!({"ms": 200})).await })
        })
        .collect();
    for outcome in calls {
        assert_eq!(outcome.await.unwrap(), Ok(json!("waited 200 ms")));
    }
    assert!(began.elapsed() < Duration::from_secs(5), "one after another would take ten seconds, took {:?}", began.elapsed());
    let asking = catalog.clone();
    let found = tokio::spawn(async move { find(&asking, "discover", json!("wait")).await }).await.unwrap();
    assert_eq!(found["bestPath"], "demo.wait");
    catalog.shutdown().await;
}

#[tokio::test]
async fn arguments_that_do_not_fit_never_leave_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let counts = folder.path().join("counts");
    let catalog = started(vec![demo("demo", &["--count-file", counts.to_str().unwrap()])]).await;
    let tool = catalog.resolve("demo.add", &open).await.unwrap();
    let error = catalog.check(&tool, r#"{"a": 1, "c": 2}"#).unwrap_err();
    assert!(error.message.contains("`b`") && error.message.contains("tools.demo.add("), "{}", error.message);
    assert!(!counts.exists());
    catalog.shutdown().await;
}

#[tokio::test]
async fn shutdown_ends_the_child_and_what_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    // A grandchild that heeds nothing but the kill, as a child of npx might.
    let script = format!(
        "trap '' TERM; sh -c 'trap \"\" TERM; echo $$ >> {0}; while :; do sleep 1; done' & echo $$ >> {0}; {1} __demo-upstream",
        pids.display(),
        env!("CARGO_BIN_EXE_airlock")
    );
    let catalog = started(vec![command("demo", "sh", &["-c", &script])]).await;
    let read = || std::fs::read_to_string(&pids).unwrap_or_default();
    eventually("both wrote their numbers", || read().lines().count() == 2).await;
    let all: Vec<i32> = read().lines().map(|line| line.parse().unwrap()).collect();
    assert!(all.iter().all(|pid| is_alive(*pid)));
    catalog.shutdown().await;
    // The kill was sent; the system may take a moment to carry it out.
    eventually("nobody is left", || !all.iter().any(|pid| is_alive(*pid))).await;
}

#[tokio::test]
async fn dropping_the_catalog_ends_the_children_too() {
    let folder = tempfile::tempdir().unwrap();
    let pid = folder.path().join("pid");
    let script = format!("echo $$ > {}; exec {} __demo-upstream", pid.display(), env!("CARGO_BIN_EXE_airlock"));
    let catalog = started(vec![command("demo", "sh", &["-c", &script])]).await;
    let child: i32 = std::fs::read_to_string(&pid).unwrap().trim().parse().unwrap();
    assert!(is_alive(child));
    drop(catalog);
    eventually("the child is gone", || !is_alive(child)).await;
}

#[tokio::test]
async fn a_child_sees_only_what_is_allowed_of_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let seen = folder.path().join("seen");
    let script = format!("env > {}; exec {} __demo-upstream", seen.display(), env!("CARGO_BIN_EXE_airlock"));
    let config = StdioConfig {
        command: "sh".to_owned(),
        args: vec!["-c".to_owned(), script],
        env: [("OWN".to_owned(), "value".to_owned())].into(),
        env_pass: vec!["PASSED".to_owned(), "ABSENT".to_owned()],
    };
    let mut server = environment();
    for (name, value) in [("PASSED", "on"), ("AWS_SECRET_ACCESS_KEY", "hush"), ("HTTPS_PROXY", "http://u:p@proxy"), ("LC_ALL", "C")]
    {
        server.insert(name.to_owned(), value.to_owned());
    }
    let catalog = Catalog::start(vec![stdio("demo", config)], &server);
    assert!(catalog.settled(PATIENCE).await);
    let seen = std::fs::read_to_string(&seen).unwrap();
    // What the shell sets by itself says nothing of the server.
    let mut names: Vec<&str> = seen.lines().filter_map(|line| line.split('=').next()).collect();
    names.retain(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name));
    let allowed = ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "LANG", "TZ", "LC_ALL", "OWN", "PASSED"];
    assert!(names.iter().all(|name| allowed.contains(name) || name.starts_with("LC_")), "{names:?}");
    assert!(["PATH", "LC_ALL", "OWN", "PASSED"].iter().all(|name| names.contains(name)), "{names:?}");
    catalog.shutdown().await;
}

#[tokio::test]
async fn a_configured_value_is_in_no_error_and_no_status() {
    let config = StdioConfig {
        command: "sh".to_owned(),
        args: vec!["-c".to_owned(), "echo \"cannot log in with $TOKEN\" >&2; exit 1".to_owned()],
        env: [("TOKEN".to_owned(), "tok-123456".to_owned())].into(),
        ..StdioConfig::default()
    };
    let catalog = started(vec![stdio("up", config)]).await;
    let (status, _, message) = state(&catalog);
    assert_eq!(status, UpstreamState::Failed);
    assert!(message.contains("cannot log in with [redacted]") && !message.contains("tok-123456"), "{message}");
    catalog.shutdown().await;
}

#[tokio::test]
async fn a_missing_command_is_named_with_the_way_out() {
    let catalog = started(vec![command("up", "no-such-command", &[])]).await;
    let (status, tools, message) = state(&catalog);
    assert_eq!((status, tools), (UpstreamState::Failed, 0));
    assert!(message.contains("`no-such-command` is not in PATH") && message.contains("install"), "{message}");
    let error = catalog.resolve("up.anything", &open).await.unwrap_err().to_string();
    assert!(error.contains("no-such-command"), "{error}");
    catalog.shutdown().await;
}

#[tokio::test]
async fn a_dead_address_is_named_without_its_secrets() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let catalog = started(vec![http("up", &format!("http://{address}/mcp?token=tok-123456"))]).await;
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
async fn a_configured_header_is_sent_and_is_in_no_error() {
    let server = Scripted::start(|request| match request["method"].as_str() {
        Some("tools/list") => one_tool(request),
        _ => {
            let text = format!("bad token in {}", request["authorization"].as_str().unwrap_or("nothing"));
            result(request, json!({"content": [{"type": "text", "text": text}], "isError": true}))
        }
    })
    .await;
    let catalog = started(vec![http_with("up", &server.url(), "Bearer tok-123456")]).await;
    let error = call(&catalog, "up.t", json!({})).await.unwrap_err();
    assert_eq!(error.message, "bad token in [redacted]");
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
    assert!(matches!(error.code, UpstreamErrorCode::Unavailable | UpstreamErrorCode::Lost), "{error:?}");
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
            let page = request["params"]["cursor"].as_str().and_then(|cursor| cursor.parse::<u32>().ok()).unwrap_or(0);
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
            json!({"name": name, "description": description, "inputSchema": {"type": "object", "title": title}})
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
    assert!(message.contains("4 tools are left out"), "{message}");
    assert_eq!(catalog.resolve("up.good", &open).await.unwrap().description.len(), 8 * 1024);
    catalog.shutdown().await;
    server.stop().await;
}

#[tokio::test]
async fn bad_answers_become_clear_errors_and_the_upstream_stays() {
    let server = Scripted::start(|request| match (request["method"].as_str(), request["params"]["arguments"]["how"].as_str()) {
        (Some("tools/list"), _) => one_tool(request),
        (_, Some("500")) => (StatusCode::INTERNAL_SERVER_ERROR, "stack trace").into_response(),
        (_, Some("429")) => (StatusCode::TOO_MANY_REQUESTS, "later").into_response(),
        (_, Some("garbage")) => body("{\"jsonrpc\": nonsense"),
        (_, Some("html")) => axum::response::Html("<html>").into_response(),
        (_, Some("wrong")) => result(request, json!({"surprise": 1})),
        (_, Some("error")) => error(request, -32000, "the disk is full"),
        _ => result(request, json!({"content": [{"type": "text", "text": "fine"}]})),
    })
    .await;
    let catalog = started(vec![http("up", &server.url())]).await;
    for (how, code, status, retryable, word) in [
        ("500", UpstreamErrorCode::Refused, Some(500), false, "HTTP 500"),
        ("429", UpstreamErrorCode::Refused, Some(429), true, "HTTP 429"),
        ("garbage", UpstreamErrorCode::BadAnswer, None, false, "not understood"),
        ("html", UpstreamErrorCode::BadAnswer, None, false, "not understood"),
        ("wrong", UpstreamErrorCode::BadAnswer, None, false, "not the result of a tool"),
        ("error", UpstreamErrorCode::Refused, None, false, "the disk is full"),
    ] {
        let error = call(&catalog, "up.t", json!({"how": how})).await.unwrap_err();
        assert_eq!((error.code, error.status, error.retryable), (code, status, retryable), "{how}: {error:?}");
        assert!(error.message.contains(word) && !error.message.contains("stack trace"), "{how}: {error:?}");
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
            "params": {"message": "sure?", "requestedSchema": {"type": "object", "properties": {}}}});
        let fail = json!({"jsonrpc": "2.0", "id": request["id"],
            "result": {"content": [{"type": "text", "text": "nobody answered"}], "isError": true}});
        let event = |message: &Value| Ok::<_, std::io::Error>(format!("data: {message}\n\n"));
        let (first, second, heard) = (event(&ask), event(&fail), heard.clone());
        let later = futures::stream::once(async move {
            heard.notified().await;
            second
        });
        let stream = futures::StreamExt::chain(futures::stream::iter([first]), later);
        ([("content-type", "text/event-stream")], axum::body::Body::from_stream(stream)).into_response()
    })
    .await;
    let catalog = started(vec![http("up", &server.url())]).await;
    let error = call(&catalog, "up.t", json!({})).await.unwrap_err();
    assert_eq!(error.code, UpstreamErrorCode::ToolFailed);
    assert!(error.message.starts_with("nobody answered") && error.message.contains("which is refused"), "{}", error.message);
    catalog.shutdown().await;
    server.stop().await;
}

async fn works_with_the_reference_server(catalog: &Catalog) {
    let (status, tools, message) = state(catalog);
    assert_eq!((status, message.as_str()), (UpstreamState::Ready, ""));
    assert!(tools >= 8, "{tools}");
    assert_eq!(call(catalog, "everything.echo", json!({"message": "hi"})).await, Ok(json!("Echo: hi")));
    let sum = call(catalog, "everything.getSum", json!({"a": 2, "b": 40})).await.unwrap();
    assert!(sum.as_str().unwrap().contains("42"), "{sum}");
    let weather = call(catalog, "everything.get-structured-content", json!({"location": "New York"})).await.unwrap();
    assert!(weather["temperature"].is_number(), "{weather}");

    let found = find(catalog, "discover", json!("add two numbers and get their sum")).await;
    assert_eq!(paths(&found)[0], "everything.get-sum", "{found}");
    let hint = found["results"][0]["hint"].as_str().unwrap();
    assert_eq!(hint, r#"tools.everything["get-sum"](args: { a: number; b: number }): Promise<unknown>"#);
}

#[tokio::test]
async fn the_reference_server_works_as_a_child() {
    let Some(entry) = everything() else { return };
    let catalog = started(vec![command("everything", "node", &[entry.to_str().unwrap(), "stdio"])]).await;
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

#[tokio::test]
async fn the_finding_functions_answer_in_the_shapes_of_the_contract() {
    let catalog = started(vec![demo("demo", &[]), demo("other", &[])]).await;

    let found = find(&catalog, "discover", json!({"query": "add a note", "limit": 2, "namespace": "demo"})).await;
    assert_eq!(found["bestPath"], "demo.notes.add", "{found}");
    assert_eq!(
        found["results"][0],
        json!({
            "path": "demo.notes.add", "source": "demo", "approval": "auto", "score": found["results"][0]["score"],
            "hint": "tools.demo.notes.add(args: { text: string }): Promise<{ id: number }>",
            "description": "Adds a note to the list and returns its number.",
        })
    );
    let found = find(&catalog, "discover", json!("add a note")).await;
    assert_eq!(found["bestPath"], Value::Null, "two upstreams have it: {found}");

    let all = find(&catalog, "catalog.namespaces", json!({"limit": 1})).await;
    assert_eq!(
        all,
        json!({"namespaces": [{"namespace": "demo", "toolCount": 8, "samplePaths": ["demo.add", "demo.big", "demo.crash"]}], "total": 2})
    );

    let first = find(&catalog, "catalog.tools", json!({"limit": 10})).await;
    let second = find(&catalog, "catalog.tools", json!({"limit": 10, "cursor": first["nextCursor"]})).await;
    let mut listed = paths(&first);
    listed.extend(paths(&second));
    assert_eq!((listed.len(), first["total"].as_u64(), &second["nextCursor"]), (16, Some(16), &Value::Null));
    assert!(listed.is_sorted(), "{listed:?}");

    let described = find(&catalog, "describe", json!("demo.add")).await;
    assert_eq!((&described["approval"], &described["inputSchema"]["required"]), (&json!("auto"), &json!(["a", "b"])));
    assert!(described["typescript"].as_str().unwrap().contains("add(args: AddArgs): Promise<AddResult>;"), "{described}");
    assert!(catalog.find("demo.add", "{}", &open).await.is_none(), "a tool is not a finding function");
    catalog.shutdown().await;
}

#[tokio::test]
async fn a_hidden_tool_cannot_be_told_from_one_that_does_not_exist() {
    let catalog = started(vec![demo("demo", &[])]).await;
    let view = |tool: &Tool| match tool.name.as_str() {
        "crash" => Visibility::Hidden,
        "notes.add" => Visibility::Required,
        _ => Visibility::Auto,
    };
    let ask = async |function: &str, args: &str| catalog.find(function, args, &view).await.unwrap();
    let answer = |json: airlock::model::RawJson| serde_json::from_str::<Value>(json.get()).unwrap();

    for path in ["demo.crash", "demo.CRASH", "demo.crsh"] {
        match catalog.resolve(path, &view).await {
            Err(ResolveError::NotFound(absent)) => assert!(!absent.nearest.contains(&"demo.crash".to_owned()), "{absent:?}"),
            other => panic!("{other:?}"),
        }
    }
    let described = ask("describe", r#""demo.crash""#).await.unwrap_err().to_string();
    assert!(described.starts_with("there is no tool `demo.crash`"), "{described}");
    assert_eq!(answer(ask("discover", r#"{"query": "crash"}"#).await.unwrap())["total"], 0);
    assert_eq!(answer(ask("catalog.tools", "{}").await.unwrap())["total"], 7);
    assert_eq!(answer(ask("catalog.namespaces", "").await.unwrap())["namespaces"][0]["toolCount"], 7);
    assert_eq!(answer(ask("discover", r#""add a note""#).await.unwrap())["results"][0]["approval"], "required");
    catalog.shutdown().await;
}

#[tokio::test]
async fn the_errors_of_finding_are_enough_to_ask_right() {
    let catalog = started(vec![demo("demo", &[])]).await;
    let failed = async |function: &str, args: &str| catalog.find(function, args, &open).await.unwrap().unwrap_err().to_string();
    insta::assert_snapshot!(failed("discover", r#"{"qeury": "x"}"#).await, @r#"`tools.discover`: there is no field `qeury`, did you mean `query`?; correct: await tools.discover({ query: "x" })"#);
    insta::assert_snapshot!(failed("discover", r#"{"query": "x", "limit": 500}"#).await, @r#"`tools.discover`: field `limit` must be at most 50, got number 500; correct: await tools.discover({ query: "x", limit: 50 })"#);
    insta::assert_snapshot!(failed("catalog.tools", r#"{"cursor": "nonsense"}"#).await, @"field `cursor` must be the `nextCursor` of the page before, asked with the same `query`");
    insta::assert_snapshot!(failed("describe", "{}").await, @r#"`tools.describe`: field `path` is missing (string); correct: await tools.describe({ path: "…" })"#);
    insta::assert_snapshot!(failed("describe", r#""demo.notes.lst""#).await, @r#"there is no tool `demo.notes.lst`, did you mean `tools.demo.notes.list`, `tools.demo.notes.add`?; find one with await tools.discover("lst")"#);
    catalog.shutdown().await;
}
