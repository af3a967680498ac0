//! The one error the outside sees. Every module's own error is turned into it here, and nowhere
//! else.

use std::error::Error;

/// What kind of failure it was; each protocol maps it to its own codes in one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The request is not well formed or out of bounds.
    InvalidInput,
    /// There is no such thing, or it is not the caller's.
    NotFound,
    /// The caller may not.
    Denied,
    /// It does not fit the present state.
    Conflict,
    /// A bound was reached; later it may work.
    LimitHit,
    /// Something that is needed does not work now.
    Unavailable,
    /// It was cancelled.
    Cancelled,
    /// A bug or a broken machine.
    Internal,
}

impl Kind {
    /// Whether the same request may succeed later.
    pub fn retryable(self) -> bool {
        match self {
            Self::LimitHit | Self::Unavailable => true,
            Self::InvalidInput
            | Self::NotFound
            | Self::Denied
            | Self::Conflict
            | Self::Cancelled
            | Self::Internal => false,
        }
    }
}

/// A failure for two readers: `message` and `hint` for the caller, the chain of sources for the
/// log.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ServiceError {
    /// What kind.
    pub kind: Kind,
    /// Machine-readable, where a client would act on it: `unknown_runtime`, `busy`.
    pub code: &'static str,
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
    pub fn new(kind: Kind, code: &'static str, message: impl Into<String>) -> Self {
        Self { kind, code, message: message.into(), hint: None, retry_after_ms: None, source: None }
    }

    /// Bad input.
    pub fn invalid(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Kind::InvalidInput, code, message)
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
