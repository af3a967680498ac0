//! `/mcp`: the steps between a request and rmcp's streamable HTTP service.
//!
//! In this order: read the body within its cap, count the request, let rmcp answer with an early
//! first byte, and give every refusal the form of a JSON-RPC error with the request's id.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::StreamExt;
use http_body_util::{BodyExt, Limited};
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{
    error,
    host_check::HostPolicy,
    keep_alive,
    mcp_sessions::{McpSessions, SESSIONS_MAX},
    options::HttpServer,
    rate_limit::{self, Rate, RateStatus},
};
use crate::{
    model::ErrorCode,
    transport::{auth, mcp::Mcp},
};

/// Time limit for a body to arrive.
const BODY_TIME_MAX: Duration = Duration::from_secs(30);
/// A byte of code or metadata may take six in JSON (`\u0000`).
const ESCAPED_MAX: usize = 6;
/// Bytes of a request beside the code: 16 KiB of metadata, escaped, and the envelope.
const ENVELOPE_BYTES_MAX: usize = ESCAPED_MAX * 16 * 1024 + 64 * 1024;

/// The endpoint for agents.
pub(super) struct McpEndpoint {
    mcp: StreamableHttpService<Mcp, McpSessions>,
    rate: Option<Rate>,
    timing: keep_alive::Timing,
    body_max: usize,
    stopping: CancellationToken,
}

impl McpEndpoint {
    /// `stopping` ends idle streams, `cut` everything.
    pub(super) fn new(
        server: &HttpServer,
        allowed: &HostPolicy,
        stopping: CancellationToken,
        cut: CancellationToken,
    ) -> Self {
        let body_max = server.mcp.code_bytes_max * ESCAPED_MAX + ENVELOPE_BYTES_MAX;
        let config = StreamableHttpServerConfig::default()
            .with_allowed_hosts(allowed.hosts())
            .with_allowed_origins(allowed.origins())
            .enforce_origin_validation()
            .with_json_response(true)
            .with_max_request_body_bytes(body_max)
            .with_cancellation_token(cut);
        let handler = Mcp::over_http(server.service.clone(), server.mcp.clone(), stopping.clone());
        Self {
            mcp: StreamableHttpService::new(
                move || Ok(handler.clone()),
                McpSessions::new(SESSIONS_MAX),
                config,
            ),
            rate: Rate::new(server.options.requests_per_minute),
            timing: keep_alive::Timing {
                first_byte_after: server.options.first_byte_after,
                comment_every: server.options.comment_every,
            },
            body_max,
            stopping,
        }
    }

    /// Bytes of a request's body, at most.
    pub(super) fn body_max(&self) -> usize {
        self.body_max
    }

    async fn post(self: Arc<Self>, request: Request) -> Response {
        let (mut parts, body) = request.into_parts();
        let who = auth::agent();
        let body = match read(body, self.body_max).await {
            Ok(body) => body,
            Err(refused) => return refused,
        };
        let status = self.rate.as_ref().map(|rate| (rate, rate.count(&who.workspace_id)));
        if let Some((rate, status @ RateStatus::Beyond { retry_after })) = status {
            return too_many(rate, status, retry_after, &body);
        }
        parts.extensions.insert(who);
        accept_anything(&mut parts.headers);
        let endpoint = self.clone();
        let answered = async move {
            let request = Request::from_parts(parts, http_body_util::Full::new(body.clone()));
            let response = endpoint.mcp.handle(request).await.map(Body::new);
            if response.status().is_success() { response } else { as_rpc(response, &body).await }
        };
        let mut response = keep_alive::first_byte(answered, self.timing).await;
        if let Some((rate, status)) = status {
            rate.headers(status, response.headers_mut());
        }
        response
    }

    /// GET opens a legacy session's stream and DELETE ends the session; anything else is refused.
    async fn other(self: Arc<Self>, mut request: Request) -> Response {
        request.extensions_mut().insert(auth::agent());
        let response = self.mcp.handle(request).await.map(Body::new);
        if !response.status().is_success() {
            return as_rpc(response, &Bytes::new()).await;
        }
        // A stream that waits for notices must not hold up the end of the server.
        let stopping = self.stopping.clone().cancelled_owned();
        response.map(|body| Body::from_stream(body.into_data_stream().take_until(stopping)))
    }
}

pub(super) async fn mcp(State(endpoint): State<Arc<McpEndpoint>>, request: Request) -> Response {
    match *request.method() {
        Method::POST => endpoint.post(request).await,
        _ => endpoint.other(request).await,
    }
}

async fn read(body: Body, max: usize) -> Result<Bytes, Response> {
    let refuse = |status, message: String| {
        error::rpc(status, Value::Null, error::INVALID_REQUEST, &message, None)
    };
    match tokio::time::timeout(BODY_TIME_MAX, Limited::new(body, max).collect()).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(refuse(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the request has more than {max} bytes"),
        )),
        Ok(Err(_)) => {
            Err(refuse(StatusCode::BAD_REQUEST, "the request's body broke off".to_owned()))
        }
        Err(_) => {
            let seconds = BODY_TIME_MAX.as_secs();
            Err(refuse(
                StatusCode::REQUEST_TIMEOUT,
                format!("the request's body did not arrive within {seconds} s"),
            ))
        }
    }
}

fn too_many(rate: &Rate, status: RateStatus, retry_after: Duration, body: &Bytes) -> Response {
    metrics::counter!("airlock_http_rate_limited_total").increment(1);
    let limit = rate.per_minute();
    let data = json!({
        "type": ErrorCode::RateLimited.as_str(),
        "retryAfterMs": retry_after.as_millis() as u64 + 1,
        "limit": limit,
        "windowMs": rate_limit::WINDOW.as_millis() as u64,
        "scope": "workspace",
    });
    let seconds = rate_limit::seconds(retry_after);
    let message =
        format!("more than {limit} requests a minute from this workspace: retry after {seconds} s");
    let mut response =
        rpc_for(StatusCode::TOO_MANY_REQUESTS, body, error::RATE_LIMITED, &message, Some(data));
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    rate.headers(status, response.headers_mut());
    response
}

/// Tools like curl say that they take anything; rmcp wants both kinds named.
fn accept_anything(headers: &mut HeaderMap) {
    if headers.get(header::ACCEPT).is_some_and(|accept| accept == "*/*") {
        headers.insert(
            header::ACCEPT,
            HeaderValue::from_static("application/json, text/event-stream"),
        );
    }
}

/// rmcp refuses some requests in plain text. JSON-RPC answers pass unchanged.
async fn as_rpc(response: Response, request: &Bytes) -> Response {
    let is_json = |kind: &HeaderValue| kind.as_bytes().starts_with(b"application/json");
    if response.headers().get(header::CONTENT_TYPE).is_some_and(is_json) {
        return response;
    }
    let (parts, text) = error::body_of(response).await;
    let text = String::from_utf8_lossy(&text);
    let mut refused = match parts.status {
        // rmcp's answer to a body that is not a message of the protocol.
        StatusCode::UNSUPPORTED_MEDIA_TYPE if !text.contains("Content-Type") => unreadable(request),
        StatusCode::INTERNAL_SERVER_ERROR => {
            tracing::error!(error = %text, "the MCP transport failed");
            rpc_for(
                parts.status,
                request,
                -32603,
                "the server failed while it worked on this request",
                None,
            )
        }
        status => rpc_for(status, request, error::INVALID_REQUEST, &text, None),
    };
    for kept in [header::ALLOW, header::WWW_AUTHENTICATE] {
        if let Some(value) = parts.headers.get(&kept) {
            refused.headers_mut().insert(kept, value.clone());
        }
    }
    refused
}

/// The refusal of a body that is not a message.
fn unreadable(request: &Bytes) -> Response {
    let (code, message) = match serde_json::from_slice::<serde::de::IgnoredAny>(request) {
        Err(error) => (error::PARSE_ERROR, format!("the body is not JSON: {error}")),
        Ok(_) if request.trim_ascii_start().starts_with(b"[") => (
            error::INVALID_REQUEST,
            "batches are not part of this protocol: send one message".to_owned(),
        ),
        Ok(_) => (
            error::INVALID_REQUEST,
            "the body is not a JSON-RPC message of this protocol".to_owned(),
        ),
    };
    rpc_for(StatusCode::BAD_REQUEST, request, code, &message, None)
}

/// A refusal with the id of the request, where it can be found.
fn rpc_for(
    status: StatusCode,
    request: &Bytes,
    code: i32,
    message: &str,
    data: Option<Value>,
) -> Response {
    #[derive(Deserialize)]
    struct Envelope {
        #[serde(default)]
        id: Value,
    }
    let id =
        serde_json::from_slice::<Envelope>(request).map(|envelope| envelope.id).unwrap_or_default();
    let id = if id.is_string() || id.is_number() { id } else { Value::Null };
    error::rpc(status, id, code, message, data).into_response()
}
