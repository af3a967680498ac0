//! The HTTP server: `/mcp` for agents, `/v1` for the owner's own tools, the owner's pages,
//! `/healthz` and `/metrics`.
//!
//! Everything passes [`host_check`] first. One [`serve`] takes its listener and its stop signal as
//! arguments.

mod answer_form;
mod connections;
mod cors;
mod envelope;
mod error;
mod health;
mod host_check;
mod keep_alive;
mod mcp_endpoint;
mod mcp_sessions;
mod metrics;
mod options;
mod pages;
mod rest;

use std::{io, sync::Arc, time::Duration};

use axum::{Router, middleware, routing};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;

use self::{connections::Bounds, health::LastHealth, mcp_endpoint::McpEndpoint};
use super::{
    auth::{self, Authenticator},
    handoff,
    mcp::Mcp,
};

pub use host_check::HostPolicy;
pub use metrics::describe as describe_metrics;
pub use options::{HttpOptions, HttpServer};

/// Time of a stop after which the log says what it waits for.
const DRAIN_LOGGED_AFTER: Duration = Duration::from_millis(250);

/// The end of a server.
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

/// Resolves when the time to drain is over; the log says so where somebody waits for it.
async fn drained(shutdown: &CancellationToken, drain: Duration) {
    shutdown.cancelled().await;
    let end = tokio::time::Instant::now() + drain;
    tokio::time::sleep(DRAIN_LOGGED_AFTER.min(drain)).await;
    tracing::info!(
        "responses are under way: they have {} s to end; a second signal to stop cuts them off",
        drain.as_secs()
    );
    tokio::time::sleep_until(end).await;
    tracing::warn!("responses were still under way after {} s: they are cut off", drain.as_secs());
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
    let endpoint = Arc::new(McpEndpoint::new(&server, stopping.clone(), cut));
    let body_max = endpoint.body_max();
    let mcp = Mcp::over_stdio(
        server.service.clone(),
        server.mcp.clone(),
        auth::stdio_agent(),
        server.options.rates.clone(),
        stopping.clone(),
    );
    let handoff = async move |request| handoff::serve(mcp.clone(), stopping.clone(), request).await;
    let handoff = routing::get(handoff);
    let health = Arc::new(LastHealth::new(server.service.clone()));
    let metrics = server.metrics;
    let authenticator = Arc::new(Authenticator::new(server.owner, address));
    let agents = if server.agents {
        let mcp = routing::any(mcp_endpoint::serve).with_state(endpoint);
        Router::new().route("/mcp", mcp.layer(cors::layer(allowed.clone())))
    } else {
        Router::new()
    };
    let v1 = rest::routes(server.service.clone(), authenticator.clone(), body_max, handoff);
    agents
        .route("/healthz", routing::get(async move || health.answer().await))
        .route("/metrics", routing::get(async move || metrics::render(&metrics)))
        .nest("/v1", v1)
        .merge(pages::routes(server.service, authenticator))
        .fallback(error::route_not_found)
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(middleware::from_fn_with_state(allowed, host_check::check))
        .layer(middleware::from_fn(pages::for_browsers))
        .layer(middleware::from_fn(metrics::count))
}
