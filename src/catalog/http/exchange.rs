//! One request and its answer, read within bounds.

use bytes::BytesMut;
use http::header::CONTENT_TYPE;

use super::{Inner, ServiceAnswer, ServiceBody, ServiceFailure, ServiceRequest, Until};

/// Most bytes that are kept of an answer that is no success.
const REFUSAL_BYTES_MAX: usize = 64 * 1024;

/// Sends the request and reads the answer.
pub(super) async fn perform(inner: &Inner, request: &ServiceRequest) -> Result<ServiceAnswer, ServiceFailure> {
    let mut outgoing = inner.client.request(request.method.clone(), request.url.clone()).headers(request.headers.clone());
    if request.url.origin() == inner.config.base_url.origin() {
        outgoing = outgoing.headers(inner.headers.clone());
    }
    outgoing = with_body(outgoing, &request.body)?;
    let answer = outgoing.send().await.map_err(of_send)?;
    read(answer, request).await
}

/// The request with its body.
fn with_body(request: reqwest::RequestBuilder, body: &ServiceBody) -> Result<reqwest::RequestBuilder, ServiceFailure> {
    Ok(match body {
        ServiceBody::None => request,
        ServiceBody::Bytes { content_type, bytes } => request.header(CONTENT_TYPE, content_type).body(bytes.clone()),
        ServiceBody::Multipart(parts) => {
            let mut form = reqwest::multipart::Form::new();
            for part in parts {
                let mut field = reqwest::multipart::Part::stream_with_length(part.bytes.clone(), part.bytes.len() as u64);
                if let Some(name) = &part.file_name {
                    field = field.file_name(name.clone());
                }
                if let Some(kind) = &part.content_type {
                    field = field
                        .mime_str(kind)
                        .map_err(|_| ServiceFailure::Refused(format!("`{kind}` is not a media type for field `{}`", part.name)))?;
                }
                form = form.part(part.name.clone(), field);
            }
            request.multipart(form)
        }
    })
}

async fn read(mut answer: reqwest::Response, request: &ServiceRequest) -> Result<ServiceAnswer, ServiceFailure> {
    let status = answer.status();
    let headers = answer.headers().clone();
    let is_refusal = !status.is_success();
    let bytes_max = if is_refusal { request.answer_bytes_max.min(REFUSAL_BYTES_MAX) } else { request.answer_bytes_max };
    let mut body = BytesMut::new();
    let mut truncated = false;
    while let Some(chunk) = answer.chunk().await.map_err(of_send)? {
        let room = bytes_max - body.len();
        let is_over = chunk.len() > room;
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if let Some(end) = end_of(&body, request.until) {
            truncated = true;
            body.truncate(end);
            break;
        }
        if is_over {
            if !is_refusal && request.until == Until::End {
                return Err(ServiceFailure::TooLarge(bytes_max));
            }
            truncated = true;
            break;
        }
    }
    Ok(ServiceAnswer { status, headers, body: body.freeze(), truncated })
}

/// Where the part that was asked for ends, once all of it is there.
fn end_of(body: &[u8], until: Until) -> Option<usize> {
    let nth = |ends: &mut dyn Iterator<Item = usize>, count: usize| count.checked_sub(1).map_or(Some(0), |last| ends.nth(last));
    match until {
        Until::End => None,
        Until::Lines(count) => nth(&mut body.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1), count),
        Until::Events(count) => {
            nth(&mut body.windows(2).enumerate().filter(|(_, pair)| *pair == b"\n\n").map(|(at, _)| at + 2), count)
        }
    }
}

fn of_send(error: reqwest::Error) -> ServiceFailure {
    let cause = innermost(&error);
    match error {
        error if error.is_timeout() => ServiceFailure::Timeout,
        error if error.is_connect() => ServiceFailure::Unreachable(cause),
        _ => ServiceFailure::Lost(cause),
    }
}

/// The first cause, in its own words, which unlike the outer ones never repeat the address.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let first = std::iter::successors(Some(error), |error| error.source()).last();
    first.map(|cause| crate::catalog::tool::cut(&cause.to_string(), 500).to_owned()).unwrap_or_default()
}
