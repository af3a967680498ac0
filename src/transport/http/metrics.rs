//! Counters of the HTTP server, and `/metrics`.
//!
//! | name | labels | meaning |
//! |---|---|---|
//! | `airlock_http_requests_total` | `route`, `status` | answers, by route and status |
//! | `airlock_http_first_byte_seconds` | `route` | from the request's head to the answer's head |
//! | `airlock_http_rate_limited_total` | | requests refused by the limits per minute |
//! | `airlock_mcp_calls_total` | `tool`, `outcome` (`ok`, `error`, `refused`) | MCP calls |

use std::time::{Duration, Instant};

use axum::{
    extract::Request,
    http::header,
    middleware::Next,
    response::{IntoResponse, Response},
};
use metrics::{counter, describe_counter, describe_histogram, histogram};
use metrics_exporter_prometheus::PrometheusHandle;

/// Interval in which the exporter folds its samples.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Gives the counters of the transport their descriptions. Once, after the recorder is installed.
pub fn describe() {
    describe_counter!("airlock_http_requests_total", "Answers over HTTP, by route and status");
    describe_histogram!(
        "airlock_http_first_byte_seconds",
        "From a request's head to its answer's head, in seconds"
    );
    describe_counter!(
        "airlock_http_rate_limited_total",
        "Requests refused by the limits per minute"
    );
    describe_counter!("airlock_mcp_calls_total", "Calls of the MCP tools, by tool and outcome");
}

/// Keeps the exporter's memory bounded between two scrapes.
pub(super) async fn upkeep(handle: PrometheusHandle) {
    let mut ticks = tokio::time::interval(UPKEEP_EVERY);
    loop {
        ticks.tick().await;
        handle.run_upkeep();
    }
}

pub(super) fn render(handle: &PrometheusHandle) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], handle.render())
        .into_response()
}

pub(super) async fn count(request: Request, next: Next) -> Response {
    let route = route(request.uri().path());
    let started = Instant::now();
    let response = next.run(request).await;
    counter!(
        "airlock_http_requests_total", "route" => route,
        "status" => response.status().as_str().to_owned()
    )
    .increment(1);
    histogram!("airlock_http_first_byte_seconds", "route" => route).record(started.elapsed());
    response
}

/// The route of a path as a label, from a closed list: a path that a caller made up must not become
/// one.
fn route(path: &str) -> &'static str {
    match path.split('/').nth(1) {
        Some("mcp") => "/mcp",
        Some("v1") => "/v1",
        Some("healthz") => "/healthz",
        Some("metrics") => "/metrics",
        _ => "other",
    }
}
