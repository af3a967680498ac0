//! The answer at `/`: what this server is, for a person or for a program.

use axum::{
    Json,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use maud::html;
use serde_json::json;

use super::{layout::Frame, refused::reads_pages};

/// The page, or the same as JSON. It tells nothing that `/healthz` does not tell everybody.
pub(super) async fn answer(headers: HeaderMap) -> Response {
    let version = env!("CARGO_PKG_VERSION");
    let mut response = if reads_pages(&headers) {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        page(version, host.unwrap_or("127.0.0.1"))
    } else {
        Json(json!({
            "name": "airlock",
            "version": version,
            "mcp": "/mcp",
            "api": "/v1",
            "approvals": "/approvals",
            "health": "/healthz",
            "metrics": "/metrics",
        }))
        .into_response()
    };
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    response
}

fn page(version: &str, host: &str) -> Response {
    let content = html! {
        h1 { "Airlock" }
        p {
            "This server runs programs that AI agents write. A program can reach only the tools \
            that the owner connected, and some calls wait for the owner's approval."
        }
        ul {
            li { a href="/approvals" { "Approvals" } ": the calls that wait for you, and those of \
                the past. Sign in with " code { "airlock open" } " on this machine." }
            li { code { "http://" (host) "/mcp" } ": for agents, over MCP (streamable HTTP)" }
            li { code { "/v1" } ": the owner's interface, which the commands use" }
            li { a href="/healthz" { code { "/healthz" } } ": whether it is well, as JSON" }
            li { a href="/metrics" { code { "/metrics" } } ": for Prometheus" }
        }
        p { "On the command line: " code { "airlock tasks list" } ", " code { "airlock tools list" }
            ", " code { "airlock upstreams list" } ", " code { "airlock policy show" } ", " code {
            "airlock doctor" } "." }
        p.about { "Version " (version) }
    };
    Frame::still("Welcome", None).page(&content)
}
