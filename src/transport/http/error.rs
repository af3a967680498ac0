//! Refusals over HTTP: one JSON shape for `/v1` and the rest, JSON-RPC errors for `/mcp`.
//!
//! The one place that maps [`ServiceError`] to a status.

use std::any::Any;

use axum::{
    Json,
    http::{HeaderValue, Method, StatusCode, Uri, header::RETRY_AFTER},
    response::{IntoResponse, Response},
};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::{
    base::error::chain,
    model::{ErrorCode, ErrorKind},
    service::ServiceError,
};
use axum::extract::rejection::BytesRejection;

/// JSON-RPC: the text is not JSON.
pub(super) const PARSE_ERROR: i32 = -32700;
/// JSON-RPC: it is JSON and no request.
pub(super) const INVALID_REQUEST: i32 = -32600;

/// A failure as `{error: {code, message, hint?, retryAfterMs?}}`.
pub(super) enum Failure {
    /// A failure of the service.
    Service(ServiceError),
    /// A refusal that is a response already.
    Response(Box<Response>),
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let error = match self {
            Self::Service(error) => error,
            Self::Response(response) => return *response,
        };
        let status = status(&error);
        if error.kind() == ErrorKind::Internal {
            tracing::error!(error = %chain(&error), "a request failed");
        }
        let mut response =
            refuse(status, error.code, &error.message, error.hint.as_deref(), error.retry_after_ms);
        if let Some(ms) = error.retry_after_ms {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(ms.div_ceil(1000)));
        }
        response
    }
}

impl From<ServiceError> for Failure {
    fn from(error: ServiceError) -> Self {
        Self::Service(error)
    }
}

/// The status of a failure, for programs and for pages.
pub(super) fn status(error: &ServiceError) -> StatusCode {
    match error.kind() {
        ErrorKind::InvalidInput => StatusCode::BAD_REQUEST,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Denied => StatusCode::FORBIDDEN,
        ErrorKind::Conflict | ErrorKind::Cancelled => StatusCode::CONFLICT,
        ErrorKind::LimitHit => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        // A request does not fail by itself; tasks and calls do.
        ErrorKind::Internal | ErrorKind::Failed => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// A refusal of our own, in the shape of [`Failure`].
pub(super) fn refuse(
    status: StatusCode,
    code: ErrorCode,
    message: &str,
    hint: Option<&str>,
    retry_after_ms: Option<u64>,
) -> Response {
    let mut error = json!({"code": code.as_str(), "message": message});
    if let Some(hint) = hint {
        error["hint"] = hint.into();
    }
    if let Some(ms) = retry_after_ms {
        error["retryAfterMs"] = ms.into();
    }
    (status, Json(json!({"error": error}))).into_response()
}

/// A body that could not be read.
pub(super) fn unread(refused: &BytesRejection) -> Response {
    let code = match refused.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ErrorCode::BodyTooLarge,
        _ => ErrorCode::InvalidBody,
    };
    refuse(refused.status(), code, &refused.body_text(), None, None)
}

/// A refusal on `/mcp`: a JSON-RPC error with the request's id, or null where it has none.
pub(super) fn rpc(
    status: StatusCode,
    id: Value,
    code: i32,
    message: &str,
    data: Option<Value>,
) -> Response {
    let mut error = json!({"code": code, "message": message});
    if let Some(data) = data {
        error["data"] = data;
    }
    (status, Json(json!({"jsonrpc": "2.0", "id": id, "error": error}))).into_response()
}

pub(super) async fn route_not_found(uri: Uri) -> Response {
    let path: String = uri.path().chars().take(200).collect();
    let hint = "the server has /, /mcp, /v1, /approvals, /healthz and /metrics";
    refuse(
        StatusCode::NOT_FOUND,
        ErrorCode::RouteNotFound,
        &format!("there is no `{path}` here"),
        Some(hint),
        None,
    )
}

pub(super) async fn method_not_allowed(method: Method, uri: Uri) -> Response {
    let path: String = uri.path().chars().take(200).collect();
    refuse(
        StatusCode::METHOD_NOT_ALLOWED,
        ErrorCode::MethodNotAllowed,
        &format!("`{path}` does not take {method}"),
        None,
        None,
    )
}

pub(super) fn panicked(_: Box<dyn Any + Send + 'static>) -> http::Response<Full<bytes::Bytes>> {
    tracing::error!("a handler panicked while it answered a request");
    let body = json!({"error": {
        "code": ErrorCode::Internal.as_str(),
        "message": "the server failed while it worked on this request",
    }})
    .to_string();
    let mut response = http::Response::new(Full::from(body));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The whole body of an answer of ours; empty where it cannot be read.
pub(super) async fn body_of(response: Response) -> (http::response::Parts, bytes::Bytes) {
    let (parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    (parts, bytes)
}
