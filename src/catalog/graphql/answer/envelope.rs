//! The envelope of a service's answer: `data` beside `errors`, which the specification makes a list
//! of objects, and services also write in other ways.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

use crate::base::{
    json::repair::{self, Changes},
    text::cut,
};

/// Most errors of one answer that are kept.
const KEPT_MAX: usize = 10_000;
/// Longest message of one error, in bytes.
const MESSAGE_BYTES_MAX: usize = 500;
/// Parts of the codes, and where there is none of the words, by which services say that a caller
/// has no right to something.
const DENIED_CODES: [&str; 7] =
    ["ACCESS_DENIED", "AUTHENTIC", "AUTHORIZ", "FORBIDDEN", "NOT_ALLOWED", "PERMISSION", "SCOPE"];
const DENIED_WORDS: [&str; 8] = [
    "access denied",
    "forbidden",
    "may not",
    "no right",
    "not allowed",
    "not authorized",
    "permission",
    "unauthorized",
];

/// A body as text, and what was repaired for it to be JSON.
pub(super) fn text(body: &[u8]) -> (Cow<'_, [u8]>, Option<Changes>) {
    if serde_json::from_slice::<&RawValue>(body).is_ok() {
        return (body.into(), None);
    }
    match repair::repaired(body) {
        Ok(Some(repaired)) => (repaired.text.into_bytes().into(), Some(repaired.changes)),
        Ok(None) | Err(_) => (body.into(), None),
    }
}

#[derive(Deserialize)]
pub(super) struct Envelope<'a> {
    #[serde(borrow, default)]
    pub(super) data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    errors: Option<&'a RawValue>,
}

impl<'a> Envelope<'a> {
    /// None if it is no JSON object.
    pub(super) fn read(body: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }

    /// Whether it holds anything of an answer in GraphQL.
    pub(super) fn is_graphql(&self) -> bool {
        self.data.is_some() || self.errors.is_some()
    }

    /// The errors, those included that are not written as they should be.
    pub(super) fn errors(&self) -> Vec<GraphQlError> {
        let Some(errors) = self.errors else { return Vec::new() };
        match serde_json::from_str(errors.get()).unwrap_or(Value::Bool(true)) {
            Value::Null | Value::Bool(false) => Vec::new(),
            Value::Number(count) if count.as_u64() == Some(0) => Vec::new(),
            Value::String(text) if text.trim().is_empty() => Vec::new(),
            Value::Array(errors) => errors
                .into_iter()
                .take(KEPT_MAX)
                .map(|error| GraphQlError::of(error, true))
                .collect(),
            one => vec![GraphQlError::of(one, false)],
        }
    }
}

/// One error.
#[derive(Default)]
pub(super) struct GraphQlError {
    message: Option<String>,
    pub(super) path: Option<Vec<Value>>,
    extensions: Map<String, Value>,
    /// Error code, in the place where GitHub puts it.
    kind: Option<String>,
    /// It is not written as an error is: beside a whole value it may be a mere warning.
    pub(super) is_loose: bool,
}

impl GraphQlError {
    fn of(error: Value, is_listed: bool) -> Self {
        let mut error = match error {
            Value::Object(error) => error,
            Value::String(text) => {
                return Self { message: Some(text), is_loose: true, ..Self::default() };
            }
            _ => return Self { is_loose: true, ..Self::default() },
        };
        let is_loose = !is_listed || error.is_empty();
        let text = |value: Option<Value>| match value {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        let path = match error.remove("path") {
            Some(Value::Array(path)) => Some(path),
            Some(Value::String(path)) => Some(parts(&path)),
            _ => None,
        };
        let extensions = match error.remove("extensions") {
            Some(Value::Object(extensions)) => extensions,
            _ => Map::new(),
        };
        let kind = text(error.remove("type"));
        Self { message: text(error.remove("message")), path, extensions, kind, is_loose }
    }

    pub(super) fn code(&self) -> Option<&str> {
        let extension = self.extensions.get("code").and_then(Value::as_str);
        extension.or(self.kind.as_deref()).map(|code| cut(code, 60))
    }

    fn message(&self) -> &str {
        cut(self.message.as_deref().unwrap_or("it does not say why"), MESSAGE_BYTES_MAX)
    }

    pub(super) fn summary(&self) -> String {
        let mut text = self.message().to_owned();
        if let Some(code) = self.code() {
            text = format!("{text} ({code})");
        }
        match self.path.as_deref().map(place).filter(|place| !place.is_empty()) {
            Some(place) => format!("{text} at `{place}`"),
            None => text,
        }
    }

    /// Returns true if the caller has no right to what it asked for, so far as the service says it.
    pub(super) fn is_denied(&self) -> bool {
        match self.code() {
            Some(code) => {
                let code = code.to_ascii_uppercase();
                DENIED_CODES.iter().any(|part| code.contains(part))
            }
            None => {
                let words = self.message().to_lowercase();
                DENIED_WORDS.iter().any(|part| words.contains(part))
            }
        }
    }

    pub(super) fn is_stale(&self) -> bool {
        let trust = |words: &str| self.message().contains(words);
        self.code() == Some("GRAPHQL_VALIDATION_FAILED")
            || trust("Cannot query field")
            || trust("Unknown argument")
            || trust("Unknown type")
            || trust("doesn't exist on type")
    }
}

/// The way that a path names which is written as a text: `order.items[0].sku`, or with slashes.
fn parts(path: &str) -> Vec<Value> {
    let names = path.split(['.', '/', '[', ']']).filter(|part| !part.is_empty() && *part != "$");
    let part = |name: &str| name.parse::<u64>().map_or_else(|_| name.into(), Value::from);
    names.map(part).collect()
}

/// `["order", "items", 0]` as `order.items[0]`.
fn place(path: &[Value]) -> String {
    let whole = path.iter().take(20).fold(String::new(), |place, part| match part {
        Value::Number(index) => format!("{place}[{index}]"),
        other => {
            let name = other.as_str().unwrap_or_default();
            if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") }
        }
    });
    cut(&whole, 200).to_owned()
}
