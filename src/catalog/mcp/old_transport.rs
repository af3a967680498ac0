//! Recognises a server that speaks only HTTP+SSE, the transport before streamable HTTP. Such a
//! server is not spoken to; it is named, since what it answers to a handshake says nothing of it.

use std::time::Duration;

use futures::StreamExt;
use http::{StatusCode, header};
use sse_stream::SseStream;
use url::Url;

use super::{
    intake::Events,
    reply::{SESSION, is_type},
};
use crate::catalog::upstream::error::ConnectError;

/// Longest wait for the first event.
const LOOK_MAX: Duration = Duration::from_secs(3);
/// Bytes that are read of the stream, at most.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// The error of a handshake, or the one that names the old transport where the server opens its
/// stream: the first event of that is `endpoint`.
pub(super) async fn named(
    error: ConnectError,
    client: &reqwest::Client,
    url: &Url,
    headers: http::HeaderMap,
    shown: &str,
) -> ConnectError {
    let look = tokio::time::timeout(LOOK_MAX, opens_old_stream(client, url, headers));
    if !look.await.unwrap_or(false) {
        return error;
    }
    ConnectError::new(format!(
        "`{shown}` speaks only HTTP+SSE, the transport of the protocol before 2025-03-26, which is \
        not supported"
    ))
    .hint(
        "use the address of its streamable HTTP endpoint, often `/mcp` in place of `/sse`; where \
        it has none, put a bridge in front, such as `command = \"npx\"` with `args = \
        [\"-y\", \"mcp-remote\", \"URL\"]`",
    )
}

async fn opens_old_stream(client: &reqwest::Client, url: &Url, headers: http::HeaderMap) -> bool {
    let request = client
        .get(url.clone())
        .headers(headers)
        .header(header::ACCEPT, "text/event-stream")
        .header(header::ACCEPT_ENCODING, "identity");
    let Ok(response) = request.send().await else { return false };
    let is_stream = is_type(response.headers(), "text/event-stream");
    if response.status() != StatusCode::OK || !is_stream || response.headers().contains_key(SESSION)
    {
        return false;
    }
    let mut left = HEAD_BYTES_MAX;
    let head = response.bytes_stream().take_while(move |piece| {
        let bytes = piece.as_ref().map_or(usize::MAX, bytes::Bytes::len);
        let is_within = bytes <= left;
        left = left.saturating_sub(bytes);
        std::future::ready(is_within)
    });
    let mut events: Events = SseStream::from_bytes_stream(head.boxed()).boxed();
    matches!(events.next().await, Some(Ok(first)) if first.event.as_deref() == Some("endpoint"))
}
