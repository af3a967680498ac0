//! Converts a response to the value that code gets, or to an error with a remedy.

use std::{borrow::Cow, fmt::Write as _};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use encoding_rs::Encoding;
use http::{HeaderMap, Method, StatusCode, header};
use serde::Serialize;
use serde_json::{Map, Value, json, value::RawValue};

use super::{
    media::{self, Media},
    plan::{Plan, Stream},
    request::STREAM_ITEMS_MAX,
};
use crate::{
    base::{
        json::repair::{self, Changes},
        text::cut,
    },
    catalog::{
        http::message::ServiceAnswer,
        tool::Tool,
        upstream::{
            error::{UpstreamError, UpstreamErrorCode},
            response::ANSWER_BYTES_MAX,
        },
    },
    model::RawJson,
};

/// Most bytes of a binary answer; as base64 they stay below what an answer may have.
pub(super) const BINARY_BYTES_MAX: usize = 5 * 1024 * 1024;
/// Most bytes of a refusal's body that are told.
const SAID_BYTES_MAX: usize = 3_500;
/// Headers that are told; together they have no more than 400 KiB.
const HEADERS_MAX: usize = 100;
/// Longest type of an answer that is told, in bytes.
const TYPE_BYTES_MAX: usize = 200;
/// Headers that are no business of a caller: they hold or set credentials.
const HIDDEN_HEADERS: [&str; 5] =
    ["set-cookie", "set-cookie2", "authorization", "proxy-authenticate", "authentication-info"];

/// The value of a successful answer, with status and headers where that was asked for; else the
/// error.
pub(super) fn value(
    tool: &Tool,
    plan: &Plan,
    answer: ServiceAnswer,
    with_response: bool,
) -> Result<(RawJson, Option<String>), UpstreamError> {
    let answer = in_utf8(tool, answer)?;
    let status = answer.status;
    let is_fine = status.is_success() || status == StatusCode::NOT_MODIFIED;
    if !is_fine {
        return Err(refusal(tool, plan, &answer));
    }
    // Of an answer without a body the headers are all there is.
    let with_response = with_response || plan.method == Method::HEAD;
    let headers = answer.headers.clone();
    let mut repairs = None;
    let (body, truncated) = body(tool, plan, answer, &mut repairs)?;
    let warning = repairs.map(|repairs| {
        let path = &tool.path;
        format!("the response of `{path}` was not valid JSON and was repaired: {repairs}")
    });
    if !with_response {
        return Ok((body, warning));
    }
    #[derive(Serialize)]
    struct Response {
        status: u16,
        headers: Map<String, Value>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        truncated: bool,
        body: RawJson,
    }
    let response =
        Response { status: status.as_u16(), headers: response_headers(&headers), truncated, body };
    Ok((raw(tool, &response)?, warning))
}

/// The answer with its text in UTF-8.
fn in_utf8(tool: &Tool, mut answer: ServiceAnswer) -> Result<ServiceAnswer, UpstreamError> {
    let kind = kind_of(&answer);
    if matches!(Media::of(&kind), Media::Binary | Media::Multipart) && !kind.is_empty() {
        return Ok(answer);
    }
    let changed = match media::decoded(&answer.body, &kind) {
        Ok(Cow::Borrowed(text)) if text.len() == answer.body.len() => None,
        // Without a type they may be bytes of any kind.
        Ok(_) if kind.is_empty() && Encoding::for_bom(&answer.body).is_none() => None,
        Ok(text) => Some(Bytes::from(text.into_owned())),
        // A refusal is told all the same.
        Err(_) if !answer.status.is_success() => None,
        Err(charset) => {
            let message = format!(
                "`{}` answered in the character encoding `{charset}`, which Airlock does not \
                know{}",
                tool.path,
                effect(tool)
            );
            return Err(UpstreamError::new(UpstreamErrorCode::BadAnswer, tool, message));
        }
    };
    answer.body = changed.unwrap_or(answer.body);
    Ok(answer)
}

/// The media type of an answer, as it says.
fn kind_of(answer: &ServiceAnswer) -> String {
    let kind = answer.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.unwrap_or_default().to_owned()
}

/// What is said of a call whose answer cannot be used.
fn effect(tool: &Tool) -> &'static str {
    match tool.annotations.read_only == Some(true) {
        true => "",
        false => "; it is not known whether the call took effect",
    }
}

fn body(
    tool: &Tool,
    plan: &Plan,
    answer: ServiceAnswer,
    repairs: &mut Option<Changes>,
) -> Result<(RawJson, bool), UpstreamError> {
    let has_none = matches!(
        answer.status,
        StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED
    );
    // A stream that was given up before anything came is not nothing.
    let is_empty = answer.body.is_empty() && !answer.truncated;
    if has_none || plan.method == Method::HEAD || is_empty {
        return Ok((raw(tool, &Value::Null)?, false));
    }
    let kind = kind_of(&answer);
    let media = match Media::of(&kind) {
        // A service that does not say what it sends mostly sends JSON.
        Media::Binary if kind.is_empty() => guessed(&answer.body),
        media => media,
    };
    let truncated = answer.truncated;
    match media {
        Media::Json if truncated => Err(UpstreamError::too_large(tool, ANSWER_BYTES_MAX)),
        Media::Json => Ok((json_of(tool, &answer.body, repairs)?, false)),
        Media::Lines => stream(tool, lines(&answer.body), truncated),
        Media::Events => stream(tool, events(&answer.body), truncated),
        Media::Text if plan.is_json && !truncated => {
            Ok((instead_of_json(tool, &answer.body, &kind, repairs)?, false))
        }
        Media::Text | Media::Form => {
            let text = text_of(&answer.body);
            let value = if truncated {
                json!({"text": text, "truncated": true})
            } else {
                Value::String(text)
            };
            Ok((raw(tool, &value)?, truncated))
        }
        Media::Binary | Media::Multipart => {
            let kept = &answer.body[..answer.body.len().min(BINARY_BYTES_MAX)];
            let truncated = truncated || kept.len() < answer.body.len();
            // Left out rather than cut: a secret that it holds would be halved.
            let content_type_of_body =
                Some(kind.as_str()).filter(|kind| !kind.is_empty() && kind.len() <= TYPE_BYTES_MAX);
            let mut value = json!({
                "type": content_type_of_body.unwrap_or("application/octet-stream"),
                "base64": STANDARD.encode(kept), "bytes": kept.len()
            });
            if truncated {
                value["truncated"] = true.into();
            }
            Ok((raw(tool, &value)?, truncated))
        }
    }
}

fn guessed(body: &[u8]) -> Media {
    match std::str::from_utf8(body) {
        Ok(text) if serde_json::from_str::<&RawValue>(text).is_ok() => Media::Json,
        Ok(_) => Media::Text,
        Err(_) => Media::Binary,
    }
}

/// The JSON as it came, or with what was nearly JSON repaired. Nothing but space is null.
fn json_of(
    tool: &Tool,
    body: &[u8],
    repairs: &mut Option<Changes>,
) -> Result<RawJson, UpstreamError> {
    if body.trim_ascii().is_empty() {
        return raw(tool, &Value::Null);
    }
    json_in(body, repairs).ok_or_else(|| {
        let head = String::from_utf8_lossy(&body[..body.len().min(300)]).into_owned();
        let message = format!(
            "`{}` says that it answers with JSON, and does not: {:?}{}",
            tool.path,
            cut(&head, 300),
            effect(tool)
        );
        UpstreamError::new(UpstreamErrorCode::BadAnswer, tool, message)
    })
}

fn json_in(body: &[u8], repairs: &mut Option<Changes>) -> Option<RawJson> {
    let read = |text: &str| {
        let text = text.trim_start_matches('\u{feff}').trim();
        RawValue::from_string(text.to_owned()).ok()
    };
    if let Some(json) = std::str::from_utf8(body).ok().and_then(read) {
        return Some(json);
    }
    let repaired = repair::repaired(body).ok()??;
    let json = read(&repaired.text)?;
    *repairs = Some(repaired.changes);
    Some(json)
}

/// A text where the description promises JSON and nothing else: JSON that is called otherwise is
/// taken, and so is a short word; a page is what a proxy or a login says in the service's stead.
fn instead_of_json(
    tool: &Tool,
    body: &[u8],
    kind: &str,
    repairs: &mut Option<Changes>,
) -> Result<RawJson, UpstreamError> {
    let text = text_of(body);
    if text.trim_start().starts_with(['{', '['])
        && let Some(json) = json_in(text.as_bytes(), repairs)
    {
        return Ok(json);
    }
    if !text.trim_start().starts_with('<') {
        return raw(tool, &text);
    }
    let words = error_text(body);
    // XML may have all it says in its attributes.
    let words = if words.is_empty() { text.trim() } else { &words };
    let message = format!(
        "`{}` is described as answering with JSON, and answered with a page (`{}`): {:?}{}",
        tool.path,
        cut(kind, 80),
        cut(words, 300),
        effect(tool)
    );
    Err(UpstreamError::new(UpstreamErrorCode::BadAnswer, tool, message))
}

fn text_of(body: &[u8]) -> String {
    String::from_utf8_lossy(body).trim_start_matches('\u{feff}').to_owned()
}

/// `{items, truncated}`: a stream may end anywhere, so that is always said.
fn stream(
    tool: &Tool,
    (items, cut_off): (Vec<RawJson>, bool),
    truncated: bool,
) -> Result<(RawJson, bool), UpstreamError> {
    #[derive(Serialize)]
    struct Items {
        items: Vec<RawJson>,
        truncated: bool,
    }
    let truncated = truncated || cut_off;
    Ok((raw(tool, &Items { items, truncated })?, truncated))
}

/// One value for each line; a line that is no JSON is a text.
fn lines(body: &[u8]) -> (Vec<RawJson>, bool) {
    let text = String::from_utf8_lossy(body);
    let mut lines = text
        .lines()
        .map(|line| line.trim_matches(['\u{1e}', ' ', '\r']))
        .filter(|line| !line.is_empty());
    let items = lines.by_ref().take(STREAM_ITEMS_MAX).map(json_or_text).collect();
    (items, lines.next().is_some())
}

/// One object for each event: `data` as JSON where it is JSON, and `event` and `id` where they are
/// given.
fn events(body: &[u8]) -> (Vec<RawJson>, bool) {
    #[derive(Default, Serialize)]
    struct Event {
        #[serde(skip_serializing_if = "Option::is_none")]
        event: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        data: Option<RawJson>,
    }
    let text = String::from_utf8_lossy(body);
    let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n").replace('\r', "\n");
    let mut items = Vec::new();
    for block in text.split("\n\n") {
        let (mut data, mut event): (Option<String>, Event) = (None, Event::default());
        for line in block.lines() {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "data" => match &mut data {
                    Some(data) => {
                        data.push('\n');
                        data.push_str(value);
                    }
                    None => data = Some(value.to_owned()),
                },
                "event" => event.event = Some(value.to_owned()),
                "id" => event.id = Some(value.to_owned()),
                _ => {}
            }
        }
        let Some(data) = data else { continue };
        if items.len() == STREAM_ITEMS_MAX {
            return (items, true);
        }
        event.data = Some(json_or_text(&data));
        items.extend(serde_json::value::to_raw_value(&event).ok());
    }
    (items, false)
}

/// The JSON as it is written, so that numbers keep every digit, or the text.
fn json_or_text(text: &str) -> RawJson {
    let json = RawValue::from_string(text.trim().to_owned());
    json.unwrap_or_else(|_| serde_json::value::to_raw_value(text).expect("a text is always JSON"))
}

fn response_headers(headers: &HeaderMap) -> Map<String, Value> {
    let mut out: Map<String, Value> = Map::new();
    for (name, value) in headers
        .iter()
        .filter(|(name, _)| !HIDDEN_HEADERS.contains(&name.as_str()))
        .take(HEADERS_MAX)
    {
        let value = String::from_utf8_lossy(value.as_bytes());
        match out.get_mut(name.as_str()) {
            Some(Value::String(known)) => {
                known.push_str(", ");
                known.push_str(&value);
            }
            _ => drop(out.insert(name.as_str().to_owned(), value.as_ref().into())),
        }
    }
    out
}

fn raw<T: Serialize>(tool: &Tool, value: &T) -> Result<RawJson, UpstreamError> {
    let json = serde_json::value::to_raw_value(value).map_err(|_| {
        UpstreamError::new(
            UpstreamErrorCode::BadAnswer,
            tool,
            format!("the response of `{}` is not JSON", tool.path),
        )
    })?;
    if json.get().len() > ANSWER_BYTES_MAX {
        Err(UpstreamError::too_large(tool, ANSWER_BYTES_MAX))
    } else {
        Ok(json)
    }
}

/// The error of a status that is no success: the status, what the body says, and whether and when
/// to try again.
fn refusal(tool: &Tool, plan: &Plan, answer: &ServiceAnswer) -> UpstreamError {
    let status = answer.status;
    let harmless =
        tool.annotations.read_only == Some(true) || tool.annotations.idempotent == Some(true);
    let retryable = match status.as_u16() {
        // It says that it did nothing.
        425 | 429 => true,
        408 | 500 | 502..=504 => harmless,
        _ => false,
    };
    let mut message = format!("`{}` answered {}", tool.path, status.as_u16());
    if let Some(reason) = status.canonical_reason() {
        let _ = write!(message, " {reason}");
    }
    let text = error_text(&answer.body);
    if !text.is_empty() {
        let _ = write!(message, ": {}", cut(&text, SAID_BYTES_MAX));
    }
    let header = |name: header::HeaderName| {
        answer.headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim)
    };
    if let Some(after) = header(header::RETRY_AFTER).filter(|after| !after.is_empty()) {
        let unit = if after.bytes().all(|byte| byte.is_ascii_digit()) { " s" } else { "" };
        let _ = write!(message, " (retry after {}{unit})", cut(after, 60));
    }
    match status {
        StatusCode::UNAUTHORIZED => {
            let credential = plan.credential.as_deref().unwrap_or("a credential");
            let _ = write!(
                message,
                " (it wants {credential}; that is for the owner to configure: `upstreams.{}.auth`)",
                tool.upstream
            );
        }
        _ if status.is_redirection() => {
            let place = answer
                .moved_to
                .as_ref()
                .map_or("elsewhere".to_owned(), |place| format!("to `{place}`"));
            let _ = write!(
                message,
                " (it points {place}, and is not followed; if the service has moved, set its new \
                address in the configuration: `upstreams.{}.base_url`)",
                tool.upstream
            );
        }
        _ => {}
    }
    UpstreamError::new(UpstreamErrorCode::ToolFailed, tool, message)
        .status(Some(status.as_u16()))
        .retryable(retryable)
}

/// Message of an error response: compact JSON, or the text without the markup of a page.
fn error_text(body: &[u8]) -> String {
    if let Ok(value) = serde_json::from_slice::<Value>(body) {
        return value.to_string();
    }
    let text = String::from_utf8_lossy(&body[..body.len().min(SAID_BYTES_MAX * 8)]);
    if !text.trim_start().starts_with('<') {
        return text.trim().to_owned();
    }
    let mut plain = String::new();
    for piece in text.split('<') {
        let (tag, rest) = piece.split_once('>').unwrap_or(("", piece));
        if !tag.starts_with("style") && !tag.starts_with("script") {
            plain.push(' ');
            plain.push_str(rest);
        }
    }
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns true if JSON is all that an operation answers with.
pub(super) fn is_json(types: &[String]) -> bool {
    !types.is_empty() && types.iter().all(|kind| Media::of(kind) == Media::Json)
}

/// Kind of stream among the media types of an operation's responses.
pub(super) fn stream_of(types: &[String]) -> Option<Stream> {
    let is = |media: Media| types.iter().any(|kind| Media::of(kind) == media);
    match (is(Media::Events), is(Media::Lines)) {
        (true, _) => Some(Stream::Events),
        // JSON that was printed prettily has many lines.
        (false, true) if !is(Media::Json) => Some(Stream::Lines),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
