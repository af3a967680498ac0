//! The frame of one message: what kind it is, and whom it answers.

use std::{borrow::Cow, collections::BTreeMap};

use serde_json::value::RawValue;

use crate::{
    base::{
        json::members::{members, present_members, scalar},
        text::cut,
    },
    catalog::mcp::message::{SAID_BYTES_MAX, UNNUMBERED},
};

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
            (None, Some(error), _) => Kind::Error(ProtocolError::of(error)),
            (None, None, Some(result)) => Kind::Result(result),
            (None, None, None) => Kind::Other,
        }
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
            None if details.is_some() => error.get().to_owned(),
            None => "it does not say why".to_owned(),
        };
        let words = match code {
            Some(code) if numbered.is_none() => format!("{code}: {words}"),
            _ => words,
        };
        Self { code: numbered.unwrap_or(UNNUMBERED), words: said(&words), details }
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
