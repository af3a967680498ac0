//! What every kind of upstream can do, and how it fails. A kind knows nothing of the catalog, of
//! queues or of restarts.

use std::time::Duration;

use futures::future::BoxFuture;

use super::{
    answer::Answer,
    tool::{OfferedTool, Tool},
};
use crate::model::JsonObject;

/// Largest value that a call may ever return, in bytes of JSON; the owner may set less.
pub(super) const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Takes what an upstream says of how far a call is: one short line, the latest counts.
pub type CallNews = std::sync::Arc<dyn Fn(&str) + Send + Sync>;

/// One kind of outside service, configured and not yet reached.
pub(super) trait Upstream: Send + Sync + 'static {
    /// `mcp`, as in the configuration.
    fn kind(&self) -> &'static str;

    /// What makes it this service and no other: its address or its command. Tools that were kept
    /// are only taken for the same one. Never shown; it may hold what is secret.
    fn origin(&self) -> String;

    /// How far its description is read: pieces that are, and all of them. None of none where that
    /// takes no time.
    fn progress(&self) -> (usize, usize) {
        (0, 0)
    }

    /// Reaches it. Bounded by the caller; dropped, it leaves nothing behind.
    fn connect(&self) -> BoxFuture<'_, Result<Box<dyn Connection>, ConnectError>>;
}

/// An upstream that was reached.
pub(super) trait Connection: Send + Sync + 'static {
    /// Asks for all its tools, bounded in number and size.
    fn tools(&self) -> BoxFuture<'_, Result<Offer, ConnectError>>;

    /// Performs one call. Dropped before its end, the upstream is told to stop.
    fn call<'a>(
        &'a self,
        tool: &'a Tool,
        args: JsonObject,
    ) -> BoxFuture<'a, Result<Answer, UpstreamError>>;

    /// The same; what the upstream says meanwhile goes to `news`. Most kinds of upstream say
    /// nothing.
    fn call_followed<'a>(
        &'a self,
        tool: &'a Tool,
        args: JsonObject,
        news: CallNews,
    ) -> BoxFuture<'a, Result<Answer, UpstreamError>> {
        drop(news);
        self.call(tool, args)
    }

    /// A call was not answered in time. Where that may mean that nobody is there any more, it is
    /// found out, beside other calls.
    fn doubt(&self) {}

    /// Where calls of this tool go, for people: `GET https://host/pets/{petId}`. Without values,
    /// and without what stands in a query.
    fn route(&self, tool: &Tool) -> Option<String> {
        let _ = tool;
        None
    }

    /// Whether a call can be sent at all.
    fn is_open(&self) -> bool;

    /// Waits for the next thing that changes what the catalog knows.
    fn event(&self) -> BoxFuture<'_, ConnectionEvent>;

    /// What keeps calls from being sent at present although it is open, if anything; shown in its
    /// status.
    fn trouble(&self) -> Option<String> {
        None
    }

    /// Ends it and everything that was started for it, within a few seconds.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// What an upstream offers.
#[derive(Debug, Default)]
pub(super) struct Offer {
    /// In the upstream's order.
    pub(super) tools: Vec<OfferedTool>,
    /// What was left out, if anything.
    pub(super) note: Option<String>,
}

/// What happened to a connection.
#[derive(Debug)]
pub(super) enum ConnectionEvent {
    /// The tools may be others now.
    ListChanged,
    /// It is gone, and why.
    Closed(String),
}

/// Why an upstream could not be reached or listed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(super) struct ConnectError {
    /// What failed; names the command or the address.
    pub(super) message: String,
    /// The way out.
    pub(super) hint: Option<String>,
    /// Whether only another configuration heals it, so that trying again soon is of no use.
    pub(super) lasting: bool,
}

impl ConnectError {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, lasting: false }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn lasting(mut self, lasting: bool) -> Self {
        self.lasting = lasting;
        self
    }
}

/// A call that an upstream did not answer with a result; what code sees as `ToolCallError`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct UpstreamError {
    /// Which failure.
    pub code: UpstreamErrorCode,
    /// Path of the tool.
    pub tool: String,
    /// HTTP status, where the upstream gave one.
    pub status: Option<u16>,
    /// Whether the same call may succeed later and does no harm if the first one had an effect.
    pub retryable: bool,
    /// What happened, at most 4 KiB; free of configured secrets.
    pub message: String,
}

/// Which failure of a call.
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
    /// The name in the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unavailable => "upstream_unavailable",
            Self::Busy => "upstream_busy",
            Self::Timeout => "upstream_timeout",
            Self::Lost => "upstream_lost",
            Self::ToolFailed => "tool_failed",
            Self::InvalidArguments => "invalid_arguments",
            Self::Refused => "upstream_refused",
            Self::InputRequired => "input_required",
            Self::AnswerTooLarge => "answer_too_large",
            Self::BadAnswer => "bad_answer",
        }
    }
}

impl UpstreamError {
    /// A failure that a retry does not heal.
    pub(super) fn new(code: UpstreamErrorCode, tool: &Tool, message: impl Into<String>) -> Self {
        Self {
            code,
            tool: tool.path.clone(),
            status: None,
            retryable: false,
            message: message.into(),
        }
    }

    /// An answer that is larger than is accepted.
    pub(super) fn too_large(tool: &Tool, bytes_max: usize) -> Self {
        let message = format!(
            "the answer of `{}` is larger than {bytes_max} bytes; ask for less, page by page \
            where the tool can",
            tool.path
        );
        Self::new(UpstreamErrorCode::AnswerTooLarge, tool, message)
    }

    /// No answer within the time of a call.
    pub(super) fn late(tool: &Tool, limit: Duration) -> Self {
        let limit = limit.as_millis();
        let message = format!(
            "`{}` did not answer within {limit} ms; the call was cancelled, whether it had an \
            effect is not known",
            tool.path
        );
        let harmless =
            tool.annotations.read_only == Some(true) || tool.annotations.idempotent == Some(true);
        Self::new(UpstreamErrorCode::Timeout, tool, message).retryable(harmless)
    }

    pub(super) fn retryable(mut self, retryable: bool) -> Self {
        self.retryable = retryable;
        self
    }

    pub(super) fn status(mut self, status: Option<u16>) -> Self {
        self.status = status;
        self
    }
}
