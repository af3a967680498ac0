//! Artifacts: tool responses that are too large for a program, and the images, sounds and blobs in
//! responses.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{self, ArtifactId, ArtifactKind, TaskId, Timestamp};

/// A page of artifacts.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactPage {
    /// The newest first.
    pub artifacts: Vec<Artifact>,
    /// Cursor of the next page, if there is one.
    pub next_cursor: Option<String>,
}

/// An artifact without its text.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    /// Its id.
    #[serde(rename = "$artifact")]
    #[schemars(with = "String")]
    pub id: ArtifactId,
    /// Length of its text in bytes; of an image, a sound or a blob, decoded.
    pub bytes: u64,
    /// JSON, a plain text, an image, a sound, or other bytes.
    pub kind: ArtifactKind,
    /// Media type of an image, a sound or a blob.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    /// Lines of its text.
    pub lines: u64,
    /// SHA-256 of its text, or of its decoded bytes, in hex.
    pub sha256: String,
    /// The beginning of its text, at most 2 KiB; empty where it is no text.
    pub head: String,
    /// Time of expiry.
    #[schemars(with = "String")]
    pub expires_at: Timestamp,
    /// The tool that answered.
    pub tool: String,
    /// The task whose call it answered.
    #[schemars(with = "String")]
    pub task_id: TaskId,
    /// Time of storage.
    #[schemars(with = "String")]
    pub created_at: Timestamp,
}

impl From<model::Artifact> for Artifact {
    fn from(artifact: model::Artifact) -> Self {
        Self {
            id: artifact.id,
            bytes: artifact.content_bytes(),
            kind: artifact.kind,
            mime_type: artifact.media.map(|media| media.mime_type),
            lines: artifact.lines,
            sha256: artifact.sha256,
            head: artifact.head,
            expires_at: artifact.expires_at,
            tool: artifact.tool,
            task_id: artifact.task_id,
            created_at: artifact.created_at,
        }
    }
}

/// Confirms a removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Removed {
    /// Always true.
    pub removed: bool,
}
