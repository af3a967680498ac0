//! `/mcp`: the steps between a request and rmcp's streamable HTTP service.
//!
//! In this order: read the body within its cap, count the request, let rmcp answer in a form that
//! the client takes, with an early first byte, and make every refusal a JSON-RPC error with the
//! request's id.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use futures::StreamExt;
use http_body_util::{BodyExt, Limited};
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{
    answer_form::AnswerForm,
    envelope::Envelope,
    error, keep_alive,
    mcp_sessions::{LostSessions, McpSessions, SESSIONS_MAX},
    options::HttpServer,
};
use crate::transport::{
    auth,
    mcp::{self, Mcp},
    rate_limit::{Counted, Counts, RATE_LIMITED, RateLimits, Refusal},
};

/// Time limit for a body to arrive.
const BODY_TIME_MAX: Duration = Duration::from_secs(30);
/// Bytes of code, at most: the service's limit may be lower, and may change.
const CODE_BYTES_MAX: usize = 256 * 1024;
/// Time that a body which has begun to arrive has to be whole at a stop.
const BODY_AT_STOP: Duration = Duration::from_millis(500);
/// A byte of code or metadata may take six in JSON (`\u0000`).
const ESCAPED_MAX: usize = 6;
/// Bytes of a request beside the code: 16 KiB of metadata, escaped, and the envelope.
const ENVELOPE_BYTES_MAX: usize = ESCAPED_MAX * 16 * 1024 + 64 * 1024;
/// The header that names a legacy session, and the one that names the revision of the protocol.
const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// The header that repeats the method of a message, from the revision without sessions on.
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
/// The first revision without sessions.
const SESSIONS_UNTIL: &str = "2026-07-28";
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");
/// What rmcp wants a client to accept.
const EITHER: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");

/// The endpoint for agents.
pub(super) struct McpEndpoint {
    mcp: StreamableHttpService<Mcp, McpSessions>,
    sessions: Arc<McpSessions>,
    rates: Arc<RateLimits>,
    timing: keep_alive::Timing,
    body_max: usize,
    stopping: CancellationToken,
}

impl McpEndpoint {
    /// `stopping` ends idle streams, `cut` everything.
    pub(super) fn new(
        server: &HttpServer,
        stopping: CancellationToken,
        cut: CancellationToken,
    ) -> Self {
        let body_max = CODE_BYTES_MAX * ESCAPED_MAX + ENVELOPE_BYTES_MAX;
        let mut config = StreamableHttpServerConfig::default()
            // Checked already, for every route: src/transport/http/host_check.rs.
            .disable_allowed_hosts()
            .disable_allowed_origins()
            .with_json_response(true)
            .with_max_request_body_bytes(body_max)
            .with_cancellation_token(cut);
        config.session_store = Some(Arc::new(LostSessions::default()));
        let sessions = McpSessions::new(SESSIONS_MAX);
        let handler = Mcp::over_http(server.service.clone(), server.mcp.clone(), stopping.clone());
        Self {
            mcp: StreamableHttpService::new(move || Ok(handler.clone()), sessions.clone(), config),
            sessions,
            rates: server.options.rates.clone(),
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
        let body = tokio::select! {
            read = read(body, self.body_max) => match read {
                Ok(body) => body.slice_ref(mcp::unmarked(&body)),
                Err(refused) => return refused,
            },
            () = stopped_for(&self.stopping, BODY_AT_STOP) => {
                let (status, code) = (StatusCode::SERVICE_UNAVAILABLE, error::INVALID_REQUEST);
                return error::rpc(status, Value::Null, code, "the server is stopping", None);
            }
        };
        let envelope = Envelope::of(&body);
        let counts = mcp::counts(envelope.method.as_deref(), envelope.tool.as_deref());
        let counted = self.rates.count(counts, &who.workspace_id);
        if let Some(refusal) = counted.as_ref().and_then(Counted::refusal) {
            let mut response = too_many(refusal, envelope.id);
            counted.inspect(|counted| counted.headers(response.headers_mut()));
            return response;
        }
        if let Some(error) = mcp::doubled_key(&body).or_else(|| mcp::wrong_id(&body)) {
            let mut response = error::rpc(
                StatusCode::BAD_REQUEST,
                envelope.id,
                error.code.0,
                &error.message,
                None,
            );
            counted.inspect(|counted| counted.headers(response.headers_mut()));
            return response;
        }
        let Some(form) = AnswerForm::of(&parts.headers).filter(|form| can_be(*form, &envelope))
        else {
            return not_acceptable(envelope.id);
        };
        if is_mute(&envelope, &parts.headers) {
            return StatusCode::ACCEPTED.into_response();
        }
        parts.extensions.insert(who);
        let is_greeting = envelope.requests("initialize");
        let body = settled(&mut parts.headers, body, is_greeting);
        self.begin_session(&parts).await;
        let endpoint = self.clone();
        let answered = async move {
            let request = Request::from_parts(parts, http_body_util::Full::new(body.clone()));
            let response = endpoint.mcp.handle(request).await.map(Body::new);
            if response.status().is_success() {
                form.apply(response, &envelope.id).await
            } else {
                as_rpc(response, &body, envelope.id).await
            }
        };
        // The answer to a greeting names its session in a header, so it cannot begin early.
        let mut response = match is_greeting {
            true => answered.await,
            false => keep_alive::first_byte(answered, form, self.timing).await,
        };
        counted.inspect(|counted| counted.headers(response.headers_mut()));
        response
    }

    /// GET opens a legacy session's stream and DELETE ends the session; anything else is refused.
    async fn other(self: Arc<Self>, mut request: Request) -> Response {
        let who = auth::agent();
        let counted = self.rates.count(Counts::AsPoll, &who.workspace_id);
        if let Some(refusal) = counted.and_then(|counted| counted.refusal()) {
            return too_many(refusal, Value::Null);
        }
        request.extensions_mut().insert(who);
        if request.method() == Method::GET {
            let (mut parts, body) = request.into_parts();
            if AnswerForm::takes_events(&parts.headers) {
                parts.headers.insert(header::ACCEPT, EVENTS);
            }
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

    /// Has the session of a request begin anew if it is not known. rmcp does so for any message of
    /// a legacy session; one that does nothing keeps others of the session waiting for least long.
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

pub(super) async fn serve(State(endpoint): State<Arc<McpEndpoint>>, request: Request) -> Response {
    match *request.method() {
        Method::POST => endpoint.post(request).await,
        _ => endpoint.other(request).await,
    }
}

/// Resolves once the server has been stopping for so long.
async fn stopped_for(stopping: &CancellationToken, time: Duration) {
    stopping.cancelled().await;
    tokio::time::sleep(time).await;
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

fn too_many(refusal: Refusal, id: Value) -> Response {
    metrics::counter!("airlock_http_rate_limited_total").increment(1);
    let Refusal { message, data, seconds } = refusal;
    let status = StatusCode::TOO_MANY_REQUESTS;
    let mut response = error::rpc(status, id, RATE_LIMITED, &message, Some(data));
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}

/// Puts what rmcp wants in the place of what clients write; returns the body.
fn settled(headers: &mut HeaderMap, body: Bytes, is_greeting: bool) -> Bytes {
    headers.insert(header::ACCEPT, EITHER);
    headers.remove(header::CONTENT_LENGTH);
    let kind = headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    if kind.get(..JSON.len()).is_some_and(|kind| JSON.as_bytes().eq_ignore_ascii_case(kind)) {
        headers.insert(header::CONTENT_TYPE, JSON);
    }
    if is_greeting {
        // Whoever greets wants a new session, whatever became of the last one.
        headers.remove(SESSION);
    }
    mcp::completed(&body).map_or(body, Bytes::from)
}

/// False for a request whose answer is a stream without end, where the client takes only JSON.
fn can_be(form: AnswerForm, envelope: &Envelope) -> bool {
    form != AnswerForm::Json || !envelope.requests("subscriptions/listen")
}

fn not_acceptable(id: Value) -> Response {
    let message = "the answer is `application/json` or `text/event-stream`, and to \
        `subscriptions/listen` always the latter: `Accept` must allow it";
    error::rpc(StatusCode::NOT_ACCEPTABLE, id, error::INVALID_REQUEST, message, None)
}

/// True for a notification that can concern nothing: it names no session. rmcp would refuse it for
/// lack of headers that help nobody to understand it.
fn is_mute(envelope: &Envelope, headers: &HeaderMap) -> bool {
    envelope.is_notification() && !headers.contains_key(SESSION) && !headers.contains_key(METHOD)
}

/// rmcp refuses some requests in plain text. JSON-RPC answers pass, with a sentence about a method
/// that is not served.
async fn as_rpc(response: Response, request: &Bytes, id: Value) -> Response {
    let is_json = |kind: &HeaderValue| kind.as_bytes().starts_with(b"application/json");
    let is_rpc = response.headers().get(header::CONTENT_TYPE).is_some_and(is_json);
    let (mut parts, text) = error::body_of(response).await;
    if is_rpc {
        let explained = serde_json::from_slice(&text).ok().map(|mut message| {
            mcp::explain(&mut message);
            serde_json::to_vec(&message).expect("what was read can be written").into()
        });
        parts.headers.remove(header::CONTENT_LENGTH);
        return Response::from_parts(parts, Body::from(explained.unwrap_or(text)));
    }
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
