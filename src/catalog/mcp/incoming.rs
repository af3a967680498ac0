//! Reads what a server sends before the protocol library sees it, so that the library gets only
//! messages that it understands: it drops what it cannot read, for which a call would wait in vain,
//! and answers it with errors, which a server may answer again.
//!
//! What is nearly a message is repaired. What cannot be read fails the request that it answers, if
//! that can be found in it. Everything else is dropped and counted.

mod awaited;
mod broken;
mod envelope;
mod handshake;
mod tool_list;
mod unframed;

use std::borrow::Cow;

use rmcp::model::ServerJsonRpcMessage;
use serde_json::value::RawValue;

use self::envelope::{CLIENT_REQUESTS, Envelope, Kind};
use super::{
    message::{SAID_BYTES_MAX, UNREADABLE},
    remarks::{Oddity, Remarks},
    results::{CallResult, CallResults},
};
use crate::{
    base::{
        json::{
            members::members,
            repair::{self, Changes},
        },
        text::cut,
    },
    catalog::upstream::response::MemoryPermit,
};

pub(super) use self::{
    awaited::Awaited,
    envelope::{ProtocolError, error},
    tool_list::REMARKS as TOOL_LIST_REMARKS,
    unframed::WORDS_BYTES_MAX,
};

/// Method in place of that of a request that cannot be read: the library refuses it, and its sender
/// does not wait.
const UNKNOWN_METHOD: &str = "airlock/unreadable";

/// Reads the messages of one connection. Clones share what is known of it.
#[derive(Clone)]
pub(super) struct Incoming {
    pub(super) results: CallResults,
    pub(super) remarks: Remarks,
}

/// How something was read.
struct Read<'a> {
    /// The request whose answer alone can come here, where there is such a request.
    awaited: Option<&'a mut Awaited>,
    permit: Option<MemoryPermit>,
    /// Repairs of the text that is being read, if any.
    changes: Option<Changes>,
}

impl Incoming {
    /// For messages that are read from these pieces, such as `lines to its standard output`.
    pub(super) fn new(pieces: &'static str) -> Self {
        Self { results: CallResults::default(), remarks: Remarks::new(pieces) }
    }

    /// The messages in a text, which is one or a list of them, as the library understands them; the
    /// results of calls are kept aside. Several one after another, or one with other text around
    /// it, are read too. `awaited` is the request that waits for an answer here, and `permit` the
    /// place of a large text.
    pub(super) fn read(
        &self,
        text: &[u8],
        awaited: Option<&mut Awaited>,
        permit: Option<MemoryPermit>,
    ) -> Vec<String> {
        if text.trim_ascii().is_empty() {
            return Vec::new();
        }
        let written = String::from_utf8_lossy(text);
        let mut read = Read { awaited, permit, changes: None };
        let text = match repair::repaired(text) {
            Ok(None) => Cow::Borrowed(&*written),
            Ok(Some(repaired)) => {
                read.changes = Some(repaired.changes);
                Cow::Owned(repaired.text)
            }
            Err(error) => return self.broken(&written, &mut read, &error.to_string()),
        };
        let why = match list_or_one(&text) {
            Ok(all) => {
                return all.into_iter().filter_map(|one| self.one(one.get(), &mut read)).collect();
            }
            Err(why) => why,
        };
        // A quote in the words before a message makes its repair go astray.
        let (mut found, mut rest) = unframed::messages(&written);
        if found.is_empty() && read.changes.is_some() {
            (found, rest) = unframed::messages(&text);
        } else {
            read.changes = None;
        }
        if found.is_empty() {
            return self.broken(&text, &mut read, &why.to_string());
        }
        self.remarks.add(Oddity::Unframed);
        let one = |one: &RawValue| self.one(one.get(), &mut read);
        let mut messages: Vec<String> = found.into_iter().filter_map(one).collect();
        if broken::answer(rest).is_some() {
            messages.extend(self.broken(rest, &mut read, &why.to_string()));
        }
        messages
    }

    /// Returns true if a text is a message by itself.
    pub(super) fn is_message(text: &[u8]) -> bool {
        std::str::from_utf8(text).is_ok_and(unframed::is_message)
    }

    fn no_message<T: Default>(&self, oddity: Oddity) -> T {
        self.remarks.add(oddity);
        T::default()
    }

    /// One message of a text that is JSON.
    fn one(&self, text: &str, read: &mut Read<'_>) -> Option<String> {
        let Some(envelope) = Envelope::of(text) else { return self.no_message(Oddity::NoMessage) };
        match envelope.kind() {
            Kind::Request(method) if CLIENT_REQUESTS.contains(&method.as_str()) => {
                self.no_message(Oddity::Repeated)
            }
            Kind::Request(_) => self.request(text, &envelope),
            Kind::Result(result) => self.result(&envelope, result, read),
            Kind::Error(error) => {
                self.note_repairs(read);
                match addressee(&envelope, read, &error.words) {
                    Some(id) => Some(error.message(id)),
                    None => {
                        self.remarks.add_unaddressed(&error.words);
                        None
                    }
                }
            }
            Kind::Other => self.no_message(Oddity::NoMessage),
        }
    }

    /// A request or a notification of the server.
    fn request(&self, text: &str, envelope: &Envelope<'_>) -> Option<String> {
        if serde_json::from_str::<ServerJsonRpcMessage>(text).is_ok() {
            return Some(text.to_owned());
        }
        // Nobody waits for the answer to a notification.
        let id = envelope.id?;
        self.remarks.add(Oddity::Unreadable);
        Some(format!(r#"{{"jsonrpc":"2.0","id":{},"method":"{UNKNOWN_METHOD}"}}"#, id.get()))
            .filter(|request| serde_json::from_str::<ServerJsonRpcMessage>(request).is_ok())
    }

    fn result(
        &self,
        envelope: &Envelope<'_>,
        result: &RawValue,
        read: &mut Read<'_>,
    ) -> Option<String> {
        let Some(id) = addressee(envelope, read, "") else {
            return self.no_message(Oddity::NoMessage);
        };
        self.note_repairs(read);
        let is_kept = self.results.keep(id, || CallResult {
            json: result.to_owned(),
            repairs: read.changes.map(|changes| changes.to_string()),
            has_error: envelope.has_error(),
            permit: read.permit.take(),
        });
        let tidied = match is_kept {
            true => Cow::Borrowed("{}"),
            false => tidied(result.get()),
        };
        Some(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{tidied}}}"#))
    }

    fn note_repairs(&self, read: &Read<'_>) {
        if read.changes.is_some() {
            self.remarks.add(Oddity::Repaired);
        }
    }

    /// A text that is no JSON: fails the request that it answers, if it is an answer.
    fn broken(&self, text: &str, read: &mut Read<'_>, why: &str) -> Vec<String> {
        let Some(found) = broken::answer(text) else { return self.no_message(Oddity::NoMessage) };
        self.remarks.add(Oddity::Unreadable);
        // What answers a posted request answers no other, whatever the text seems to say.
        let awaited = read.awaited.as_mut().and_then(|awaited| awaited.answered());
        let Some(id) = awaited.or(found) else { return Vec::new() };
        // What was said comes last, so that a secret that is cut is still found.
        let message = format!("{why}; it begins with: {}", cut(text.trim(), SAID_BYTES_MAX / 8));
        vec![error(id, UNREADABLE, &message)]
    }
}

/// The values of a list, or the only one.
fn list_or_one(text: &str) -> Result<Vec<&RawValue>, serde_json::Error> {
    match text.trim_start().starts_with('[') {
        true => serde_json::from_str(text),
        false => serde_json::from_str(text).map(|one| vec![one]),
    }
}

/// The request that an answer is for; none where it names none, or another than the one that waits
/// for it. `words` is what it says where it is an error.
fn addressee(envelope: &Envelope<'_>, read: &mut Read<'_>, words: &str) -> Option<i64> {
    match &mut read.awaited {
        None => envelope.number(),
        Some(awaited) => awaited.addressed(envelope.number(), words),
    }
}

/// The result of one of the library's own requests, as its types want it.
fn tidied(result: &str) -> Cow<'_, str> {
    let tidied = match members(result, ["tools", "protocolVersion"]) {
        Ok([Some(tools), None]) => tool_list::tidied(result, tools),
        Ok([None, Some(_)]) => handshake::tidied(result),
        _ => None,
    };
    tidied.map_or(Cow::Borrowed(result), Cow::Owned)
}

#[cfg(test)]
mod tests;
