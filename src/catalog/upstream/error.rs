//! Errors of connecting to an upstream, and of calling its tools.

use std::time::Duration;

use crate::{
    catalog::{net::guard::ClientError, tool::Tool},
    model::ErrorCode,
};

/// Reason why an upstream could not be connected or listed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(in crate::catalog) struct ConnectError {
    /// Description of the failure; names the command or the URL.
    pub(in crate::catalog) message: String,
    /// The way out.
    pub(in crate::catalog) hint: Option<String>,
    /// True if only another configuration heals it, so that trying again soon is of no use.
    pub(in crate::catalog) permanent: bool,
}

impl ConnectError {
    pub(in crate::catalog) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, permanent: false }
    }

    pub(in crate::catalog) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(in crate::catalog) fn permanent(mut self, permanent: bool) -> Self {
        self.permanent = permanent;
        self
    }
}

impl From<ClientError> for ConnectError {
    fn from(error: ClientError) -> Self {
        Self::new(error.to_string())
    }
}

/// A call that an upstream did not answer with a result; what code sees as `ToolCallError`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct UpstreamError {
    /// Code of the failure.
    pub code: UpstreamErrorCode,
    /// Path of the tool.
    pub tool: String,
    /// HTTP status, where the upstream gave one.
    pub status: Option<u16>,
    /// True if the same call may succeed later and does no harm if the first one had an effect.
    pub retryable: bool,
    /// Description of the failure, at most 4 KiB; free of configured secrets.
    pub message: String,
}

/// Codes of failed calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamErrorCode {
    /// The upstream is not connected; nothing was sent.
    Unavailable,
    /// Too many calls wait for the upstream already; nothing was sent.
    Busy,
    /// No answer in time.
    Timeout,
    /// The connection broke after the call was sent.
    Lost,
    /// The tool ran and reported an error.
    ToolFailed,
    /// The arguments do not fit in a way that no schema tells; nothing was sent.
    InvalidArguments,
    /// The upstream refused the call or could not understand it.
    Refused,
    /// The upstream asked for a person's or a model's input, which is not offered to it.
    InputRequired,
    /// The answer is larger than is accepted.
    AnswerTooLarge,
    /// The answer is not what the protocol allows.
    BadAnswer,
}

impl UpstreamErrorCode {
    /// Returns true if a call that was sent and failed so certainly had no effect.
    pub fn had_no_effect(self) -> bool {
        !matches!(self, Self::Timeout | Self::Lost | Self::AnswerTooLarge | Self::BadAnswer)
    }

    /// The name in the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unavailable => ErrorCode::UpstreamUnavailable.as_str(),
            Self::Busy => ErrorCode::UpstreamBusy.as_str(),
            Self::Timeout => ErrorCode::UpstreamTimeout.as_str(),
            Self::Lost => ErrorCode::UpstreamLost.as_str(),
            Self::ToolFailed => ErrorCode::ToolFailed.as_str(),
            Self::InvalidArguments => ErrorCode::InvalidToolArguments.as_str(),
            Self::Refused => ErrorCode::UpstreamRejected.as_str(),
            Self::InputRequired => ErrorCode::InputRequired.as_str(),
            Self::AnswerTooLarge => ErrorCode::ResponseTooLarge.as_str(),
            Self::BadAnswer => ErrorCode::InvalidResponse.as_str(),
        }
    }
}

impl UpstreamError {
    /// A failure that a retry does not heal.
    pub(in crate::catalog) fn new(
        code: UpstreamErrorCode,
        tool: &Tool,
        message: impl Into<String>,
    ) -> Self {
        Self {
            code,
            tool: tool.path.clone(),
            status: None,
            retryable: false,
            message: message.into(),
        }
    }

    /// An answer that is larger than is accepted.
    pub(in crate::catalog) fn too_large(tool: &Tool, bytes_max: usize) -> Self {
        let message = format!(
            "the response of `{}` is larger than {bytes_max} bytes; ask for less, page by page \
            where the tool can",
            tool.path
        );
        Self::new(UpstreamErrorCode::AnswerTooLarge, tool, message)
    }

    /// The failure of a call whose upstream was changed or removed meanwhile.
    pub(in crate::catalog) fn retired(tool: &Tool) -> Self {
        let message = format!(
            "the call of `{}` was ended, because upstream `{}` was changed in the configuration or \
            removed from it; it is not known whether it took effect",
            tool.path, tool.upstream
        );
        Self::new(UpstreamErrorCode::Lost, tool, message)
    }

    /// No answer within the time of a call.
    pub(in crate::catalog) fn late(tool: &Tool, limit: Duration) -> Self {
        let limit = limit.as_millis();
        let message = format!(
            "`{}` did not answer within {limit} ms; the call was cancelled, and it is not known \
            whether it took effect",
            tool.path
        );
        let harmless =
            tool.annotations.read_only == Some(true) || tool.annotations.idempotent == Some(true);
        Self::new(UpstreamErrorCode::Timeout, tool, message).retryable(harmless)
    }

    pub(in crate::catalog) fn retryable(mut self, retryable: bool) -> Self {
        self.retryable = retryable;
        self
    }

    pub(in crate::catalog) fn status(mut self, status: Option<u16>) -> Self {
        self.status = status;
        self
    }
}
