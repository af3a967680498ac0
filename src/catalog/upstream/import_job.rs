//! Parses API descriptions on the blocking pool, a few at once, and aborts when the caller goes
//! away.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::Semaphore;

use super::error::ConnectError;
use crate::base::offload::offload;

/// Longest time for reading one description, whoever waits; the largest public ones take seconds.
const READ_MAX: Duration = Duration::from_secs(60);
/// Descriptions that are read at once, over all upstreams: each may take a gigabyte for a moment.
static READERS: Semaphore = Semaphore::const_new(2);

/// Progress of reading a document. Clones share it.
#[derive(Debug, Clone, Default)]
pub(in crate::catalog) struct Progress(Arc<(AtomicUsize, AtomicUsize)>);

impl Progress {
    /// Of so many pieces none is read yet.
    pub(in crate::catalog) fn begin(&self, all: usize) {
        self.0.0.store(0, Ordering::Relaxed);
        self.0.1.store(all, Ordering::Relaxed);
    }

    /// One more is read.
    pub(in crate::catalog) fn advance(&self) {
        self.0.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Pieces that are read, and all of them.
    pub(in crate::catalog) fn pieces(&self) -> (usize, usize) {
        (self.0.0.load(Ordering::Relaxed), self.0.1.load(Ordering::Relaxed))
    }
}

/// Tells a reader when to stop: when its time is up, or nobody waits for what it reads any more.
#[derive(Debug, Clone)]
pub(in crate::catalog) struct CancelToken {
    given_up: Arc<AtomicBool>,
    until: Instant,
    /// Progress that the reader updates.
    pub(in crate::catalog) progress: Progress,
}

/// A reader was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("reading it takes longer than {} seconds", READ_MAX.as_secs())]
pub(in crate::catalog) struct Stopped;

impl CancelToken {
    /// Stops after so long, or when told so.
    pub(in crate::catalog) fn after(time: Duration) -> Self {
        Self {
            given_up: Arc::default(),
            until: Instant::now() + time,
            progress: Progress::default(),
        }
    }

    /// An error once it is time to stop. Cheap, but for thousands of times and not for millions.
    pub(in crate::catalog) fn check(&self) -> Result<(), Stopped> {
        let is_up = self.given_up.load(Ordering::Relaxed) || Instant::now() > self.until;
        if is_up { Err(Stopped) } else { Ok(()) }
    }
}

/// Set when whoever waits goes away.
struct GivenUp(Arc<AtomicBool>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Reads in its turn, on a thread of its own. When the future is dropped, the reader is told to
/// stop. It says to `progress` how far it is.
pub(in crate::catalog) async fn read<T: Send + 'static>(
    progress: Progress,
    read: impl FnOnce(&CancelToken) -> Result<T, ConnectError> + Send + 'static,
) -> Result<T, ConnectError> {
    // It is never closed; were it, reading would merely not be bounded.
    let turn = READERS.acquire().await;
    let stop = CancelToken { progress, ..CancelToken::after(READ_MAX) };
    let _given_up = GivenUp(stop.given_up.clone());
    let done = offload(move || {
        let _turn = turn;
        read(&stop)
    });
    done.await.unwrap_or_else(|_| Err(ConnectError::new("reading its description panicked")))
}

#[cfg(test)]
mod tests;
