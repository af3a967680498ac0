//! Reads a server's response to one HTTP request: an answer, an error of the protocol, or the
//! reason why it is neither. What cannot be read is answered in the server's name, so that its
//! caller gets the reason.

use std::{borrow::Cow, sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use http::{
    HeaderMap, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};
use reqwest::Response;
use rmcp::{
    model::{ClientJsonRpcMessage, ClientRequest, ErrorCode, JsonRpcMessage, RequestId},
    transport::streamable_http_client::{
        AuthRequiredError, HttpStatusError, InsufficientScopeError, StreamableHttpError,
        StreamableHttpPostResponse,
    },
};
use sse_stream::Sse;
use tokio::sync::Notify;

use super::{
    elsewhere::AnsweredElsewhere,
    incoming::{self, Awaited, Incoming, ProtocolError},
    intake::{Broken, Events, Intake, SERVER, too_long},
    message::{BYTES_MAX, UNREADABLE, VALUES_MAX, is_crowded},
    session::{self, SessionSign},
};
use crate::{base::text::cut, catalog::upstream::response::ResponseLimits};

/// Most bytes that are read of an answer that is no success.
const REFUSAL_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a body that is no message which stand in the error.
const SHOWN_BYTES_MAX: usize = 256;
/// The session, as the protocol before 2026-07-28 names it.
pub(super) const SESSION: &str = "mcp-session-id";
const EVENT_STREAM: &str = "text/event-stream";
const JSON: &str = "application/json";

pub(super) type Failure = StreamableHttpError<reqwest::Error>;

/// An answer, and what it says of its session.
pub(super) struct Reply {
    pub(super) answer: Result<StreamableHttpPostResponse, Failure>,
    /// True if the session may be lost: whether it is can be asked.
    pub(super) is_doubtful: bool,
}

impl From<Result<StreamableHttpPostResponse, Failure>> for Reply {
    fn from(answer: Result<StreamableHttpPostResponse, Failure>) -> Self {
        Self { answer, is_doubtful: false }
    }
}

/// Reads the answers of one server.
#[derive(Clone)]
pub(super) struct ReplyReader {
    pub(super) response_limits: ResponseLimits,
    pub(super) incoming: Incoming,
    /// Told that the server may have lost the session: asking for its tools shows whether it has.
    pub(super) doubt: Arc<Notify>,
    /// Requests whose answer comes on the stream of the server's own messages.
    pub(super) elsewhere: AnsweredElsewhere,
}

impl ReplyReader {
    /// The answer to a posted message.
    pub(super) async fn of_post(
        &self,
        response: Response,
        message: &ClientJsonRpcMessage,
        in_session: bool,
    ) -> Reply {
        let status = response.status();
        if let Some(challenge) = challenge(&response) {
            return Err(challenge).into();
        }
        if !status.is_success() {
            return self.refusal(response, message, in_session).await;
        }
        // What needs no answer is acknowledged by any success, whatever it says.
        let Some(id) = asked(message) else {
            return Ok(StreamableHttpPostResponse::Accepted).into();
        };
        if matches!(status, StatusCode::ACCEPTED | StatusCode::NO_CONTENT) {
            return self.accepted(status, message, id, in_session).into();
        }
        let session = response.headers().get(SESSION);
        let session = session.and_then(|value| value.to_str().ok()).map(str::to_owned);
        if is_type(response.headers(), EVENT_STREAM) {
            let intake = Intake::new(response, self.response_limits.clone(), SERVER);
            let events = intake.events(Some(Awaited::new(id)), self.incoming.clone());
            return Ok(StreamableHttpPostResponse::Sse(events, session)).into();
        }
        self.whole(response, id, session, in_session).await
    }

    /// A success without an answer to a request that needs one. Some servers send it on the stream
    /// of their own messages instead.
    fn accepted(
        &self,
        status: StatusCode,
        message: &ClientJsonRpcMessage,
        id: RequestId,
        in_session: bool,
    ) -> Result<StreamableHttpPostResponse, Failure> {
        let why = format!("it answered HTTP {status}, which is no answer to a request");
        if !in_session && is_discovery(message) {
            return answered(Some(id), |id| {
                incoming::error(id, ErrorCode::INVALID_REQUEST.0, &why)
            });
        }
        if in_session && self.elsewhere.expect(&id) {
            return Ok(StreamableHttpPostResponse::Accepted);
        }
        answered(Some(id), |id| incoming::error(id, UNREADABLE, &why))
    }

    /// The answer that a whole body is.
    async fn whole(
        &self,
        response: Response,
        id: RequestId,
        session: Option<String>,
        in_session: bool,
    ) -> Reply {
        let (status, headers) = (response.status(), response.headers().clone());
        let intake = Intake::new(response, self.response_limits.clone(), SERVER);
        let (body, permit) = match intake.whole().await {
            Ok(read) => read,
            Err(Broken::TooLong) => return Ok(instead(id, session)).into(),
            Err(Broken::Connection(error)) => {
                return Err(StreamableHttpError::Client(error)).into();
            }
            Err(Broken::Late) => return Err(StreamableHttpError::UnexpectedEndOfStream).into(),
        };
        if is_crowded(&body) {
            return Ok(instead(id, session)).into();
        }
        let sign = match in_session && body.len() <= REFUSAL_BYTES_MAX {
            true => SessionSign::of(status, &String::from_utf8_lossy(&body)),
            false => SessionSign::Silent,
        };
        if sign == SessionSign::Lost {
            return Err(StreamableHttpError::SessionExpired).into();
        }
        let mut awaited = Awaited::new(id);
        let mut messages = self.incoming.read(&body, Some(&mut awaited), permit);
        messages.extend(awaited.mistaken());
        if !messages.is_empty() && !awaited.is_answered() && awaited.mistaken().is_none() {
            let id = awaited.settle();
            let why = format!("its messages have no answer: {}", shown(&body));
            messages.extend(number(&id).map(|id| incoming::error(id, UNREADABLE, &why)));
        }
        let answer = self.answer(messages, &body, &headers, session);
        Reply { answer, is_doubtful: sign == SessionSign::Doubtful }
    }

    /// The messages of a body as an answer.
    fn answer(
        &self,
        messages: Vec<String>,
        body: &[u8],
        headers: &HeaderMap,
        session: Option<String>,
    ) -> Result<StreamableHttpPostResponse, Failure> {
        match messages.as_slice() {
            [] if is_type(headers, JSON) => {
                Err(StreamableHttpError::UnexpectedServerResponse(shown(body).into()))
            }
            [] => {
                let kind = content_type(headers).map(Cow::into_owned);
                Err(StreamableHttpError::UnexpectedContentType(kind))
            }
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
        if !is_type(response.headers(), EVENT_STREAM) {
            let kind = content_type(response.headers()).map(Cow::into_owned);
            return Err(StreamableHttpError::UnexpectedContentType(kind));
        }
        let intake = Intake::new(response, self.response_limits.clone(), SERVER);
        Ok(intake.events(None, self.incoming.clone()))
    }

    /// Returns true if the answer to the question about a session denies it, as far as it comes
    /// within this time.
    pub(super) async fn denies_session(response: Response, within: Duration) -> bool {
        let status = response.status();
        match tokio::time::timeout(within, head(response, true)).await {
            Ok(body) => session::is_denied(status, &String::from_utf8_lossy(&body)),
            Err(_) => false,
        }
    }

    /// Interprets an unsuccessful response: an error of the protocol if the body is one, else its
    /// status.
    async fn refusal(
        &self,
        response: Response,
        message: &ClientJsonRpcMessage,
        in_session: bool,
    ) -> Reply {
        let status = response.status();
        let is_json = is_type(response.headers(), JSON);
        let trouble = match in_trouble(&response) {
            Some(trouble) if status == StatusCode::TOO_MANY_REQUESTS => {
                return Err(trouble.into()).into();
            }
            Some(trouble) if !is_json && !in_session => return Err(trouble.into()).into(),
            trouble => trouble,
        };
        let body = head(response, false).await;
        let text = String::from_utf8_lossy(&body);
        let sign = match in_session {
            true => SessionSign::of(status, &text),
            false => SessionSign::Silent,
        };
        if sign == SessionSign::Lost {
            return Err(StreamableHttpError::SessionExpired).into();
        }
        let is_silent = in_session && sign == SessionSign::Silent;
        if is_silent && matches!(status, StatusCode::BAD_REQUEST | StatusCode::GONE) {
            self.doubt.notify_one();
        }
        let is_denied = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        let error = ProtocolError::within(&text).filter(|_| !is_denied).map(|(_, error)| error);
        let id = asked(message);
        if is_discovery(message) && status.is_client_error() && !in_session && !is_denied {
            // A server of the era before does not know this request, and says so in some way, often
            // without its id.
            let why = format!(
                "server/discover rejected with HTTP {status}: {}",
                cut(&text, SHOWN_BYTES_MAX)
            );
            return match error {
                Some(error) => answered(id, |id| error.message(id)),
                None => answered(id, |id| incoming::error(id, ErrorCode::INVALID_REQUEST.0, &why)),
            }
            .into();
        }
        let answer = match (error.filter(|_| is_json), trouble) {
            (Some(error), _) if id.is_some() => answered(id, |id| error.message(id)),
            (_, Some(trouble)) => Err(trouble.into()),
            (_, None) => Err(HttpStatusError::new(status.as_u16(), None).into()),
        };
        Reply { answer, is_doubtful: sign == SessionSign::Doubtful }
    }
}

/// The request that waits for an answer to this message.
fn asked(message: &ClientJsonRpcMessage) -> Option<RequestId> {
    match message {
        JsonRpcMessage::Request(request) => Some(request.id.clone()),
        _ => None,
    }
}

/// The number that an id is; all of this side are.
fn number(id: &RequestId) -> Option<i64> {
    match id {
        RequestId::Number(id) => Some(*id),
        RequestId::String(_) => None,
    }
}

/// Returns true for the first request of the modern era, which a server of the one before does not
/// know.
fn is_discovery(message: &ClientJsonRpcMessage) -> bool {
    matches!(
        message,
        ClientJsonRpcMessage::Request(request)
            if matches!(request.request, ClientRequest::DiscoverRequest(_))
    )
}

/// Returns true for content of this type, in any case and with any parameters.
pub(super) fn is_type(headers: &HeaderMap, media_type: &str) -> bool {
    let kind = content_type(headers).unwrap_or_default();
    kind.trim_start()
        .get(..media_type.len())
        .is_some_and(|kind| kind.eq_ignore_ascii_case(media_type))
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
    let Some(id) = id.as_ref().and_then(number) else {
        return Ok(StreamableHttpPostResponse::Accepted);
    };
    Ok(StreamableHttpPostResponse::Json(serde_json::from_str(&message(id))?, None))
}

/// Reads a body up to its limit, as far as it arrives; of a stream, if so wanted, only up to the
/// end of its first event.
async fn head(mut response: Response, is_event_enough: bool) -> Vec<u8> {
    let is_stream = is_event_enough && is_type(response.headers(), EVENT_STREAM);
    let mut body = Vec::new();
    while let Ok(Some(piece)) = response.chunk().await {
        body.extend_from_slice(&piece[..piece.len().min(REFUSAL_BYTES_MAX - body.len())]);
        let text = String::from_utf8_lossy(&body).replace('\r', "");
        let has_event = || text.contains("data:") && text.trim_start().contains("\n\n");
        if body.len() == REFUSAL_BYTES_MAX || is_stream && has_event() {
            break;
        }
    }
    body
}

#[cfg(test)]
mod tests;
