//! An answer of a tool that is too large for a program, kept, and the handle that stands for it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{ArtifactId, TaskId, Timestamp};

/// The key that makes an object a handle.
pub const HANDLE_KEY: &str = "$artifact";
/// The text in a handle that says how to use it.
const HANDLE_READ: &str = "tools.artifacts.read(handle, { offset }) · lines(handle, { from }) · \
    search(handle, { pattern }) · \
                           json(handle, { pointer }), or pass this handle on as an argument of a \
    call: the tool gets the whole answer";
/// The fields of a handle, also of one out of a list, besides its key.
pub const HANDLE_FIELDS: [&str; 10] = [
    "bytes",
    "kind",
    "lines",
    "sha256",
    "head",
    "expiresAt",
    "read",
    "tool",
    "taskId",
    "createdAt",
];
/// Prefix of the id in a handle. An object whose [`HANDLE_KEY`] is anything else is an ordinary
/// object.
const ID_PREFIX: &str = "art_";

/// The kind of an artifact's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ArtifactKind {
    /// JSON, as it came.
    Json,
    /// A text.
    Text,
}

impl ArtifactKind {
    /// The name in the contract and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Text => "text",
        }
    }

    /// The kind of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Json, Self::Text].into_iter().find(|kind| kind.as_str() == name)
    }
}

/// A kept answer, its text aside. It never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Its name.
    pub id: ArtifactId,
    /// The workspace it belongs to.
    pub workspace_id: String,
    /// The task whose call it answered.
    pub task_id: TaskId,
    /// The tool that answered.
    pub tool: String,
    /// Kind of the content.
    pub kind: ArtifactKind,
    /// Length of its text, in bytes.
    pub bytes: u64,
    /// Lines of its text.
    pub lines: u64,
    /// SHA-256 of its text, in hex.
    pub sha256: String,
    /// Its beginning, at most 2 KiB.
    pub head: String,
    /// Time of its creation.
    pub created_at: Timestamp,
    /// From when it is not there any more.
    pub expires_at: Timestamp,
}

impl Artifact {
    /// The value that a call resolves to instead of the response.
    pub fn handle(&self) -> Value {
        json!({
            HANDLE_KEY: self.id, "bytes": self.bytes, "kind": self.kind, "lines": self.lines,
            "sha256": self.sha256,
            "head": self.head, "expiresAt": self.expires_at, "read": HANDLE_READ,
        })
    }

    /// Its stand-in in arguments: enough to know what will be sent, and nothing that the
    /// caller wrote.
    pub fn stamp(&self) -> Value {
        json!({
            HANDLE_KEY: self.id, "bytes": self.bytes, "kind": self.kind, "sha256": self.sha256
        })
    }

    /// The entry of a list of artifacts.
    pub fn listed(&self) -> Value {
        let mut entry = self.handle();
        entry.as_object_mut().map(|entry| entry.remove("read"));
        entry["tool"] = self.tool.clone().into();
        entry["taskId"] = self.task_id.to_string().into();
        entry["createdAt"] = self.created_at.to_string().into();
        entry
    }
}

/// The id that a handle names, as it is written; none where the value is no handle.
pub fn handle_id(value: &Value) -> Option<&str> {
    value.as_object()?.get(HANDLE_KEY)?.as_str().filter(|id| id.starts_with(ID_PREFIX))
}

/// Returns true if the value is a handle, or contains one. As deep as the parser let it become.
pub fn has_handle(value: &Value) -> bool {
    handle_id(value).is_some()
        || match value {
            Value::Array(items) => items.iter().any(has_handle),
            Value::Object(members) => members.values().any(has_handle),
            _ => false,
        }
}
