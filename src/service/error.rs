//! The one error the outside sees. Every module's own error is turned into it here, and nowhere
//! else.

use std::error::Error;

use crate::model::{ErrorCode, ErrorKind};

/// A failure for two readers: `message` and `hint` for the caller, the chain of sources for the
/// log.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ServiceError {
    /// The code, for programs that act on it.
    pub code: ErrorCode,
    /// The message for the caller: lower case, names the thing, states the bound and the value.
    pub message: String,
    /// The remedy.
    pub hint: Option<String>,
    /// Time after which a retry may help, in milliseconds.
    pub retry_after_ms: Option<u64>,
    /// The cause, for the log only.
    #[source]
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl ServiceError {
    /// A failure without a hint.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None, retry_after_ms: None, source: None }
    }

    /// The kind of failure.
    pub fn kind(&self) -> ErrorKind {
        self.code.kind()
    }

    /// Adds the remedy.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the cause.
    pub fn caused_by(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}
