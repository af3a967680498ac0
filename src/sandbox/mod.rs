//! Where guests run: worker processes, their pool, and the frames to them.
//!
//! The broker's side ([`Sandbox`]) never initialises the engine and takes every worker for hostile.
//! The worker's side ([`worker`]) is the same executable, re-executed. Neither knows any tool,
//! policy or store: what a guest may reach is what the [`ToolHost`] it is given answers.

mod buffers;
mod clock;
mod connection;
pub mod deno;
#[cfg(feature = "intake")]
mod lockdown;
mod pool;
mod process;
pub mod protocol;
mod run;
mod schedule;
pub mod worker;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::BoxFuture;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use crate::{
    base::offload::offload,
    model::{LogLine, Logs, RawJson, TaskError, Usage},
};
use pool::Pool;
use process::{Snapshot, Spawner};
use schedule::{Full, Schedule};

pub use clock::{Hold, WallClock};
#[cfg(feature = "intake")]
pub use lockdown::{LockdownError, jail::Jail};
pub use process::WorkerCommand;
pub use protocol::CallFailure;
pub use run::Lease;

/// Answers the calls of guests. The one way out of a sandbox, so the place where policy stands.
pub trait ToolHost: Send + Sync + 'static {
    /// Performs one call. Dropped when the run ends before it does; then the call must be aborted
    /// upstream.
    fn call(&self, call: ToolCall) -> BoxFuture<'static, Result<RawJson, CallFailure>>;

    /// Takes one line of console output, as it is written.
    fn log(&self, line: &LogLine);
}

/// One use of a tool by a guest.
#[derive(Debug, Clone)]
pub struct ToolCall {
    /// Its number in the run, from 1, in the order in which the guest issued calls.
    pub seq: u32,
    /// The line of the guest's source that issued it, from 1, where the worker says so: a help for
    /// people, never a fact.
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
        /// Said by the worker: the call whose failure, unhandled, ended the run. To be believed
        /// only for a call that was refused.
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

/// What runs guests.
#[derive(Debug, Clone)]
pub enum Engine {
    /// V8 in the worker itself, an isolate for each task.
    V8(WorkerCommand),
    /// Deno as a jailed child of the worker, a realm for each task.
    Deno {
        /// How workers are started, but for what concerns Deno.
        command: WorkerCommand,
        /// Its executables that were found; at the start the first that may be used is taken.
        candidates: Vec<PathBuf>,
        /// The SHA-256 of one that may be used beside those that are known, in lower-case
        /// hexadecimal digits.
        allowed_sha256: Option<String>,
    },
}

/// Bounds of the sandbox.
#[derive(Debug, Clone)]
pub struct SandboxConfig {
    /// What runs guests.
    pub engine: Engine,
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

/// How long a start that failed is not tried again: it costs as much as a good one, and guests can
/// ask for it.
const RETRY_AFTER: Duration = Duration::from_secs(60);

/// Runs guests. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sandbox {
    config: Arc<SandboxConfig>,
    schedule: Schedule,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    started: OnceCell<Started>,
    /// When and why the last start failed.
    failed: Mutex<Option<(Instant, String)>>,
    closed: CancellationToken,
}

/// What there is once the engine works.
#[derive(Debug)]
struct Started {
    pool: Pool,
    engine: String,
    locks: String,
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
    /// Deno is there and may not be used.
    #[error("Deno cannot be used")]
    Deno {
        /// Why.
        #[source]
        source: deno::DenoError,
    },
    /// A start failed a moment ago and is not tried again yet.
    #[error("the runtime could not be started, and is tried again in {} s: {detail}", RETRY_AFTER.as_secs())]
    Failed {
        /// What failed then.
        detail: String,
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
    /// Starts one whose engine works: looks into it, bakes what workers start from, starts the
    /// spare workers and runs one guest as a self-test.
    pub async fn start(config: SandboxConfig) -> Result<Self, SandboxError> {
        let sandbox = Self::at_first_use(config);
        sandbox.started().await?;
        Ok(sandbox)
    }

    /// One that does all that when its first guest comes.
    pub fn at_first_use(config: SandboxConfig) -> Self {
        let schedule = Schedule::new(config.running_max, config.workers_max, config.queue_max);
        Self { config: Arc::new(config), schedule, state: Arc::default() }
    }

    /// Waits for a turn and a worker. Dropping the future gives the turn up.
    pub async fn admit(&self, tenant: &str) -> Result<Lease, SandboxError> {
        // Before the turn: the self-test needs one of its own.
        let started = self.started().await?;
        self.lease(&started.pool, tenant).await
    }

    async fn lease(&self, pool: &Pool, tenant: &str) -> Result<Lease, SandboxError> {
        let (place, permit) = self
            .schedule
            .admit(tenant)
            .await
            .map_err(|Full { queue_max }| SandboxError::Busy { queue_max })?;
        let worker = pool.take(tenant).await?;
        Ok(Lease { sandbox: self.clone(), pool: pool.clone(), worker, place, permit })
    }

    async fn started(&self) -> Result<&Started, SandboxError> {
        self.state.started.get_or_try_init(|| self.bring_up()).await
    }

    async fn bring_up(&self) -> Result<Started, SandboxError> {
        if self.state.closed.is_cancelled() {
            return Err(SandboxError::Closed);
        }
        if let Some((_, detail)) =
            self.failed().as_ref().filter(|(at, _)| at.elapsed() < RETRY_AFTER)
        {
            return Err(SandboxError::Failed { detail: detail.clone() });
        }
        let brought_up = self.try_bring_up().await;
        if let Err(error) = &brought_up {
            let causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| {
                error.source()
            });
            let detail = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
            tracing::error!("a runtime could not be started: {detail}");
            *self.failed() = Some((Instant::now(), detail));
        }
        brought_up
    }

    async fn try_bring_up(&self) -> Result<Started, SandboxError> {
        let engine = self.config.engine.clone();
        let (command, snapshot) = offload(move || {
            let command = engine.command()?;
            let snapshot =
                Snapshot::bake(&command).map_err(|source| SandboxError::Snapshot { source })?;
            Ok::<_, SandboxError>((command, snapshot))
        })
        .await
        .expect("looking into an engine does not panic")?;
        let spawner = Spawner::start(command, snapshot)
            .map_err(|source| SandboxError::WorkerStart { source })?;
        let pool = Pool::start(spawner, (*self.config).clone());
        let (engine, locks) = self.self_test(&pool).await.inspect_err(|_| pool.close())?;
        Ok(Started { pool, engine, locks })
    }

    fn failed(&self) -> MutexGuard<'_, Option<(Instant, String)>> {
        self.state.failed.lock()
    }

    /// Name and version of the engine, and the operating system's locks on the workers; none before
    /// the first use.
    pub fn engine_and_locks(&self) -> Option<(&str, &str)> {
        self.state.started.get().map(|started| (started.engine.as_str(), started.locks.as_str()))
    }

    /// Guests that wait to begin.
    pub fn queued(&self) -> usize {
        self.schedule.queued()
    }

    /// Living worker processes.
    pub fn workers(&self) -> usize {
        self.state.started.get().map_or(0, |started| started.pool.alive())
    }

    /// Ends idle workers and refuses new guests; those that run are not touched.
    pub fn close(&self) {
        self.state.closed.cancel();
        if let Some(started) = self.state.started.get() {
            started.pool.close();
        }
    }

    /// Runs one guest; what its worker said of itself.
    async fn self_test(&self, pool: &Pool) -> Result<(String, String), SandboxError> {
        struct NoTools;
        impl ToolHost for NoTools {
            fn call(&self, call: ToolCall) -> BoxFuture<'static, Result<RawJson, CallFailure>> {
                let message = format!("the self-test called `{}`", call.path);
                Box::pin(async {
                    Err(CallFailure {
                        name: "ToolNotFoundError".into(),
                        message,
                        properties: crate::model::JsonObject::new(),
                    })
                })
            }
            fn log(&self, _: &LogLine) {}
        }
        // A tenant of its own: no caller's workspace has an empty name.
        let mut lease = self.lease(pool, "").await?;
        let told = (lease.worker.armed.engine.clone(), lease.worker.armed.sandbox.clone());
        let run = Run { code: "return 1 + 1".into(), wall_ms_max: 10_000, cpu_ms_max: 10_000 };
        lease.worker.retire();
        let report =
            lease.run(run, Arc::new(NoTools), &WallClock::new(), &CancellationToken::new()).await;
        match report.outcome {
            Outcome::Returned { value } if value.get() == "2" => Ok(told),
            other => Err(SandboxError::SelfTest { detail: format!("{other:?}") }),
        }
    }
}

impl Engine {
    /// How workers with it are started. Blocking: an executable is looked into.
    fn command(self) -> Result<WorkerCommand, SandboxError> {
        match self {
            Self::V8(command) => Ok(command),
            Self::Deno { command, candidates, allowed_sha256 } => {
                deno::choose(&candidates, allowed_sha256.as_deref())
                    .map(|deno| command.with_deno(&deno))
                    .map_err(|source| SandboxError::Deno { source })
            }
        }
    }
}
