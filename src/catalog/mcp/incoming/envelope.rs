//! The frame of one message: what kind it is, and whom it answers.

use std::{borrow::Cow, collections::BTreeMap};

use rmcp::model::RequestId;
use serde_json::{json, value::RawValue};

use crate::{
    base::{
        json::members::{is_empty, members, present_members, scalar},
        text::cut,
    },
    catalog::mcp::message::{SAID_BYTES_MAX, UNNUMBERED},
};

/// Requests that only a client sends.
pub(super) const CLIENT_REQUESTS: [&str; 15] = [
    "completion/complete",
    "initialize",
    "logging/setLevel",
    "notifications/initialized",
    "prompts/get",
    "prompts/list",
    "resources/list",
    "resources/read",
    "resources/subscribe",
    "resources/templates/list",
    "resources/unsubscribe",
    "server/discover",
    "subscriptions/listen",
    "tools/call",
    "tools/list",
];
/// The members of a message as they are written.
pub(super) struct Envelope<'t> {
    version: Option<&'t RawValue>,
    pub(super) id: Option<&'t RawValue>,
    method: Option<&'t RawValue>,
    result: Option<&'t RawValue>,
    error: Option<&'t RawValue>,
    /// True if it does not name its version, and has an `id` and one member more.
    is_bare: bool,
}

/// What a message is.
pub(super) enum Kind<'t> {
    /// A request or a notification with this method.
    Request(String),
    Result(&'t RawValue),
    Error(ProtocolError<'t>),
    /// No message of the protocol.
    Other,
}

/// An error that a server answers with.
pub(in crate::catalog::mcp) struct ProtocolError<'t> {
    code: i32,
    /// What it says.
    pub(in crate::catalog::mcp) words: String,
    details: Option<&'t RawValue>,
}

impl<'t> Envelope<'t> {
    /// None where the text is not an object.
    pub(super) fn of(text: &'t str) -> Option<Self> {
        let names = ["jsonrpc", "id", "method", "result", "error"];
        let [version, id, method, result, error] = members(text, names).ok()?;
        let is_present = |raw: &&'t RawValue| raw.get() != "null";
        let (version, id) = (version.filter(is_present), id.filter(is_present));
        let is_bare = version.is_none() && id.is_some() && {
            let all = serde_json::from_str::<BTreeMap<Cow<'_, str>, &RawValue>>(text);
            all.is_ok_and(|all| all.len() == 2)
        };
        Some(Self {
            version,
            id,
            method: method.filter(is_present),
            result,
            error: error.filter(is_present),
            is_bare,
        })
    }

    /// Returns true if it names its version, which hardly anything but a message does.
    pub(super) fn has_version(&self) -> bool {
        self.version.is_some()
    }

    /// Returns true if there is an error, even one that says nothing.
    pub(super) fn has_error(&self) -> bool {
        self.error.is_some()
    }

    /// The request that it answers. The ids of this side are numbers; some servers give them back
    /// as texts, or with a point.
    pub(super) fn number(&self) -> Option<i64> {
        let text = scalar(self.id?)?;
        let text = text.strip_suffix(".0").unwrap_or(&text);
        text.parse().ok()
    }

    pub(super) fn kind(&self) -> Kind<'t> {
        // Lines of a log may have an `id`, an `error` or a `method` too.
        let is_message = self.version.is_some() || self.is_bare;
        if !is_message {
            return Kind::Other;
        }
        match (self.method, self.error, self.result) {
            (Some(method), _, _) => match serde_json::from_str(method.get()) {
                Ok(method) if self.version.is_some() => Kind::Request(method),
                _ => Kind::Other,
            },
            // Some languages write every member of an answer, also the one that it does not have.
            (None, Some(error), Some(result)) if says_nothing(error) && result.get() != "null" => {
                Kind::Result(result)
            }
            (None, Some(error), _) => Kind::Error(ProtocolError::of(error)),
            (None, None, Some(result)) => Kind::Result(result),
            (None, None, None) => Kind::Other,
        }
    }
}

/// An error as a message.
pub(in crate::catalog::mcp) fn error(id: i64, code: i32, message: &str) -> String {
    json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}}).to_string()
}

/// The number that an id is; all of this side are.
pub(super) fn number(id: &RequestId) -> Option<i64> {
    match id {
        RequestId::Number(id) => Some(*id),
        RequestId::String(id) => id.parse().ok(),
    }
}

/// Returns true for an error that is none: false, zero, or without any content.
fn says_nothing(error: &RawValue) -> bool {
    let is_none = |raw: &RawValue| matches!(raw.get(), "false" | "0" | "\"\"") || is_empty(raw);
    match present_members(error.get(), ["code", "message", "data"]) {
        Ok(members) if !is_empty(error) => {
            members.iter().any(Option::is_some) && members.into_iter().flatten().all(is_none)
        }
        _ => is_none(error),
    }
}

impl<'t> ProtocolError<'t> {
    /// Takes an error in any form: servers give texts for its code, leave its message out, or send
    /// a text instead of it.
    fn of(error: &'t RawValue) -> Self {
        let said = |text: &str| cut(text, SAID_BYTES_MAX).to_owned();
        let members = present_members(error.get(), ["code", "message", "data"]);
        let Ok([code, message, details]) = members else {
            let words = scalar(error).unwrap_or_else(|| error.get().to_owned());
            return Self { code: UNNUMBERED, words: said(&words), details: None };
        };
        let code = code.and_then(scalar);
        let numbered = code.as_deref().map(|code| code.strip_suffix(".0").unwrap_or(code));
        let numbered = numbered.and_then(|code| code.parse().ok());
        let words = match message {
            Some(message) => scalar(message).unwrap_or_else(|| message.get().to_owned()),
            None => "it does not say why".to_owned(),
        };
        let words = match code {
            Some(code) if numbered.is_none() => format!("{code}: {words}"),
            _ => words,
        };
        Self { code: numbered.unwrap_or(UNNUMBERED), words: said(&words), details }
    }

    /// The code, or one of this side's where it has no number.
    pub(in crate::catalog::mcp) fn code(&self) -> i32 {
        self.code
    }

    /// The error in a text, and the request that it names, if it is a message with an error.
    pub(in crate::catalog::mcp) fn within(text: &'t str) -> Option<(Option<i64>, Self)> {
        let envelope = Envelope::of(text)?;
        match envelope.kind() {
            Kind::Error(error) => Some((envelope.number(), error)),
            // Some answer a request that they could not read without saying that it is JSON-RPC.
            Kind::Other if envelope.id.is_none() && envelope.method.is_none() => {
                let error = envelope.error.filter(|error| error.get().starts_with('{'))?;
                let has_code = present_members(error.get(), ["code"]).ok()?[0].is_some();
                has_code.then(|| (None, Self::of(error)))
            }
            _ => None,
        }
    }

    /// The error as the answer to this request.
    pub(in crate::catalog::mcp) fn message(&self, id: i64) -> String {
        let words = serde_json::Value::from(self.words.as_str());
        let details = self.details.map(|raw| format!(r#","data":{}"#, raw.get()));
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{},"message":{words}{}}}}}"#,
            self.code,
            details.unwrap_or_default()
        )
    }
}
