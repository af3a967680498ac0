//! The HTTP server: `/mcp` for agents, `/v1` for the owner's own tools, the owner's pages,
//! `/healthz` and `/metrics`.
//!
//! Everything passes the [`guard`] first. One [`serve`] takes its listener and its stop signal as
//! arguments.

mod approvals;
mod artifacts;
mod connections;
mod error;
mod health;
mod host_check;
mod keep_alive;
mod mcp_endpoint;
mod metrics;
mod pages;
mod policy;
mod rate_limit;
mod rest;
mod sessions;
mod sign_in;
mod token;

use std::{io, sync::Arc, time::Duration};

use axum::{Router, middleware, routing};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;

use super::{
    Port, handoff,
    mcp::{Mcp, McpOptions},
};
use crate::model::Principal;
use connections::Bounds;
use health::LastHealth;
use mcp_endpoint::McpEndpoint;
use sign_in::SignIn;

pub use host_check::HostPolicy;
pub use metrics::describe as describe_metrics;
pub use token::OwnerToken;

/// How long a stop may take before it is told what it waits for.
const DRAIN_TOLD_AFTER: Duration = Duration::from_millis(250);

/// How the HTTP server behaves. The defaults are those of a server on loopback.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// Host names beside the loopback ones under which the server may be called, with or without a
    /// port.
    pub allowed_hosts: Vec<String>,
    /// Origins of web pages beside the server's own that may call it: `https://app.example:443`,
    /// `http://localhost:*`.
    pub allowed_origins: Vec<String>,
    /// POST requests to `/mcp` per workspace and minute; 0 switches the limit off.
    pub requests_per_minute: u32,
    /// Connections at once, at most; further ones wait in the listener's queue.
    pub connections_max: usize,
    /// How long a connection may be silent before a request, or take to send its head, before it is
    /// closed.
    pub head_max: Duration,
    /// How long a client may take nothing of what is written to it before its connection is closed.
    pub write_max: Duration,
    /// A silent call gets its first byte after this, and a comment as often as
    /// [`Self::comment_every`] from then on.
    pub first_byte_after: Duration,
    /// How often a silent stream carries a comment.
    pub comment_every: Duration,
    /// How long requests under way may take to end once the server stops. Longer than tasks are
    /// given, so that their ends are told.
    pub drain: Duration,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            requests_per_minute: 100,
            connections_max: 1024,
            head_max: Duration::from_secs(10),
            write_max: Duration::from_secs(60),
            first_byte_after: Duration::from_secs(1),
            comment_every: Duration::from_secs(12),
            drain: Duration::from_secs(12),
        }
    }
}

/// What the HTTP server is made of.
pub struct HttpServer {
    /// Answers everything that is asked.
    pub port: Arc<dyn Port>,
    /// Whether agents are answered at `/mcp`. Where nobody asked for a server they are not: whoever
    /// can connect is taken for one.
    pub agents: bool,
    /// What the MCP tools state.
    pub mcp: McpOptions,
    /// How it behaves.
    pub options: HttpOptions,
    /// What the owner's tools show on `/v1`.
    pub owner: OwnerToken,
    /// Renders `/metrics`.
    pub metrics: PrometheusHandle,
}

/// How a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Every request under way was answered.
    Complete,
    /// The deadline came first; what was under way was cut off.
    Forced,
}

/// Serves until `shutdown`, then takes no more connections, ends idle streams, and gives requests
/// under way [`HttpOptions::drain`] to end. Fails only where the listener has no address or its
/// loop panicked.
pub async fn serve(
    listener: TcpListener,
    server: HttpServer,
    shutdown: CancellationToken,
) -> io::Result<Drained> {
    let address = listener.local_addr()?;
    let drain = server.options.drain;
    let HttpOptions { connections_max: max, head_max: head, write_max: write, .. } = server.options;
    let bounds = Bounds { max, head, write };
    let upkeep = tokio::spawn(metrics::upkeep(server.metrics.clone()));
    // Cut when the time to drain is over: ends every stream, session and connection.
    let cut = CancellationToken::new();
    let _cut_if_dropped = cut.clone().drop_guard();
    let router = router(server, address, shutdown.clone(), cut.clone());
    let mut serving =
        tokio::spawn(connections::serve(listener, router, bounds, shutdown.clone(), cut.clone()));
    let drained = tokio::select! {
        ended = &mut serving => { ended.map(|()| Drained::Complete).map_err(io::Error::other) }
        () = drained(&shutdown, drain) => Ok(Drained::Forced),
    };
    cut.cancel();
    serving.abort();
    upkeep.abort();
    drained
}

/// The end of the time to drain. Says so where it is needed.
async fn drained(shutdown: &CancellationToken, drain: Duration) {
    shutdown.cancelled().await;
    let end = tokio::time::Instant::now() + drain;
    tokio::time::sleep(DRAIN_TOLD_AFTER.min(drain)).await;
    tracing::info!(
        "answers are under way: they are given {} s to end; telling the server to stop once more \
        cuts them off",
        drain.as_secs()
    );
    tokio::time::sleep_until(end).await;
    tracing::warn!("answers were still under way after {} s: they are cut off", drain.as_secs());
}

fn router(
    server: HttpServer,
    address: std::net::SocketAddr,
    stopping: CancellationToken,
    cut: CancellationToken,
) -> Router {
    let allowed = Arc::new(HostPolicy::new(
        address,
        &server.options.allowed_hosts,
        &server.options.allowed_origins,
    ));
    let door = Arc::new(McpEndpoint::new(&server, &allowed, stopping.clone(), cut));
    let body_max = door.body_max();
    let mcp = Mcp::over_stdio(
        server.port.clone(),
        server.mcp.clone(),
        Principal::local("stdio"),
        stopping.clone(),
    );
    let pipe = async move |request| handoff::serve(mcp.clone(), stopping.clone(), request).await;
    let health = Arc::new(LastHealth::new(server.port.clone()));
    let metrics = server.metrics;
    let gate = Arc::new(SignIn::new(server.owner, address));
    let agents = if server.agents {
        Router::new().route("/mcp", routing::any(mcp_endpoint::mcp).with_state(door))
    } else {
        Router::new()
    };
    agents
        .route("/healthz", routing::get(async move || health.answer().await))
        .route("/metrics", routing::get(async move || metrics::render(&metrics)))
        .nest("/v1", rest::routes(server.port.clone(), gate.clone(), body_max, routing::get(pipe)))
        .merge(pages::routes(server.port, gate))
        .fallback(error::route_not_found)
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(middleware::from_fn_with_state(allowed, host_check::check))
        .layer(middleware::from_fn(pages::for_browsers))
        .layer(middleware::from_fn(metrics::count))
}
