//! The parts of a message that are read before rmcp reads it.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Value, value::RawValue};

/// The envelope of a JSON-RPC message. Empty where the body is no such message.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Envelope {
    /// The id of a request; null otherwise.
    pub(super) id: Value,
    /// The method of a request or a notification.
    pub(super) method: Option<String>,
    /// The tool that a `tools/call` names.
    pub(super) tool: Option<String>,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(default)]
    id: Value,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Call {
    name: String,
}

impl Envelope {
    /// The envelope of the message in a body.
    pub(super) fn of(body: &[u8]) -> Self {
        let Ok(head) = serde_json::from_slice::<Head<'_>>(body) else { return Self::default() };
        let id = if head.id.is_string() || head.id.is_number() { head.id } else { Value::Null };
        let call = head.params.filter(|_| head.method.as_deref() == Some("tools/call"));
        let call = call.and_then(|params| serde_json::from_str::<Call>(params.get()).ok());
        Self { id, method: head.method.map(Cow::into_owned), tool: call.map(|call| call.name) }
    }

    /// True for a message that wants no answer.
    pub(super) fn is_notification(&self) -> bool {
        self.method.is_some() && self.id.is_null()
    }

    /// True for a request of this method.
    pub(super) fn requests(&self, method: &str) -> bool {
        self.method.as_deref() == Some(method) && !self.id.is_null()
    }
}

#[cfg(test)]
mod tests;
