//! Reads a server's response to one HTTP request, within the limits of a message.
//!
//! The protocol library holds whole answers, parses them whole, and takes as many at once as there
//! are calls; here a large one waits for a memory permit before it is read on, and one that is too
//! large, has too many values, or cannot be read is answered in the server's name, so that its
//! caller gets the reason.

use std::{borrow::Cow, sync::Arc, time::Duration};

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
use tokio::{sync::Notify, time::Instant};

use super::{
    incoming::{self, Incoming, ProtocolError},
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
    /// Limit of one message.
    bytes_max: usize,
    /// For the rest of a large one.
    large_max: Duration,
    /// Between two pieces of it.
    large_silence_max: Duration,
}

const SERVER: Bounds =
    Bounds { bytes_max: BYTES_MAX, large_max: LARGE_MAX, large_silence_max: LARGE_SILENCE_MAX };

/// Reads the answers of one server.
#[derive(Clone)]
pub(super) struct ReplyReader {
    pub(super) response_limits: ResponseLimits,
    pub(super) incoming: Incoming,
    /// Told that the server may have lost the session: asking for its tools shows whether it has.
    pub(super) doubt: Arc<Notify>,
}

impl ReplyReader {
    /// The answer to a posted message.
    pub(super) async fn of_post(
        &self,
        response: Response,
        message: &ClientJsonRpcMessage,
        in_session: bool,
    ) -> Result<StreamableHttpPostResponse, Failure> {
        let status = response.status();
        if let Some(challenge) = challenge(&response) {
            return Err(challenge);
        }
        if !status.is_success() {
            return self.refusal(response, message, in_session).await;
        }
        let is_empty = matches!(status, StatusCode::ACCEPTED | StatusCode::NO_CONTENT);
        let Some(id) = asked(message).filter(|_| !is_empty) else {
            // What needs no answer is acknowledged by any success, whatever it says.
            return Ok(StreamableHttpPostResponse::Accepted);
        };
        let session = response.headers().get(SESSION);
        let session = session.and_then(|value| value.to_str().ok()).map(str::to_owned);
        let kind = content_type(response.headers()).map(Cow::into_owned);
        if kind.as_deref().is_some_and(|kind| kind.starts_with("text/event-stream")) {
            let intake = Intake::new(response, self.response_limits.clone(), SERVER);
            let events = intake.events(Some(id), self.incoming.clone());
            return Ok(StreamableHttpPostResponse::Sse(events, session));
        }
        self.whole(response, kind, id, session, in_session).await
    }

    /// The answer that a whole body is.
    async fn whole(
        &self,
        response: Response,
        kind: Option<String>,
        id: RequestId,
        session: Option<String>,
        in_session: bool,
    ) -> Result<StreamableHttpPostResponse, Failure> {
        let intake = Intake::new(response, self.response_limits.clone(), SERVER);
        let (body, permit) = match intake.whole().await {
            Ok(read) => read,
            Err(Broken::TooLong) => return Ok(instead(id, session)),
            Err(Broken::Connection(error)) => return Err(StreamableHttpError::Client(error)),
            Err(Broken::Late) => return Err(StreamableHttpError::UnexpectedEndOfStream),
        };
        if is_crowded(&body) {
            return Ok(instead(id, session));
        }
        if in_session && body.len() <= REFUSAL_BYTES_MAX && is_session_lost(&body, true) {
            return Err(StreamableHttpError::SessionExpired);
        }
        let messages = self.incoming.read(&body, Some(&id), permit);
        let is_json = kind.as_deref().is_some_and(|kind| kind.starts_with("application/json"));
        match messages.as_slice() {
            [] if is_json => {
                Err(StreamableHttpError::UnexpectedServerResponse(shown(&body).into()))
            }
            [] => Err(StreamableHttpError::UnexpectedContentType(kind)),
            [message] => {
                Ok(StreamableHttpPostResponse::Json(serde_json::from_str(message)?, session))
            }
            _ => {
                let events = messages.into_iter().map(|message| Ok(Sse::default().data(message)));
                let events = stream::iter(events.collect::<Vec<_>>()).boxed();
                Ok(StreamableHttpPostResponse::Sse(events, session))
            }
        }
    }

    /// The events of a stream that was asked for.
    pub(super) fn of_get(&self, response: Response) -> Result<Events, Failure> {
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
                let intake = Intake::new(response, self.response_limits.clone(), SERVER);
                Ok(intake.events(None, self.incoming.clone()))
            }
            kind => Err(StreamableHttpError::UnexpectedContentType(kind.map(Cow::into_owned))),
        }
    }

    /// Interprets an unsuccessful response: an error of the protocol if the body is one, else its
    /// status.
    async fn refusal(
        &self,
        response: Response,
        message: &ClientJsonRpcMessage,
        in_session: bool,
    ) -> Result<StreamableHttpPostResponse, Failure> {
        let status = response.status();
        if status == StatusCode::NOT_FOUND && in_session {
            return Err(StreamableHttpError::SessionExpired);
        }
        let is_json = content_type(response.headers())
            .is_some_and(|kind| kind.starts_with("application/json"));
        let trouble = match in_trouble(&response) {
            Some(trouble) if !is_json || status == StatusCode::TOO_MANY_REQUESTS => {
                return Err(trouble.into());
            }
            trouble => trouble,
        };
        let body = head(response).await;
        if in_session && matches!(status, StatusCode::BAD_REQUEST | StatusCode::GONE) {
            if is_session_lost(&body, false) {
                return Err(StreamableHttpError::SessionExpired);
            }
            self.doubt.notify_one();
        }
        let is_denied = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        let text = String::from_utf8_lossy(&body);
        let error = ProtocolError::within(&text).filter(|_| !is_denied).map(|(_, error)| error);
        let id = asked(message);
        if let ClientJsonRpcMessage::Request(request) = message
            && matches!(request.request, ClientRequest::DiscoverRequest(_))
            && status.is_client_error()
            && !in_session
            && !is_denied
        {
            // A server of the era before does not know this request, and says so in some way, often
            // without its id.
            let why = format!(
                "server/discover rejected with HTTP {status}: {}",
                cut(&text, SHOWN_BYTES_MAX)
            );
            return match error {
                Some(error) => answered(id, |id| error.message(id)),
                None => answered(id, |id| incoming::error(id, ErrorCode::INVALID_REQUEST.0, &why)),
            };
        }
        match (error.filter(|_| is_json), trouble) {
            (Some(error), _) if id.is_some() => answered(id, |id| error.message(id)),
            (_, Some(trouble)) => Err(trouble.into()),
            (_, None) => Err(HttpStatusError::new(status.as_u16(), None).into()),
        }
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

/// Returns true if an answer within a session says that there is no such session: an error that
/// names no request, which was refused before it began, or, where it is no success, words that are
/// no message at all.
fn is_session_lost(body: &[u8], is_success: bool) -> bool {
    let text = String::from_utf8_lossy(body);
    let names_it = |words: &str| {
        let words = words.to_ascii_lowercase();
        ["session", "initializ", "initialis"].iter().any(|word| words.contains(word))
    };
    match ProtocolError::within(&text) {
        Some((None, error)) => names_it(&error.words),
        Some((Some(_), _)) => false,
        None => !is_success && names_it(&text),
    }
}

/// What is wrong with a body that should be a message, and its beginning.
fn shown(body: &[u8]) -> String {
    let why = match serde_json::from_slice::<serde::de::IgnoredAny>(body) {
        Ok(_) => "it is not a message of the protocol".to_owned(),
        Err(error) => error.to_string(),
    };
    let body = String::from_utf8_lossy(body);
    let shown = if body.is_empty() { "<empty>" } else { cut(&body, SHOWN_BYTES_MAX) };
    format!("{why}: {shown}")
}

/// Reads a body up to its limit, as far as it arrives.
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
fn instead(id: RequestId, session: Option<String>) -> StreamableHttpPostResponse {
    tracing::warn!(
        "an upstream sent a message longer than {BYTES_MAX} bytes or of more than {VALUES_MAX} \
        values, it is dropped"
    );
    StreamableHttpPostResponse::Json(too_long(Some(id)), session)
}

/// The answer to a request of this side, all of which have numbers as their ids.
fn answered(
    id: Option<RequestId>,
    message: impl FnOnce(i64) -> String,
) -> Result<StreamableHttpPostResponse, Failure> {
    let Some(RequestId::Number(id)) = id else { return Ok(StreamableHttpPostResponse::Accepted) };
    Ok(StreamableHttpPostResponse::Json(serde_json::from_str(&message(id))?, None))
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
    response_limits: ResponseLimits,
    bounds: Bounds,
    read: usize,
    /// The place of a large one.
    permit: Option<MemoryPermit>,
    /// Until when the rest of a large one must be there.
    until: Option<Instant>,
    /// True if there is something in the line that is being read.
    in_line: bool,
    is_over: bool,
}

impl Intake {
    fn new(response: Response, response_limits: ResponseLimits, bounds: Bounds) -> Self {
        Self {
            body: response.bytes_stream().boxed(),
            response_limits,
            bounds,
            read: 0,
            permit: None,
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
            self.permit = Some(self.response_limits.memory_permit().await);
            self.until = Some(Instant::now() + self.bounds.large_max);
        }
        Some(Ok(piece))
    }

    fn broken(&mut self, why: Broken) -> Option<Result<Bytes, Broken>> {
        self.is_over = true;
        self.permit = None;
        Some(Err(why))
    }

    /// The whole body as one message, and its place.
    async fn whole(mut self) -> Result<(Vec<u8>, Option<MemoryPermit>), Broken> {
        let mut body = Vec::new();
        while let Some(piece) = self.piece().await {
            body.extend_from_slice(&piece?);
        }
        Ok((body, self.permit))
    }

    /// The events of a body; each is one message. `id` is the request that waits for an answer
    /// among them.
    fn events(self, id: Option<RequestId>, incoming: Incoming) -> Events {
        let pieces = stream::unfold(self, async |mut intake| {
            let piece = intake.piece().await?;
            if let Ok(piece) = &piece {
                intake.look(piece);
            }
            Some((piece, intake))
        });
        let convert = move |event: Result<Sse, SseError>| match event {
            Ok(event) if event.data.as_ref().is_some_and(|data| is_crowded(data.as_bytes())) => {
                too_large_event(id.clone())
            }
            Ok(event) => messages(event, id.as_ref(), &incoming),
            Err(SseError::Body(why)) if matches!(why.downcast_ref(), Some(Broken::TooLong)) => {
                too_large_event(id.clone())
            }
            Err(error) => vec![Err(error)],
        };
        SseStream::from_bytes_stream(pieces.boxed())
            .flat_map(move |event| stream::iter(convert(event)))
            .boxed()
    }

    /// Looks for the ends of events, which are empty lines: what follows the last one is a message
    /// of its own.
    fn look(&mut self, piece: &[u8]) {
        for (at, byte) in piece.iter().enumerate() {
            match byte {
                b'\n' if !self.in_line => {
                    self.read = piece.len() - at - 1;
                    self.permit = None;
                    self.until = None;
                }
                b'\n' => self.in_line = false,
                b'\r' => {}
                _ => self.in_line = true,
            }
        }
    }
}

/// Error event in place of one that was too large, if anybody waits for it.
fn too_large_event(id: Option<RequestId>) -> Vec<Result<Sse, SseError>> {
    tracing::warn!(
        "an upstream sent an event longer than {BYTES_MAX} bytes or of more than {VALUES_MAX} \
        values, it is dropped"
    );
    let error = id.and_then(|id| serde_json::to_string(&too_long(Some(id))).ok());
    error.map(|error| Ok(Sse::default().data(error))).into_iter().collect()
}

/// The messages of an event, each as one. One without any still says where to go on after it.
fn messages(event: Sse, id: Option<&RequestId>, incoming: &Incoming) -> Vec<Result<Sse, SseError>> {
    let retry = event.retry.map(|ms| ms.min(RETRY_MS_MAX));
    let is_message = matches!(event.event.as_deref(), None | Some("" | "message"));
    let data = event.data.as_deref().filter(|_| is_message);
    let messages = data.map(|data| incoming.read(data.as_bytes(), id, None)).unwrap_or_default();
    let mut messages = messages.into_iter();
    let first = Sse { data: messages.next(), retry, ..event };
    std::iter::once(first)
        .chain(messages.map(|message| Sse::default().data(message)))
        .map(Ok)
        .collect()
}

#[cfg(test)]
mod tests;
