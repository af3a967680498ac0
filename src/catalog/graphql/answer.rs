//! Unwraps a service's response into the one value that code works with, or into an error in the
//! service's own words.

mod envelope;

use std::{collections::HashMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Value, value::RawValue};

use self::envelope::{Envelope, GraphQlError};
use crate::{
    base::plural::counted,
    catalog::{
        http::{
            message::ServiceAnswer,
            unauthenticated::{Refusal, refusal},
        },
        tool::{Tool, omitted_fields::FieldPath},
        upstream::{
            error::{UpstreamError, UpstreamErrorCode},
            response::ANSWER_BYTES_MAX,
        },
    },
    model::RawJson,
};

/// Largest body that is read: the value and its envelope.
pub(super) const BODY_BYTES_MAX: usize = ANSWER_BYTES_MAX + 64 * 1024;
/// Errors of one answer that are told.
const ERRORS_MAX: usize = 5;
/// Fields that failed, and their depth, beyond which they are not distinguished.
const FIELDS_MAX: usize = 32;
const PATH_MAX: usize = 12;
/// Longest part of an answer that came with errors and is told, in bytes.
const PARTIAL_BYTES_MAX: usize = 1_500;
/// Longest head of a body that is no GraphQL, in bytes.
const HEAD_BYTES_MAX: usize = 300;
/// Codes by which services say that nothing was done because too much was asked for.
const THROTTLED: [&str; 5] =
    ["THROTTLED", "RATE_LIMITED", "RATELIMITED", "TOO_MANY_REQUESTS", "RATE_LIMIT_EXCEEDED"];

/// Largest answer in which it is looked whether a field has a value anywhere, in bytes.
const LOOKED_BYTES_MAX: usize = 1024 * 1024;
/// Said of a mutation whose response does not say whether it was performed.
const UNKNOWN: &str =
    "; it is not known whether the mutation took effect: check before you repeat it";

/// The value of the root field.
#[derive(Debug)]
pub(super) struct Unwrapped {
    pub(super) json: RawJson,
    /// Fields that failed, if the rest is a usable response.
    pub(super) partial: Option<Partial>,
    /// What was repaired of a response that was not quite JSON.
    pub(super) repairs: Option<String>,
}

/// What failed of a response that holds something all the same.
#[derive(Debug)]
pub(super) struct Partial {
    /// The service's errors, in its words and with their places.
    pub(super) message: String,
    /// The ways to the fields that failed; none when something else failed too.
    pub(super) fields: Vec<FieldPath>,
    /// Those of them that failed for want of rights and have no value anywhere in the response:
    /// they will fail the next time as well.
    pub(super) denied: Vec<FieldPath>,
}

/// A call that failed.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) error: UpstreamError,
    /// The service does not know what its schema promised, so it has another one by now.
    pub(super) is_stale: bool,
    /// The ways to the fields that failed, below the root field and without the places in lists;
    /// none when something else failed too.
    pub(super) fields: Vec<FieldPath>,
    /// Those of them that failed for want of rights.
    pub(super) denied: Vec<FieldPath>,
    /// False if the service refused the request before it did anything.
    pub(super) is_begun: bool,
}

impl Failed {
    /// A call that failed as a whole, after the service may have begun with it.
    pub(super) fn whole(error: UpstreamError) -> Self {
        Self { error, is_stale: false, fields: Vec::new(), denied: Vec::new(), is_begun: true }
    }
}

/// The beginning of a body.
fn head(body: &[u8]) -> String {
    let head = &body[..body.len().min(HEAD_BYTES_MAX)];
    String::from_utf8_lossy(head).trim_matches(['\u{feff}', ' ', '\n', '\r', '\t']).to_owned()
}

/// Something before the service answered, or the service speaks another language.
fn not_graphql(tool: &Tool, answer: &ServiceAnswer, may_repeat: bool) -> Failed {
    use UpstreamErrorCode as Code;
    let status = answer.status;
    let head = head(&answer.body);
    let message = if head.is_empty() { String::new() } else { format!(": {head}") };
    let error = if status.is_success() {
        let message =
            format!("`{}` answered something that is not GraphQL{message}", tool.upstream);
        UpstreamError::new(Code::BadAnswer, tool, message)
    } else {
        let moved = moved(answer).map(|moved| format!("; {moved}")).unwrap_or_default();
        let message =
            format!("`{}` answered HTTP {}{moved}{message}", tool.upstream, status.as_u16());
        UpstreamError::new(Code::Refused, tool, message)
            .status(Some(status.as_u16()))
            .retryable(is_retryable(status.as_u16(), may_repeat))
    };
    let mut failed = Failed::whole(error);
    if !may_repeat && may_have_begun(status) {
        failed.error.message.push_str(UNKNOWN);
    }
    failed
}

/// Returns true if a response of this status, which says nothing more, may be that of a request
/// that had an effect.
fn may_have_begun(status: http::StatusCode) -> bool {
    status.is_success() || status.is_server_error() || status.as_u16() == 408
}

/// The address that an endpoint says it has by now. Nothing is sent there: many endpoints answer a
/// redirect that is followed as a `GET`, and the configuration says where the credential goes.
fn moved(answer: &ServiceAnswer) -> Option<String> {
    let place = answer.moved_to.as_ref()?;
    Some(format!(
        "its endpoint has moved to `{place}`, and Airlock does not follow a redirect with a \
        `POST`: set `url` of the upstream to its new address"
    ))
}

/// The value under the root field, or why there is none. Where only some of it failed, what came is
/// the answer. `may_repeat` says whether a second call does no harm; of one that does, errors that
/// are not of single fields may be those of the whole.
pub(super) fn unwrap(
    tool: &Tool,
    field: &str,
    answer: &ServiceAnswer,
    may_repeat: bool,
) -> Result<Unwrapped, Failed> {
    unwrapped(tool, field, answer, may_repeat).map_err(|mut failed| {
        let is_unauthorized = answer.status == http::StatusCode::UNAUTHORIZED;
        if is_unauthorized || refusal(answer) != Refusal::None {
            let upstream = &tool.upstream;
            failed.error.message.push_str(&format!(
                "; the service refuses the credential: if that does not change, the owner runs \
                `airlock upstreams login {upstream}`, or corrects `upstreams.{upstream}.auth`"
            ));
        }
        failed
    })
}

fn unwrapped(
    tool: &Tool,
    field: &str,
    answer: &ServiceAnswer,
    may_repeat: bool,
) -> Result<Unwrapped, Failed> {
    use UpstreamErrorCode as Code;
    let failed = |code, message: String| Failed::whole(UpstreamError::new(code, tool, message));
    let status = answer.status;
    let (text, changes) = envelope::text(&answer.body);
    // Other JSON beside a status that is no success is what something before the service says.
    let Some(envelope) =
        Envelope::read(&text).filter(|envelope| status.is_success() || envelope.is_graphql())
    else {
        return Err(not_graphql(tool, answer, may_repeat));
    };
    // What is there of the value, whatever else went wrong.
    let data: HashMap<String, &RawValue> =
        envelope.data.and_then(|data| serde_json::from_str(data.get()).ok()).unwrap_or_default();
    let value = data.get(field).copied();
    let errors = envelope.errors();
    let mut partial = None;
    if !errors.is_empty() || !status.is_success() {
        partial = value
            .filter(|_| status.is_success())
            .and_then(|value| partly(value, &errors, may_repeat));
    }
    if partial.is_none() && (!errors.is_empty() || !status.is_success()) {
        let mut failed =
            refused(tool, status, &errors, value.filter(|value| value.get() != "null"), may_repeat);
        // Errors before the execution, such as those of validation, come without data.
        let is_begun = !data.is_empty()
            || errors.iter().any(|error| error.path.as_ref().is_some_and(|path| !path.is_empty()));
        failed.is_begun = is_begun;
        if !may_repeat && is_begun {
            failed
                .error
                .message
                .push_str("; the mutation had begun: check what it did before you repeat it");
        } else if !may_repeat && status.is_server_error() {
            failed.error.message.push_str(UNKNOWN);
        }
        return Err(failed);
    }
    match value {
        None => {
            let mut message = format!("the response of `{}` has no `{field}`", tool.path);
            // What it says instead, such as that nobody is logged in.
            if !envelope.is_graphql() {
                message.push_str(&format!(": {}", head(&text)));
            }
            message.push_str(if may_repeat { "" } else { UNKNOWN });
            Err(failed(Code::BadAnswer, message))
        }
        Some(value) if value.get().len() > ANSWER_BYTES_MAX => {
            Err(Failed::whole(UpstreamError::too_large(tool, ANSWER_BYTES_MAX)))
        }
        Some(value) => {
            let repairs = changes.map(|changes| changes.to_string());
            let repairs = repairs.filter(|repairs| !repairs.is_empty());
            Ok(Unwrapped { json: value.to_owned(), partial, repairs })
        }
    }
}

/// Errors beside a value that still holds data; none if the errors may be those of the whole
/// operation, which for a query they are only where nothing came.
fn partly(value: &RawValue, errors: &[GraphQlError], is_query: bool) -> Option<Partial> {
    let fields = failed_fields(errors);
    let is_warned = errors.iter().all(|error| error.is_loose);
    let holds = (is_query || is_warned || !fields.is_empty())
        && serde_json::from_str::<Holds>(value.get()).is_ok_and(|holds| holds.0);
    holds.then(|| {
        let mut denied = denied_fields(errors, &fields);
        if !denied.is_empty() {
            let read = Some(value.get()).filter(|json| json.len() <= LOOKED_BYTES_MAX);
            let value = read.and_then(|json| serde_json::from_str::<Value>(json).ok());
            denied.retain(|path| value.as_ref().is_some_and(|value| is_null_at(value, path)));
        }
        Partial { message: joined(errors), fields, denied }
    })
}

/// Those of the fields all errors of which say that the caller has no right to them.
fn denied_fields(errors: &[GraphQlError], fields: &[FieldPath]) -> Vec<FieldPath> {
    let mut denied = fields.to_vec();
    for error in errors.iter().filter(|error| !error.is_denied()) {
        if let Some(path) = field_path(error) {
            denied.retain(|denied| *denied != path);
        }
    }
    denied
}

/// Returns true if there is no value at a path, whatever the places in lists.
fn is_null_at(value: &Value, path: &[String]) -> bool {
    match (value, path.split_first()) {
        (Value::Null, _) => true,
        (Value::Array(items), _) => items.iter().all(|item| is_null_at(item, path)),
        (Value::Object(fields), Some((name, rest))) => {
            fields.get(name).is_none_or(|value| is_null_at(value, rest))
        }
        _ => false,
    }
}

/// Whether anything in a value tells something: not null, and not merely of which type it is. Read
/// without keeping anything of the value.
struct Holds(bool);

impl<'de> Deserialize<'de> for Holds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(HoldsVisitor).map(Self)
    }
}

struct HoldsVisitor;

impl<'de> Visitor<'de> for HoldsVisitor {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<bool, E> {
        Ok(true)
    }

    fn visit_i64<E>(self, _: i64) -> Result<bool, E> {
        Ok(true)
    }

    fn visit_u64<E>(self, _: u64) -> Result<bool, E> {
        Ok(true)
    }

    fn visit_f64<E>(self, _: f64) -> Result<bool, E> {
        Ok(true)
    }

    fn visit_str<E>(self, _: &str) -> Result<bool, E> {
        Ok(true)
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<bool, A::Error> {
        let mut holds = false;
        while let Some(item) = items.next_element::<Holds>()? {
            holds |= item.0;
        }
        Ok(holds)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<bool, A::Error> {
        let mut holds = false;
        while let Some(name) = fields.next_key::<String>()? {
            if name == "__typename" {
                fields.next_value::<IgnoredAny>()?;
            } else {
                holds |= fields.next_value::<Holds>()?.0;
            }
        }
        Ok(holds)
    }
}

/// The first errors, in the service's words.
fn joined(errors: &[GraphQlError]) -> String {
    let mut messages: Vec<String> =
        errors.iter().take(ERRORS_MAX).map(GraphQlError::summary).collect();
    if errors.len() > ERRORS_MAX {
        messages.push(format!("and {}", counted(errors.len() - ERRORS_MAX, "more error")));
    }
    if messages.is_empty() {
        messages.push("it does not say why".to_owned());
    }
    messages.join("; ")
}

fn refused(
    tool: &Tool,
    status: http::StatusCode,
    errors: &[GraphQlError],
    partial: Option<&RawValue>,
    may_repeat: bool,
) -> Failed {
    let fields = failed_fields(errors);
    let mut message = format!("`{}` failed: {}", tool.path, joined(errors));
    match partial.map(RawValue::get) {
        Some(json) if json.len() <= PARTIAL_BYTES_MAX => {
            message.push_str(&format!("; the rest of the answer: {json}"))
        }
        Some(json) => {
            let bytes = counted(json.len(), "byte");
            message.push_str(&format!(
                "; the rest of the answer, {bytes}, is dropped: use `select` to leave out the \
                fields that fail"
            ));
        }
        // One field made the whole null.
        None if fields.len() == 1 => message.push_str("; leave it out with `select`"),
        None if !fields.is_empty() => message.push_str("; leave them out with `select`"),
        None => {}
    }
    let code = if status.is_success() {
        UpstreamErrorCode::ToolFailed
    } else {
        UpstreamErrorCode::Refused
    };
    let is_throttled = partial.is_none()
        && errors.iter().filter_map(GraphQlError::code).any(|code| THROTTLED.contains(&code));
    let mut error = UpstreamError::new(code, tool, message).retryable(is_throttled);
    if !status.is_success() {
        error = error
            .status(Some(status.as_u16()))
            .retryable(is_throttled || is_retryable(status.as_u16(), may_repeat));
    }
    let denied = denied_fields(errors, &fields);
    let is_stale = errors.iter().any(GraphQlError::is_stale);
    Failed { error, is_stale, fields, denied, is_begun: true }
}

/// The way to the field that failed, below the root field and without the places in lists.
fn field_path(error: &GraphQlError) -> Option<FieldPath> {
    let names = error.path.iter().flatten().filter_map(Value::as_str).skip(1);
    let path: FieldPath = names.take(PATH_MAX).map(str::to_owned).collect();
    (!path.is_empty()).then_some(path)
}

fn failed_fields(errors: &[GraphQlError]) -> Vec<FieldPath> {
    let firm: Vec<&GraphQlError> = errors.iter().filter(|error| !error.is_loose).collect();
    let mut paths: Vec<FieldPath> = firm.iter().copied().map_while(field_path).collect();
    if paths.len() != firm.len() {
        return Vec::new();
    }
    paths.sort();
    paths.dedup();
    if paths.len() > FIELDS_MAX { Vec::new() } else { paths }
}

/// Returns true if a status tells that the same call may succeed later and that a second one does
/// no harm.
fn is_retryable(status: u16, may_repeat: bool) -> bool {
    status == 429 || (status >= 500 && may_repeat)
}

/// Reason in a response without data, for a request that is not a call.
pub(super) fn reason(answer: &ServiceAnswer) -> String {
    let (text, _) = envelope::text(&answer.body);
    let errors = Envelope::read(&text).map(|envelope| envelope.errors());
    let message = errors.and_then(|errors| errors.first().map(GraphQlError::summary));
    match (message, moved(answer)) {
        (Some(message), _) => message,
        (None, Some(moved)) => format!("it answered HTTP {}: {moved}", answer.status.as_u16()),
        (None, None) => format!("it answered HTTP {} and no schema", answer.status.as_u16()),
    }
}

#[cfg(test)]
mod tests;
