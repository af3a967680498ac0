//! Artifacts: responses that are too large for a program, and the images, sounds and blobs in
//! responses; and the handles that programs get in their place.

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
/// The same for an artifact that is no text.
const MEDIA_READ: &str = "pass this handle on as an argument of a call: the tool gets the base64; \
    return it: whoever called `execute` sees an image or hears a sound";
/// The fields of a handle, also of one out of a list, besides its key.
pub const HANDLE_FIELDS: [&str; 12] = [
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
    "type",
    "mimeType",
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
    /// An image.
    Image,
    /// A sound.
    Audio,
    /// Other bytes.
    Blob,
}

impl ArtifactKind {
    /// The name in the contract and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Text => "text",
            Self::Image => "image",
            Self::Audio => "audio",
            Self::Blob => "blob",
        }
    }

    /// The kind of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Json, Self::Text, Self::Image, Self::Audio, Self::Blob]
            .into_iter()
            .find(|kind| kind.as_str() == name)
    }

    /// The kind of bytes of this media type.
    pub fn of_media_type(mime_type: &str) -> Self {
        let begins = |with: &str| {
            mime_type.get(..with.len()).is_some_and(|head| head.eq_ignore_ascii_case(with))
        };
        if begins("image/") {
            Self::Image
        } else if begins("audio/") {
            Self::Audio
        } else {
            Self::Blob
        }
    }
}

/// What is known of an artifact that is no text: an image, a sound, other bytes. Its text is their
/// base64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// Media type, such as `image/png`.
    pub mime_type: String,
    /// Length in bytes, decoded.
    pub bytes: u64,
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
    /// SHA-256 of its text, or of its decoded bytes, in hex.
    pub sha256: String,
    /// Its beginning, at most 2 KiB; empty where it is no text.
    pub head: String,
    /// Set where it is no text.
    pub media: Option<Media>,
    /// Time of its creation.
    pub created_at: Timestamp,
    /// From when it is not there any more.
    pub expires_at: Timestamp,
}

impl Artifact {
    /// The value that a call resolves to instead of the response.
    pub fn handle(&self) -> Value {
        if let Some(media) = &self.media {
            return json!({
                HANDLE_KEY: self.id, "type": self.kind, "mimeType": media.mime_type,
                "bytes": media.bytes, "kind": self.kind, "sha256": self.sha256,
                "expiresAt": self.expires_at, "read": MEDIA_READ,
            });
        }
        json!({
            HANDLE_KEY: self.id, "bytes": self.bytes, "kind": self.kind, "lines": self.lines,
            "sha256": self.sha256,
            "head": self.head, "expiresAt": self.expires_at, "read": HANDLE_READ,
        })
    }

    /// Its stand-in in arguments: enough to know what will be sent, and nothing that the
    /// caller wrote.
    pub fn stamp(&self) -> Value {
        let mut stamp = json!({
            HANDLE_KEY: self.id, "bytes": self.content_bytes(), "kind": self.kind,
            "sha256": self.sha256
        });
        if let Some(media) = &self.media {
            stamp["mimeType"] = media.mime_type.clone().into();
        }
        stamp
    }

    /// Length of what it stands for: of its text, or of its decoded bytes.
    pub fn content_bytes(&self) -> u64 {
        self.media.as_ref().map_or(self.bytes, |media| media.bytes)
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

/// Something in a value that may be shown as an image, or heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Showable<'v> {
    /// The id of a handle, of whatever kind.
    Handle(&'v str),
    /// An image or a sound that a service answered whole: `{ type, base64, … }`.
    Inline {
        /// Media type, such as `image/png`.
        mime_type: &'v str,
        /// Its base64.
        base64: &'v str,
    },
}

/// What may be shown in a value, each once, in the order in which it stands. As deep as the parser
/// let it become.
pub fn showables(value: &Value) -> Vec<Showable<'_>> {
    fn gather<'v>(value: &'v Value, found: &mut Vec<Showable<'v>>) {
        match value {
            _ if let Some(id) = handle_id(value) => found.push(Showable::Handle(id)),
            _ if let Some((mime_type, base64)) = inline_media(value) => {
                found.push(Showable::Inline { mime_type, base64 });
            }
            Value::Array(items) => items.iter().for_each(|item| gather(item, found)),
            Value::Object(members) => members.values().for_each(|member| gather(member, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    gather(value, &mut found);
    let mut seen = std::collections::HashSet::new();
    found.retain(|showable| seen.insert(*showable));
    found
}

/// The media type and the base64 of an image or a sound as a value of its own; none where it is
/// cut or something else.
pub fn inline_media(value: &Value) -> Option<(&str, &str)> {
    let object = value.as_object()?;
    let text = |name: &str| object.get(name).and_then(Value::as_str);
    let (mime_type, base64) = (text("type")?, text("base64")?);
    let is_whole = object.get("truncated") != Some(&Value::Bool(true));
    let is_shown = ArtifactKind::of_media_type(mime_type) != ArtifactKind::Blob;
    (is_whole && is_shown).then_some((mime_type, base64))
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
