//! The interface through which guests reach the outside: the only way out of a sandbox.

use futures::future::BoxFuture;

use super::{history::Entry, protocol::CallFailure};
use crate::model::{LogLine, RawJson};

/// Performs the tool calls of guests. The only way out of a sandbox, so policy is enforced behind
/// it.
pub trait ToolHost: Send + Sync + 'static {
    /// Performs one call. The future is dropped if the run ends first; the call must then be
    /// aborted upstream.
    fn call(&self, call: ToolCall) -> BoxFuture<'static, Result<RawJson, CallFailure>>;

    /// Receives one line of console output as soon as it is written.
    fn log(&self, line: &LogLine);

    /// Receives what the guest saw of time, before any call that may depend on it.
    fn observed(&self, _entries: Vec<Entry>) {}
}

/// One tool call of a guest.
#[derive(Debug, Clone)]
pub struct ToolCall {
    /// Number of the call within the run, from 1, in the order in which the guest issued calls.
    pub seq: u32,
    /// Line of the guest's source that issued the call, from 1, if the worker reports it. For
    /// display only: the worker may lie.
    pub line: Option<u32>,
    /// Dotted path of the tool, such as `github.issues.create`. It may name no tool.
    pub path: String,
    /// The arguments: well-formed JSON, otherwise unchecked.
    pub args: RawJson,
}
