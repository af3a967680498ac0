//! A tool's response, its size limit, and the limit on large responses in memory at once.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    base::{memory, offload::offload_if_possible},
    model::{ArtifactKind, RawJson},
};

/// Largest value that a call may ever return, in bytes of JSON; the owner may set less.
pub(in crate::catalog) const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Size from which a response counts as large, in bytes.
pub(in crate::catalog) const LARGE_BYTES: usize = 8 * 1024 * 1024;
/// Large answers that are read or held at once, of all upstreams; the next ones wait to be read on.
pub(in crate::catalog) const LARGE_MAX: usize = 4;

/// Permits of one upstream at most, so that no upstream takes them all.
const LARGE_OF_ONE_MAX: usize = LARGE_MAX / 2;

/// The bounds of answers. Clones share the size limit and the places of large ones.
#[derive(Debug, Clone)]
pub struct ResponseLimits {
    bytes_max: Arc<AtomicUsize>,
    all: Arc<Semaphore>,
    /// The places that are of one upstream, or all.
    share: Arc<Semaphore>,
}

impl ResponseLimits {
    /// For answers of so many bytes, at most 64 MiB.
    pub fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max: Arc::new(AtomicUsize::new(bytes_max.min(ANSWER_BYTES_MAX))),
            all: permits(LARGE_MAX),
            share: permits(LARGE_MAX),
        }
    }

    /// The limits for one upstream, which has a part of the permits.
    pub(in crate::catalog) fn of_one(&self) -> Self {
        Self { share: permits(LARGE_OF_ONE_MAX), ..self.clone() }
    }

    pub(in crate::catalog) fn bytes_max(&self) -> usize {
        self.bytes_max.load(Ordering::Relaxed)
    }

    /// Sets the size limit of all clones, at most 64 MiB; it holds for responses that are read from
    /// now on.
    pub fn set_bytes_max(&self, bytes_max: usize) {
        self.bytes_max.store(bytes_max.min(ANSWER_BYTES_MAX), Ordering::Relaxed);
    }

    /// Places that nobody has.
    #[cfg(test)]
    pub(in crate::catalog) fn free(&self) -> usize {
        self.all.available_permits()
    }

    /// A place for a large answer, waited for.
    pub(in crate::catalog) async fn memory_permit(&self) -> MemoryPermit {
        // The semaphores are never closed; were they, answers would go on without a place. The
        // upstream's own comes first: who waits for the other takes nothing from anybody else.
        let share = self.share.clone().acquire_owned().await.ok();
        MemoryPermit { _places: (self.all.clone().acquire_owned().await.ok(), share) }
    }
}

fn permits(count: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(count))
}

impl Default for ResponseLimits {
    fn default() -> Self {
        Self::new(ANSWER_BYTES_MAX)
    }
}

impl ToolResponse {
    /// Adds a warning, if there is one.
    pub(in crate::catalog) fn warned(mut self, warning: Option<String>) -> Self {
        self.warning = match (self.warning, warning) {
            (Some(first), Some(second)) => Some(format!("{first}; {second}")),
            (first, second) => first.or(second),
        };
        self
    }

    /// The answer and its place, which is given back when dropped.
    pub fn parted(self) -> (RawJson, Option<MemoryPermit>) {
        (self.json, self.permit)
    }

    /// Bytes of the answer, together with what was taken out of it.
    pub fn bytes(&self) -> usize {
        let media = self.media.iter().map(|block| block.data.len());
        media.fold(self.json.get().len(), usize::saturating_add)
    }
}

/// The place of a large answer, given back when dropped.
#[derive(Debug)]
pub struct MemoryPermit {
    _places: (Option<OwnedSemaphorePermit>, Option<OwnedSemaphorePermit>),
}

impl Drop for MemoryPermit {
    fn drop(&mut self) {
        // What reading took many times over is back at once, not when the next answer comes. Takes
        // milliseconds.
        offload_if_possible(memory::trim);
    }
}

/// An image, a sound or other bytes that were taken out of an answer, so that a program gets a
/// handle and no base64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaBlock {
    /// JSON Pointer of the object that was left in its place: what else was said of it, if
    /// anything.
    pub place: String,
    /// An image, a sound or a blob.
    pub kind: ArtifactKind,
    /// Media type, such as `image/png`.
    pub mime_type: String,
    /// Base64 in the standard alphabet without white space, as far as possible as it came.
    pub data: String,
}

/// An answer of a tool, with its place where it is a large one: hold it as long as the answer is in
/// memory.
#[derive(Debug)]
pub struct ToolResponse {
    /// The answer.
    pub json: RawJson,
    /// What was taken out of it, in the order in which it stood.
    pub media: Vec<MediaBlock>,
    pub(in crate::catalog) permit: Option<MemoryPermit>,
    /// Warning for the caller although the call did not fail, at most 2 KiB.
    pub warning: Option<String>,
}

impl From<RawJson> for ToolResponse {
    fn from(json: RawJson) -> Self {
        Self { json, media: Vec::new(), permit: None, warning: None }
    }
}

#[cfg(test)]
mod tests;
