//! The parts of the HTTP server, and its bounds.

use std::{sync::Arc, time::Duration};

use metrics_exporter_prometheus::PrometheusHandle;

use crate::{
    service::Service,
    transport::{auth::OwnerToken, mcp::LiveMcpOptions, rate_limit::RateLimits},
};

/// Bounds and timing of the HTTP server. The defaults are those of a server on loopback.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// Host names beside the loopback ones under which the server may be called, with or without a
    /// port.
    pub allowed_hosts: Vec<String>,
    /// Origins of web pages beside the server's own that may call it: `https://app.example:443`,
    /// `http://localhost:*`.
    pub allowed_origins: Vec<String>,
    /// Limits on requests to `/mcp`, which clients over stdio share.
    pub rates: Arc<RateLimits>,
    /// Connections at once, at most; further ones wait in the listener's queue.
    pub connections_max: usize,
    /// Time limit for a connection to be silent before a request, or to send its head, before it is
    /// closed.
    pub head_max: Duration,
    /// Time limit for a client to accept nothing before its connection is closed.
    pub write_max: Duration,
    /// A silent call gets its first byte after this, and a comment as often as
    /// [`Self::comment_every`] from then on.
    pub first_byte_after: Duration,
    /// Interval of comments on a silent stream.
    pub comment_every: Duration,
    /// Time limit for requests under way once the server stops. Longer than the time of tasks, so
    /// that their ends are reported.
    pub drain: Duration,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            rates: Arc::default(),
            connections_max: 1024,
            head_max: Duration::from_secs(10),
            write_max: Duration::from_secs(60),
            first_byte_after: Duration::from_secs(1),
            comment_every: Duration::from_secs(12),
            drain: Duration::from_secs(12),
        }
    }
}

/// The parts of the HTTP server.
pub struct HttpServer {
    /// Answers every request.
    pub service: Arc<Service>,
    /// True if agents are answered at `/mcp`. Where nobody started a server they are not, because
    /// whoever can connect is treated as one.
    pub agents: bool,
    /// The bounds that the MCP tools state.
    pub mcp: LiveMcpOptions,
    /// Bounds and timing.
    pub options: HttpOptions,
    /// The token that the owner's commands send to `/v1`.
    pub owner: OwnerToken,
    /// Renders `/metrics`.
    pub metrics: PrometheusHandle,
}
