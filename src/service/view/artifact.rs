//! Artifacts: tool responses that are stored because they are too large for a program.

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
    /// Length of its text in bytes.
    pub bytes: u64,
    /// JSON or plain text.
    pub kind: ArtifactKind,
    /// Lines of its text.
    pub lines: u64,
    /// SHA-256 of its text, in hex.
    pub sha256: String,
    /// The beginning of its text, at most 2 KiB.
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
            bytes: artifact.bytes,
            kind: artifact.kind,
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
