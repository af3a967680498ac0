//! Limits on the queries that run at once, of one caller and of all.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// Questions of one asker, such as a task, that are answered at once; the others wait.
pub const ASKED_MAX: usize = 2;

/// Whoever asks: its questions wait for each other. Cheap to clone.
#[derive(Debug, Clone)]
pub struct CallerLimit(pub(super) Arc<Semaphore>);

impl Default for CallerLimit {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ASKED_MAX)))
    }
}

/// Places for questions that are answered at once, of all askers: half of the processors, at least
/// one.
pub(in crate::catalog) fn query_slots() -> Arc<Semaphore> {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Arc::new(Semaphore::new((processors / 2).max(1)))
}
