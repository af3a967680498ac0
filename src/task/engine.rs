//! Runs tasks: records them, leases a worker, runs the guest, records the end.
//!
//! Invariants: a task is durable before its id is given out; its end is durable before it is
//! reported; a call to an upstream is recorded as started before it leaves. Nothing here speaks a
//! protocol.

use std::{
    collections::BTreeMap,
    panic::AssertUnwindSafe,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use dashmap::DashMap;
use futures::FutureExt;
use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::{
    host::{Host, Services},
    machine::{self, Calls, End, RunContext, StopCause},
};
use crate::{
    base::backoff::Backoff,
    model::{
        ErrorCode, EventData, InstanceId, Logs, NewEvent, RawJson, Task, TaskError, TaskId,
        TaskRunning, TaskStatus, Timestamp, Usage,
    },
    sandbox::{Run, RunReport, Runtime, SandboxError, WallClock},
    store::{Created, NewTask, StoreError, TaskChange, TaskEnd, Written},
};

/// How long the end of tasks that were told to stop may take.
const STOP_MAX: Duration = Duration::from_secs(5);
/// How often the writing of an end is tried again, and the pauses between: about half a minute in
/// all.
const END_RETRIES_MAX: u32 = 12;
const END_RETRY: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));

/// Told once what became of a task's creation.
type Creation = oneshot::Sender<Result<Created, StoreError>>;

/// Bounds of the engine.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// CPU budget of a task in milliseconds.
    pub cpu_ms_max: u64,
    /// Tasks that may wait to begin, per runtime.
    pub queue_max: usize,
    /// This start of the server, which the record names with each task.
    pub instance_id: InstanceId,
}

/// Runs tasks. Cheap to clone.
#[derive(Clone)]
pub struct TaskEngine(Arc<Inner>);

struct Inner {
    config: EngineConfig,
    parts: Services,
    runtimes: BTreeMap<String, Arc<dyn Runtime>>,
    live: DashMap<TaskId, Arc<TaskHandle>>,
    stopping: CancellationToken,
}

/// A task that has not ended, or whose end somebody still watches.
pub struct TaskHandle {
    workspace_id: String,
    task_id: TaskId,
    cancel: CancellationToken,
    cause: OnceLock<StopCause>,
    status: watch::Sender<TaskStatus>,
    end: watch::Sender<Option<TaskOutcome>>,
    /// Calls of tools so far.
    pub(super) tool_calls: AtomicU64,
    /// What the tool that spoke last says of how far it is.
    progress: Mutex<Option<Arc<str>>>,
    /// Told whenever something changes that a waiting caller may want to know.
    pub(super) changes: watch::Sender<u64>,
}

/// The end of a task as it was recorded.
#[derive(Debug, Clone)]
pub enum TaskOutcome {
    /// The record and the result are durable.
    Recorded(Arc<Task>, Option<Arc<RawJson>>),
    /// The store failed, and why; the next start of the server will end the task as failed, if it
    /// knows it at all.
    Unrecorded(String),
}

/// Why a task was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// No such runtime.
    #[error("{}", no_such_runtime(id, known))]
    UnknownRuntime {
        /// What was asked for.
        id: String,
        /// What there is.
        known: Vec<String>,
    },
    /// As many tasks wait as may.
    #[error("{queue_max} tasks are waiting to begin, the most that may")]
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

/// What became of a submission.
pub enum Submitted {
    /// It runs; its creation is recorded, or will be before its end is reported.
    TaskHandle(Arc<TaskHandle>),
    /// The idempotency key names this earlier task, which has ended.
    Earlier(TaskId),
}

impl TaskEngine {
    /// Creates an engine over these runtimes.
    pub fn new(config: EngineConfig, parts: Services, runtimes: Vec<Arc<dyn Runtime>>) -> Self {
        let runtimes =
            runtimes.into_iter().map(|runtime| (runtime.id().to_owned(), runtime)).collect();
        Self(Arc::new(Inner {
            config,
            parts,
            runtimes,
            live: DashMap::new(),
            stopping: CancellationToken::new(),
        }))
    }

    /// What its hosts share: the record, the catalog, the policy in force and the place where calls
    /// wait for a person.
    pub fn parts(&self) -> &Services {
        &self.0.parts
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
        if runtime.queued() >= inner.config.queue_max {
            return Err(SubmitError::Busy { queue_max: inner.config.queue_max });
        }
        let written = inner.parts.store.create_task(new.clone());
        let live = Arc::new(TaskHandle::new(&new));
        inner.live.insert(new.task_id, live.clone());
        let waits = durable || new.idempotency_key.is_some();
        let (tell, told) = oneshot::channel();
        // From here on it goes its way, whether the caller waits or not.
        self.spawn(runtime, new, live.clone(), written, tell);
        if !waits {
            return Ok(Submitted::TaskHandle(live));
        }
        match told.await {
            Ok(Ok(Created::New)) => Ok(Submitted::TaskHandle(live)),
            Ok(Ok(Created::Existing(earlier))) => {
                Ok(self.live(earlier).map_or(Submitted::Earlier(earlier), Submitted::TaskHandle))
            }
            Ok(Err(error)) => Err(SubmitError::Store(error)),
            Err(_) => Err(SubmitError::Stopping),
        }
    }

    /// The task, if it has not ended here. Whose it is, is not looked at.
    pub fn live(&self, task: TaskId) -> Option<Arc<TaskHandle>> {
        self.0.live.get(&task).map(|live| live.clone())
    }

    /// Tasks that have not ended.
    pub fn live_count(&self) -> usize {
        self.0.live.len()
    }

    /// Takes no further task, gives those that run until `grace` is over, then ends them as failed.
    pub async fn stop(&self, grace: Duration) {
        let give_up = Instant::now() + grace;
        self.0.stopping.cancel();
        let ended = async |live: Vec<Arc<TaskHandle>>| {
            for live in live {
                live.ended().await;
            }
        };
        if tokio::time::timeout_at(give_up.into(), ended(self.all_live())).await.is_err() {
            let live = self.all_live();
            live.iter().for_each(|live| live.stop(StopCause::ServerStops));
            if tokio::time::timeout(STOP_MAX, ended(live)).await.is_err() {
                tracing::error!(
                    "not every task could be ended in order; the next start records those as failed"
                );
            }
        }
        for runtime in self.0.runtimes.values() {
            runtime.close();
        }
    }

    fn all_live(&self) -> Vec<Arc<TaskHandle>> {
        self.0.live.iter().map(|entry| entry.value().clone()).collect()
    }

    fn spawn(
        &self,
        runtime: Arc<dyn Runtime>,
        new: NewTask,
        live: Arc<TaskHandle>,
        written: Written<Created>,
        tell: Creation,
    ) {
        let engine = self.clone();
        tokio::spawn(async move {
            let ended = engine.run_to_completion(&*runtime, &new, &live, written, tell).await;
            engine.0.live.remove(&new.task_id);
            // Always: a server that stops waits for whatever was alive.
            live.publish(ended);
        });
    }

    /// The whole life of a task, which is short where its key names another. Tells what became of
    /// its creation.
    async fn run_to_completion(
        &self,
        runtime: &dyn Runtime,
        new: &NewTask,
        live: &Arc<TaskHandle>,
        mut written: Written<Created>,
        tell: Creation,
    ) -> TaskOutcome {
        // Whoever asked may not wait to be told.
        let tell = |created: Result<Created, StoreError>| drop(tell.send(created));
        if new.idempotency_key.is_some() {
            // Before it runs: another task may own the key.
            match written.await {
                Ok(Created::New) => tell(Ok(Created::New)),
                other => {
                    tell(other);
                    return TaskOutcome::Unrecorded("it was not created".into());
                }
            }
            let (end, ran) = self.perform_guarded(runtime, new, live).await;
            return self.record_end(new, end, ran).await;
        }
        // Writes keep their order, so whatever is recorded of the run is durable after the
        // creation.
        let perform = self.perform_guarded(runtime, new, live);
        tokio::pin!(perform);
        let (end, ran) = tokio::select! {
            made = &mut perform => {
                let recorded = self.record_end(new, made.0, made.1);
                let (created, ended) = tokio::join!(written, recorded);
                tell(created);
                return ended;
            }
            created = &mut written => match created {
                Ok(created) => {
                    tell(Ok(created));
                    perform.await
                }
                // The run is dropped, and its worker with it: what is not recorded does not happen.
                Err(error) => {
                    let ended = TaskOutcome::Unrecorded(error.to_string());
                    tell(Err(error));
                    return ended;
                }
            },
        };
        self.record_end(new, end, ran).await
    }

    /// A panic of ours ends the task and not the server.
    async fn perform_guarded(
        &self,
        runtime: &dyn Runtime,
        new: &NewTask,
        live: &Arc<TaskHandle>,
    ) -> (End, RunRecord) {
        AssertUnwindSafe(self.perform(runtime, new, live)).catch_unwind().await.unwrap_or_else(
            |_| {
                let message = "the server failed while this task ran; its log says more".into();
                let error = TaskError {
                    name: "InternalError".into(),
                    message,
                    code: ErrorCode::Internal.into(),
                    ..TaskError::default()
                };
                (End::with_error(TaskStatus::Failed, error), RunRecord::never())
            },
        )
    }

    /// From the queue to the end of the run.
    async fn perform(
        &self,
        runtime: &dyn Runtime,
        new: &NewTask,
        live: &Arc<TaskHandle>,
    ) -> (End, RunRecord) {
        let queued = Instant::now();
        let lease = tokio::select! {
            lease = runtime.admit(&new.principal.workspace_id) => lease,
            () = live.cancel.cancelled() => return (live.stopped_before_it_began(), RunRecord::never()),
        };
        let lease = match lease {
            Ok(lease) => lease,
            Err(error) => return (not_begun(&error), RunRecord::never()),
        };
        let queue_ms = queued.elapsed().as_millis() as u64;
        let started_at = Timestamp::now();
        live.become_status(TaskStatus::Running);
        // Not waited for: the end, or a call's start, which are, come after it.
        drop(self.0.parts.store.change_task(TaskChange {
            task_id: new.task_id,
            status: Some(TaskStatus::Running),
            started_at: Some(started_at),
            end: None,
            events: vec![NewEvent::now(EventData::TaskRunning(TaskRunning {
                queue_ms: Some(queue_ms),
            }))],
        }));
        let clock = WallClock::new();
        let host = Arc::new(Host::new(self.0.parts.clone(), new, live.clone(), clock.clone()));
        let run = Run {
            code: new.code.clone(),
            wall_ms_max: new.timeout_ms,
            cpu_ms_max: self.0.config.cpu_ms_max,
        };
        let mut report = lease.run(run, host.clone(), &clock, &live.cancel).await;
        report.usage.queue_ms = queue_ms;
        let RunReport { outcome, usage, logs, mut warnings } = report;
        warnings.extend(host.take_warnings());
        let end = machine::conclude(
            outcome,
            RunContext {
                wall_ms_max: new.timeout_ms,
                cpu_ms_max: self.0.config.cpu_ms_max,
                stopped: live.cause.get().copied(),
                refused: &|call| host.refused(call),
            },
        );
        (end, RunRecord { started_at: Some(started_at), usage, logs, warnings })
    }

    async fn record_end(&self, new: &NewTask, end: End, ran: RunRecord) -> TaskOutcome {
        let completed_at = Timestamp::now();
        let ended = end.event();
        let task = Task {
            task_id: new.task_id,
            status: end.status,
            code: new.code.clone(),
            runtime_id: new.runtime_id.clone(),
            timeout_ms: new.timeout_ms,
            metadata: new.metadata.clone(),
            principal: new.principal.clone(),
            created_at: new.created_at,
            started_at: ran.started_at,
            completed_at: Some(completed_at),
            exit_code: Some(end.exit_code),
            result_bytes: end.result.as_ref().map(|result| result.get().len() as u64),
            error: end.error,
            logs: ran.logs,
            warnings: ran.warnings,
            usage: ran.usage,
        };
        let change = TaskChange {
            task_id: new.task_id,
            status: Some(end.status),
            started_at: ran.started_at,
            end: Some(TaskEnd {
                completed_at,
                exit_code: end.exit_code,
                result: end.result.clone(),
                error: task.error.clone(),
                logs: task.logs.clone(),
                warnings: task.warnings.clone(),
                usage: task.usage,
            }),
            events: vec![NewEvent::now(ended)],
        };
        match self.write_with_retry(change).await {
            Ok(()) => TaskOutcome::Recorded(Arc::new(task), end.result.map(Arc::new)),
            Err(error) => {
                tracing::error!(task = %new.task_id, %error, "the end of {} could not be \
                    recorded", new.task_id);
                TaskOutcome::Unrecorded(error.to_string())
            }
        }
    }

    /// Writes an end, again and again where the store is busy or full for a moment: a task must not
    /// be taken for running when it is not.
    async fn write_with_retry(&self, change: TaskChange) -> Result<(), StoreError> {
        for tries in 1..=END_RETRIES_MAX {
            match self.0.parts.store.change_task(change.clone()).await {
                Err(StoreError::Busy(_) | StoreError::Full | StoreError::Database(_)) => {}
                done => return done,
            }
            tokio::time::sleep(END_RETRY.after(tries)).await;
        }
        self.0.parts.store.change_task(change).await
    }
}

/// What is left of a run when its outcome is taken away.
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

impl TaskHandle {
    fn new(new: &NewTask) -> Self {
        Self {
            workspace_id: new.principal.workspace_id.clone(),
            task_id: new.task_id,
            cancel: CancellationToken::new(),
            cause: OnceLock::new(),
            status: watch::Sender::new(TaskStatus::Queued),
            end: watch::Sender::new(None),
            tool_calls: AtomicU64::new(0),
            progress: Mutex::default(),
            changes: watch::Sender::new(0),
        }
    }

    /// Its id.
    pub fn task_id(&self) -> TaskId {
        self.task_id
    }

    /// The workspace it belongs to.
    pub fn workspace_id(&self) -> &str {
        &self.workspace_id
    }

    /// Where it stands.
    pub fn status(&self) -> TaskStatus {
        *self.status.borrow()
    }

    /// Calls of tools so far.
    pub fn tool_calls(&self) -> u64 {
        self.tool_calls.load(Ordering::Relaxed)
    }

    /// What the tool that spoke last says of how far it is, in a short line of its upstream's own.
    pub fn progress(&self) -> Option<Arc<str>> {
        self.progress.lock().clone()
    }

    pub(super) fn say(&self, said: Option<&str>) {
        let mut present = self.progress.lock();
        if present.as_deref() != said {
            *present = said.map(Arc::from);
            drop(present);
            self.tell();
        }
    }

    /// Changes whenever its status, its number of calls or what its tools say does.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Waits for its end to be recorded.
    pub async fn ended(&self) -> TaskOutcome {
        let mut end = self.end.subscribe();
        let ended =
            end.wait_for(Option::is_some).await.expect("the sender lives as long as `self`");
        ended.clone().expect("it was waited for")
    }

    /// Ends it, unless it has ended. The first cause counts.
    pub fn stop(&self, cause: StopCause) {
        // A later cause changes nothing.
        self.cause.set(cause).ok();
        self.cancel.cancel();
    }

    pub(super) fn become_status(&self, to: TaskStatus) {
        let changed = self.status.send_if_modified(|status| {
            let may = machine::may_become(*status, to);
            if may {
                *status = to;
            }
            may
        });
        if changed {
            self.tell();
        }
    }

    pub(super) fn tell(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }

    fn publish(&self, ended: TaskOutcome) {
        if let TaskOutcome::Recorded(task, _) = &ended {
            self.become_status(task.status);
        }
        self.end.send_replace(Some(ended));
    }

    fn stopped_before_it_began(&self) -> End {
        match self.cause.get() {
            Some(StopCause::ServerStops) => {
                End::with_error(TaskStatus::Failed, machine::server_stopped(Calls::None))
            }
            Some(StopCause::Asked) | None => {
                End::with_error(TaskStatus::Cancelled, machine::cancelled())
            }
        }
    }
}

fn no_such_runtime(id: &str, known: &[String]) -> String {
    match known {
        [] => "no code can be run here: this server has no runtime".into(),
        known => format!("there is no runtime `{id}` here; there is {}", known.join(", ")),
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
