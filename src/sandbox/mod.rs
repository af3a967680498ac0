//! Where guests run: worker processes, their pool, and the frames to them.
//!
//! The broker's side ([`Sandbox`]) never initialises the engine and takes every worker for hostile. The worker's side
//! ([`worker`]) is the same executable, re-executed. Neither knows any tool, policy or store: what a guest may reach is
//! what the [`ToolHost`] it is given answers.

pub mod protocol;
pub mod worker;

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;

use crate::model::{LogLine, RawJson, TaskError};
pub use protocol::CallFailure;

/// Answers the calls of guests. The one way out of a sandbox, so the place where policy stands.
pub trait ToolHost: Send + Sync + 'static {
    /// Performs one call. Dropped when the run ends before it does; then the call must be aborted upstream.
    fn call(&self, call: ToolCall) -> BoxFuture<'static, Result<RawJson, CallFailure>>;

    /// Takes one line of console output, as it is written.
    fn log(&self, line: LogLine);
}

/// One use of a tool by a guest.
#[derive(Debug, Clone)]
pub struct ToolCall {
    /// Its number in the run, from 1, in the order in which the guest issued calls.
    pub seq: u32,
    /// The tool's path, dots between the segments: `github.issues.create`. Not yet known to exist.
    pub path: String,
    /// The arguments; well-formed JSON, nothing else is checked.
    pub args: RawJson,
}
