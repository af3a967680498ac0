//! Calls on their way: what a server says meanwhile, what it asks, how it hears that nobody waits
//! any more, and what is learned of its answers. In both eras of the protocol.

use std::sync::Arc;

use airlock::catalog::{Catalog, UpstreamErrorCode};
use axum::{
    Router,
    body::Body,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::{call, find, started};
use crate::support::upstream::{
    Scripted, demo, eventually, http, install_crypto, one_tool, open, result,
};

const ERAS: [&[&str]; 2] = [&[], &["--modern-only"]];

#[tokio::test]
async fn what_a_server_says_of_a_call_reaches_the_one_who_made_it() {
    for era in ERAS {
        let catalog = started(vec![demo("demo", era)]).await;
        let tool = catalog.resolve("demo.wait", &open).await.unwrap();
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let ears = heard.clone();
        let news = Arc::new(move |text: &str| ears.lock().push(text.to_owned()));
        let args = catalog.check(&tool, r#"{"ms": 60000}"#).await.unwrap();
        {
            let mut pending = std::pin::pin!(catalog.call_followed(&tool, args, news));
            tokio::select! {
                outcome = &mut pending => panic!("{outcome:?}"),
                () = eventually("a notice came", || !heard.lock().is_empty()) => {}
            }
        }
        assert_eq!(*heard.lock(), ["0 of 60000, waiting"], "{era:?}");
        catalog.shutdown().await;
    }
}

#[tokio::test]
async fn a_child_of_either_era_hears_that_nobody_waits() {
    for era in ERAS {
        let folder = tempfile::tempdir().unwrap();
        let counts = folder.path().join("counts");
        let flags: Vec<&str> =
            era.iter().copied().chain(["--count-file", counts.to_str().unwrap()]).collect();
        let catalog = started(vec![demo("demo", &flags)]).await;
        let read = || std::fs::read_to_string(&counts).unwrap_or_default();
        dropped_once(&catalog, "demo.wait", json!({"ms": 60000}), || read() == "wait\n").await;
        eventually("the child heard it", || read() == "wait\nwait cancelled\n").await;
        catalog.shutdown().await;
    }
}

/// Makes a call and drops it as soon as the condition holds.
async fn dropped_once(catalog: &Catalog, path: &str, args: Value, arrived: impl FnMut() -> bool) {
    let mut pending = std::pin::pin!(call(catalog, path, args));
    tokio::select! {
        outcome = &mut pending => panic!("{outcome:?}"),
        () = eventually("the call arrived", arrived) => {}
    }
}

/// What an address noticed of a call that never ends.
#[derive(Default)]
struct Noticed {
    called: Mutex<Option<Value>>,
    cancelled: Mutex<Option<Value>>,
    closed: Mutex<bool>,
}

/// Notes that the stream it is part of was given up.
struct Stream(Arc<Noticed>);

impl Drop for Stream {
    fn drop(&mut self) {
        *self.0.closed.lock() = true;
    }
}

/// Answers a call with a stream on which nothing comes.
async fn never(State((noticed, modern)): State<(Arc<Noticed>, bool)>, body: String) -> Response {
    let request: Value = serde_json::from_str(&body).unwrap();
    let capabilities = json!({"tools": {}});
    match request["method"].as_str().unwrap_or_default() {
        "server/discover" if modern => result(
            &request,
            json!({
                "resultType": "complete", "supportedVersions": ["2026-07-28"],
                "capabilities": capabilities, "ttlMs": 0, "cacheScope": "private"
            }),
        ),
        "initialize" if !modern => result(
            &request,
            json!({
                "protocolVersion": "2025-11-25", "capabilities": capabilities,
                "serverInfo": {"name": "n", "version": "1"}
            }),
        ),
        "tools/list" => one_tool(&request),
        "tools/call" => {
            *noticed.called.lock() = Some(request["id"].clone());
            let held = Stream(noticed.clone());
            let first = futures::stream::iter([Ok::<_, std::io::Error>(": here\n\n")]);
            let rest = futures::stream::once(async move {
                let _held = held;
                std::future::pending().await
            });
            let body = Body::from_stream(futures::StreamExt::chain(first, rest));
            ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response()
        }
        "notifications/cancelled" => {
            *noticed.cancelled.lock() = Some(request["params"]["requestId"].clone());
            StatusCode::ACCEPTED.into_response()
        }
        method if method.starts_with("notifications/") => StatusCode::ACCEPTED.into_response(),
        _ => {
            let refusal = json!({"code": -32601, "message": "no such method"});
            axum::Json(json!({"jsonrpc": "2.0", "id": request["id"], "error": refusal}))
                .into_response()
        }
    }
}

#[tokio::test]
async fn an_address_of_either_era_learns_that_nobody_waits() {
    install_crypto();
    for modern in [false, true] {
        let noticed: Arc<Noticed> = Arc::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let router = Router::new().route("/mcp", post(never)).with_state((noticed.clone(), modern));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let catalog = started(vec![http("up", &url)]).await;
        dropped_once(&catalog, "up.t", json!({}), || noticed.called.lock().is_some()).await;
        // The legacy era is told by a message that names the request, the modern one by its stream,
        // which closes.
        if modern {
            eventually("its stream was closed", || *noticed.closed.lock()).await;
        } else {
            eventually("it was told", || noticed.cancelled.lock().is_some()).await;
            assert_eq!(*noticed.cancelled.lock(), *noticed.called.lock());
        }
        catalog.shutdown().await;
        server.abort();
    }
}

#[tokio::test]
async fn a_server_that_asks_a_person_is_refused_with_what_it_asked() {
    let server = Scripted::modern(|request| match request["method"].as_str() {
        Some("tools/list") => one_tool(request),
        _ => {
            let schema = json!({"type": "object", "properties": {"branch": {"type": "string"}}});
            let ask = json!({"method": "elicitation/create", "params": {"mode": "form", "message": "Which \
                branch?", "requestedSchema": schema}});
            result(
                request,
                json!({
                    "resultType": "input_required", "requestState": "s", "inputRequests": {"q": ask}
                })
            )
        }
    })
    .await;
    let catalog = started(vec![http("up", &server.url())]).await;
    let error = call(&catalog, "up.t", json!({})).await.unwrap_err();
    assert_eq!(error.code, UpstreamErrorCode::InputRequired);
    assert!(
        error.message.contains(r#"it asked a person: "Which branch?" (fields `branch`)"#),
        "{}",
        error.message
    );
    catalog.shutdown().await;
    server.stop().await;
}

#[tokio::test]
async fn what_a_tool_answers_is_learned_where_its_server_does_not_say() {
    let server = Scripted::start(|request| match request["method"].as_str() {
        Some("tools/list") => one_tool(request),
        _ => result(
            request,
            json!({"content": [{
                "type": "text", "text": r#"{"items": [{"id": "abc-secret", "n": 1}], "next": null}"#
            }]}),
        ),
    })
    .await;
    let catalog = started(vec![http("up", &server.url())]).await;
    let described = async || find(&catalog, "describe", json!({"path": "up.t"})).await;
    assert!(described().await["typescript"].as_str().unwrap().contains("type TResult = unknown;"));
    call(&catalog, "up.t", json!({})).await.unwrap();
    let typescript = described().await["typescript"].as_str().unwrap().to_owned();
    for line in ["/* observed", "id: string;", "n: number;", "next: null;"] {
        assert!(typescript.contains(line), "{line}: {typescript}");
    }
    let found = find(&catalog, "discover", json!({"query": "t"})).await;
    let hint = found["results"][0]["hint"].as_str().unwrap();
    assert_eq!(
        hint,
        "tools.up.t(): Promise</* observed */ { items: { id: string; n: number }[]; next: null }>"
    );
    assert!(!format!("{typescript}{found}").contains("abc-secret"));
    catalog.shutdown().await;
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_waits_for_a_program_sees_what_its_tool_says() {
    use crate::support::server::TestServer;
    let server = TestServer::start().await;
    let params = json!({
        "name": "execute",
        "arguments": {"code": "return await tools.demo.wait({ ms: 11000 })"},
        "_meta": {
            "progressToken": 5,
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "airlock-tests", "version": "0"},
        },
    });
    let request =
        reqwest::Client::builder().no_proxy().build().unwrap().post(format!("{}/mcp", server.url));
    let request = request
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", "tools/call")
        .header("mcp-name", "execute");
    let answer = request
        .json(&json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}))
        .send()
        .await
        .unwrap();
    let text = answer.text().await.unwrap();
    assert!(text.contains("1 tool call; the last tool reports: 0 of 11000, waiting"), "{text}");
    server.stop().await;
}
