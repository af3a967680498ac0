//! Runs guest programs in worker processes: the pool, permits, clocks and limits, and the frames
//! between broker and worker.
//!
//! The broker's side implements [`Runtime`], never initialises an engine and treats every worker as
//! hostile. The worker's side ([`worker`]) is the same executable, re-executed. Neither side knows
//! a tool, a policy or a store: a guest reaches only what its [`ToolHost`] answers.

mod buffers;
mod carried;
mod clock;
mod config;
mod connection;
pub mod deno;
mod error;
pub mod history;
mod host;
mod local;
#[cfg(feature = "intake")]
mod lockdown;
mod locks;
mod pool;
mod process;
pub mod protocol;
mod run;
mod runtime;
mod schedule;
mod v8_options;
pub mod worker;

pub use clock::{ClockPause, WallClock};
pub use config::{Engine, Isolation, LOCAL_DENO, LOCAL_V8, SandboxConfig};
pub use error::SandboxError;
pub use host::{ToolCall, ToolHost};
pub use local::Sandbox;
#[cfg(feature = "intake")]
pub use lockdown::{LockdownError, jail::Jail};
pub use locks::{Lock, LockTier, Locks};
pub use process::WorkerCommand;
pub use protocol::CallFailure;
pub use runtime::{
    EngineReport, GuestInputs, Lease, Outcome, Run, RunReport, Runtime, RuntimeHealth,
};
pub use v8_options::V8Options;
