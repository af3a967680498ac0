//! Refusals as a person's browser gets them: a small page with the message and the remedy instead
//! of JSON. Programs get JSON as before.

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderValue, header},
    middleware::Next,
    response::Response,
};
use maud::html;
use serde_json::Value;

use super::{
    layout::{Frame, harden},
    visible::{prose, visible},
};

/// Bytes of a refusal that are read, at most. Ours are far below.
const REFUSAL_BYTES_MAX: usize = 64 * 1024;

/// Answers a browser's refused request with a page. `/mcp` is for programs, whatever they say that
/// they read.
pub(in crate::transport::http) async fn for_browsers(request: Request, next: Next) -> Response {
    let wants_page = reads_pages(request.headers()) && request.uri().path() != "/mcp";
    let response = next.run(request).await;
    let is_refused = response.status().is_client_error() || response.status().is_server_error();
    match wants_page && is_refused && !is_page(response.headers()) {
        true => as_page(response).await,
        false => response,
    }
}

/// Browsers name pages; programs name JSON, or anything.
pub(super) fn reads_pages(headers: &HeaderMap) -> bool {
    let named = |kind: &str| {
        headers
            .get_all(header::ACCEPT)
            .iter()
            .any(|value| value.to_str().is_ok_and(|value| value.contains(kind)))
    };
    named("text/html") && !named("application/json")
}

fn is_page(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"))
}

async fn as_page(response: Response) -> Response {
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, REFUSAL_BYTES_MAX).await.unwrap_or_default();
    let json: Option<Value> = serde_json::from_slice(&body).ok();
    // A report, such as that of `/healthz`, is no refusal whatever its status.
    if json.as_ref().is_some_and(|json| json.get("error").is_none()) {
        return Response::from_parts(parts, Body::from(body));
    }
    let error = json.map(|mut json| json["error"].take()).unwrap_or_default();
    let text = |key: &str| error[key].as_str().map(str::to_owned);
    let plain = String::from_utf8_lossy(&body);
    let message = text("message").unwrap_or_else(|| match plain.trim() {
        "" => parts.status.canonical_reason().unwrap_or("the request was refused").to_lowercase(),
        plain => plain.to_owned(),
    });
    let content = html! {
        h1 { "That did not work" }
        p.bad { (prose(&message)) }
        @if let Some(hint) = text("hint") { p { (prose(&hint)) } }
        p.empty {
            (parts.status.as_u16())
            @if let Some(code) = text("code") { " · " code { (visible(&code, false)) } }
        }
        p { a href="/approvals" { "Go to the approvals" } }
    };
    let mut refused = Frame::still("Refused", None).page(&content);
    *refused.status_mut() = parts.status;
    for kept in [header::ALLOW, header::RETRY_AFTER, header::WWW_AUTHENTICATE] {
        if let Some(value) = parts.headers.get(&kept) {
            refused.headers_mut().insert(kept, value.clone());
        }
    }
    // The same URL answers programs with JSON.
    refused.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    harden(refused).await
}
