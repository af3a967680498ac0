//! Reads what a server behind an address answers to one request, within the bounds of a message.
//!
//! The protocol library holds whole answers, parses them whole, and takes as many at once as there
//! are calls; here a large one waits for a place before it is read on, and one that is too large,
//! or of very many values, is answered in the server's name, so that its caller hears why.

use std::{borrow::Cow, time::Duration};

use bytes::Bytes;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use http::{
    HeaderMap, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};
use reqwest::Response;
use rmcp::{
    model::{
        ClientJsonRpcMessage, ClientRequest, ErrorCode, ErrorData, JsonRpcMessage, RequestId,
        ServerJsonRpcMessage,
    },
    transport::streamable_http_client::{
        AuthRequiredError, HttpStatusError, InsufficientScopeError, SseError, StreamableHttpError,
        StreamableHttpPostResponse,
    },
};
use sse_stream::{Sse, SseStream};
use tokio::time::Instant;

use super::{
    message::{BYTES_MAX, LARGE_MAX, LARGE_SILENCE_MAX, OVERSIZED, VALUES_MAX, is_crowded},
    reconnect::RETRY_MS_MAX,
};
use crate::{
    base::text::cut,
    catalog::upstream::response::{LARGE_BYTES, MemoryPermit, ResponseLimits},
};

/// Most bytes that are read of an answer that is no success.
const REFUSAL_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a body that is no message which stand in the error.
const SHOWN_BYTES_MAX: usize = 256;
/// The session, as the protocol before 2026-07-28 names it.
pub(super) const SESSION: &str = "mcp-session-id";

pub(super) type Failure = StreamableHttpError<reqwest::Error>;
pub(super) type Events = BoxStream<'static, Result<Sse, SseError>>;

/// Limits of one message.
#[derive(Clone, Copy)]
struct Bounds {
    /// Of one message.
    bytes_max: usize,
    /// For the rest of a large one.
    large_max: Duration,
    /// Between two pieces of it.
    large_silence_max: Duration,
}

const SERVER: Bounds =
    Bounds { bytes_max: BYTES_MAX, large_max: LARGE_MAX, large_silence_max: LARGE_SILENCE_MAX };

/// The answer to a posted message.
pub(super) async fn of_post(
    response: Response,
    message: &ClientJsonRpcMessage,
    in_session: bool,
    answers: &ResponseLimits,
) -> Result<StreamableHttpPostResponse, Failure> {
    let status = response.status();
    if let Some(challenge) = challenge(&response) {
        return Err(challenge);
    }
    if matches!(status, StatusCode::ACCEPTED | StatusCode::NO_CONTENT) {
        return Ok(StreamableHttpPostResponse::Accepted);
    }
    if status == StatusCode::NOT_FOUND && in_session {
        return Err(StreamableHttpError::SessionExpired);
    }
    if !status.is_success() {
        return refusal(response, message, in_session).await;
    }
    let session =
        response.headers().get(SESSION).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let id = asked(message);
    match content_type(response.headers()).as_deref() {
        Some(kind) if kind.starts_with("text/event-stream") => {
            let intake = Intake::new(response, answers.clone(), SERVER);
            Ok(StreamableHttpPostResponse::Sse(intake.events(id), session))
        }
        Some(kind) if kind.starts_with("application/json") => {
            let (body, _place) = match Intake::new(response, answers.clone(), SERVER).whole().await
            {
                Ok(read) => read,
                Err(Broken::TooLong) => return Ok(instead(id, session)),
                Err(Broken::Connection(error)) => return Err(StreamableHttpError::Client(error)),
                Err(Broken::Late) => return Err(StreamableHttpError::UnexpectedEndOfStream),
            };
            if is_crowded(&body) {
                return Ok(instead(id, session));
            }
            match serde_json::from_slice::<ServerJsonRpcMessage>(&body) {
                Ok(message) => Ok(StreamableHttpPostResponse::Json(message, session)),
                // Nobody waits for an answer to it.
                Err(_) if id.is_none() => Ok(StreamableHttpPostResponse::Accepted),
                Err(error) => {
                    let body = String::from_utf8_lossy(&body);
                    let shown =
                        if body.is_empty() { "<empty>" } else { cut(&body, SHOWN_BYTES_MAX) };
                    Err(StreamableHttpError::UnexpectedServerResponse(
                        format!("{error}: {shown}").into(),
                    ))
                }
            }
        }
        // Some servers answer what needs no answer with an empty success.
        _ if id.is_none() && response.content_length() == Some(0) => {
            Ok(StreamableHttpPostResponse::Accepted)
        }
        kind => Err(StreamableHttpError::UnexpectedContentType(kind.map(str::to_owned))),
    }
}

/// The events of a stream that was asked for.
pub(super) fn of_get(response: Response, answers: &ResponseLimits) -> Result<Events, Failure> {
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        return Err(StreamableHttpError::ServerDoesNotSupportSse);
    }
    if let Some(challenge) = challenge(&response) {
        return Err(challenge);
    }
    if let Some(error) = in_trouble(&response) {
        return Err(error.into());
    }
    let response = response.error_for_status()?;
    match content_type(response.headers()) {
        Some(kind) if kind.starts_with("text/event-stream") => {
            Ok(Intake::new(response, answers.clone(), SERVER).events(None))
        }
        kind => Err(StreamableHttpError::UnexpectedContentType(kind.map(Cow::into_owned))),
    }
}

/// The request that waits for an answer to this message.
fn asked(message: &ClientJsonRpcMessage) -> Option<RequestId> {
    match message {
        JsonRpcMessage::Request(request) => Some(request.id.clone()),
        _ => None,
    }
}

fn content_type(headers: &HeaderMap) -> Option<Cow<'_, str>> {
    headers.get(CONTENT_TYPE).map(|kind| String::from_utf8_lossy(kind.as_bytes()))
}

/// Failure for a status that asks for a credential, or for another one.
fn challenge(response: &Response) -> Option<Failure> {
    let challenge =
        String::from_utf8_lossy(response.headers().get(WWW_AUTHENTICATE)?.as_bytes()).into_owned();
    match response.status() {
        StatusCode::UNAUTHORIZED => {
            Some(StreamableHttpError::AuthRequired(AuthRequiredError::new(challenge)))
        }
        StatusCode::FORBIDDEN => Some(StreamableHttpError::InsufficientScope(
            InsufficientScopeError::new(challenge, None),
        )),
        _ => None,
    }
}

/// Failure for a status that blames the server and not the request.
fn in_trouble(response: &Response) -> Option<HttpStatusError> {
    let status = response.status();
    let retry_after = || {
        response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned)
    };
    (status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error())
        .then(|| HttpStatusError::new(status.as_u16(), retry_after()))
}

/// Interprets an unsuccessful response: an error of the protocol if the body is one, else its
/// status.
async fn refusal(
    response: Response,
    message: &ClientJsonRpcMessage,
    in_session: bool,
) -> Result<StreamableHttpPostResponse, Failure> {
    let status = response.status();
    let is_json =
        content_type(response.headers()).is_some_and(|kind| kind.starts_with("application/json"));
    let trouble = match in_trouble(&response) {
        Some(trouble) if !is_json || status == StatusCode::TOO_MANY_REQUESTS => {
            return Err(trouble.into());
        }
        trouble => trouble,
    };
    let body = head(response).await;
    let is_denied = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    let protocol_error = match serde_json::from_slice::<ServerJsonRpcMessage>(&body) {
        Ok(JsonRpcMessage::Error(error)) if !is_denied => Some(error),
        _ => None,
    };
    let text = String::from_utf8_lossy(&body);
    if let ClientJsonRpcMessage::Request(request) = message
        && matches!(request.request, ClientRequest::DiscoverRequest(_))
        && status.is_client_error()
        && !in_session
        && !is_denied
    {
        // A server of the era before does not know this request, and says so in some way, often
        // without its id.
        let error = protocol_error.map_or_else(
            || {
                ErrorData::invalid_request(
                    format!(
                        "server/discover rejected with HTTP {status}: {}",
                        cut(&text, SHOWN_BYTES_MAX)
                    ),
                    None,
                )
            },
            |protocol_error| protocol_error.error,
        );
        return Ok(StreamableHttpPostResponse::Json(
            ServerJsonRpcMessage::error(error, Some(request.id.clone())),
            None,
        ));
    }
    match (protocol_error.filter(|_| is_json), trouble) {
        (Some(error), _) => {
            Ok(StreamableHttpPostResponse::Json(JsonRpcMessage::Error(error), None))
        }
        (None, Some(trouble)) => Err(trouble.into()),
        (None, None) => Err(HttpStatusError::new(status.as_u16(), None).into()),
    }
}

/// As much of a body as comes, up to its bound.
async fn head(mut response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(piece)) = response.chunk().await {
        body.extend_from_slice(&piece[..piece.len().min(REFUSAL_BYTES_MAX - body.len())]);
        if body.len() == REFUSAL_BYTES_MAX {
            break;
        }
    }
    body
}

/// Error response in place of a response that was too large.
fn instead(id: Option<RequestId>, session: Option<String>) -> StreamableHttpPostResponse {
    tracing::warn!(
        "an upstream sent a message longer than {BYTES_MAX} bytes or of more than {VALUES_MAX} \
        values, it is dropped"
    );
    match id {
        Some(_) => StreamableHttpPostResponse::Json(too_long(id), session),
        None => StreamableHttpPostResponse::Accepted,
    }
}

fn too_long(id: Option<RequestId>) -> ServerJsonRpcMessage {
    ServerJsonRpcMessage::error(ErrorData::new(ErrorCode(OVERSIZED), "message too long", None), id)
}

/// Reason why a body ended early.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("a message is longer than {BYTES_MAX} bytes")]
    TooLong,
    #[error("the rest of a large message did not come in time")]
    Late,
    #[error(transparent)]
    Connection(reqwest::Error),
}

/// A body, and what was read of the message that is coming in.
struct Intake {
    body: BoxStream<'static, reqwest::Result<Bytes>>,
    answers: ResponseLimits,
    bounds: Bounds,
    read: usize,
    /// The place of a large one.
    place: Option<MemoryPermit>,
    /// Until when the rest of a large one must be there.
    until: Option<Instant>,
    /// True if there is something in the line that is being read.
    in_line: bool,
    is_over: bool,
}

impl Intake {
    fn new(response: Response, answers: ResponseLimits, bounds: Bounds) -> Self {
        Self {
            body: response.bytes_stream().boxed(),
            answers,
            bounds,
            read: 0,
            place: None,
            until: None,
            in_line: false,
            is_over: false,
        }
    }

    /// The next piece, once there is a place for it.
    async fn piece(&mut self) -> Option<Result<Bytes, Broken>> {
        if self.is_over {
            return None;
        }
        let piece = match self.until {
            None => self.body.next().await,
            Some(until) => {
                let silent_at = Instant::now() + self.bounds.large_silence_max;
                match tokio::time::timeout_at(until.min(silent_at), self.body.next()).await {
                    Ok(piece) => piece,
                    Err(_) => return self.broken(Broken::Late),
                }
            }
        };
        let piece = match piece? {
            Ok(piece) => piece,
            Err(error) => return self.broken(Broken::Connection(error)),
        };
        self.read = self.read.saturating_add(piece.len());
        if self.read > self.bounds.bytes_max {
            return self.broken(Broken::TooLong);
        }
        if self.read > LARGE_BYTES && self.until.is_none() {
            self.place = Some(self.answers.memory_permit().await);
            self.until = Some(Instant::now() + self.bounds.large_max);
        }
        Some(Ok(piece))
    }

    fn broken(&mut self, why: Broken) -> Option<Result<Bytes, Broken>> {
        self.is_over = true;
        self.place = None;
        Some(Err(why))
    }

    /// The whole body as one message, and its place.
    async fn whole(mut self) -> Result<(Vec<u8>, Option<MemoryPermit>), Broken> {
        let mut body = Vec::new();
        while let Some(piece) = self.piece().await {
            body.extend_from_slice(&piece?);
        }
        Ok((body, self.place))
    }

    /// The events of a body; each is one message. `id` is the request that waits for an answer
    /// among them.
    fn events(self, id: Option<RequestId>) -> Events {
        let pieces = stream::unfold(self, async |mut intake| {
            let piece = intake.piece().await?;
            if let Ok(piece) = &piece {
                intake.look(piece);
            }
            Some((piece, intake))
        });
        let convert = move |event: Result<Sse, SseError>| {
            let is_too_large = match &event {
                Ok(event) => event.data.as_ref().is_some_and(|data| is_crowded(data.as_bytes())),
                Err(SseError::Body(why)) => matches!(why.downcast_ref(), Some(Broken::TooLong)),
                Err(_) => false,
            };
            if !is_too_large {
                return Some(event.map(|event| Sse {
                    retry: event.retry.map(|ms| ms.min(RETRY_MS_MAX)),
                    ..event
                }));
            }
            tracing::warn!(
                "an upstream sent an event longer than {BYTES_MAX} bytes or of more than \
                {VALUES_MAX} values, it is dropped"
            );
            let error = serde_json::to_string(&too_long(Some(id.clone()?))).ok()?;
            Some(Ok(Sse::default().data(error)))
        };
        SseStream::from_bytes_stream(pieces.boxed())
            .filter_map(move |event| std::future::ready(convert(event)))
            .boxed()
    }

    /// Looks for the ends of events, which are empty lines: what follows the last one is a message
    /// of its own.
    fn look(&mut self, piece: &[u8]) {
        for (at, byte) in piece.iter().enumerate() {
            match byte {
                b'\n' if !self.in_line => {
                    self.read = piece.len() - at - 1;
                    self.place = None;
                    self.until = None;
                }
                b'\n' => self.in_line = false,
                b'\r' => {}
                _ => self.in_line = true,
            }
        }
    }
}

#[cfg(test)]
mod tests;
