//! Answers that are too large for a program: kept in the store, and read from there by slices,
//! lines and places.
//!
//! Every artifact belongs to a workspace; what is another's, expired or not whole looks as if it
//! were not there. It never changes, so that a handle with its digest says exactly what will be
//! sent. Reading is host's work like finding, and always allowed.

mod functions;
pub(super) mod keep;
pub(super) mod pass;
mod pointer;
mod scan;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use serde_json::json;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use super::call::rejection::failure;
use crate::{
    base::limiter::KeyedLimiter,
    model::{Artifact, ArtifactId, ErrorCode, Timestamp},
    sandbox::CallFailure,
    store::{ArtifactAt, ArtifactPart, ResultPiece, Store, StoreError},
};

/// The largest answer that a program gets as it is, in bytes of JSON; a larger one is kept.
pub const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Calls with artifacts in their arguments that are under way at once: of all tasks, of one
/// workspace and of one task. What is sent is whole in memory meanwhile, as long as the upstream
/// takes. Who has such a place may wait for one that the catalog has for large answers, never the
/// other way round.
const PASSING_MAX: usize = 4;
const PASSING_WORKSPACE_MAX: usize = 3;
const PASSING_TASK_MAX: usize = 1;
/// Artifacts that are looked into by a pointer at once, of all tasks; each is whole in memory for a
/// moment.
const LOOKING_MAX: usize = 2;
/// Readings by slices, lines and patterns at once, of all tasks; each holds a part or a slice, at
/// most 1 MiB and a little.
const READERS_MAX: usize = 8;
/// How often what is expired is swept out, beside at the start and when one is removed.
const SWEEP_EVERY: Duration = Duration::from_secs(3600);
/// A pause between the steps of a sweep, so that it never takes the writer for itself.
const SWEEP_PAUSE: Duration = Duration::from_millis(5);

/// The codes of errors that are about artifacts.
const NOT_FOUND: &str = ErrorCode::ArtifactNotFound.as_str();
const QUOTA: &str = ErrorCode::ArtifactQuotaExceeded.as_str();

/// How long answers are kept, and how much of them.
#[derive(Debug, Clone)]
pub struct ArtifactTerms {
    /// From the keeping to the end.
    pub life: Duration,
    /// Bytes that one workspace may have.
    pub workspace_bytes_max: u64,
}

/// The kept answers. Cheap to clone.
#[derive(Clone)]
pub struct Artifacts(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    terms: ArtifactTerms,
    /// Told when there is something to sweep.
    removed: Notify,
    passing: Arc<Semaphore>,
    passing_workspace: KeyedLimiter,
    passing_task: KeyedLimiter,
    looking: Arc<Semaphore>,
    readers: Semaphore,
}

impl Artifacts {
    /// Those of this store.
    pub fn new(store: Arc<dyn Store>, terms: ArtifactTerms) -> Self {
        let inner = Inner {
            store,
            terms,
            removed: Notify::new(),
            passing: Arc::new(Semaphore::new(PASSING_MAX)),
            passing_workspace: KeyedLimiter::new(PASSING_WORKSPACE_MAX),
            passing_task: KeyedLimiter::new(PASSING_TASK_MAX),
            looking: Arc::new(Semaphore::new(LOOKING_MAX)),
            readers: Semaphore::new(READERS_MAX),
        };
        Self(Arc::new(inner))
    }

    /// Sweeps out what is expired, at once, every hour and whenever one was removed, until `stop`.
    pub async fn tidy(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.sweep(&stop).await {
                tracing::warn!(%error, "expired artifacts could not be swept out; the next sweep \
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
            tracing::debug!(parts, "{parts} parts of expired artifacts were swept out");
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

    /// Takes it away. False where the workspace does not have it.
    pub async fn remove(&self, workspace_id: &str, id: ArtifactId) -> Result<bool, StoreError> {
        let removed = self.0.store.remove_artifact(workspace_id, id, Timestamp::now()).await?;
        self.0.removed.notify_one();
        Ok(removed)
    }

    /// The part at a place, if the workspace has the artifact now.
    pub async fn part(
        &self,
        workspace_id: &str,
        id: ArtifactId,
        place: ArtifactAt,
    ) -> Result<Option<ArtifactPart>, StoreError> {
        self.0.store.artifact_part(workspace_id, id, Timestamp::now(), place).await
    }

    /// A slice of it, in whole characters.
    async fn slice(
        &self,
        artifact: &Artifact,
        offset: u64,
        length: u64,
    ) -> Result<ResultPiece, Failed> {
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

    /// All of its text.
    async fn text(&self, artifact: &Artifact) -> Result<String, Failed> {
        let mut bytes = Vec::with_capacity(usize::try_from(artifact.bytes).unwrap_or_default());
        while (bytes.len() as u64) < artifact.bytes {
            let part = self.present(artifact, ArtifactAt::Byte(bytes.len() as u64)).await?;
            bytes.extend_from_slice(&part.bytes);
        }
        String::from_utf8(bytes).map_err(|_| Failed::Unreadable)
    }

    /// A part that is there as long as the artifact is.
    async fn present(
        &self,
        artifact: &Artifact,
        place: ArtifactAt,
    ) -> Result<ArtifactPart, Failed> {
        let part =
            self.part(&artifact.workspace_id, artifact.id, place).await.map_err(Failed::Store)?;
        part.filter(|part| !part.bytes.is_empty())
            .ok_or_else(|| Failed::Gone(artifact.id.to_string()))
    }

    /// The artifact that a text names.
    async fn named(&self, workspace_id: &str, id: &str) -> Result<Artifact, Failed> {
        let gone = || Failed::Gone(id.chars().take(80).collect());
        let parsed = id.parse::<ArtifactId>().map_err(|_| gone())?;
        self.find(workspace_id, parsed).await.map_err(Failed::Store)?.ok_or_else(gone)
    }
}

/// Why something cannot be done with artifacts.
#[derive(Debug)]
enum Failed {
    /// There is none of that name: not here, not any more, or not this workspace's.
    Gone(String),
    /// What was asked for does not fit.
    Arguments(String),
    /// It is larger than may be.
    TooLarge(&'static str, String),
    /// The store failed.
    Store(StoreError),
    /// What is stored is not what was written.
    Unreadable,
}

impl Failed {
    /// As the code sees it.
    fn failure(self, path: &str) -> CallFailure {
        let call_error = |code: &str, message: &str, retryable: bool| {
            let mut made = failure("ToolCallError", code, path, message);
            made.properties.insert("retryable".into(), json!(retryable));
            made
        };
        match self {
            Self::Gone(id) => call_error(
                NOT_FOUND,
                &format!(
                    "there is no artifact `{id}`: it has expired, was removed or never was; \
                    `tools.artifacts.list()` names those there are"
                ),
                false,
            ),
            Self::Arguments(message) => failure(
                "ToolArgumentError",
                ErrorCode::InvalidToolArguments.as_str(),
                path,
                &message,
            ),
            Self::TooLarge(code, message) => call_error(code, &message, false),
            Self::Store(error) => {
                tracing::error!(%error, "an artifact could not be read or written");
                call_error(
                    ErrorCode::StoreUnavailable.as_str(),
                    "the artifact could not be read or written: the store failed",
                    true,
                )
            }
            Self::Unreadable => {
                tracing::error!("an artifact is not what was written");
                call_error(
                    ErrorCode::StoreUnavailable.as_str(),
                    "the artifact is not readable",
                    false,
                )
            }
        }
    }
}
