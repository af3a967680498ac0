//! Runs tasks: records them, leases a worker, runs the program, records the end.
//!
//! Invariants: a task is durable before its id is given out; its end is durable before it is
//! reported; a call to an upstream is recorded as started before it is sent. Nothing here speaks a
//! protocol.

use std::{
    collections::BTreeMap,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use dashmap::DashMap;
use futures::FutureExt;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{
    call::{context::Services, event::DropCause},
    handle::{TaskHandle, TaskOutcome},
    host::Host,
    journal::TaskJournal,
    machine::{self, Calls, End, RunContext, StopCause},
};
use crate::{
    model::{ErrorCode, InstanceId, Logs, Task, TaskError, TaskId, TaskStatus, Timestamp, Usage},
    sandbox::{Run, RunReport, Runtime, SandboxError, WallClock},
    store::{Created, NewTask, StoreError, TaskEnd, Written},
};

/// The longest that tasks may take to end once they are stopped.
const STOP_MAX: Duration = Duration::from_secs(5);

/// Gets the result of a task's creation, once.
type CreationSender = oneshot::Sender<Result<Created, StoreError>>;

/// Settings of the engine.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Bounds of tasks.
    pub limits: EngineLimits,
    /// This start of the server, which the record names with each task.
    pub instance_id: InstanceId,
}

/// Bounds of tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineLimits {
    /// CPU budget of a task in milliseconds.
    pub cpu_ms_max: u64,
    /// Tasks that may wait to begin, per runtime.
    pub queue_max: usize,
}

/// Runs tasks. Cheap to clone.
#[derive(Clone)]
pub struct TaskEngine(Arc<Inner>);

struct Inner {
    config: EngineConfig,
    limits: ArcSwap<EngineLimits>,
    services: Services,
    runtimes: BTreeMap<String, Arc<dyn Runtime>>,
    /// The tasks that have not ended.
    tasks: DashMap<TaskId, Arc<TaskHandle>>,
    stopping: CancellationToken,
}

/// Reasons for rejecting a task.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// No such runtime.
    #[error("{}", no_such_runtime(id, known))]
    UnknownRuntime {
        /// The id that the caller gave.
        id: String,
        /// The ids of the runtimes.
        known: Vec<String>,
    },
    /// As many tasks wait as may.
    #[error("{queue_max} tasks are waiting to begin, which is the limit")]
    Busy {
        /// The bound.
        queue_max: usize,
    },
    /// The server stops.
    #[error("the server is stopping")]
    Stopping,
    /// It could not be recorded.
    #[error("the task could not be recorded")]
    Store(#[source] StoreError),
}

/// The result of a submission.
pub enum Submitted {
    /// The task runs; its creation is recorded, or will be before its end is reported.
    Running(Arc<TaskHandle>),
    /// The idempotency key names this earlier task, which has ended.
    Earlier(TaskId),
}

/// One task from its submission to its end.
struct TaskRun {
    runtime: Arc<dyn Runtime>,
    new: NewTask,
    handle: Arc<TaskHandle>,
    journal: Arc<TaskJournal>,
    host: Arc<Host>,
    clock: WallClock,
}

impl TaskEngine {
    /// Creates an engine over these runtimes.
    pub fn new(config: EngineConfig, services: Services, runtimes: Vec<Arc<dyn Runtime>>) -> Self {
        let runtimes =
            runtimes.into_iter().map(|runtime| (runtime.id().to_owned(), runtime)).collect();
        let (tasks, stopping) = (DashMap::new(), CancellationToken::new());
        let limits = ArcSwap::from_pointee(config.limits);
        Self(Arc::new(Inner { config, limits, services, runtimes, tasks, stopping }))
    }

    /// Sets the bounds of tasks that are submitted from now on.
    pub fn set_limits(&self, limits: EngineLimits) {
        self.0.limits.store(Arc::new(limits));
    }

    /// The services that all its tasks share.
    pub fn services(&self) -> &Services {
        &self.0.services
    }

    /// This start of the server.
    pub fn instance_id(&self) -> InstanceId {
        self.0.config.instance_id
    }

    /// The runtimes, ordered by id.
    pub fn runtimes(&self) -> impl Iterator<Item = &dyn Runtime> {
        self.0.runtimes.values().map(|runtime| &**runtime)
    }

    /// Records a task and starts it. `durable` waits until its creation is durable: needed where
    /// the id is given out at once.
    pub async fn submit(&self, new: NewTask, durable: bool) -> Result<Submitted, SubmitError> {
        let inner = &self.0;
        if inner.stopping.is_cancelled() {
            return Err(SubmitError::Stopping);
        }
        let runtime = inner.runtimes.get(&new.runtime_id).cloned().ok_or_else(|| {
            SubmitError::UnknownRuntime {
                id: new.runtime_id.clone(),
                known: inner.runtimes.keys().map(|id| format!("`{id}`")).collect(),
            }
        })?;
        let queue_max = inner.limits.load().queue_max;
        if runtime.queued() >= queue_max {
            return Err(SubmitError::Busy { queue_max });
        }
        let waits = durable || new.idempotency_key.is_some();
        let handle = Arc::new(TaskHandle::new(&new));
        let store = inner.services.store.clone();
        let (journal, written) = TaskJournal::create(store, new.clone(), handle.clone());
        inner.tasks.insert(new.task_id, handle.clone());
        let (creation, created) = oneshot::channel();
        // From here on it runs, whether the caller waits or not.
        self.spawn(self.task_run(runtime, new, handle.clone(), journal), written, creation);
        if !waits {
            return Ok(Submitted::Running(handle));
        }
        match created.await {
            Ok(Ok(Created::New)) => Ok(Submitted::Running(handle)),
            Ok(Ok(Created::Existing(earlier))) => {
                Ok(self.unfinished(earlier).map_or(Submitted::Earlier(earlier), Submitted::Running))
            }
            Ok(Err(error)) => Err(SubmitError::Store(error)),
            Err(_) => Err(SubmitError::Stopping),
        }
    }

    /// The task, if it has not ended here. Does not check whose it is.
    pub fn unfinished(&self, task: TaskId) -> Option<Arc<TaskHandle>> {
        self.0.tasks.get(&task).map(|handle| handle.clone())
    }

    /// The number of tasks that have not ended.
    pub fn unfinished_count(&self) -> usize {
        self.0.tasks.len()
    }

    /// Takes no further task, lets those that run go on until `grace` is over, then ends them as
    /// failed. A task that only waits for a person is not waited for, because nobody can be asked
    /// any more: it ends at once.
    pub async fn stop(&self, grace: Duration) {
        let give_up = Instant::now() + grace;
        self.0.stopping.cancel();
        let all_ended = async |tasks: Vec<Arc<TaskHandle>>| {
            for task in tasks {
                task.ended().await;
            }
        };
        let may_end = self.all_unfinished().into_iter().map(|task| async move {
            tokio::select! {
                _ = task.ended() => {}
                () = task.waits_for_a_person() => task.stop(StopCause::ServerStops),
            }
            task.ended().await;
        });
        let may_end = futures::future::join_all(may_end);
        if tokio::time::timeout_at(give_up.into(), may_end).await.is_err() {
            let tasks = self.all_unfinished();
            tasks.iter().for_each(|task| task.stop(StopCause::ServerStops));
            if tokio::time::timeout(STOP_MAX, all_ended(tasks)).await.is_err() {
                tracing::error!(
                    "not every task could be ended in order; the next start records those as failed"
                );
            }
        }
        for runtime in self.0.runtimes.values() {
            runtime.close();
        }
    }

    fn all_unfinished(&self) -> Vec<Arc<TaskHandle>> {
        self.0.tasks.iter().map(|entry| entry.value().clone()).collect()
    }

    fn task_run(
        &self,
        runtime: Arc<dyn Runtime>,
        new: NewTask,
        handle: Arc<TaskHandle>,
        journal: TaskJournal,
    ) -> TaskRun {
        let (journal, clock) = (Arc::new(journal), WallClock::new());
        let services = self.0.services.clone();
        handle.watch_clock(&clock);
        let host = Host::new(services, &new, journal.clone(), handle.clone(), clock.clone());
        TaskRun { runtime, new, handle, journal, host: Arc::new(host), clock }
    }

    fn spawn(&self, run: TaskRun, written: Written<Created>, creation: CreationSender) {
        let engine = self.clone();
        let NewTask { task_id, principal, runtime_id, .. } = &run.new;
        let workspace = principal.workspace_id.as_str();
        let span = tracing::debug_span!("task", id = %task_id, workspace, runtime = runtime_id);
        let task = async move {
            let outcome = engine.run_to_completion(&run, written, creation).await;
            engine.0.tasks.remove(&run.new.task_id);
            // Always: a server that stops waits for every task that had not ended.
            run.handle.publish(outcome);
        };
        tokio::spawn(task.instrument(span));
    }

    /// The whole life of a task, which is short where its key names another.
    async fn run_to_completion(
        &self,
        run: &TaskRun,
        mut written: Written<Created>,
        creation: CreationSender,
    ) -> TaskOutcome {
        // Whoever submitted it may not wait for its creation.
        let report = |created: Result<Created, StoreError>| drop(creation.send(created));
        if run.new.idempotency_key.is_some() {
            // Before it runs: another task may own the key.
            match written.await {
                Ok(Created::New) => report(Ok(Created::New)),
                other => {
                    report(other);
                    return TaskOutcome::Unrecorded("it was not created".into());
                }
            }
            let (end, ran) = self.perform_guarded(run).await;
            return record_end(run, end, ran).await;
        }
        // Writes of a task keep their order, so whatever is recorded of the run is durable after
        // the creation.
        let mut perform = Box::pin(self.perform_guarded(run));
        let (end, ran) = tokio::select! {
            made = &mut perform => {
                let (created, outcome) = tokio::join!(written, record_end(run, made.0, made.1));
                report(created);
                return outcome;
            }
            created = &mut written => match created {
                Ok(created) => {
                    report(Ok(created));
                    perform.await
                }
                // The run is dropped, and its worker with it: what is not recorded does not happen.
                Err(error) => {
                    drop(perform);
                    run.host.drop_run(DropCause::TaskUnrecorded).await;
                    let outcome = TaskOutcome::Unrecorded(error.to_string());
                    report(Err(error));
                    return outcome;
                }
            },
        };
        record_end(run, end, ran).await
    }

    /// Runs the task, and drives the calls that the run left behind to their ends. A panic of ours
    /// ends the task and not the server.
    async fn perform_guarded(&self, run: &TaskRun) -> (End, RunRecord) {
        let performed = AssertUnwindSafe(self.perform(run)).catch_unwind().await;
        // Each call ends by itself, also one that panics.
        let dropped = run.host.drop_run(DropCause::RunEnded);
        AssertUnwindSafe(dropped).catch_unwind().await.ok();
        performed.unwrap_or_else(|_| {
            let message = "the server failed while this task ran; its log says more".into();
            let error = TaskError {
                name: "InternalError".into(),
                message,
                code: ErrorCode::Internal.into(),
                ..TaskError::default()
            };
            (End::with_error(TaskStatus::Failed, error), RunRecord::never())
        })
    }

    /// From the queue to the end of the run.
    async fn perform(&self, run: &TaskRun) -> (End, RunRecord) {
        let TaskRun { runtime, new, handle, journal, host, clock } = run;
        let queued = Instant::now();
        let lease = tokio::select! {
            lease = runtime.admit(&new.principal.workspace_id) => lease,
            () = handle.cancelled().cancelled() => {
                return (stopped_before_it_began(handle), RunRecord::never());
            }
        };
        let lease = match lease {
            Ok(lease) => lease,
            Err(error) => return (not_begun(&error), RunRecord::never()),
        };
        let queue_ms = queued.elapsed().as_millis() as u64;
        let started_at = Timestamp::now();
        journal.begin(queue_ms, started_at);
        let cpu_ms_max = self.0.limits.load().cpu_ms_max;
        let program = Run { code: new.code.clone(), wall_ms_max: new.timeout_ms, cpu_ms_max };
        let mut report = lease.run(program, host.clone(), clock, handle.cancelled()).await;
        report.usage.queue_ms = queue_ms;
        let RunReport { outcome, usage, logs, mut warnings } = report;
        warnings.extend(host.take_warnings());
        let context = RunContext {
            wall_ms_max: new.timeout_ms,
            cpu_ms_max,
            stopped: handle.stop_cause(),
            rejected: &|call| host.rejected(call),
        };
        let end = machine::conclude(outcome, context);
        (end, RunRecord { started_at: Some(started_at), usage, logs, warnings })
    }
}

async fn record_end(run: &TaskRun, end: End, ran: RunRecord) -> TaskOutcome {
    let (new, completed_at) = (&run.new, Timestamp::now());
    let RunRecord { started_at, usage, logs, warnings } = ran;
    let record = TaskEnd {
        completed_at,
        exit_code: end.exit_code,
        result: end.result.clone(),
        error: end.error.clone(),
        logs: logs.clone(),
        warnings: warnings.clone(),
        usage,
    };
    if let Err(error) = run.journal.end(&end, started_at, record).await {
        tracing::error!(task = %new.task_id, %error, "the end of {} could not be recorded",
            new.task_id);
        return TaskOutcome::Unrecorded(error.to_string());
    }
    let task = Task {
        task_id: new.task_id,
        status: end.status,
        code: new.code.clone(),
        runtime_id: new.runtime_id.clone(),
        timeout_ms: new.timeout_ms,
        metadata: new.metadata.clone(),
        principal: new.principal.clone(),
        created_at: new.created_at,
        started_at,
        completed_at: Some(completed_at),
        exit_code: Some(end.exit_code),
        result_bytes: end.result.as_ref().map(|result| result.get().len() as u64),
        error: end.error,
        logs,
        warnings,
        usage,
    };
    TaskOutcome::Recorded(Arc::new(task), end.result.map(Arc::new))
}

/// The parts of a run's report that are recorded beside its outcome.
struct RunRecord {
    started_at: Option<Timestamp>,
    usage: Usage,
    logs: Logs,
    warnings: Vec<String>,
}

impl RunRecord {
    fn never() -> Self {
        Self {
            started_at: None,
            usage: Usage::default(),
            logs: Logs::default(),
            warnings: Vec::new(),
        }
    }
}

fn stopped_before_it_began(handle: &TaskHandle) -> End {
    match handle.stop_cause() {
        Some(StopCause::ServerStops) => {
            End::with_error(TaskStatus::Failed, machine::server_stopped(Calls::None))
        }
        Some(StopCause::Cancelled) | None => {
            End::with_error(TaskStatus::Cancelled, machine::cancelled())
        }
    }
}

fn no_such_runtime(id: &str, known: &[String]) -> String {
    match known {
        [] => "no code can be run here: this server has no runtime".into(),
        known => format!("there is no runtime `{id}` here; there is only {}", known.join(", ")),
    }
}

fn not_begun(error: &SandboxError) -> End {
    tracing::error!(%error, cause = ?std::error::Error::source(error), "a task could not begin");
    let code = if matches!(error, SandboxError::Busy { .. }) {
        "busy"
    } else {
        ErrorCode::WorkerStartFailed.as_str()
    };
    let error = TaskError {
        name: "SandboxError".into(),
        message: error.to_string(),
        code: code.into(),
        hint: Some("nothing was run; try again".into()),
        ..TaskError::default()
    };
    End::with_error(TaskStatus::Failed, error)
}
