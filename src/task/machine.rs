//! The life of a task as a pure machine: state and event to state and actions, and the end that
//! the outcome of a run leads to. No clock, no store, no process.

use crate::{
    model::{
        EndError, ErrorCode, EventDetails, NoDetails, RawJson, TaskEnded, TaskError, TaskRunning,
        TaskStatus,
    },
    sandbox::Outcome,
};

/// Exit code of a task that used too much memory; every other status has one code only.
const EXIT_OUT_OF_MEMORY: i32 = 137;

/// The state of one task, from its submission to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskState {
    status: TaskStatus,
    /// Calls that wait for an approval.
    suspended_calls: u32,
    stop: Option<StopCause>,
}

/// Something that happens to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskEvent {
    /// It has a worker, and its code begins.
    Begun {
        /// Milliseconds since its creation.
        queue_ms: u64,
    },
    /// One of its calls begins to wait for an approval.
    CallSuspended,
    /// One of its calls does not wait for an approval any more.
    CallResumed,
    /// Somebody ends it.
    StopRequested(StopCause),
    /// It has ended with this status; one that is not terminal is ignored.
    Ended(TaskStatus),
}

/// Something that the engine has to do for a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskAction {
    /// Report the new status to whoever watches the task.
    PublishStatus(TaskStatus),
    /// Record the new status with this event of the task.
    RecordStatus(TaskStatus, TaskStatusEvent),
    /// End its run.
    CancelRun,
}

/// The details of an event that records a status other than a terminal one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskStatusEvent {
    /// `task.running`.
    Running(TaskRunning),
    /// `task.awaiting_approval`.
    AwaitingApproval,
}

impl From<TaskStatusEvent> for EventDetails {
    fn from(event: TaskStatusEvent) -> Self {
        match event {
            TaskStatusEvent::Running(details) => Self::TaskRunning(details),
            TaskStatusEvent::AwaitingApproval => Self::TaskAwaitingApproval(NoDetails {}),
        }
    }
}

impl TaskState {
    /// A task that is submitted and waits for a worker.
    pub fn submitted() -> Self {
        Self { status: TaskStatus::Queued, suspended_calls: 0, stop: None }
    }

    /// Its status.
    pub fn status(&self) -> TaskStatus {
        self.status
    }

    /// The reason for stopping it, if it was stopped.
    pub fn stop_cause(&self) -> Option<StopCause> {
        self.stop
    }

    /// The state after an event, and what has to be done, in this order. An event that the state
    /// does not allow changes nothing.
    pub fn step(mut self, event: TaskEvent) -> (Self, Vec<TaskAction>) {
        use TaskStatus::{AwaitingApproval, Queued, Running};
        let actions = match event {
            _ if self.status.is_terminal() => vec![],
            TaskEvent::Begun { queue_ms } if self.status == Queued => {
                let details = TaskRunning { queue_ms: Some(queue_ms) };
                self.enter(Running, Some(TaskStatusEvent::Running(details)))
            }
            TaskEvent::CallSuspended if self.status != Queued => {
                self.suspended_calls += 1;
                match self.suspended_calls {
                    1 => self.enter(AwaitingApproval, Some(TaskStatusEvent::AwaitingApproval)),
                    _ => vec![],
                }
            }
            TaskEvent::CallResumed if self.suspended_calls > 0 => {
                self.suspended_calls -= 1;
                match self.suspended_calls {
                    0 => {
                        let details = TaskRunning::default();
                        self.enter(Running, Some(TaskStatusEvent::Running(details)))
                    }
                    _ => vec![],
                }
            }
            // The first cause counts.
            TaskEvent::StopRequested(cause) if self.stop.is_none() => {
                self.stop = Some(cause);
                vec![TaskAction::CancelRun]
            }
            TaskEvent::Ended(status) if status.is_terminal() => {
                self.suspended_calls = 0;
                self.enter(status, None)
            }
            TaskEvent::Begun { .. }
            | TaskEvent::CallSuspended
            | TaskEvent::CallResumed
            | TaskEvent::StopRequested(_)
            | TaskEvent::Ended(_) => vec![],
        };
        (self, actions)
    }

    /// A terminal status is recorded with the whole end of the task, and not by an action.
    fn enter(&mut self, to: TaskStatus, event: Option<TaskStatusEvent>) -> Vec<TaskAction> {
        debug_assert!(may_become(self.status, to), "{} to {to}", self.status);
        self.status = to;
        let record = event.map(|event| TaskAction::RecordStatus(to, event));
        [TaskAction::PublishStatus(to)].into_iter().chain(record).collect()
    }
}

/// Returns true if a task may go from one status to another. A terminal status never changes.
pub fn may_become(from: TaskStatus, to: TaskStatus) -> bool {
    use TaskStatus::*;
    match from {
        Queued => to == Running || to.is_terminal(),
        Running => to == AwaitingApproval || to.is_terminal(),
        AwaitingApproval => to == Running || to.is_terminal(),
        Completed | Failed | TimedOut | Denied | Cancelled => false,
    }
}

/// The exit code that goes with a terminal status; none with the others.
pub fn exit_code(status: TaskStatus) -> Option<i32> {
    match status {
        TaskStatus::Queued | TaskStatus::Running | TaskStatus::AwaitingApproval => None,
        TaskStatus::Completed => Some(0),
        TaskStatus::Failed => Some(1),
        TaskStatus::TimedOut => Some(124),
        TaskStatus::Denied => Some(126),
        TaskStatus::Cancelled => Some(130),
    }
}

/// Reasons of the host for ending a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopCause {
    /// Somebody cancelled it.
    Cancelled,
    /// The server stops.
    ServerStops,
    /// The program does not do what it had done in an earlier run.
    Diverged,
}

/// The facts about a run that its outcome alone does not tell.
#[derive(Clone, Copy)]
pub struct RunContext<'a> {
    /// Wall-clock limit in milliseconds, for messages.
    pub wall_ms_max: u64,
    /// CPU budget in milliseconds, for messages.
    pub cpu_ms_max: u64,
    /// The reason for stopping the run, if the host stopped it.
    pub stopped: Option<StopCause>,
    /// The difference of the program to its earlier run, if there is one.
    pub difference: Option<&'a str>,
    /// The error code with which policy, a limit or a person rejected the call of that number.
    /// Guests cannot influence it.
    pub rejected: &'a dyn Fn(u32) -> Option<&'static str>,
}

/// The end of a task.
#[derive(Debug)]
pub struct End {
    /// A terminal status.
    pub status: TaskStatus,
    /// The exit code.
    pub exit_code: i32,
    /// The value, where the code returned.
    pub result: Option<RawJson>,
    /// The reason why it did not complete.
    pub error: Option<TaskError>,
}

impl End {
    /// An end other than `completed`.
    pub fn with_error(status: TaskStatus, error: TaskError) -> Self {
        Self { status, exit_code: exit_code(status).unwrap_or(1), result: None, error: Some(error) }
    }

    /// The event that records it.
    pub fn event(&self) -> EventDetails {
        let error = self.error.as_ref().map(|error| EndError {
            name: error.name.clone(),
            code: error.code.clone(),
            message: None,
            hint: None,
        });
        let ended = TaskEnded { exit_code: self.exit_code, error };
        match self.status {
            TaskStatus::Completed => EventDetails::TaskCompleted(ended),
            TaskStatus::TimedOut => EventDetails::TaskTimedOut(ended),
            TaskStatus::Denied => EventDetails::TaskDenied(ended),
            TaskStatus::Cancelled => EventDetails::TaskCancelled(ended),
            // An end has a terminal status.
            TaskStatus::Failed
            | TaskStatus::Queued
            | TaskStatus::Running
            | TaskStatus::AwaitingApproval => EventDetails::TaskFailed(ended),
        }
    }
}

/// The end of a task whose run had this outcome.
pub fn conclude(outcome: Outcome, context: RunContext<'_>) -> End {
    let is_own_end =
        !matches!(context.stopped, Some(StopCause::Cancelled | StopCause::ServerStops));
    if let Some(difference) = context.difference.filter(|_| is_own_end && outcome.is_own()) {
        return End::with_error(TaskStatus::Failed, diverged(difference));
    }
    match outcome {
        Outcome::Returned { value } => {
            End { status: TaskStatus::Completed, exit_code: 0, result: Some(value), error: None }
        }
        Outcome::Threw { error, call } => match call.and_then(context.rejected) {
            // Nobody denied it: the call was one too many.
            Some(code) if code == ErrorCode::RateLimited.as_str() => {
                End::with_error(TaskStatus::Failed, TaskError { code: code.into(), ..error })
            }
            Some(code) => {
                End::with_error(TaskStatus::Denied, TaskError { code: code.into(), ..error })
            }
            None => End::with_error(TaskStatus::Failed, error),
        },
        Outcome::MemoryLimit { message } => {
            let error = limit(
                ErrorCode::MemoryLimit.as_str(),
                message,
                "keep less in memory at once, or raise `limits.heap_mb`",
            );
            End { exit_code: EXIT_OUT_OF_MEMORY, ..End::with_error(TaskStatus::Failed, error) }
        }
        Outcome::CpuLimit => {
            let message = format!("cpu limit {} ms exceeded", context.cpu_ms_max);
            let hint =
                "compute less: let tools filter and page their answers, or raise `limits.cpu_ms`";
            End::with_error(
                TaskStatus::TimedOut,
                limit(ErrorCode::CpuLimit.as_str(), message, hint),
            )
        }
        Outcome::WallLimit => {
            let message = format!("time limit {} ms exceeded", context.wall_ms_max);
            let hint = "raise `timeoutMs` (at most 600000), or do less in one task";
            End::with_error(
                TaskStatus::TimedOut,
                limit(ErrorCode::TimeLimit.as_str(), message, hint),
            )
        }
        Outcome::Cancelled => match context.stopped {
            Some(StopCause::ServerStops) => {
                End::with_error(TaskStatus::Failed, server_stopped(Calls::Unknown))
            }
            Some(StopCause::Cancelled | StopCause::Diverged) | None => {
                End::with_error(TaskStatus::Cancelled, cancelled())
            }
        },
        // It goes on, or was cancelled meanwhile.
        Outcome::Spilled => End::with_error(TaskStatus::Cancelled, cancelled()),
        Outcome::Lost { detail } => End::with_error(
            TaskStatus::Failed,
            TaskError {
                name: "WorkerLost".into(),
                message: detail,
                code: ErrorCode::WorkerLost.into(),
                hint: Some(Calls::Unknown.hint().into()),
                ..TaskError::default()
            },
        ),
    }
}

/// The error of a program that does not do what it had done in an earlier run.
fn diverged(difference: &str) -> TaskError {
    TaskError {
        name: "ReplayError".into(),
        message: format!("the program did not do what it had done before: {difference}"),
        code: ErrorCode::ReplayDiverged.into(),
        hint: Some("nothing was sent again; its events tell which calls were made before".into()),
        ..TaskError::default()
    }
}

/// The error of a task that somebody cancelled.
pub fn cancelled() -> TaskError {
    TaskError {
        name: "Cancelled".into(),
        message: "the task was cancelled".into(),
        code: ErrorCode::Cancelled.into(),
        ..TaskError::default()
    }
}

/// The calls of a task that were under way when its server stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Calls {
    /// At least one was sent, and its end is not on record.
    Outstanding,
    /// None was sent without an end on record.
    None,
    /// Not known.
    Unknown,
}

impl Calls {
    fn hint(self) -> &'static str {
        match self {
            Self::Outstanding => {
                "calls that were sent and not answered may have taken effect; the task's events \
                name them; check what they did before you run it again"
            }
            Self::None => {
                "no call was under way; a call that waited for an approval or for its turn was not \
                sent; the task's events name the calls that were made before"
            }
            Self::Unknown => {
                "calls that were sent and not answered may have taken effect; calls that waited \
                for an approval were not sent; the task's events name them"
            }
        }
    }
}

/// The error of a task that was not over when its server stopped.
pub fn server_stopped(calls: Calls) -> TaskError {
    TaskError {
        name: "ServerStopped".into(),
        message: "the server stopped while this task ran".into(),
        code: ErrorCode::ServerStopped.into(),
        hint: Some(calls.hint().into()),
        ..TaskError::default()
    }
}

fn limit(code: &str, message: String, hint: &str) -> TaskError {
    TaskError {
        name: "LimitError".into(),
        message,
        code: code.into(),
        hint: Some(hint.into()),
        ..TaskError::default()
    }
}

#[cfg(test)]
#[path = "machine/tests.rs"]
mod tests;
