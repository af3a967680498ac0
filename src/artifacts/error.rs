//! Errors about artifacts.

use crate::store::StoreError;

/// Errors of operations on artifacts.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// No artifact of that name: not here, not any more, or not this workspace's.
    #[error(
        "there is no artifact `{0}`: it has expired, was removed or never was; \
        `tools.artifacts.list()` names those there are"
    )]
    NotFound(String),
    /// The arguments do not fit.
    #[error("{0}")]
    InvalidArguments(String),
    /// The artifacts in the arguments of a call are too large, or too many.
    #[error("{0}")]
    ArgumentsTooLarge(String),
    /// The response of a call that was made does not fit into its workspace.
    #[error(
        "the call of `{tool}` was made, and its response of {bytes} bytes cannot be stored: this \
        workspace has {used} of {bytes_max} bytes in use; make room with \
        `await tools.artifacts.remove({{ id }})` (`tools.artifacts.list()` names the ids), ask for \
        less, or raise `artifacts.workspace_mb`"
    )]
    QuotaExceeded {
        /// The tool's path.
        tool: String,
        /// The length of the response.
        bytes: u64,
        /// The bytes that the workspace's artifacts have together.
        used: u64,
        /// The most that they may have.
        bytes_max: u64,
    },
    /// The store failed.
    #[error("the artifact could not be read or written: the store failed")]
    Store(#[source] StoreError),
    /// The stored artifact is not what was written.
    #[error("the artifact is not readable")]
    Unreadable,
}
