//! The runtime of this machine: a pool of worker processes behind a fair schedule.
//!
//! Starts the engine, checks it with a self-test, and leases a worker to each guest. Runs no guest
//! itself: `run` does.

use std::{sync::Arc, time::Instant};

use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use super::{
    clock::WallClock,
    config::SandboxConfig,
    error::{RETRY_AFTER, SandboxError},
    host::{ToolCall, ToolHost},
    pool::{Limits, Pool},
    process::{Snapshot, Spawner},
    protocol::{CallFailure, Setup},
    run::LeasedWorker,
    runtime::{EngineReport, Lease, Outcome, Run, Runtime, RuntimeHealth},
    schedule::{QueueFull, Schedule},
};
use crate::{
    base::{error::chain, offload::offload},
    model::{JsonObject, LogLine, RawJson},
};

/// A runtime whose guests run in worker processes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sandbox {
    config: Arc<SandboxConfig>,
    schedule: Schedule,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    started: OnceCell<Started>,
    /// Bounds of guests.
    limits: Arc<Limits>,
    /// Time and error of the last failed start.
    last_failure: Mutex<Option<(Instant, String)>>,
    closed: CancellationToken,
}

/// The parts that exist once the engine works.
#[derive(Debug)]
struct Started {
    pool: Pool,
    engine: EngineReport,
}

impl Sandbox {
    /// Starts a sandbox whose engine works: checks the engine, makes the snapshot, starts the spare
    /// workers and runs one guest as a self-test.
    ///
    /// # Errors
    /// If one of these steps fails.
    pub async fn start(config: SandboxConfig) -> Result<Self, SandboxError> {
        let sandbox = Self::lazy(config);
        sandbox.started().await?;
        Ok(sandbox)
    }

    /// Creates a sandbox that starts its engine when its first guest comes.
    pub fn lazy(config: SandboxConfig) -> Self {
        let schedule = Schedule::new(config.running_max, config.workers_max, config.queue_max);
        let state = State {
            started: OnceCell::new(),
            limits: Arc::new(Limits::new(config.setup.clone())),
            last_failure: Mutex::default(),
            closed: CancellationToken::new(),
        };
        Self { config: Arc::new(config), schedule, state: Arc::new(state) }
    }

    async fn lease(&self, pool: &Pool, tenant: &str) -> Result<LeasedWorker, SandboxError> {
        let (slot, permit) = self
            .schedule
            .admit(tenant)
            .await
            .map_err(|QueueFull { queue_max }| SandboxError::Busy { queue_max })?;
        let worker = pool.acquire(tenant).await?;
        let (schedule, pool) = (self.schedule.clone(), pool.clone());
        Ok(LeasedWorker { schedule, pool, worker, slot, permit })
    }

    async fn started(&self) -> Result<&Started, SandboxError> {
        self.state.started.get_or_try_init(|| self.start_once()).await
    }

    /// Starts the engine unless the last attempt failed less than [`RETRY_AFTER`] ago.
    async fn start_once(&self) -> Result<Started, SandboxError> {
        if self.state.closed.is_cancelled() {
            return Err(SandboxError::Closed);
        }
        if let Some((_, detail)) =
            self.state.last_failure.lock().as_ref().filter(|(at, _)| at.elapsed() < RETRY_AFTER)
        {
            return Err(SandboxError::Failed { detail: detail.clone() });
        }
        self.start_engine().await.inspect_err(|error| {
            let detail = chain(error);
            tracing::error!("a runtime could not be started: {detail}");
            *self.state.last_failure.lock() = Some((Instant::now(), detail));
        })
    }

    async fn start_engine(&self) -> Result<Started, SandboxError> {
        let engine = self.config.engine.clone();
        let (command, snapshot) = offload(move || {
            let command = engine.into_command()?;
            let snapshot =
                Snapshot::bake(&command).map_err(|source| SandboxError::Snapshot { source })?;
            Ok::<_, SandboxError>((command, snapshot))
        })
        .await
        .expect("preparing an engine does not panic")?;
        let spawner = Spawner::start(command, snapshot)
            .map_err(|source| SandboxError::WorkerStart { source })?;
        let pool = Pool::start(spawner, self.config.clone(), self.state.limits.clone());
        let engine = self.self_test(&pool).await.inspect_err(|_| pool.close())?;
        Ok(Started { pool, engine })
    }

    /// Runs one guest and returns what its worker reports about the engine.
    async fn self_test(&self, pool: &Pool) -> Result<EngineReport, SandboxError> {
        // A tenant of its own: no workspace has an empty name.
        let mut lease = self.lease(pool, "").await?;
        let armed = &lease.worker.armed;
        let engine = EngineReport { name: armed.engine.clone(), locks: armed.locks.clone() };
        let run = Run::once("return 1 + 1", 10_000, 10_000);
        lease.worker.retire();
        let (clock, stop) = (WallClock::new(), CancellationToken::new());
        let report = Box::new(lease).run(run, Arc::new(NoTools), &clock, &stop).await;
        match report.outcome {
            Outcome::Returned { value } if value.get() == "2" => Ok(engine),
            other => Err(SandboxError::SelfTest { detail: format!("{other:?}") }),
        }
    }
}

impl Runtime for Sandbox {
    fn id(&self) -> &str {
        self.config.engine.runtime_id()
    }

    fn admit<'a>(&'a self, tenant: &'a str) -> BoxFuture<'a, Result<Box<dyn Lease>, SandboxError>> {
        Box::pin(async move {
            // Before the schedule: the self-test needs a slot of its own.
            let started = self.started().await?;
            let lease = self.lease(&started.pool, tenant).await?;
            Ok(Box::new(lease) as Box<dyn Lease>)
        })
    }

    fn queued(&self) -> usize {
        self.schedule.queued()
    }

    fn health(&self) -> RuntimeHealth {
        let started = self.state.started.get();
        RuntimeHealth {
            engine: started.map(|started| started.engine.clone()),
            workers: started.map_or(0, |started| started.pool.alive()),
            queued: self.queued(),
        }
    }

    fn set_limits(&self, setup: Setup, queue_max: usize) {
        self.schedule.set_queue_max(queue_max);
        self.state.limits.set(setup);
        if let Some(started) = self.state.started.get() {
            started.pool.renew();
        }
    }

    fn close(&self) {
        self.state.closed.cancel();
        if let Some(started) = self.state.started.get() {
            started.pool.close();
        }
    }
}

/// The host of the self-test, which has no tools.
struct NoTools;

impl ToolHost for NoTools {
    fn call(&self, call: ToolCall) -> BoxFuture<'static, Result<RawJson, CallFailure>> {
        let message = format!("the self-test called `{}`", call.path);
        Box::pin(async {
            let name = "ToolNotFoundError".into();
            Err(CallFailure { name, message, properties: JsonObject::new() })
        })
    }

    fn log(&self, _: &LogLine) {}
}
