//! The protocols at their boundary: real clients, and what no client would send. Behind them stands
//! a service that does what the "code" says, so that a test chooses how a task goes.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use airlock::transport::{
    http::{Drained, HttpOptions, HttpServer, OwnerToken, serve},
    mcp::McpOptions,
};
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::support::{
    clients::{self, Raw, listen_post},
    stand_in::{Inner, StandIn},
};

mod door;
mod eras;
mod public_clients;
mod rest;
mod tools;

const OWNER: &str = "owner-token-of-the-test";

/// A server on a port of its own; stops when it is dropped.
struct Server {
    address: SocketAddr,
    service: Arc<Inner>,
    shutdown: CancellationToken,
    serving: JoinHandle<std::io::Result<Drained>>,
}

impl Server {
    async fn start() -> Self {
        Self::with(
            HttpOptions { requests_per_minute: 0, ..HttpOptions::default() },
            Duration::from_secs(50),
        )
        .await
    }

    async fn with(options: HttpOptions, hold: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (port, service) = StandIn::new(hold);
        let metrics = PrometheusBuilder::new().build_recorder().handle();
        let server = HttpServer {
            port,
            agents: true,
            mcp: McpOptions::default(),
            options,
            owner: OwnerToken::new(OWNER),
            metrics,
        };
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(serve(listener, server, shutdown.clone()));
        Self { address, service, shutdown, serving }
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

/// Waits until a condition holds; ten seconds at most.
async fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(tokio::time::Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn text_of(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap()
}
