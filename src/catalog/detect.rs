//! Detects the protocol of the service at a URL by asking as each kind would. None of the requests
//! changes anything there.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};
use url::Url;

use super::{
    document::{DocumentKind, document_kind},
    http::{
        client::{ServiceClient, ServiceConfig},
        config::HttpAccess,
        failure::ServiceFailure,
        message::{ServiceAnswer, ServiceBody, ServiceRequest, Until},
    },
    openapi::glance::is_description,
    redact::Secrets,
};
use crate::base::offload::offload;

/// Longest time of one question.
const ANSWER_MAX: Duration = Duration::from_secs(15);
/// Largest OpenAPI document, in bytes.
const DOCUMENT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes of a response that are examined: an OpenAPI document says at its beginning what it is.
const HEAD_BYTES: usize = 64 * 1024;

/// Protocol of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Detected {
    /// An MCP server; whether it wants OAuth.
    Mcp {
        /// True if it rejected the request and named its authorization server.
        wants_oauth: bool,
    },
    /// An OpenAPI document.
    OpenApi {
        /// Title of the API.
        title: Option<String>,
        /// Credential that nearly every call needs, as a phrase.
        credential: Option<String>,
    },
    /// A GraphQL endpoint.
    GraphQl,
}

/// Detects the protocol of the service at a URL. The error says why it is unknown.
pub async fn detect(url: &Url, access: &HttpAccess) -> Result<Detected, String> {
    let access = HttpAccess { call_timeout: ANSWER_MAX, ..access.clone() };
    let secrets = Secrets::among([("url", url.as_str())]);
    let client =
        ServiceClient::new(ServiceConfig::new(Arc::from("detect"), url.clone(), access), secrets);
    let client = client.map_err(|error| error.message)?;
    let head = client
        .send(request(url, Method::GET, None))
        .await
        .map_err(|failure| failure.to_string())?;
    if head.status.is_success() && is_description(&String::from_utf8_lossy(&head.body)) {
        return whole_description(&client, url).await;
    }
    if is_event_stream_of_old(&head) {
        return Err(
            "it is an MCP server that speaks the old transport HTTP+SSE, which Airlock does \
            not; use its streamable HTTP address (often `/mcp` in place of `/sse`), or a program \
            in between: `-- npx -y mcp-remote URL`"
                .to_owned(),
        );
    }
    let graphql = json!({ "query": "query { __typename }" });
    let initialize = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": {"name": "airlock", "version": env!("CARGO_PKG_VERSION")}}});
    let mcp = client.send(request(url, Method::POST, Some(&initialize))).await;
    if let Some(found) = mcp.as_ref().ok().and_then(is_mcp) {
        return Ok(found);
    }
    let asked = client.send(request(url, Method::POST, Some(&graphql))).await;
    if asked.as_ref().is_ok_and(is_graphql) {
        return Ok(Detected::GraphQl);
    }
    Err(nothing(&head, mcp.as_ref().err().or(asked.as_ref().err())))
}

/// Looks at a whole OpenAPI document; the error says what is wrong with it.
async fn whole_description(client: &ServiceClient, url: &Url) -> Result<Detected, String> {
    let bytes = client
        .fetch(url.clone(), DOCUMENT_BYTES_MAX)
        .await
        .map_err(|failure| format!("its OpenAPI document cannot be fetched: {failure}"))?;
    let looked = offload(move || document_kind(&bytes)).await;
    match looked.map_err(|_| "reading its document panicked".to_owned())? {
        Ok(DocumentKind::OpenApi { title, credential }) => {
            Ok(Detected::OpenApi { title, credential })
        }
        Ok(DocumentKind::GraphQl) => Err(
            "it is a GraphQL schema; give the URL of the endpoint, and the schema with `--spec`"
                .to_owned(),
        ),
        Err(error) => Err(error.to_string()),
    }
}

/// Returns true for the stream of an MCP server of 2024, which begins with the event `endpoint`.
fn is_event_stream_of_old(head: &ServiceAnswer) -> bool {
    let kind = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("text/event-stream"))
        && String::from_utf8_lossy(&head.body)
            .lines()
            .any(|line| line.strip_prefix("event:").is_some_and(|event| event.trim() == "endpoint"))
}

fn request(url: &Url, method: Method, body: Option<&Value>) -> ServiceRequest {
    let accept = HeaderValue::from_static(
        "application/json, text/event-stream, application/yaml;q=0.9, */*;q=0.1",
    );
    let mcp_accept = HeaderValue::from_static("application/json, text/event-stream");
    let body = body.map_or(ServiceBody::None, |body| ServiceBody::Bytes {
        content_type: "application/json".to_owned(),
        bytes: Bytes::from(body.to_string()),
    });
    let accept = if matches!(body, ServiceBody::None) { accept } else { mcp_accept };
    ServiceRequest {
        method,
        url: url.clone(),
        headers: HeaderMap::from_iter([(header::ACCEPT, accept)]),
        body,
        idempotent: false,
        is_graphql: false,
        answer_bytes_max: HEAD_BYTES,
        until: Until::Lines(2_000),
    }
}

fn is_mcp(answer: &ServiceAnswer) -> Option<Detected> {
    let challenge = answer
        .headers
        .get(header::WWW_AUTHENTICATE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if answer.status == StatusCode::UNAUTHORIZED && challenge.contains("resource_metadata") {
        return Some(Detected::Mcp { wants_oauth: true });
    }
    let text = String::from_utf8_lossy(&answer.body);
    let mut messages =
        text.lines().map(|line| line.strip_prefix("data:").unwrap_or(line)).chain([&*text]);
    let speaks = |text: &str| {
        serde_json::from_str::<Value>(text.trim()).is_ok_and(|message| message["jsonrpc"] == "2.0")
    };
    messages.any(speaks).then_some(Detected::Mcp { wants_oauth: false })
}

fn is_graphql(answer: &ServiceAnswer) -> bool {
    let Ok(body) = serde_json::from_slice::<Value>(&answer.body) else { return false };
    let has_error = body["errors"]
        .as_array()
        .and_then(|errors| errors.first())
        .is_some_and(|error| error["message"].is_string());
    body["data"]["__typename"].is_string() || has_error
}

fn nothing(head: &ServiceAnswer, failure: Option<&ServiceFailure>) -> String {
    match (head.status.as_u16(), failure) {
        (status @ (401 | 403), _) => {
            format!("it answers HTTP {status}, so it does not say what it is")
        }
        (_, Some(failure)) => format!("it is not an OpenAPI document, and {failure}"),
        (status, None) => {
            format!(
                "it is neither an OpenAPI document nor a GraphQL or MCP endpoint (it answers a \
                plain request with HTTP {status})"
            )
        }
    }
}

#[cfg(test)]
mod tests;
