//! How large an answer may be, and how many large ones are in memory at once.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::upstream::ANSWER_BYTES_MAX;
use crate::{base::memory, model::RawJson};

/// From so many bytes on an answer is a large one.
pub(super) const LARGE_BYTES: usize = 8 * 1024 * 1024;
/// Large answers that are read or held at once, of all upstreams; the next ones wait to be read on.
pub(super) const LARGE_MAX: usize = 4;

/// The bounds of answers. Clones share the places of large ones.
#[derive(Debug, Clone)]
pub struct AnswerBounds {
    bytes_max: usize,
    rooms: Arc<Semaphore>,
}

impl AnswerBounds {
    /// For answers of so many bytes, at most 64 MiB.
    pub fn new(bytes_max: usize) -> Self {
        Self { bytes_max: bytes_max.min(ANSWER_BYTES_MAX), rooms: Arc::new(Semaphore::new(LARGE_MAX)) }
    }

    pub(super) fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// A place for a large answer, waited for.
    pub(super) async fn room(&self) -> Room {
        // The semaphore is never closed; were it, answers would go on without a place.
        Room { _place: self.rooms.clone().acquire_owned().await.ok() }
    }
}

impl Default for AnswerBounds {
    fn default() -> Self {
        Self::new(ANSWER_BYTES_MAX)
    }
}

impl Answer {
    /// The same with a warning, if there is one.
    pub(super) fn warned(self, warning: Option<String>) -> Self {
        Self { warning, ..self }
    }

    /// The answer and its place, which is given back when dropped.
    pub fn parted(self) -> (RawJson, Option<Room>) {
        (self.json, self.room)
    }
}

/// The place of a large answer, given back when dropped.
#[derive(Debug)]
pub struct Room {
    _place: Option<OwnedSemaphorePermit>,
}

impl Drop for Room {
    fn drop(&mut self) {
        // What reading took many times over is back at once, not when the next answer comes. Takes milliseconds.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            drop(runtime.spawn_blocking(memory::give_back));
        }
    }
}

/// An answer of a tool, with its place where it is a large one: hold it as long as the answer is in memory.
#[derive(Debug)]
pub struct Answer {
    /// The answer.
    pub json: RawJson,
    pub(super) room: Option<Room>,
    /// What the caller should know although the call did not fail on it, at most 2 KiB.
    pub warning: Option<String>,
}

impl From<RawJson> for Answer {
    fn from(json: RawJson) -> Self {
        Self { json, room: None, warning: None }
    }
}
