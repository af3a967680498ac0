//! Errors of requests to a service, and the errors of calls that they become.

use std::time::Duration;

use crate::catalog::{
    redact::Secrets,
    tool::Tool,
    upstream::error::{UpstreamError, UpstreamErrorCode},
};

/// Reason why there is no response. Free of the upstream's secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::catalog) enum ServiceFailure {
    /// The address or the origin is not allowed; nothing was sent.
    #[error("{0}")]
    Refused(String),
    /// A redirect that leads to no result; the request may have had its effect.
    #[error("{0}")]
    Astray(String),
    /// No connection; nothing was sent.
    #[error("it could not be reached: {0}")]
    Unreachable(String),
    /// Too many failures in a row; nothing was sent.
    #[error("it failed too often, the next try is made in {} s", retry_after.as_secs().max(1))]
    CircuitOpen {
        /// Time until the next request may be sent.
        retry_after: Duration,
    },
    /// No answer within the time of the call.
    #[error("it did not answer in time")]
    Timeout,
    /// The connection broke, or what came is not HTTP.
    #[error("the connection broke before it answered: {0}")]
    Lost(String),
    /// The answer began, and nothing more of it came for so many seconds.
    #[error("it sent nothing for {0} s in the middle of its answer")]
    Silent(u64),
    /// The answer is larger than so many bytes.
    #[error("its answer is larger than {0} bytes")]
    TooLarge(usize),
    /// The answer is encoded in a way that is not read, or not as it says; the request was
    /// answered.
    #[error("{0}")]
    Encoding(String),
    /// The credential could not be had; nothing was sent.
    #[error("its credential cannot be used: {0}")]
    Credential(String),
}

impl ServiceFailure {
    /// Converts it to the error of a call.
    pub(in crate::catalog) fn into_upstream_error(self, tool: &Tool) -> UpstreamError {
        use UpstreamErrorCode as Code;
        let upstream = &tool.upstream;
        let harmless =
            tool.annotations.read_only == Some(true) || tool.annotations.idempotent == Some(true);
        let error = |code, message: String| UpstreamError::new(code, tool, message);
        let unknown = "it is not known whether the call took effect";
        match &self {
            Self::TooLarge(bytes_max) => UpstreamError::too_large(tool, *bytes_max),
            Self::Refused(why) => {
                error(Code::Refused, format!("a call of `{upstream}` was not sent: {why}"))
            }
            Self::Astray(why) => {
                error(Code::BadAnswer, format!("`{upstream}` gave no result: {why}; {unknown}"))
            }
            Self::Encoding(why) => error(
                Code::BadAnswer,
                format!("the answer of `{upstream}` cannot be read: {why}; {unknown}"),
            ),
            Self::Credential(_) => {
                error(Code::Unavailable, format!("`{upstream}` cannot be called: {self}"))
            }
            Self::Unreachable(_) | Self::CircuitOpen { .. } => {
                error(Code::Unavailable, format!("`{upstream}` is not available: {self}"))
                    .retryable(true)
            }
            Self::Timeout => {
                error(Code::Timeout, format!("`{upstream}`: {self}; {unknown}")).retryable(harmless)
            }
            Self::Lost(_) | Self::Silent(_) => {
                error(Code::Lost, format!("`{upstream}`: {self}; {unknown}")).retryable(harmless)
            }
        }
    }

    /// Converts an error of a request that followed a redirect: the request before it was sent and
    /// answered.
    pub(super) fn of_redirect(self, place: &str) -> Self {
        match self {
            Self::Refused(_) | Self::Unreachable(_) => {
                Self::Astray(format!("it redirects to `{place}`: {self}"))
            }
            other => other,
        }
    }

    pub(super) fn redacted(self, secrets: &Secrets) -> Self {
        let clean = |text: String| secrets.redact(&text).into_owned();
        match self {
            Self::Refused(text) => Self::Refused(clean(text)),
            Self::Astray(text) => Self::Astray(clean(text)),
            Self::Unreachable(text) => Self::Unreachable(clean(text)),
            Self::Lost(text) => Self::Lost(clean(text)),
            Self::Encoding(text) => Self::Encoding(clean(text)),
            Self::Credential(text) => Self::Credential(clean(text)),
            other => other,
        }
    }
}
