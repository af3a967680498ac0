//! `/mcp`: the steps between a request and rmcp's streamable HTTP service.
//!
//! In this order: read the body within its cap, count the request, let rmcp answer with an early
//! first byte, and give every refusal the form of a JSON-RPC error with the request's id.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    response::Response,
};
use futures::StreamExt;
use http_body_util::{BodyExt, Limited};
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{
    envelope::Envelope,
    error,
    host_check::HostPolicy,
    keep_alive,
    mcp_sessions::{LostSessions, McpSessions, SESSIONS_MAX},
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
/// The header that names a legacy session, and the one that names the revision of the protocol.
const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// The first revision without sessions.
const SESSIONS_UNTIL: &str = "2026-07-28";
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// What rmcp wants a client to accept.
const EITHER: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");

/// The endpoint for agents.
pub(super) struct McpEndpoint {
    mcp: StreamableHttpService<Mcp, McpSessions>,
    sessions: Arc<McpSessions>,
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
        let mut config = StreamableHttpServerConfig::default()
            .with_allowed_hosts(allowed.hosts())
            .with_allowed_origins(allowed.origins())
            .enforce_origin_validation()
            .with_json_response(true)
            .with_max_request_body_bytes(body_max)
            .with_cancellation_token(cut);
        config.session_store = Some(Arc::new(LostSessions::default()));
        let sessions = McpSessions::new(SESSIONS_MAX);
        let handler = Mcp::over_http(server.service.clone(), server.mcp.clone(), stopping.clone());
        Self {
            mcp: StreamableHttpService::new(move || Ok(handler.clone()), sessions.clone(), config),
            sessions,
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
        let envelope = Envelope::of(&body);
        let status = self.rate.as_ref().map(|rate| (rate, rate.count(&who.workspace_id)));
        if let Some((rate, status @ RateStatus::Beyond { retry_after })) = status {
            return too_many(rate, status, retry_after, envelope.id);
        }
        parts.extensions.insert(who);
        accept_anything(&mut parts.headers);
        if envelope.requests("initialize") {
            // Whoever greets wants a new session, whatever became of the last one.
            parts.headers.remove(SESSION);
        }
        self.begin_session(&parts).await;
        let endpoint = self.clone();
        let answered = async move {
            let request = Request::from_parts(parts, http_body_util::Full::new(body.clone()));
            let response = endpoint.mcp.handle(request).await.map(Body::new);
            if response.status().is_success() {
                response
            } else {
                as_rpc(response, &body, envelope.id).await
            }
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
        if request.method() == Method::GET {
            let (parts, body) = request.into_parts();
            self.begin_session(&parts).await;
            request = Request::from_parts(parts, body);
        }
        let is_end = request.method() == Method::DELETE;
        let mut response = self.mcp.handle(request).await.map(Body::new);
        if !response.status().is_success() {
            return as_rpc(response, &Bytes::new(), Value::Null).await;
        }
        if is_end {
            *response.status_mut() = StatusCode::NO_CONTENT;
        }
        // A stream that waits for notices must not hold up the end of the server.
        let stopping = self.stopping.clone().cancelled_owned();
        response.map(|body| Body::from_stream(body.into_data_stream().take_until(stopping)))
    }

    /// Has the session of a request begin anew if it is not known. rmcp does so for any message of a
    /// legacy session; one that does nothing keeps others of the session waiting for least long.
    async fn begin_session(&self, parts: &Parts) {
        let header = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let is_legacy = header(VERSION).is_none_or(|version| version < SESSIONS_UNTIL);
        let Some(id) = header(SESSION).filter(|_| is_legacy) else { return };
        let Some(_turn) = self.sessions.turn(id).await else { return };
        let message =
            Bytes::from_static(br#"{"jsonrpc":"2.0","method":"notifications/airlock/session"}"#);
        let mut request = Request::new(http_body_util::Full::new(message));
        *request.headers_mut() = parts.headers.clone();
        *request.extensions_mut() = parts.extensions.clone();
        *request.method_mut() = Method::POST;
        request.headers_mut().insert(header::ACCEPT, EITHER);
        request.headers_mut().insert(header::CONTENT_TYPE, JSON);
        let begun = self.mcp.handle(request).await;
        tracing::debug!(status = %begun.status(), "an unknown session was named");
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

fn too_many(rate: &Rate, status: RateStatus, retry_after: Duration, id: Value) -> Response {
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
        error::rpc(StatusCode::TOO_MANY_REQUESTS, id, error::RATE_LIMITED, &message, Some(data));
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    rate.headers(status, response.headers_mut());
    response
}

/// Tools like curl say that they take anything; rmcp wants both kinds named.
fn accept_anything(headers: &mut HeaderMap) {
    if headers.get(header::ACCEPT).is_some_and(|accept| accept == "*/*") {
        headers.insert(header::ACCEPT, EITHER);
    }
}

/// rmcp refuses some requests in plain text. JSON-RPC answers pass unchanged.
async fn as_rpc(response: Response, request: &Bytes, id: Value) -> Response {
    let is_json = |kind: &HeaderValue| kind.as_bytes().starts_with(b"application/json");
    if response.headers().get(header::CONTENT_TYPE).is_some_and(is_json) {
        return response;
    }
    let (parts, text) = error::body_of(response).await;
    let text = String::from_utf8_lossy(&text);
    let (status, code, message) = match parts.status {
        // rmcp's answer to a body that is not a message of the protocol.
        StatusCode::UNSUPPORTED_MEDIA_TYPE if !text.contains("Content-Type") => {
            let (code, message) = unreadable(request);
            (StatusCode::BAD_REQUEST, code, message)
        }
        StatusCode::INTERNAL_SERVER_ERROR => {
            tracing::error!(error = %text, "the MCP transport failed");
            (parts.status, -32603, "the server failed while it worked on this request".to_owned())
        }
        StatusCode::NOT_FOUND => {
            let message = "the session that `Mcp-Session-Id` names has ended: initialize again";
            (parts.status, error::INVALID_REQUEST, message.to_owned())
        }
        StatusCode::BAD_REQUEST if text.contains("Session ID is required") => {
            let message = "the request names no session: initialize first, and send the \
                `Mcp-Session-Id` of the answer with each request";
            (parts.status, error::INVALID_REQUEST, message.to_owned())
        }
        status => (status, error::INVALID_REQUEST, text.into_owned()),
    };
    let mut refused = error::rpc(status, id, code, &message, None);
    for kept in [header::ALLOW, header::WWW_AUTHENTICATE] {
        if let Some(value) = parts.headers.get(&kept) {
            refused.headers_mut().insert(kept, value.clone());
        }
    }
    refused
}

/// The code and the message about a body that is not a message.
fn unreadable(request: &Bytes) -> (i32, String) {
    match serde_json::from_slice::<serde::de::IgnoredAny>(request) {
        Err(error) => (error::PARSE_ERROR, format!("the body is not JSON: {error}")),
        Ok(_) if request.trim_ascii_start().starts_with(b"[") => (
            error::INVALID_REQUEST,
            "batches are not part of this protocol: send one message".to_owned(),
        ),
        Ok(_) => (
            error::INVALID_REQUEST,
            "the body is not a JSON-RPC message of this protocol".to_owned(),
        ),
    }
}
