//! Runs tasks: records them, leases a worker, runs the program, records the end.
//!
//! Invariants: a task is durable before its id is given out; its end is durable before it is
//! reported; a call to an upstream is recorded as started before it is sent. Nothing here speaks a
//! protocol.

use std::{
    collections::BTreeMap,
    panic::AssertUnwindSafe,
    sync::{Arc, OnceLock},
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
    journal::{self, TaskJournal},
    machine::{self, Calls, End, StopCause},
    replay::{Entry, Replay},
    run::{Performed, RunLimits, RunRecord, TaskRun},
};
use crate::{
    base::error::chain,
    model::{
        Approval, ApprovalStatus, ErrorCode, InstanceId, Seed, Task, TaskError, TaskId, TaskStatus,
        Timestamp,
    },
    sandbox::{Runtime, WallClock},
    store::{
        APPROVALS_LIST_MAX, ApprovalChange, ApprovalFilter, Created, NewTask, Store, StoreError,
        TaskEnd, Written,
    },
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
    /// Time that a program only waits for approvals until it gives up its process.
    pub spill_after: Duration,
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
        let replay = Replay::none(Seed::random(), 0);
        let (journal, written) = TaskJournal::create(store, new.clone(), handle.clone(), &replay);
        inner.tasks.insert(new.task_id, handle.clone());
        let (creation, created) = oneshot::channel();
        // From here on it runs, whether the caller waits or not.
        let run = self.task_run(runtime, new, handle.clone(), journal, replay);
        self.spawn(run, written, creation);
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
        replay: Replay,
    ) -> TaskRun {
        let (journal, clock) = (Arc::new(journal), WallClock::new());
        clock.set_used_ms(replay.used_ms);
        let services = self.0.services.clone();
        handle.watch_clock(&clock);
        let (own, watched) = (journal.clone(), clock.clone());
        let host = Host::new(services, &new, own, handle.clone(), watched, replay);
        let (host, started_at) = (Arc::new(host), OnceLock::new());
        let is_resumed = false;
        TaskRun { runtime, new, handle, journal, host, clock, started_at, is_resumed }
    }

    /// Goes on with a task that an earlier process left unfinished. If its program cannot run
    /// again, the task ends as failed, with the reason, and this returns false.
    pub async fn resume(&self, task: Task) -> bool {
        let (id, workspace) = (task.task_id, task.principal.workspace_id.clone());
        let Err(why) = self.try_resume(task).await else { return true };
        let mut error = machine::server_stopped(Calls::Unknown);
        error.message =
            format!("the server stopped while this task ran, and it cannot go on: {why}");
        let end = End::with_error(TaskStatus::Failed, error);
        if let Err(error) = self.end_left(&workspace, id, &end).await {
            tracing::error!(task = %id, %error, "the end of {id} could not be recorded");
        }
        false
    }

    /// Cancels a task that an earlier process left unfinished, and with which this one does not go
    /// on.
    pub async fn cancel_left(&self, workspace: &str, task: TaskId) -> Result<(), StoreError> {
        let end = End::with_error(TaskStatus::Cancelled, machine::cancelled());
        self.end_left(workspace, task, &end).await
    }

    /// Records the end of a task that nobody runs, and takes its approvals back.
    async fn end_left(&self, workspace: &str, task: TaskId, end: &End) -> Result<(), StoreError> {
        let store = &*self.0.services.store;
        journal::end_left(store, task, end).await?;
        for approval in approvals_of(store, workspace, task).await? {
            let from = approval.status;
            if matches!(from, ApprovalStatus::Pending | ApprovalStatus::Approved) {
                let change = ApprovalChange {
                    id: approval.id,
                    from,
                    to: ApprovalStatus::Cancelled,
                    at: Timestamp::now(),
                    by: None,
                    note: None,
                    why: Some(DropCause::RunEnded.as_str().to_owned()),
                };
                store.decide_approval(workspace, change).await?;
            }
        }
        Ok(())
    }

    async fn try_resume(&self, task: Task) -> Result<(), String> {
        let inner = &self.0;
        let runtime = inner.runtimes.get(&task.runtime_id).cloned();
        let runtime =
            runtime.ok_or_else(|| format!("there is no runtime `{}` any more", task.runtime_id))?;
        let (store, workspace) = (inner.services.store.clone(), &task.principal.workspace_id);
        let failed = |error: StoreError| chain(&error);
        let rows = store.journal(workspace, task.task_id).await.map_err(failed)?;
        let replay = Replay::read(&rows).map_err(|error| chain(&error))?;
        let approvals = approvals_of(&*store, workspace, task.task_id).await.map_err(failed)?;
        let started_at = task.started_at.filter(|_| replay.is_some());
        let new = again(task, inner.config.instance_id);
        let now_ms = Timestamp::now().as_millisecond().try_into().unwrap_or(0);
        let replay = replay.unwrap_or_else(|| Replay::none(Seed::random(), now_ms));
        let handle = Arc::new(TaskHandle::new(&new));
        let journal = TaskJournal::reopen(store, handle.clone(), &replay);
        journal.note(Entry::Resumed);
        journal.enqueue(vec![]);
        inner.tasks.insert(new.task_id, handle.clone());
        let mut run = self.task_run(runtime, new, handle, journal, replay);
        run.is_resumed = true;
        run.host.context().take_over(approvals);
        if let Some(started_at) = started_at {
            run.started_at.set(started_at).ok();
        }
        let (run, engine) = (Arc::new(run), self.clone());
        let resumed = run.clone();
        self.spawn_run(run, async move {
            let performed = engine.perform_guarded(&resumed).await;
            record_end(&resumed, performed).await
        });
        Ok(())
    }

    fn spawn(&self, run: TaskRun, written: Written<Created>, creation: CreationSender) {
        let (run, engine) = (Arc::new(run), self.clone());
        let begun = run.clone();
        self.spawn_run(
            run,
            async move { engine.run_to_completion(&begun, written, creation).await },
        );
    }

    fn spawn_run(
        &self,
        run: Arc<TaskRun>,
        life: impl Future<Output = TaskOutcome> + Send + 'static,
    ) {
        let engine = self.clone();
        let NewTask { task_id, principal, runtime_id, .. } = &run.new;
        let workspace = principal.workspace_id.as_str();
        let span = tracing::debug_span!("task", id = %task_id, workspace, runtime = runtime_id);
        let task = async move {
            let outcome = life.await;
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
            let performed = self.perform_guarded(run).await;
            return record_end(run, performed).await;
        }
        // Writes of a task keep their order, so whatever is recorded of the run is durable after
        // the creation.
        let mut perform = Box::pin(self.perform_guarded(run));
        let performed = tokio::select! {
            performed = &mut perform => {
                let (created, outcome) = tokio::join!(written, record_end(run, performed));
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
        record_end(run, performed).await
    }

    /// Runs the task, and drives the calls that the run left behind to their ends. A panic of ours
    /// ends the task and not the server.
    async fn perform_guarded(&self, run: &TaskRun) -> Performed {
        let limits = self.0.limits.load();
        let limits = RunLimits { cpu_ms_max: limits.cpu_ms_max, spill_after: limits.spill_after };
        let performed = AssertUnwindSafe(run.perform(limits)).catch_unwind().await;
        let cause = match performed {
            Ok(Performed::Postponed) => DropCause::Postponed,
            _ => DropCause::RunEnded,
        };
        // Each call ends by itself, also one that panics.
        let dropped = run.host.drop_run(cause);
        AssertUnwindSafe(dropped).catch_unwind().await.ok();
        performed.unwrap_or_else(|_| {
            let message = "the server failed while this task ran; its log says more".into();
            let error = TaskError {
                name: "InternalError".into(),
                message,
                code: ErrorCode::Internal.into(),
                ..TaskError::default()
            };
            let end = End::with_error(TaskStatus::Failed, error);
            Performed::ended(end, RunRecord::never())
        })
    }
}

async fn record_end(run: &TaskRun, performed: Performed) -> TaskOutcome {
    let (end, ran) = match performed {
        Performed::Ended(ended) => *ended,
        Performed::Postponed => return TaskOutcome::Postponed,
    };
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

/// The approvals that a task asked for.
async fn approvals_of(
    store: &dyn Store,
    workspace: &str,
    task: TaskId,
) -> Result<Vec<Approval>, StoreError> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let filter = ApprovalFilter {
            task_id: Some(task),
            limit: APPROVALS_LIST_MAX,
            cursor,
            ..ApprovalFilter::default()
        };
        let page = store.approvals(workspace, filter).await?;
        all.extend(page.approvals);
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(all);
        }
    }
}

/// A recorded task as it is run again.
fn again(task: Task, instance_id: InstanceId) -> NewTask {
    NewTask {
        task_id: task.task_id,
        code: task.code,
        runtime_id: task.runtime_id,
        timeout_ms: task.timeout_ms,
        metadata: task.metadata,
        principal: task.principal,
        created_at: task.created_at,
        instance_id,
        idempotency_key: None,
    }
}

fn no_such_runtime(id: &str, known: &[String]) -> String {
    match known {
        [] => "no code can be run here: this server has no runtime".into(),
        known => format!("there is no runtime `{id}` here; there is only {}", known.join(", ")),
    }
}
