//! Starts the response after one second and keeps the connection alive.
//!
//! Clients and proxies drop a request that has had no byte for a minute or five. The
//! response begins as an event stream, into which the handler's own is forwarded; or, for a client
//! that takes only JSON, with blanks, which may stand before JSON. Only for requests whose body has
//! been read: their refusals come at once, so a response that is still missing after the first
//! second is one of the handler, whose status is 200.

use std::{convert::Infallible, time::Duration};

use axum::{
    body::{Body, BodyDataStream, Bytes},
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use futures::{FutureExt, StreamExt, future::BoxFuture, stream};

use super::{
    answer_form::{self, AnswerForm},
    error,
};

/// A comment, which clients ignore.
const COMMENT: Bytes = Bytes::from_static(b": waiting\n\n");
/// A blank, which clients ignore before JSON.
const BLANK: Bytes = Bytes::from_static(b"\n");

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

/// The answer of `inner`, which has this form, or, where that takes too long, a stream that will
/// carry it. Dropping the stream drops `inner`.
pub(super) async fn first_byte(
    inner: impl Future<Output = Response> + Send + 'static,
    form: AnswerForm,
    timing: Timing,
) -> Response {
    let mut inner = inner.boxed();
    match tokio::time::timeout(timing.first_byte_after, &mut inner).await {
        Ok(response) => response,
        Err(_) => stream_of(inner, form, timing.comment_every),
    }
}

fn stream_of(
    inner: BoxFuture<'static, Response>,
    form: AnswerForm,
    comment_every: Duration,
) -> Response {
    let (filler, kind) = match form {
        AnswerForm::Json => (BLANK, "application/json"),
        AnswerForm::Either | AnswerForm::Events => (COMMENT, "text/event-stream"),
    };
    let wait = Wait { filler: filler.clone(), comment_every };
    let later = stream::unfold((Stage::Waiting(inner), wait), next);
    let body = stream::once(async { filler }).chain(later).map(Ok::<_, Infallible>);
    let mut response = Response::new(Body::from_stream(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// What is sent where there is nothing for too long, and how long that is.
struct Wait {
    filler: Bytes,
    comment_every: Duration,
}

/// The next bytes of the stream: of the answer, or the filler where there are none for too long.
async fn next((stage, wait): (Stage, Wait)) -> Option<(Bytes, (Stage, Wait))> {
    let silence = tokio::time::sleep(wait.comment_every);
    let (bytes, stage) = match stage {
        Stage::Waiting(mut inner) => tokio::select! {
            response = &mut inner => begin(response, wait.filler == COMMENT).await,
            () = silence => (wait.filler.clone(), Stage::Waiting(inner)),
        },
        Stage::Forwarding(mut body) => tokio::select! {
            chunk = body.next() => (chunk?.ok()?, Stage::Forwarding(body)),
            () = silence => (wait.filler.clone(), Stage::Forwarding(body)),
        },
        Stage::Over => return None,
    };
    Some((bytes, (stage, wait)))
}

/// An event stream is forwarded as it is. Any other answer becomes one event in a stream of events,
/// and ends the stream.
async fn begin(response: Response, as_events: bool) -> (Bytes, Stage) {
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
    (if as_events { answer_form::event(&body) } else { body }, Stage::Over)
}

#[cfg(test)]
mod tests;
