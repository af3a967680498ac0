//! The one error the outside sees. Every module's own error is turned into it here, and nowhere
//! else.

use std::error::Error;

use crate::model::{ErrorCode, ErrorKind};

/// A failure for two readers: `message` and `hint` for the caller, the chain of sources for the
/// log.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ServiceError {
    /// For programs that act on it.
    pub code: ErrorCode,
    /// For the caller: lower case, names the thing, states the bound and the value.
    pub message: String,
    /// The way out.
    pub hint: Option<String>,
    /// When a retry may help, in milliseconds.
    pub retry_after_ms: Option<u64>,
    /// For the log only.
    #[source]
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl ServiceError {
    /// A failure without a hint.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None, retry_after_ms: None, source: None }
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        self.code.kind()
    }

    /// With the way out.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// With what went wrong below.
    pub fn caused_by(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}
