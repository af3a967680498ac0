//! The error of a lock that could not be applied.

use std::io;

/// Reasons for which the process must not continue.
#[derive(Debug, thiserror::Error)]
pub enum LockdownError {
    /// The kernel refused a step.
    #[error("{step}: {source}")]
    Refused {
        /// The attempted step.
        step: &'static str,
        /// The kernel's error.
        source: io::Error,
    },
    /// The broker died while this process started.
    #[error("the broker is gone")]
    Orphaned,
    /// The snapshot on descriptor 1 could be changed by others.
    #[error("descriptor 1 is not a sealed memory file")]
    Unsealed,
}

/// Adds the name of the attempted step to an error.
pub(super) fn step<T>(
    step: &'static str,
    result: Result<T, impl Into<io::Error>>,
) -> Result<T, LockdownError> {
    result.map_err(|source| LockdownError::Refused { step, source: source.into() })
}
