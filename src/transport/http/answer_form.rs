//! The form of an answer, by what the client accepts: JSON, or events of a stream.

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use futures::StreamExt;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;
use sse_stream::SseStream;

use super::error;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");
/// The code of other protocols over JSON-RPC for a request that its client has cancelled.
const CANCELLED: i32 = -32800;

/// The forms that a client takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AnswerForm {
    /// Both; it names events itself.
    Either,
    /// JSON. Also where it takes anything: who does not name events may not be able to read them.
    Json,
    /// Events alone.
    Events,
}

impl AnswerForm {
    /// The form for a request; none where the client takes neither.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let json = accepts(headers, "application/json");
        match accepts(headers, "text/event-stream") {
            Accepts::Named => Some(if json == Accepts::No { Self::Events } else { Self::Either }),
            _ if json != Accepts::No => Some(Self::Json),
            Accepts::Covered => Some(Self::Events),
            Accepts::No => None,
        }
    }

    /// True if the client takes events, also where it does not name them.
    pub(super) fn takes_events(headers: &HeaderMap) -> bool {
        accepts(headers, "text/event-stream") != Accepts::No
    }

    /// Gives a response this form. A stream ends as JSON with its answer; what it tells before is
    /// left out. Refusals are JSON in every form.
    pub(super) async fn apply(self, response: Response, id: &Value) -> Response {
        let kind = response.headers().get(header::CONTENT_TYPE).cloned();
        match self {
            Self::Json if kind.as_ref() == Some(&EVENTS) => as_json(response, id).await,
            Self::Events if kind.as_ref() == Some(&JSON) && response.status() == StatusCode::OK => {
                as_event(response).await
            }
            _ => response,
        }
    }
}

/// How a header covers a media type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Accepts {
    No,
    /// By a range, or because there is no header.
    Covered,
    Named,
}

/// Of several ranges the most specific counts; of several headers, all.
fn accepts(headers: &HeaderMap, media_type: &str) -> Accepts {
    let (mut best, mut found) = (0, Accepts::No);
    let mut is_empty = true;
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    for range in values.flat_map(|value| value.split(',')).map(str::trim) {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        is_empty &= name.is_empty();
        let (main, _) = media_type.split_once('/').expect("media types have two parts");
        let rank = match name.as_str() {
            "*/*" | "*" => 1,
            range if range.strip_suffix("/*") == Some(main) => 2,
            name if name == media_type => 3,
            _ => continue,
        };
        if rank < best {
            continue;
        }
        best = rank;
        found = match (parts.any(is_refusal), rank) {
            (true, _) => Accepts::No,
            (false, 3) => Accepts::Named,
            (false, _) => Accepts::Covered,
        };
    }
    if is_empty { Accepts::Covered } else { found }
}

/// True for the parameter `q=0`, in every form.
fn is_refusal(parameter: &str) -> bool {
    let Some((name, weight)) = parameter.split_once('=') else { return false };
    name.trim().eq_ignore_ascii_case("q")
        && weight.trim().parse::<f32>().is_ok_and(|weight| weight <= 0.0)
}

/// The answer out of a stream.
async fn as_json(response: Response, id: &Value) -> Response {
    /// The part of a message that tells an answer from what comes before it.
    #[derive(Deserialize)]
    struct Head {
        method: Option<IgnoredAny>,
    }
    let (mut parts, body) = response.into_parts();
    let mut events = SseStream::from_bytes_stream(body.into_data_stream());
    while let Some(Ok(event)) = events.next().await {
        let Some(data) = event.data.filter(|data| !data.is_empty()) else { continue };
        if serde_json::from_str::<Head>(&data).is_ok_and(|head| head.method.is_none()) {
            for name in [header::CACHE_CONTROL, header::TRANSFER_ENCODING] {
                parts.headers.remove(name);
            }
            parts.headers.insert(header::CONTENT_TYPE, JSON);
            return Response::from_parts(parts, Body::from(data));
        }
    }
    error::rpc(StatusCode::OK, id.clone(), CANCELLED, "the request was cancelled", None)
}

/// A stream of one answer.
async fn as_event(response: Response) -> Response {
    let (mut parts, body) = error::body_of(response).await;
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, EVENTS);
    Response::from_parts(parts, Body::from(event(&body)))
}

/// A message as an event.
pub(super) fn event(message: &[u8]) -> Bytes {
    let mut event = Vec::with_capacity(message.len() + 32);
    for line in message.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        event.extend_from_slice(b"data: ");
        event.extend_from_slice(line);
        event.push(b'\n');
    }
    event.push(b'\n');
    event.into()
}

#[cfg(test)]
mod tests;
