//! One request, along its redirects, and its response, read within limits.

use std::{borrow::Cow, time::Duration};

use bytes::BytesMut;
use http::{
    HeaderMap, HeaderValue, Method,
    header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, RANGE},
};
use tokio::time::Instant;
use url::{Origin, Url};

use super::{
    body,
    failure::ServiceFailure,
    message::{ServiceAnswer, ServiceBody, ServiceRequest, Until},
    redirect::{self, HOPS_MAX, Hop},
};
use crate::{
    base::text::cut,
    catalog::{
        credential::RequestCredential,
        net::{
            encoding,
            guard::{AddressPolicy, refusal},
        },
        redact::Secrets,
        upstream::response::{LARGE_BYTES, ResponseLimits},
    },
};

/// Most bytes that are kept of an answer that is no success.
const REFUSAL_BYTES_MAX: usize = 64 * 1024;
/// Longest silence within an answer, once it has begun.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// Longest silence while a large response holds a permit that others wait for.
const LARGE_SILENCE_MAX: Duration = Duration::from_secs(10);

/// Destination of a request, and what it may carry.
pub(super) struct Target<'a> {
    pub(super) client: &'a reqwest::Client,
    /// Client for origins that are not configured.
    pub(super) elsewhere: &'a reqwest::Client,
    pub(super) addresses: &'a AddressPolicy,
    /// Origin that the headers and the credential belong to: they are sent nowhere else.
    pub(super) origin: Origin,
    pub(super) headers: &'a HeaderMap,
    pub(super) request_credential: Option<&'a RequestCredential>,
    pub(super) secrets: &'a Secrets,
    pub(super) response_limits: &'a ResponseLimits,
    /// Time at which the call is aborted.
    pub(super) deadline: Instant,
}

/// Sends the request and reads the answer.
pub(super) async fn perform(
    target: &Target<'_>,
    request: &ServiceRequest,
) -> Result<ServiceAnswer, ServiceFailure> {
    target.addresses.check(&request.url).map_err(ServiceFailure::Refused)?;
    // Names are judged for the port of the service itself when they are resolved.
    if request.url.origin() != target.origin
        && target.addresses.is_own_port(request.url.port_or_known_default())
    {
        return Err(ServiceFailure::Refused(
            "the address is on a port of this server itself".to_owned(),
        ));
    }
    // What the owner named: the service, and the document that is asked for.
    let named = [target.origin.clone(), request.url.origin()];
    let mut hop = Hop { url: request.url.clone(), method: request.method.clone(), with_body: true };
    // Once it has left its origin, nothing of it is trusted with a secret any more, not even back
    // there.
    let mut is_home = true;
    // Whether a request to do something was answered with where its result is: it was done.
    let mut is_done = false;
    for hops in 0..=HOPS_MAX {
        let astray = |failure: ServiceFailure| match hops {
            0 => failure,
            _ => failure.of_redirect(&hop.url.origin().ascii_serialization()),
        };
        let client =
            if named.contains(&hop.url.origin()) { target.client } else { target.elsewhere };
        let answer = sent(target, client, request, &hop, is_home).await.map_err(astray)?;
        match redirect::next(
            &hop.url,
            (&hop.method, request.is_graphql),
            answer.status(),
            answer.headers(),
            target.addresses,
            &named,
        )? {
            None if is_done && !answer.status().is_success() => {
                let (place, status) =
                    (hop.url.origin().ascii_serialization(), answer.status().as_u16());
                return Err(ServiceFailure::Astray(format!(
                    "it redirects to `{place}` for it, which answered HTTP {status}"
                )));
            }
            None => return read(answer, request, &hop, target).await,
            Some(next) => {
                is_home &= next.url.origin() == hop.url.origin();
                is_done |= next.method != hop.method;
                hop = Hop { with_body: hop.with_body && next.with_body, ..next };
            }
        }
    }
    Err(ServiceFailure::Astray(format!("it redirects more than {HOPS_MAX} times")))
}

/// Sends one hop and waits for the head of its answer.
async fn sent(
    target: &Target<'_>,
    client: &reqwest::Client,
    request: &ServiceRequest,
    hop: &Hop,
    is_home: bool,
) -> Result<reqwest::Response, ServiceFailure> {
    let (url, headers) = dressed(target, request, &hop.url, is_home)?;
    let body = if hop.with_body { &request.body } else { &ServiceBody::None };
    let mut body = Cow::Borrowed(body);
    let is_origin = is_home && hop.url.origin() == target.origin;
    for credential in target.request_credential.iter().filter(|_| is_origin) {
        for field in credential.fields() {
            body = Cow::Owned(body::with_field(&body, field)?);
        }
    }
    let outgoing = client.request(hop.method.clone(), url).headers(headers);
    with_body(outgoing, &body)?.send().await.map_err(of_send)
}

/// The address and the headers of one hop. Away from home only what says which form of answer is
/// wanted.
fn dressed(
    target: &Target<'_>,
    request: &ServiceRequest,
    url: &Url,
    is_home: bool,
) -> Result<(Url, HeaderMap), ServiceFailure> {
    let mut url = url.clone();
    if !is_home {
        let accept = request.headers.get(ACCEPT).map(|accept| (ACCEPT, accept.clone()));
        return Ok((url, accept.into_iter().collect()));
    }
    let mut headers = request.headers.clone();
    // A part of a file is one of its bytes; and what is compressed on the way may be kept back.
    if headers.contains_key(RANGE) || request.until != Until::End {
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
    if url.origin() == target.origin {
        for (name, value) in target.headers {
            headers.insert(name, value.clone());
        }
        if let Some(request_credential) = target.request_credential {
            request_credential.put(&mut headers, &mut url).map_err(ServiceFailure::Credential)?;
        }
    }
    Ok((url, headers))
}

/// The request with its body.
fn with_body(
    request: reqwest::RequestBuilder,
    body: &ServiceBody,
) -> Result<reqwest::RequestBuilder, ServiceFailure> {
    Ok(match body {
        ServiceBody::None => request,
        ServiceBody::Bytes { content_type, bytes } => {
            request.header(CONTENT_TYPE, content_type).body(bytes.clone())
        }
        ServiceBody::Multipart(parts) => {
            let mut form = reqwest::multipart::Form::new();
            for part in parts {
                let mut field = reqwest::multipart::Part::stream_with_length(
                    part.bytes.clone(),
                    part.bytes.len() as u64,
                );
                if let Some(name) = &part.file_name {
                    field = field.file_name(name.clone());
                }
                if let Some(kind) = &part.content_type {
                    field = field.mime_str(kind).map_err(|_| {
                        ServiceFailure::Refused(format!(
                            "`{kind}` is not a media type for field `{}`",
                            part.name
                        ))
                    })?;
                }
                form = form.part(part.name.clone(), field);
            }
            request.multipart(form)
        }
    })
}

/// The answer, decoded. Without a body there is nothing to decode, whatever the headers say.
fn decoded(answer: reqwest::Response, is_bare: bool) -> Result<reqwest::Response, ServiceFailure> {
    let status = answer.status();
    if is_bare {
        return Ok(answer);
    }
    encoding::decoded(answer).map_err(|why| ServiceFailure::Encoding(refused_too(status, why)))
}

async fn read(
    answer: reqwest::Response,
    request: &ServiceRequest,
    hop: &Hop,
    target: &Target<'_>,
) -> Result<ServiceAnswer, ServiceFailure> {
    let status = answer.status();
    let is_bare = hop.method == Method::HEAD || matches!(status.as_u16(), 204 | 205 | 304);
    let mut answer = decoded(answer, is_bare)?;
    let headers = answer.headers().clone();
    let is_refusal = !status.is_success();
    let kept_max = if is_refusal { REFUSAL_BYTES_MAX } else { usize::MAX };
    let bytes_max = request.answer_bytes_max.min(kept_max);
    let is_whole = !is_refusal && request.until == Until::End;
    let announced = answer.content_length().filter(|_| !is_bare);
    if is_whole && announced.is_some_and(|announced| announced > bytes_max as u64) {
        return Err(ServiceFailure::TooLarge(bytes_max));
    }
    let mut body = BytesMut::new();
    let mut reader = Reader::new(if is_refusal { Until::End } else { request.until });
    let (mut truncated, mut permit) = (false, None);
    loop {
        if is_bare {
            break;
        }
        let silence_max = if permit.is_some() { LARGE_SILENCE_MAX } else { SILENCE_MAX };
        let silent_at = Instant::now() + silence_max;
        let chunk =
            match tokio::time::timeout_at(silent_at.min(target.deadline), answer.chunk()).await {
                Ok(chunk) => chunk,
                // A stream may go on for ever: what has come is the answer.
                Err(_) if !is_refusal && request.until != Until::End => {
                    body.truncate(reader.whole);
                    truncated = true;
                    break;
                }
                Err(_) if silent_at > target.deadline => return Err(ServiceFailure::Timeout),
                Err(_) => return Err(ServiceFailure::Silent(silence_max.as_secs())),
            };
        let Some(chunk) = chunk.map_err(|error| of_body(error, status))? else { break };
        let space = bytes_max - body.len();
        let is_over = chunk.len() > space;
        if body.len() + chunk.len() > LARGE_BYTES && permit.is_none() {
            // The service waits meanwhile: what is not read stays with it.
            permit = Some(target.response_limits.memory_permit().await);
        }
        body.extend_from_slice(&chunk[..chunk.len().min(space)]);
        if let Some(end) = reader.end(&body) {
            truncated = true;
            body.truncate(end);
            break;
        }
        if is_over {
            if is_whole {
                return Err(ServiceFailure::TooLarge(bytes_max));
            }
            truncated = true;
            break;
        }
    }
    if truncated {
        target.secrets.strip_cut(&mut body);
    }
    let moved_to = redirect::location(&hop.url, &headers).filter(|_| status.is_redirection());
    Ok(ServiceAnswer { status, headers, body: body.freeze(), truncated, permit, moved_to })
}

/// An error of an answer that had begun.
fn of_body(error: reqwest::Error, status: http::StatusCode) -> ServiceFailure {
    match encoding::broken(&error) {
        Some(why) => ServiceFailure::Encoding(refused_too(status, why)),
        None => of_send(error),
    }
}

/// The reason, with the status where that is no success.
fn refused_too(status: http::StatusCode, why: String) -> String {
    if status.is_success() {
        why
    } else {
        format!("it answered HTTP {}, and {why}", status.as_u16())
    }
}

/// Counts lines or events as they come in; looks at each byte once.
struct Reader {
    until: Until,
    seen: usize,
    found: usize,
    /// End of the last complete line or event.
    whole: usize,
    /// True if the line that is being read has anything in it.
    in_line: bool,
}

impl Reader {
    fn new(until: Until) -> Self {
        Self { until, seen: 0, found: 0, whole: 0, in_line: false }
    }

    /// End of the requested part of the body, once it has arrived.
    fn end(&mut self, body: &[u8]) -> Option<usize> {
        let (wanted, by_event) = match self.until {
            Until::End => return None,
            Until::Lines(count) => (count, false),
            Until::Events(count) => (count, true),
        };
        if wanted == 0 {
            return Some(0);
        }
        for (at, byte) in body.iter().enumerate().skip(self.seen) {
            match byte {
                b'\n' => {
                    // An event ends with an empty line.
                    let is_end = if by_event { !self.in_line && at > 0 } else { true };
                    self.in_line = false;
                    self.found += usize::from(is_end);
                    if is_end {
                        self.whole = at + 1;
                    }
                    if self.found == wanted {
                        return Some(at + 1);
                    }
                }
                b'\r' => {}
                _ => self.in_line = true,
            }
        }
        self.seen = body.len();
        None
    }
}

fn of_send(error: reqwest::Error) -> ServiceFailure {
    if let Some(why) = refusal(&error) {
        return ServiceFailure::Refused(why);
    }
    let cause = innermost(&error);
    match error {
        error if error.is_connect() => ServiceFailure::Unreachable(cause),
        error if error.is_builder() => {
            ServiceFailure::Refused(format!("the request cannot be made: {cause}"))
        }
        _ => ServiceFailure::Lost(cause),
    }
}

/// The first cause, in its own words, which unlike the outer ones never repeat the address.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let first = std::iter::successors(Some(error), |error| error.source()).last();
    first.map(|cause| cut(&cause.to_string(), 500).to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
