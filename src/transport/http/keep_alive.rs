//! Starts the response after one second and keeps the connection alive with SSE comments.
//!
//! Clients and proxies drop a request that has had no byte for a minute or five. The
//! response begins as an event stream, into which the handler's own is forwarded. Only for requests
//! whose body has been read: their refusals come at once, so a response that is still missing after
//! the first second is one of the handler, whose status is 200.

use std::{convert::Infallible, time::Duration};

use axum::{
    body::{Body, BodyDataStream, Bytes},
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use futures::{FutureExt, StreamExt, future::BoxFuture, stream};

use super::error;

/// A comment, which clients ignore.
const COMMENT: Bytes = Bytes::from_static(b": waiting\n\n");

/// Time until the first byte, and interval of comments on a silent stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timing {
    pub(super) first_byte_after: Duration,
    pub(super) comment_every: Duration,
}

enum Stage {
    Waiting(BoxFuture<'static, Response>),
    Forwarding(BodyDataStream),
    Over,
}

/// The answer of `inner`, or, where that takes too long, a stream that will carry it. Dropping the
/// stream drops `inner`.
pub(super) async fn first_byte(
    inner: impl Future<Output = Response> + Send + 'static,
    timing: Timing,
) -> Response {
    let mut inner = inner.boxed();
    match tokio::time::timeout(timing.first_byte_after, &mut inner).await {
        Ok(response) => response,
        Err(_) => stream_of(inner, timing.comment_every),
    }
}

fn stream_of(inner: BoxFuture<'static, Response>, comment_every: Duration) -> Response {
    let later = stream::unfold(Stage::Waiting(inner), move |stage| next(stage, comment_every));
    let body = stream::once(async { COMMENT }).chain(later).map(Ok::<_, Infallible>);
    let mut response = Response::new(Body::from_stream(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// The next bytes of the stream: of the answer, or a comment where there are none for too long.
async fn next(stage: Stage, comment_every: Duration) -> Option<(Bytes, Stage)> {
    let silence = tokio::time::sleep(comment_every);
    match stage {
        Stage::Waiting(mut inner) => tokio::select! {
            response = &mut inner => Some(begin(response).await),
            () = silence => Some((COMMENT, Stage::Waiting(inner))),
        },
        Stage::Forwarding(mut body) => tokio::select! {
            chunk = body.next() => Some((chunk?.ok()?, Stage::Forwarding(body))),
            () = silence => Some((COMMENT, Stage::Forwarding(body))),
        },
        Stage::Over => None,
    }
}

/// An event stream is forwarded as it is; any other answer becomes one event.
async fn begin(response: Response) -> (Bytes, Stage) {
    let is_stream = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    if is_stream {
        return (COMMENT, Stage::Forwarding(response.into_body().into_data_stream()));
    }
    let (parts, body) = error::body_of(response).await;
    if parts.status != StatusCode::OK {
        tracing::warn!(status = %parts.status, "a response that had begun early ended with a \
            status that could not be sent any more");
    }
    let mut event = Vec::with_capacity(body.len() + 32);
    for line in body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        event.extend_from_slice(b"data: ");
        event.extend_from_slice(line);
        event.push(b'\n');
    }
    event.push(b'\n');
    (event.into(), Stage::Over)
}

#[cfg(test)]
mod tests;
