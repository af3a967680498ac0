//! Artifacts: responses that are too large for a program, and the images, sounds and blobs in
//! responses. They are written to the store, and read from there by slices, lines, patterns and
//! JSON Pointers.
//!
//! Every artifact belongs to a workspace; one that is another's, expired or incomplete looks as if
//! it did not exist. It never changes, so that a handle with its digest identifies exactly what
//! will be sent. Decides nothing: reading is always allowed within the workspace.

mod draft;
mod error;
mod expand;
mod functions;
mod media;
mod pointer;
mod scan;
mod string;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::{
    base::limiter::KeyedLimiter,
    model::{Artifact, ArtifactId, Timestamp},
    store::{ArtifactAt, ArtifactPart, ResultPiece, Store, StoreError},
};
pub use draft::{Draft, Origin, handle};
pub use error::ArtifactError;
pub use expand::{Expanded, Stamped};
pub use media::{SHOWN_BYTES_MAX, SHOWN_MAX, Shown, ShownMedia, with_handles};

/// The largest response that a program gets as it is, in bytes of JSON. A larger one becomes an
/// artifact.
pub const RESPONSE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Calls with artifacts in their arguments that run at once: of all tasks, of one workspace and of
/// one task. Their arguments are whole in memory as long as the upstream takes. A call with such a
/// permit may wait for the catalog's permit for large responses, never the other way round.
const EXPANDED_MAX: usize = 4;
const EXPANDED_WORKSPACE_MAX: usize = 3;
const EXPANDED_TASK_MAX: usize = 1;
/// Artifacts that are read by a JSON Pointer at once, of all tasks; each is whole in memory for a
/// moment.
const POINTER_READS_MAX: usize = 2;
/// Artifacts that are read by slices, lines and patterns at once, of all tasks; each read holds a
/// part or a slice, little more than 1 MiB.
const READS_MAX: usize = 8;
/// Interval of deleting expired artifacts, besides at the start and after each removal.
const SWEEP_EVERY: Duration = Duration::from_secs(3600);
/// The pause between the steps of a sweep, so that it never occupies the store's writer.
const SWEEP_PAUSE: Duration = Duration::from_millis(5);

/// Retention and quota of artifacts.
#[derive(Debug, Clone, Copy)]
pub struct ArtifactTerms {
    /// From the creation of an artifact to its expiry.
    pub life: Duration,
    /// Bytes that the artifacts of one workspace may have together.
    pub workspace_bytes_max: u64,
}

/// All artifacts of a store. Cheap to clone.
#[derive(Clone)]
pub struct Artifacts(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    terms: Mutex<ArtifactTerms>,
    /// Notified when there is something to sweep.
    removed: Notify,
    expanded: Arc<Semaphore>,
    expanded_by_workspace: KeyedLimiter,
    expanded_by_task: KeyedLimiter,
    pointer_reads: Arc<Semaphore>,
    reads: Semaphore,
}

impl Artifacts {
    /// The artifacts of this store.
    pub fn new(store: Arc<dyn Store>, terms: ArtifactTerms) -> Self {
        let inner = Inner {
            store,
            terms: Mutex::new(terms),
            removed: Notify::new(),
            expanded: Arc::new(Semaphore::new(EXPANDED_MAX)),
            expanded_by_workspace: KeyedLimiter::new(EXPANDED_WORKSPACE_MAX),
            expanded_by_task: KeyedLimiter::new(EXPANDED_TASK_MAX),
            pointer_reads: Arc::new(Semaphore::new(POINTER_READS_MAX)),
            reads: Semaphore::new(READS_MAX),
        };
        Self(Arc::new(inner))
    }

    /// Sets retention and quota of artifacts that are written from now on.
    pub fn set_terms(&self, terms: ArtifactTerms) {
        *self.0.terms.lock() = terms;
    }

    fn terms(&self) -> ArtifactTerms {
        *self.0.terms.lock()
    }

    /// Deletes expired artifacts: at once, every hour and after each removal, until `stop`.
    pub async fn sweep_until(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.sweep(&stop).await {
                tracing::warn!(%error, "expired artifacts could not be deleted; the next sweep \
                    tries again");
            }
            tokio::select! {
                () = tokio::time::sleep(SWEEP_EVERY) => {}
                () = self.0.removed.notified() => {}
                () = stop.cancelled() => {}
            }
        }
    }

    async fn sweep(&self, stop: &CancellationToken) -> Result<(), StoreError> {
        let mut parts = 0;
        loop {
            let swept = self.0.store.sweep_artifacts(Timestamp::now()).await?;
            parts += swept.parts;
            if !swept.more || stop.is_cancelled() {
                break;
            }
            tokio::time::sleep(SWEEP_PAUSE).await;
        }
        if parts > 0 {
            tracing::debug!(parts, "{parts} parts of expired artifacts were deleted");
        }
        Ok(())
    }

    /// The artifact, if the workspace has it now.
    pub async fn find(
        &self,
        workspace_id: &str,
        id: ArtifactId,
    ) -> Result<Option<Artifact>, StoreError> {
        self.0.store.artifact(workspace_id, id, Timestamp::now()).await
    }

    /// Removes the artifact. False where the workspace does not have it.
    pub async fn remove(&self, workspace_id: &str, id: ArtifactId) -> Result<bool, StoreError> {
        let removed = self.0.store.remove_artifact(workspace_id, id, Timestamp::now()).await?;
        self.0.removed.notify_one();
        Ok(removed)
    }

    /// The part at this position, if the workspace has the artifact now.
    pub async fn part(
        &self,
        workspace_id: &str,
        id: ArtifactId,
        at: ArtifactAt,
    ) -> Result<Option<ArtifactPart>, StoreError> {
        self.0.store.artifact_part(workspace_id, id, Timestamp::now(), at).await
    }

    /// A slice of the artifact, in whole characters.
    async fn slice(
        &self,
        artifact: &Artifact,
        offset: u64,
        length: u64,
    ) -> Result<ResultPiece, ArtifactError> {
        /// Bytes of the longest character.
        const CHARACTER: u64 = 4;
        let total = artifact.bytes;
        let offset = offset.min(total);
        let (from, to) =
            (offset.saturating_sub(CHARACTER), (offset + length + CHARACTER).min(total));
        let (mut bytes, mut begin) = (Vec::new(), None);
        let mut at = from;
        while at < to {
            let part = self.present(artifact, ArtifactAt::Byte(at)).await?;
            begin.get_or_insert(part.offset());
            at = part.offset() + part.bytes.len() as u64;
            bytes.extend_from_slice(&part.bytes);
        }
        Ok(ResultPiece::cut(&bytes, begin.unwrap_or(total), offset, length, total))
    }

    /// The whole text of the artifact.
    async fn text(&self, artifact: &Artifact) -> Result<String, ArtifactError> {
        let mut bytes = Vec::with_capacity(usize::try_from(artifact.bytes).unwrap_or_default());
        while (bytes.len() as u64) < artifact.bytes {
            let part = self.present(artifact, ArtifactAt::Byte(bytes.len() as u64)).await?;
            bytes.extend_from_slice(&part.bytes);
        }
        String::from_utf8(bytes).map_err(|_| ArtifactError::Unreadable)
    }

    /// A part that exists as long as the artifact does.
    async fn present(
        &self,
        artifact: &Artifact,
        at: ArtifactAt,
    ) -> Result<ArtifactPart, ArtifactError> {
        let part = self
            .part(&artifact.workspace_id, artifact.id, at)
            .await
            .map_err(ArtifactError::Store)?;
        part.filter(|part| !part.bytes.is_empty())
            .ok_or_else(|| ArtifactError::NotFound(artifact.id.to_string()))
    }

    /// The artifact of this id.
    async fn named(&self, workspace_id: &str, id: &str) -> Result<Artifact, ArtifactError> {
        let gone = || ArtifactError::NotFound(id.chars().take(80).collect());
        let parsed = id.parse::<ArtifactId>().map_err(|_| gone())?;
        self.find(workspace_id, parsed).await.map_err(ArtifactError::Store)?.ok_or_else(gone)
    }
}
