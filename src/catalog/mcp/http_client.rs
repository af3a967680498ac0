//! The HTTP transport of a remote MCP server: checked addresses, the upstream's credential on each
//! request, one retry with a fresh credential after a 401, or a success that says the same, and a
//! question about the session after an answer that puts it in doubt.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
    header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE},
};
use parking_lot::Mutex;
use reqwest::RequestBuilder;
use rmcp::{
    model::ClientJsonRpcMessage,
    transport::{
        auth::AuthError,
        streamable_http_client::{
            AuthRequiredError, StreamableHttpClient, StreamableHttpError,
            StreamableHttpPostResponse,
        },
    },
};
use tokio::time::Instant;
use url::Url;

use super::{
    intake::Events,
    message::BYTES_MAX,
    reconnect::{RESUME_PAUSE, ReconnectBackoff},
    refused_credential::{first_error, is_refusal},
    reply::{Failure, Reply, ReplyReader, SESSION},
    session,
};
use crate::catalog::{
    credential::{CredentialProvider, RequestCredential},
    net::{encoding, guard::refusal},
};

/// Longest wait for the answer to the question whether a session is there, and again for its body.
const QUESTION_MAX: Duration = Duration::from_secs(5);
/// Redirects of one request that are followed; same origin and same method only.
const HOPS_MAX: usize = 5;

const JSON: &str = "application/json";
const ACCEPTED: &str = "text/event-stream, application/json";
const LAST_EVENT: &str = "last-event-id";
/// Headers that the protocol sets, and nobody else.
const RESERVED: [&str; 3] = ["accept", SESSION, LAST_EVENT];

type Headers = HashMap<HeaderName, HeaderValue>;

/// A message to be posted.
struct Post<'a> {
    message: &'a ClientJsonRpcMessage,
    body: Bytes,
    session: Option<&'a str>,
}

/// Sends the protocol's requests.
#[derive(Clone)]
pub(super) struct HttpTransport {
    client: reqwest::Client,
    credentials: Arc<CredentialProvider>,
    replies: ReplyReader,
    pace: Arc<ReconnectBackoff>,
}

impl HttpTransport {
    pub(super) fn new(
        client: reqwest::Client,
        credentials: Arc<CredentialProvider>,
        replies: ReplyReader,
    ) -> Self {
        Self { client, credentials, replies, pace: Arc::default() }
    }

    /// A request with these headers, the owner's and the library's, and those that are the
    /// protocol's alone.
    fn request(
        &self,
        method: Method,
        uri: &str,
        headers: Headers,
        session: Option<&str>,
    ) -> Result<RequestBuilder, Failure> {
        if let Some(reserved) = RESERVED.into_iter().find(|name| headers.contains_key(*name)) {
            return Err(StreamableHttpError::ReservedHeaderConflict(reserved.to_owned()));
        }
        // What is compressed on the way may be kept back, and an event is waited for.
        let is_chosen = headers.contains_key(&ACCEPT_ENCODING);
        let plain = (!is_chosen).then_some((ACCEPT_ENCODING, "identity"));
        let request = self
            .client
            .request(method, uri)
            .headers(headers.into_iter().collect())
            .header(ACCEPT, ACCEPTED);
        let request =
            plain.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        Ok(session.into_iter().fold(request, |request, session| request.header(SESSION, session)))
    }

    /// The address and the headers of a request that is identified by a proof.
    fn identified(
        request_credential: Option<&RequestCredential>,
        uri: &Arc<str>,
        headers: &Headers,
    ) -> Result<(Arc<str>, Headers), Failure> {
        let Some(request_credential) = request_credential else {
            return Ok((uri.clone(), headers.clone()));
        };
        let mut url = Url::parse(uri).map_err(|error| unusable(error.to_string()))?;
        let mut map: HeaderMap =
            headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        request_credential.put(&mut map, &mut url).map_err(unusable)?;
        let map = map.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        Ok((Arc::from(url.as_str()), map))
    }

    /// Posts a message. Returns the answer, and whether it says within a success that the
    /// credential was refused. Where the answer leaves the session in doubt, it is asked for: only
    /// a server that denies it then has not begun with the message.
    async fn posted(
        &self,
        uri: &str,
        headers: Headers,
        post: &Post<'_>,
    ) -> Result<(StreamableHttpPostResponse, bool), Failure> {
        let question = self.request(Method::POST, uri, headers.clone(), post.session)?;
        let request = self.request(Method::POST, uri, headers, post.session)?;
        let request = request.header(CONTENT_TYPE, JSON).body(post.body.clone());
        let response = readable(request.send().await?)?;
        let in_session = post.session.is_some();
        let Reply { answer, mut is_doubtful } =
            self.replies.of_post(response, post.message, in_session).await;
        let has_credential = self.credentials.is_some();
        let (answer, error) = match answer {
            Ok(answer) if has_credential || in_session => {
                let (answer, error) = first_error(answer).await;
                (Ok(answer), error)
            }
            other => (other, None),
        };
        if let Some(error) = error.as_ref().filter(|_| in_session) {
            is_doubtful |= session::says_lost(&error.message);
        }
        if is_doubtful && is_session_denied(question).await {
            return Err(StreamableHttpError::SessionExpired);
        }
        let is_refused = error.is_some_and(|error| is_refusal(&error, post.message));
        Ok((answer?, has_credential && is_refused))
    }

    /// Sends, and once more with a fresh proof when the first was refused: such a request had no
    /// effect.
    async fn send<T, F>(
        &self,
        uri: Arc<str>,
        headers: Headers,
        request: impl Fn(Arc<str>, Headers) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let request_credential = self.credentials.request_credential().await.map_err(unusable)?;
        let (first_uri, first_headers) =
            Self::identified(request_credential.as_ref(), &uri, &headers)?;
        let refused = match (request(first_uri, first_headers).await, request_credential) {
            (Err(failure), Some(request_credential)) if is_unauthorized(&failure) => {
                (failure, request_credential)
            }
            (answered, _) => return answered,
        };
        match self.credentials.renewed(&refused.1).await.map_err(unusable)? {
            Some(fresh) => {
                let (uri, headers) = Self::identified(Some(&fresh), &uri, &headers)?;
                request(uri, headers).await
            }
            None => Err(refused.0),
        }
    }
}

/// Wraps the reason why a credential cannot be used in the library's error type.
fn unusable(why: String) -> Failure {
    StreamableHttpError::Auth(AuthError::CredentialStoreError(why))
}

/// The response, decoded, unless it is encoded in a way that is not read.
fn readable(response: reqwest::Response) -> Result<reqwest::Response, Failure> {
    encoding::decoded(response)
        .map_err(|why| StreamableHttpError::UnexpectedServerResponse(why.into()))
}

/// Asks for nothing in the session of this request, and returns true if the answer is that there is
/// no such session.
async fn is_session_denied(question: RequestBuilder) -> bool {
    let Ok(body) = session::question() else { return false };
    let sent = question.header(CONTENT_TYPE, JSON).body(body).send();
    let answered = tokio::time::timeout(QUESTION_MAX, sent).await;
    match answered.map(|sent| sent.map_err(Failure::from).and_then(readable)) {
        Ok(Ok(response)) => ReplyReader::denies_session(response, QUESTION_MAX).await,
        Ok(Err(_)) | Err(_) => false,
    }
}

fn is_unauthorized(failure: &Failure) -> bool {
    match failure {
        StreamableHttpError::AuthRequired(_) => true,
        StreamableHttpError::HttpStatus(status) => status.status == StatusCode::UNAUTHORIZED,
        _ => false,
    }
}

/// Redirects that keep method, body and origin; anything else comes back as the answer that it is.
pub(super) fn redirects() -> reqwest::redirect::Policy {
    reqwest::redirect::Policy::custom(|attempt| {
        let keeps_body = matches!(attempt.status().as_u16(), 307 | 308);
        let first = attempt.previous().first();
        let keeps_origin = first.is_some_and(|first| first.origin() == attempt.url().origin());
        if keeps_body && keeps_origin && attempt.previous().len() <= HOPS_MAX {
            attempt.follow()
        } else {
            attempt.stop()
        }
    })
}

/// Reason of the address policy, if it is the cause of a failed request.
pub(super) fn refused_address(error: &reqwest::Error) -> Option<String> {
    refusal(error)
}

impl StreamableHttpClient for HttpTransport {
    type Error = reqwest::Error;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        auth: Option<String>,
        headers: Headers,
    ) -> Result<StreamableHttpPostResponse, Failure> {
        self.post_message_with_max_sse_event_size(uri, message, session, auth, headers, BYTES_MAX)
            .await
    }

    // The bound of events is our own, which heeds more than their size.
    async fn post_message_with_max_sse_event_size(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        _auth: Option<String>,
        headers: Headers,
        _event_bytes_max: usize,
    ) -> Result<StreamableHttpPostResponse, Failure> {
        let body = Bytes::from(serde_json::to_vec(&message)?);
        let post = &Post { message: &message, body, session: session.as_deref() };
        // The latest answer that says within a success that the credential was refused.
        let refused = &Mutex::new(None);
        let sent = self.send(uri, headers, |uri, headers| async move {
            let (answer, is_refused) = self.posted(&uri, headers, post).await?;
            *refused.lock() = None;
            if is_refused {
                *refused.lock() = Some(answer);
                return Err(StreamableHttpError::AuthRequired(AuthRequiredError::new(
                    String::new(),
                )));
            }
            Ok(answer)
        });
        match (sent.await, refused.lock().take()) {
            // Nothing better than what it said.
            (Err(StreamableHttpError::AuthRequired(_)), Some(answer)) => Ok(answer),
            (sent, _) => sent,
        }
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session: Arc<str>,
        auth: Option<String>,
        headers: Headers,
    ) -> Result<(), Failure> {
        self.send(uri, headers, |uri, headers| {
            self.client.delete_session(uri, session.clone(), auth.clone(), headers)
        })
        .await
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session: Option<Arc<str>>,
        last_event: Option<String>,
        auth: Option<String>,
        headers: Headers,
    ) -> Result<Events, Failure> {
        self.get_stream_with_max_sse_event_size(uri, session, last_event, auth, headers, BYTES_MAX)
            .await
    }

    async fn get_stream_with_max_sse_event_size(
        &self,
        uri: Arc<str>,
        session: Option<Arc<str>>,
        last_event: Option<String>,
        _auth: Option<String>,
        headers: Headers,
        _event_bytes_max: usize,
    ) -> Result<Events, Failure> {
        // The library comes back as fast as the server likes, and at once where a stream broke.
        match last_event {
            None => tokio::time::sleep_until(self.pace.next(Instant::now())).await,
            Some(_) => tokio::time::sleep(RESUME_PAUSE).await,
        }
        let (session, last_event) = (session.as_deref(), last_event.as_deref());
        let events = self.send(uri, headers, |uri, headers| {
            let request = self.request(Method::GET, &uri, headers, session);
            async move {
                let request = last_event
                    .into_iter()
                    .fold(request?, |request, last| request.header(LAST_EVENT, last));
                self.replies.of_get(readable(request.send().await?)?)
            }
        });
        let elsewhere = &self.replies.elsewhere;
        match events.await {
            Ok(events) => Ok(elsewhere.watched(events)),
            Err(error) => match elsewhere.refused() {
                none if none.is_empty() => Err(error),
                failed => Ok(stream::iter(failed).boxed()),
            },
        }
    }
}
