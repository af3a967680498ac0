//! Errors of a sandbox before a guest begins. A guest's own failure is an [`Outcome`], not an
//! error.
//!
//! [`Outcome`]: super::Outcome

use std::{io, time::Duration};

use super::deno::DenoError;

/// Time after a failed start during which no other start is attempted: a failed start costs as much
/// as a good one, and guests can trigger it.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(60);

/// Reasons why a guest could not begin.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The queue is full.
    #[error("the queue is full: {queue_max} tasks are waiting to begin")]
    Busy {
        /// Length of the queue.
        queue_max: usize,
    },
    /// Deno was found but may not be used.
    #[error("Deno cannot be used")]
    Deno {
        /// The reason.
        #[source]
        source: DenoError,
    },
    /// A recent start failed and the next attempt is not due yet.
    #[error(
        "the runtime could not be started; the next attempt is in {} s: {detail}",
        RETRY_AFTER.as_secs()
    )]
    Failed {
        /// Error of the failed start.
        detail: String,
    },
    /// The snapshot could not be made.
    #[error("the engine's snapshot could not be made")]
    Snapshot {
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A worker could not be started.
    #[error("a worker process could not be started")]
    WorkerStart {
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// `return 1 + 1` did not return 2.
    #[error("the engine's self-test failed: {detail}")]
    SelfTest {
        /// The outcome of the self-test.
        detail: String,
    },
    /// The sandbox was closed.
    #[error("the server is stopping")]
    Closed,
}
