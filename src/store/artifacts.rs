//! Artifacts, which are responses too large for a program, images, sounds and blobs: rows and their
//! text in parts, so that a slice is read without the rest.

use futures::future::BoxFuture;

use super::error::{StoreError, Written};
use crate::model::{Artifact, ArtifactId, Timestamp};

/// The size of a part, in bytes; only the last is smaller.
pub const ARTIFACT_PART_BYTES: usize = 256 * 1024;
/// Artifacts in one page at the most.
pub const ARTIFACTS_LIST_MAX: u32 = 200;
/// Parts that one step of the sweep removes at the most: 4 MiB, a few milliseconds of the one
/// writer.
pub const SWEEP_PARTS_MAX: u32 = 16;

/// Keeps artifacts. What is not whole yet, is expired or belongs to another workspace is not there.
pub trait ArtifactStore: Send + Sync + 'static {
    /// Makes room for one that will be written part by part, unless the workspace would then have
    /// more than so many bytes. What is not whole yet counts; what is expired at its `created_at`
    /// does not.
    fn open_artifact(
        &self,
        artifact: Artifact,
        workspace_bytes_max: u64,
    ) -> Written<ArtifactOpened>;

    /// Writes one part of one that is open. `Invalid` where it is not.
    fn write_artifact_part(&self, id: ArtifactId, part: ArtifactPart) -> Written;

    /// Makes it visible. `Invalid` where its parts are not exactly its bytes; then it stays as it
    /// is.
    fn close_artifact(&self, id: ArtifactId) -> Written;

    /// The artifact, if the workspace has it at that moment.
    fn artifact<'a>(
        &'a self,
        workspace_id: &'a str,
        id: ArtifactId,
        at: Timestamp,
    ) -> BoxFuture<'a, Result<Option<Artifact>, StoreError>>;

    /// The part in which a byte is, or in which a line begins or the line break before it stands.
    /// None beyond the end, or where the workspace does not have it at that moment.
    fn artifact_part<'a>(
        &'a self,
        workspace_id: &'a str,
        id: ArtifactId,
        at: Timestamp,
        place: ArtifactAt,
    ) -> BoxFuture<'a, Result<Option<ArtifactPart>, StoreError>>;

    /// Artifacts of a workspace at that moment, the newest first.
    fn artifacts<'a>(
        &'a self,
        workspace_id: &'a str,
        at: Timestamp,
        filter: ArtifactFilter,
    ) -> BoxFuture<'a, Result<ArtifactPage, StoreError>>;

    /// Takes it away at once, whole or not; the sweep gives its space back. False where the
    /// workspace does not have it.
    fn remove_artifact(&self, workspace_id: &str, id: ArtifactId, at: Timestamp) -> Written<bool>;

    /// Gives back the space of what is expired at that moment, at most [`SWEEP_PARTS_MAX`] parts at
    /// once.
    fn sweep_artifacts(&self, at: Timestamp) -> Written<Swept>;
}

/// The outcome of opening an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArtifactOpened {
    /// It may be written.
    Open,
    /// The workspace has so many bytes already, and no room for it.
    Full {
        /// Bytes in use.
        used: u64,
    },
}

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactPart {
    /// Its number, from 0.
    pub index: u32,
    /// Line breaks before it.
    pub newlines_before: u64,
    /// Its bytes; a character may go over into the next part.
    pub bytes: Vec<u8>,
}

impl ArtifactPart {
    /// Its offset in the whole text, in bytes.
    pub fn offset(&self) -> u64 {
        u64::from(self.index) * ARTIFACT_PART_BYTES as u64
    }
}

/// A place in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArtifactAt {
    /// A byte, from 0.
    Byte(u64),
    /// A line, from 1.
    Line(u64),
}

/// Which artifacts to list.
#[derive(Debug, Clone, Default)]
pub struct ArtifactFilter {
    /// At most so many, 1 to [`ARTIFACTS_LIST_MAX`].
    pub limit: u32,
    /// `next_cursor` of the previous page.
    pub cursor: Option<String>,
}

/// One page of artifacts.
#[derive(Debug, Clone)]
pub struct ArtifactPage {
    /// The newest first.
    pub artifacts: Vec<Artifact>,
    /// Cursor of the next page, if there is one. Opaque.
    pub next_cursor: Option<String>,
}

/// The work of one step of the sweep.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Parts that it removed.
    pub parts: u32,
    /// True if another step may have something to do.
    pub more: bool,
}
