//! The runs of one task: from the queue to the end of its program, over as many runs as it takes. A
//! program that only waits for a person gives up its process, and runs again to the same point once
//! the person has decided.

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use tokio::time::sleep;

use super::{
    handle::TaskHandle,
    host::Host,
    journal::TaskJournal,
    machine::{self, Calls, End, RunContext, StopCause, conclude},
    replay::{Entry, Replay},
};
use crate::{
    base::error::chain,
    model::{ErrorCode, Logs, TaskError, TaskStatus, Timestamp, Usage},
    sandbox::{Lease, Outcome, Run, RunReport, Runtime, SandboxError, WallClock},
    store::NewTask,
};

/// Pause of a program that runs again, and finds the queue full.
const QUEUE_AGAIN: Duration = Duration::from_millis(250);

/// Limits of a task's runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct RunLimits {
    pub(super) cpu_ms_max: u64,
    /// Time that a program only waits for approvals until it gives up its process.
    pub(super) spill_after: Duration,
}

/// The parts of the runs' reports that are recorded beside their outcome.
pub(super) struct RunRecord {
    pub(super) started_at: Option<Timestamp>,
    pub(super) usage: Usage,
    pub(super) logs: Logs,
    pub(super) warnings: Vec<String>,
}

impl RunRecord {
    pub(super) fn never() -> Self {
        Self {
            started_at: None,
            usage: Usage::default(),
            logs: Logs::default(),
            warnings: Vec::new(),
        }
    }
}

/// The end of a task's program, as far as it has one.
pub(super) enum Performed {
    /// It ended.
    Ended(Box<(End, RunRecord)>),
    /// The server stops, and its next start goes on with it.
    Postponed,
}

impl Performed {
    pub(super) fn ended(end: End, record: RunRecord) -> Self {
        Self::Ended(Box::new((end, record)))
    }
}

/// The state of a program that gave up its process.
enum Spilled {
    /// It runs again.
    RunsAgain,
    /// It was stopped.
    Stopped,
    /// It cannot run again.
    Lost(TaskError),
}

/// One task from its submission, or its resumption, to its end.
pub(super) struct TaskRun {
    pub(super) runtime: Arc<dyn Runtime>,
    pub(super) new: NewTask,
    pub(super) handle: Arc<TaskHandle>,
    pub(super) journal: Arc<TaskJournal>,
    pub(super) host: Arc<Host>,
    pub(super) clock: WallClock,
    /// Start of its code.
    pub(super) started_at: OnceLock<Timestamp>,
    /// True if an earlier process left it.
    pub(super) is_resumed: bool,
}

impl TaskRun {
    /// From the queue to the end of the program.
    pub(super) async fn perform(&self, limits: RunLimits) -> Performed {
        let mut used = Usage::default();
        let (outcome, logs, mut warnings) = loop {
            let report = match self.run_once(limits, &mut used).await {
                Ok(report) => report,
                Err(_) if self.is_postponed().await => return Performed::Postponed,
                Err(end) => {
                    let record = RunRecord { usage: used, ..RunRecord::never() };
                    return Performed::ended(end, record);
                }
            };
            used = sum(used, report.usage);
            if !matches!(report.outcome, Outcome::Spilled) {
                break (report.outcome, report.logs, report.warnings);
            }
            match self.wait_spilled(&mut used).await {
                Spilled::RunsAgain => {}
                Spilled::Stopped => break (Outcome::Cancelled, report.logs, report.warnings),
                Spilled::Lost(error) => {
                    let end = End::with_error(TaskStatus::Failed, error);
                    let (logs, warnings) = (report.logs, report.warnings);
                    return Performed::ended(end, self.record(used, logs, warnings));
                }
            }
        };
        if self.is_postponed().await {
            return Performed::Postponed;
        }
        warnings.extend(self.host.take_warnings());
        let difference = self.host.unrepeated();
        let context = RunContext {
            wall_ms_max: self.new.timeout_ms,
            cpu_ms_max: limits.cpu_ms_max,
            stopped: self.handle.stop_cause(),
            difference: difference.as_deref(),
            rejected: &|call| self.host.rejected(call),
        };
        let end = conclude(outcome, context);
        Performed::ended(end, self.record(used, logs, warnings))
    }

    fn record(&self, usage: Usage, logs: Logs, warnings: Vec<String>) -> RunRecord {
        RunRecord { started_at: self.started_at.get().copied(), usage, logs, warnings }
    }

    /// Waits for a process and runs the program in it. An error is the end of a program that did
    /// not begin.
    async fn run_once(&self, limits: RunLimits, used: &mut Usage) -> Result<RunReport, End> {
        let Self { new, handle, journal, host, clock, .. } = self;
        let queued = Instant::now();
        let lease = tokio::select! {
            lease = self.admitted() => lease,
            () = handle.cancelled().cancelled() => return Err(stopped_before_it_began(handle)),
        };
        let lease = lease.map_err(|error| not_begun(&error))?;
        let queue_ms = queued.elapsed().as_millis() as u64;
        used.queue_ms += queue_ms;
        let now = Timestamp::now();
        let started_at = *self.started_at.get_or_init(|| now);
        if handle.status() == TaskStatus::Queued {
            journal.begin(queue_ms, started_at);
        }
        let now_ms = now.as_millisecond().try_into().unwrap_or(0);
        journal.set_origin(now_ms);
        handle.begin_run();
        let guest = host.guest_inputs(now_ms);
        let program = Run {
            code: new.code.clone(),
            wall_ms_max: new.timeout_ms,
            cpu_ms_max: limits.cpu_ms_max,
            spill_after: self.can_run_again().then_some(limits.spill_after),
            guest,
        };
        Ok(lease.run(program, host.clone(), clock, handle.cancelled()).await)
    }

    /// Waits for a process. A program that runs again does not fail because the queue is full.
    async fn admitted(&self) -> Result<Box<dyn Lease>, SandboxError> {
        let runs_again = self.is_resumed || self.started_at.get().is_some();
        loop {
            match self.runtime.admit(&self.new.principal.workspace_id).await {
                Err(SandboxError::Busy { .. }) if runs_again => sleep(QUEUE_AGAIN).await,
                admitted => return admitted,
            }
        }
    }

    fn can_run_again(&self) -> bool {
        self.journal.given_up().is_none()
    }

    /// Returns true if the server stops and its next start can go on with the program: all that it
    /// did and saw is in the journal.
    async fn is_postponed(&self) -> bool {
        let stops = self.handle.stop_cause() == Some(StopCause::ServerStops);
        if !(stops && self.can_run_again()) {
            return false;
        }
        self.journal.note(Entry::Stopped);
        self.journal.commit(vec![]).await.is_ok()
    }

    /// Waits, without a process, until a call has its response.
    async fn wait_spilled(&self, used: &mut Usage) -> Spilled {
        let task = self.new.task_id;
        tracing::info!(%task, "a program that waits for a person gave up its process");
        let began = Instant::now();
        let is_stopped = tokio::select! {
            () = self.host.call_ended() => false,
            () = self.handle.cancelled().cancelled() => true,
        };
        let waited = began.elapsed().as_millis() as u64;
        used.approval_wait_ms += waited;
        used.wall_ms += waited;
        if is_stopped {
            return Spilled::Stopped;
        }
        let lost = |why: String| {
            let message = format!("the program waited for a person and cannot go on: {why}");
            Spilled::Lost(TaskError {
                name: "InternalError".into(),
                message,
                code: ErrorCode::Internal.into(),
                ..TaskError::default()
            })
        };
        let rows = match self.journal.reread().await {
            Ok(rows) => rows,
            Err(error) => return lost(chain(&error)),
        };
        match Replay::read(&rows) {
            Ok(Some(replay)) => self.host.run_again(replay),
            Ok(None) => return lost("its journal is empty".into()),
            Err(error) => return lost(chain(&error)),
        }
        Spilled::RunsAgain
    }
}

/// The use of several runs: those that repeat compute again, and that counts.
fn sum(before: Usage, of_run: Usage) -> Usage {
    Usage {
        wall_ms: before.wall_ms + of_run.wall_ms,
        cpu_ms: before.cpu_ms + of_run.cpu_ms,
        queue_ms: before.queue_ms,
        tool_wait_ms: before.tool_wait_ms + of_run.tool_wait_ms,
        approval_wait_ms: before.approval_wait_ms + of_run.approval_wait_ms,
        tool_calls: before.tool_calls.max(of_run.tool_calls),
        heap_peak_bytes: before.heap_peak_bytes.max(of_run.heap_peak_bytes),
    }
}

fn stopped_before_it_began(handle: &TaskHandle) -> End {
    match handle.stop_cause() {
        Some(StopCause::ServerStops) => {
            End::with_error(TaskStatus::Failed, machine::server_stopped(Calls::None))
        }
        Some(StopCause::Cancelled | StopCause::Diverged) | None => {
            End::with_error(TaskStatus::Cancelled, machine::cancelled())
        }
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
