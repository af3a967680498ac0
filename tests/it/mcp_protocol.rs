//! The protocols at their boundary: real clients, and what no client would send. Behind them stands
//! the service over a store in memory.

use std::{net::SocketAddr, time::Duration};

use airlock::{
    model::TaskStatus,
    transport::{
        auth::OwnerToken,
        http::{Drained, HttpOptions, HttpServer, serve},
        mcp::McpOptions,
        rate_limit::RateLimits,
    },
};
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::support::{
    clients::{self, Raw, listen_post},
    runtime,
    service::{Setup, TestService, fixed, mcp_options, offer, offering},
};

mod endpoint;
mod eras;
mod forms;
mod habits;
mod pipe;
mod progress;
mod public_clients;
mod rest;
mod sessions;
mod tools;

const OWNER: &str = "owner-token-of-the-test";

/// A server on a port of its own; stops when it is dropped.
struct Server {
    address: SocketAddr,
    below: TestService,
    shutdown: CancellationToken,
    serving: JoinHandle<std::io::Result<Drained>>,
}

impl Server {
    async fn start() -> Self {
        Self::over(&Setup::default()).await
    }

    async fn over(setup: &Setup) -> Self {
        let options = HttpOptions { rates: RateLimits::new(0, 0), ..HttpOptions::default() };
        Self::with(options, setup).await
    }

    async fn with(options: HttpOptions, setup: &Setup) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let below = TestService::start(setup).await;
        let metrics = PrometheusBuilder::new().build_recorder().handle();
        let server = HttpServer {
            service: below.service.clone(),
            agents: true,
            mcp: fixed(mcp_options()),
            options,
            owner: OwnerToken::new(OWNER),
            metrics,
        };
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(serve(listener, server, shutdown.clone()));
        Self { address, below, shutdown, serving }
    }

    fn raw(&self) -> Raw {
        Raw::new(self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.cancel();
        self.serving.abort();
    }
}

/// A program that returns after so long.
fn sleep(ms: u64) -> String {
    format!("await new Promise((resolve) => setTimeout(resolve, {ms})); return \"slept\"")
}

/// A program that returns a string of so many characters.
fn big(chars: usize) -> String {
    format!("return \"x\".repeat({chars})")
}

/// A program that fails at line 7, column 9.
const FAILS: &str = "const x = 1;\n\n\n\n\n\n        x()";
/// A program that writes to its console.
const LOGS: &str =
    "console.log(\"hello\"); console.warn(\"careful\"); return { a: [1, { b: null }] }";
/// A program that takes all the memory it may have.
const GROWS: &str = "const all = []; while (true) all.push(new Array(100_000).fill(all.length))";
/// A program that makes a call which the profile `readonly` denies.
const DENIED: &str = "await tools.everything.crash({})";

/// Waits until a condition holds; ten seconds at most.
async fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(tokio::time::Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

const JSON: [(&str, &str); 2] =
    [("content-type", "application/json"), ("accept", "application/json, text/event-stream")];

/// The handshake of a legacy client.
fn hello(version: &str) -> String {
    let client = json!({"name": "old client", "version": "1"});
    json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": version, "capabilities": {}, "clientInfo": client}})
    .to_string()
}

/// Begins a legacy session; its id and the answer to `initialize`.
async fn begin(raw: &Raw, version: &str) -> (String, Value) {
    let reply = raw.send("POST", "/mcp", &JSON, hello(version)).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let session = reply.header("mcp-session-id").unwrap().to_owned();
    let mut headers = JSON.to_vec();
    headers.extend([("mcp-session-id", session.as_str()), ("mcp-protocol-version", version)]);
    let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    assert_eq!(raw.send("POST", "/mcp", &headers, ready.to_string()).await.status, 202);
    (session, reply.json()["result"].clone())
}

fn text_of(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap()
}
