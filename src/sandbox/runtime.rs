//! The interface of a runtime: what the task engine knows of whatever runs programs.
//!
//! Names no engine, process or frame, so a runtime may be anything that can run a program against a
//! [`ToolHost`].

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::{
    clock::WallClock, error::SandboxError, history::Entry, host::ToolHost, locks::Locks,
    protocol::Setup,
};
use crate::model::{Logs, RawJson, Seed, TaskError, Timestamp, Usage};

/// Runs programs. Tasks name it by its id.
pub trait Runtime: Send + Sync + 'static {
    /// The value of `runtimeId` that selects it.
    fn id(&self) -> &str;

    /// Waits until the tenant may run a program, in turn with other tenants. Dropping the future
    /// leaves the queue.
    ///
    /// # Errors
    /// If the queue is full, the runtime cannot be started, or it was closed.
    fn admit<'a>(&'a self, tenant: &'a str) -> BoxFuture<'a, Result<Box<dyn Lease>, SandboxError>>;

    /// Number of programs that wait to begin.
    fn queued(&self) -> usize;

    /// The present state, for operators. Does not block.
    fn health(&self) -> RuntimeHealth;

    /// Sets the bounds of programs that begin from now on, and of the queue.
    fn set_limits(&self, setup: Setup, queue_max: usize);

    /// Refuses new programs and releases idle resources; programs that run are not affected.
    fn close(&self);
}

/// The right to run one program now.
pub trait Lease: Send {
    /// Runs one program to its end. `stop` ends it early as cancelled; dropping the future kills
    /// it.
    fn run<'a>(
        self: Box<Self>,
        run: Run,
        host: Arc<dyn ToolHost>,
        clock: &'a WallClock,
        stop: &'a CancellationToken,
    ) -> BoxFuture<'a, RunReport>;
}

/// One program and its limits.
#[derive(Debug, Clone)]
pub struct Run {
    /// The guest's source as the caller sent it.
    pub code: String,
    /// Wall time limit in milliseconds. Time spent waiting for an approval does not count.
    pub wall_ms_max: u64,
    /// CPU time limit in milliseconds.
    pub cpu_ms_max: u64,
    /// Time that the program only waits for approvals until its process is given up; none if it
    /// cannot run again.
    pub spill_after: Option<Duration>,
    /// What the guest sees of time and chance.
    pub guest: GuestInputs,
}

impl Run {
    /// A program that runs once, from now on.
    pub fn once(code: impl Into<String>, wall_ms_max: u64, cpu_ms_max: u64) -> Self {
        let now_ms = Timestamp::now().as_millisecond().try_into().unwrap_or(0);
        let guest = GuestInputs::first(Seed::random(), now_ms);
        Self { code: code.into(), wall_ms_max, cpu_ms_max, spill_after: None, guest }
    }
}

/// What a guest sees of time and chance, and the earlier run that it repeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestInputs {
    /// The origin of its clock, in milliseconds since 1970.
    pub origin_ms: u64,
    /// Milliseconds from the origin until now.
    pub elapsed_ms: u64,
    /// Seed of all its random numbers.
    pub seed: Seed,
    /// What the earlier run saw of time.
    pub history: Vec<Entry>,
    /// Calls that the earlier run issued. The host answers them again, in the same order.
    pub calls: u32,
    /// Responses that the earlier run received.
    pub responses: u32,
}

impl GuestInputs {
    /// Those of a first run, which begins now.
    pub fn first(seed: Seed, origin_ms: u64) -> Self {
        Self { origin_ms, elapsed_ms: 0, seed, history: Vec::new(), calls: 0, responses: 0 }
    }
}

/// Outcome of a run.
#[derive(Debug)]
pub enum Outcome {
    /// The code returned.
    Returned {
        /// The result as JSON.
        value: RawJson,
    },
    /// The code threw, did not parse, or awaits a promise that can never settle.
    Threw {
        /// The error that was thrown.
        error: TaskError,
        /// The call whose unhandled failure ended the run, as the worker reports it. Trust it only
        /// for a call that the host itself rejected.
        call: Option<u32>,
    },
    /// Heap or array buffers reached their limit.
    MemoryLimit {
        /// Names the limit.
        message: String,
    },
    /// The CPU time limit was reached.
    CpuLimit,
    /// The wall time limit was reached.
    WallLimit,
    /// The run was cancelled.
    Cancelled,
    /// The program only waits for approvals, and has given up its process meanwhile.
    Spilled,
    /// The worker died or broke the protocol. The effects of calls in flight are unknown.
    Lost {
        /// The observed cause, for the caller.
        detail: String,
    },
}

impl Outcome {
    /// True if the program came to it by itself, or because it was stopped: no limit, no failure of
    /// its process.
    pub fn is_own(&self) -> bool {
        matches!(self, Self::Returned { .. } | Self::Threw { .. } | Self::Cancelled)
    }
}

/// The end of a run and the resources it used. The caller fills in `usage.queue_ms`.
#[derive(Debug)]
pub struct RunReport {
    /// Outcome of the run.
    pub outcome: Outcome,
    /// Resources used.
    pub usage: Usage,
    /// Console output.
    pub logs: Logs,
    /// Warnings for the caller.
    pub warnings: Vec<String>,
}

/// State of a runtime, for operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeHealth {
    /// The engine; `None` until the runtime is first used.
    pub engine: Option<EngineReport>,
    /// Number of live worker processes.
    pub workers: usize,
    /// Number of programs that wait to begin.
    pub queued: usize,
}

/// Facts about a started engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineReport {
    /// Name and version.
    pub name: String,
    /// Operating-system locks on the process that runs guests.
    pub locks: Locks,
}
