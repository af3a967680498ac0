//! Where guests run: worker processes, their pool, and the frames to them.
//!
//! The broker's side ([`Sandbox`]) never initialises the engine and takes every worker for hostile. The worker's side
//! ([`worker`]) is the same executable, re-executed. Neither knows any tool, policy or store: what a guest may reach is
//! what the [`ToolHost`] it is given answers.

mod clock;
mod connection;
mod pool;
mod process;
pub mod protocol;
mod run;
mod schedule;
pub mod worker;

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::model::{LogLine, Logs, RawJson, TaskError, Usage};
pub use clock::{Hold, WallClock};
use pool::Pool;
pub use process::WorkerCommand;
use process::{Snapshot, Spawner};
pub use protocol::CallFailure;
pub use run::Lease;
use schedule::{Full, Schedule};

/// Answers the calls of guests. The one way out of a sandbox, so the place where policy stands.
pub trait ToolHost: Send + Sync + 'static {
    /// Performs one call. Dropped when the run ends before it does; then the call must be aborted upstream.
    fn call(&self, call: ToolCall) -> BoxFuture<'static, Result<RawJson, CallFailure>>;

    /// Takes one line of console output, as it is written.
    fn log(&self, line: &LogLine);
}

/// One use of a tool by a guest.
#[derive(Debug, Clone)]
pub struct ToolCall {
    /// Its number in the run, from 1, in the order in which the guest issued calls.
    pub seq: u32,
    /// The line of the guest's source that issued it, from 1, where the worker says so: a help for people, never a fact.
    pub line: Option<u32>,
    /// The tool's path, dots between the segments: `github.issues.create`. Not yet known to exist.
    pub path: String,
    /// The arguments; well-formed JSON, nothing else is checked.
    pub args: RawJson,
}

/// What to run.
#[derive(Debug, Clone)]
pub struct Run {
    /// The guest's source as the caller gave it.
    pub code: String,
    /// Milliseconds it may take, those not counted in which it waits for a person.
    pub wall_ms_max: u64,
    /// Milliseconds of CPU it may take.
    pub cpu_ms_max: u64,
}

/// How a run ended.
#[derive(Debug)]
pub enum Outcome {
    /// The code returned.
    Returned {
        /// The value as JSON.
        value: RawJson,
    },
    /// It threw, did not parse, or its promise can never settle.
    Threw {
        /// What it threw.
        error: TaskError,
        /// Said by the worker: the call whose failure, unhandled, ended the run. To be believed only for a call that was refused.
        call: Option<u32>,
    },
    /// Heap or array buffers reached their bound.
    MemoryLimit {
        /// Names the limit.
        message: String,
    },
    /// The CPU budget ran out.
    CpuLimit,
    /// The wall limit was reached.
    WallLimit,
    /// It was told to stop.
    Cancelled,
    /// The worker died or broke the protocol. Nothing is known of effects that were under way.
    Lost {
        /// What was seen, for the caller.
        detail: String,
    },
}

/// The end of a run and what it used. `queue_ms` is the caller's to fill.
#[derive(Debug)]
pub struct RunReport {
    /// How it ended.
    pub outcome: Outcome,
    /// What it used.
    pub usage: Usage,
    /// Console output.
    pub logs: Logs,
    /// What the caller should know.
    pub warnings: Vec<String>,
}

/// How far tenants and tasks are kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// Processes belong to a tenant; each task gets a fresh isolate.
    Tenant,
    /// Each task gets a fresh process.
    Task,
}

/// Bounds of the sandbox.
#[derive(Debug, Clone)]
pub struct SandboxConfig {
    /// How workers are started.
    pub command: WorkerCommand,
    /// How far tasks are kept apart.
    pub isolation: Isolation,
    /// Guests that run at once; ones that wait do not count.
    pub running_max: usize,
    /// Guests that exist at once, each in a process of its own.
    pub workers_max: usize,
    /// Armed workers kept ready for whoever comes.
    pub workers_spare: usize,
    /// Guests that wait to begin.
    pub queue_max: usize,
    /// Guests after which a worker is replaced.
    pub tasks_per_worker: u32,
    /// Age at which a worker is replaced.
    pub worker_age_max: Duration,
    /// Bounds of each guest.
    pub setup: protocol::Setup,
}

/// Runs guests. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sandbox {
    config: Arc<SandboxConfig>,
    schedule: Schedule,
    pool: Pool,
    engine: Arc<str>,
    locks: Arc<str>,
}

/// Why a guest could not begin.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// As many wait as may.
    #[error("{queue_max} tasks are waiting to begin, the most that may")]
    Busy {
        /// The bound.
        queue_max: usize,
    },
    /// The snapshot could not be made.
    #[error("the engine's snapshot could not be made")]
    Snapshot {
        /// What failed.
        #[source]
        source: std::io::Error,
    },
    /// A worker could not be started.
    #[error("a worker process could not be started")]
    WorkerStart {
        /// What failed.
        #[source]
        source: std::io::Error,
    },
    /// `return 1 + 1` did not give 2.
    #[error("the engine's self-test failed: {detail}")]
    SelfTest {
        /// What came instead.
        detail: String,
    },
    /// The sandbox was closed.
    #[error("the server is stopping")]
    Closed,
}

impl Sandbox {
    /// Bakes the snapshot, starts the spare workers and runs one guest as a self-test.
    pub async fn start(config: SandboxConfig) -> Result<Self, SandboxError> {
        let command = config.command.clone();
        let snapshot = tokio::task::spawn_blocking(move || Snapshot::bake(&command))
            .await
            .expect("baking does not panic")
            .map_err(|source| SandboxError::Snapshot { source })?;
        let spawner = Spawner::start(config.command.clone(), snapshot).map_err(|source| SandboxError::WorkerStart { source })?;
        let schedule = Schedule::new(config.running_max, config.workers_max, config.queue_max);
        let pool = Pool::start(spawner, config.clone());
        let mut sandbox = Self { config: Arc::new(config), schedule, pool, engine: "".into(), locks: "".into() };
        sandbox.self_test().await?;
        Ok(sandbox)
    }

    /// Waits for a turn and a worker. Dropping the future gives the turn up.
    pub async fn admit(&self, tenant: &str) -> Result<Lease, SandboxError> {
        let (place, permit) = self.schedule.admit(tenant).await.map_err(|Full { queue_max }| SandboxError::Busy { queue_max })?;
        let worker = self.pool.take(tenant).await?;
        Ok(Lease { sandbox: self.clone(), worker, place, permit })
    }

    /// Name and version of the engine.
    pub fn engine(&self) -> &str {
        &self.engine
    }

    /// The operating system's locks on the workers.
    pub fn locks(&self) -> &str {
        &self.locks
    }

    /// Guests that wait to begin.
    pub fn queued(&self) -> usize {
        self.schedule.queued()
    }

    /// Living worker processes.
    pub fn workers(&self) -> usize {
        self.pool.alive()
    }

    /// Ends idle workers and refuses new guests; those that run are not touched.
    pub fn close(&self) {
        self.pool.close();
    }

    async fn self_test(&mut self) -> Result<(), SandboxError> {
        struct NoTools;
        impl ToolHost for NoTools {
            fn call(&self, call: ToolCall) -> BoxFuture<'static, Result<RawJson, CallFailure>> {
                let message = format!("the self-test called `{}`", call.path);
                Box::pin(async {
                    Err(CallFailure { name: "ToolNotFoundError".into(), message, properties: crate::model::JsonObject::new() })
                })
            }
            fn log(&self, _: &LogLine) {}
        }
        // A tenant of its own: no caller's workspace has an empty name.
        let lease = self.admit("").await?;
        (self.engine, self.locks) = (lease.worker.armed.engine.as_str().into(), lease.worker.armed.sandbox.as_str().into());
        let run = Run { code: "return 1 + 1".into(), wall_ms_max: 10_000, cpu_ms_max: 10_000 };
        let mut lease = lease;
        lease.worker.retire();
        let report = lease.run(run, Arc::new(NoTools), &WallClock::new(), &CancellationToken::new()).await;
        match report.outcome {
            Outcome::Returned { value } if value.get() == "2" => Ok(()),
            other => Err(SandboxError::SelfTest { detail: format!("{other:?}") }),
        }
    }
}
