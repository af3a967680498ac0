//! What a task may become, and what the end of a run makes of it. Pure: no clock, no store, no
//! process.

use crate::{
    model::{EndError, ErrorCode, EventData, RawJson, TaskEnded, TaskError, TaskStatus},
    sandbox::Outcome,
};

/// Exit code of a task that used too much memory; every other status has one code only.
const EXIT_OUT_OF_MEMORY: i32 = 137;

/// Whether a task may go from one status to another. A terminal status never changes.
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

/// Why the host ends a task that could go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopCause {
    /// Somebody cancelled it.
    Asked,
    /// The server stops.
    ServerStops,
}

/// What is known beside the outcome itself.
#[derive(Clone, Copy)]
pub struct RunContext<'a> {
    /// The limits that messages name.
    pub wall_ms_max: u64,
    /// CPU budget in milliseconds.
    pub cpu_ms_max: u64,
    /// Why the run was stopped, if the host stopped it.
    pub stopped: Option<StopCause>,
    /// How the host refused the call of that number, by policy, a limit or a person's word; the
    /// code of its error. Guests cannot influence it.
    pub refused: &'a dyn Fn(u32) -> Option<&'static str>,
}

/// How a task ends.
#[derive(Debug)]
pub struct End {
    /// A terminal status.
    pub status: TaskStatus,
    /// The exit code.
    pub exit_code: i32,
    /// The value, where the code returned.
    pub result: Option<RawJson>,
    /// Why it did not complete.
    pub error: Option<TaskError>,
}

impl End {
    /// An end other than `completed`.
    pub fn with_error(status: TaskStatus, error: TaskError) -> Self {
        Self { status, exit_code: exit_code(status).unwrap_or(1), result: None, error: Some(error) }
    }

    /// The event that records it.
    pub fn event(&self) -> EventData {
        let error = self.error.as_ref().map(|error| EndError {
            name: error.name.clone(),
            code: error.code.clone(),
            message: None,
            hint: None,
        });
        let ended = TaskEnded { exit_code: self.exit_code, error };
        match self.status {
            TaskStatus::Completed => EventData::TaskCompleted(ended),
            TaskStatus::TimedOut => EventData::TaskTimedOut(ended),
            TaskStatus::Denied => EventData::TaskDenied(ended),
            TaskStatus::Cancelled => EventData::TaskCancelled(ended),
            // An end has a terminal status.
            TaskStatus::Failed
            | TaskStatus::Queued
            | TaskStatus::Running
            | TaskStatus::AwaitingApproval => EventData::TaskFailed(ended),
        }
    }
}

/// What a run's outcome makes of its task.
pub fn conclude(outcome: Outcome, given: RunContext<'_>) -> End {
    match outcome {
        Outcome::Returned { value } => {
            End { status: TaskStatus::Completed, exit_code: 0, result: Some(value), error: None }
        }
        Outcome::Threw { error, call } => match call.and_then(given.refused) {
            // Nobody said no: the call was one too many.
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
            let message = format!("cpu limit {} ms exceeded", given.cpu_ms_max);
            let hint =
                "compute less: let tools filter and page their answers, or raise `limits.cpu_ms`";
            End::with_error(
                TaskStatus::TimedOut,
                limit(ErrorCode::CpuLimit.as_str(), message, hint),
            )
        }
        Outcome::WallLimit => {
            let message = format!("time limit {} ms exceeded", given.wall_ms_max);
            let hint = "raise `timeoutMs` (at most 600000), or do less in one task";
            End::with_error(
                TaskStatus::TimedOut,
                limit(ErrorCode::TimeLimit.as_str(), message, hint),
            )
        }
        Outcome::Cancelled => match given.stopped {
            Some(StopCause::ServerStops) => {
                End::with_error(TaskStatus::Failed, server_stopped(Calls::Unknown))
            }
            Some(StopCause::Asked) | None => End::with_error(TaskStatus::Cancelled, cancelled()),
        },
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

/// The error of a task that somebody cancelled.
pub fn cancelled() -> TaskError {
    TaskError {
        name: "Cancelled".into(),
        message: "the task was cancelled".into(),
        code: ErrorCode::Cancelled.into(),
        ..TaskError::default()
    }
}

/// What is known of a task's calls at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Calls {
    /// One or more had left and their end is not on record.
    UnderWay,
    /// None had left without an end.
    None,
    /// Nobody looked.
    Unknown,
}

impl Calls {
    fn hint(self) -> &'static str {
        match self {
            Self::UnderWay => {
                "calls that were sent and not answered may have taken effect; its events tell \
                which; look before you run it again"
            }
            Self::None => {
                "no call was under way, and one that waited, for an approval or for its turn, was \
                not sent; its events tell which calls were made before"
            }
            Self::Unknown => {
                "calls that were sent and not answered may have taken effect, those that waited \
                for an approval were not sent; its events tell which"
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
