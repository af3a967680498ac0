//! The handle of one task that has not ended: its state, its progress, and a way to stop it.
//!
//! In memory only; the record is [`TaskJournal`](super::journal::TaskJournal)'s.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::machine::{StopCause, TaskAction, TaskEvent, TaskState};
use crate::{
    model::{EventDetails, LogLine, Logs, RawJson, Task, TaskId, TaskStatus},
    sandbox::WallClock,
    store::NewTask,
};

/// Characters of a console line and of a path that are kept as the latest.
const LINE_CHARS_MAX: usize = 200;

/// A task that has not ended, or whose end somebody still watches.
pub struct TaskHandle {
    workspace_id: String,
    task_id: TaskId,
    cancel: CancellationToken,
    state: Mutex<TaskState>,
    /// The clock of its run, which tells whether it only waits for a person.
    clock: OnceLock<WallClock>,
    outcome: watch::Sender<Option<TaskOutcome>>,
    tool_calls: AtomicU64,
    /// Counts the approvals that were asked for, and the calls that went on.
    approvals: AtomicU64,
    latest: Mutex<Option<Latest>>,
    /// Console output so far. The run keeps within its limits, and passes on what it keeps.
    console: Mutex<Vec<LogLine>>,
    /// Lines that the present run has written. One that repeats writes those of before again.
    lines: AtomicUsize,
    /// Counts the changes that a waiting caller may want to know of.
    changes: watch::Sender<u64>,
}

/// The latest that happened in a task, in a short line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Latest {
    /// The program wrote this line to its console.
    Console(Arc<str>),
    /// The program called this tool, by the path that it wrote.
    Call(Arc<str>),
    /// A tool reports this progress, in its upstream's own words.
    Report(Arc<str>),
}

/// The end of a task as it was recorded.
#[derive(Debug, Clone)]
pub enum TaskOutcome {
    /// The record and the result are durable.
    Recorded(Arc<Task>, Option<Arc<RawJson>>),
    /// It has not ended: the next start of the server goes on with it.
    Postponed,
    /// The store failed, and why. The next start of the server ends the task as failed, if its
    /// creation is on record.
    Unrecorded(String),
}

impl TaskHandle {
    /// The handle of a task that begins, for the first time or again.
    pub(super) fn new(new: &NewTask) -> Self {
        Self {
            workspace_id: new.principal.workspace_id.clone(),
            task_id: new.task_id,
            cancel: CancellationToken::new(),
            state: Mutex::new(TaskState::submitted()),
            clock: OnceLock::new(),
            outcome: watch::Sender::new(None),
            tool_calls: AtomicU64::new(0),
            approvals: AtomicU64::new(0),
            latest: Mutex::default(),
            console: Mutex::default(),
            lines: AtomicUsize::new(0),
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

    /// Its status.
    pub fn status(&self) -> TaskStatus {
        self.state.lock().status()
    }

    /// The number of tool calls so far.
    pub fn tool_calls(&self) -> u64 {
        self.tool_calls.load(Ordering::Relaxed)
    }

    /// Changes whenever it may wait for other approvals than before.
    pub fn approvals(&self) -> u64 {
        self.approvals.load(Ordering::Relaxed)
    }

    /// The latest that happened in it.
    pub fn latest(&self) -> Option<Latest> {
        self.latest.lock().clone()
    }

    /// Its console output so far, without what was dropped.
    pub fn console(&self) -> Logs {
        Logs { lines: self.console.lock().clone(), ..Logs::default() }
    }

    /// Changes whenever its status, its number of calls, its approvals or the latest does.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Waits for its end to be recorded.
    pub async fn ended(&self) -> TaskOutcome {
        let mut outcome = self.outcome.subscribe();
        let ended =
            outcome.wait_for(Option::is_some).await.expect("the sender lives as long as `self`");
        ended.clone().expect("it was waited for")
    }

    /// Sets the clock of its run.
    pub(super) fn watch_clock(&self, clock: &WallClock) {
        self.clock.set(clock.clone()).ok();
    }

    /// Waits until its program does nothing but wait for a person's decision.
    pub(super) async fn waits_for_a_person(&self) {
        match self.clock.get() {
            Some(clock) => clock.stands_still().await,
            None => std::future::pending().await,
        }
    }

    /// Ends it, unless it has ended. The first cause counts.
    pub fn stop(&self, cause: StopCause) {
        self.apply(TaskEvent::StopRequested(cause), drop);
    }

    /// Fires once the task has to end.
    pub(super) fn cancelled(&self) -> &CancellationToken {
        &self.cancel
    }

    /// The reason for stopping it, if it was stopped.
    pub(super) fn stop_cause(&self) -> Option<StopCause> {
        self.state.lock().stop_cause()
    }

    /// Notes the call of that number, of the tool at this path. A call that is repeated counts
    /// once.
    pub(super) fn note_call(&self, seq: u32, path: &str) {
        if self.tool_calls.fetch_max(seq.into(), Ordering::Relaxed) >= seq.into() {
            return;
        }
        *self.latest.lock() = Some(Latest::Call(line(path)));
        self.notify();
    }

    /// Takes the progress that a tool reports.
    pub(super) fn report_progress(&self, text: &str) {
        self.happened(Latest::Report(Arc::from(text)));
    }

    /// Says that a run begins, which may repeat the last one.
    pub(super) fn begin_run(&self) {
        self.lines.store(0, Ordering::Relaxed);
    }

    /// Takes a line of the console, unless the run before has written it.
    pub(super) fn report_line(&self, written: &LogLine) {
        let mut console = self.console.lock();
        if self.lines.fetch_add(1, Ordering::Relaxed) < console.len() {
            return;
        }
        console.push(written.clone());
        drop(console);
        self.happened(Latest::Console(line(&written.text)));
    }

    /// Says that an approval can be read from the record.
    pub(super) fn asked(&self) {
        self.approvals.fetch_add(1, Ordering::Relaxed);
        self.notify();
    }

    fn happened(&self, latest: Latest) {
        let mut present = self.latest.lock();
        if present.as_ref() != Some(&latest) {
            *present = Some(latest);
            drop(present);
            self.notify();
        }
    }

    /// Applies an event to its state. `record` gets the status that has to be recorded, if one
    /// has; no other event comes in between, so statuses are recorded in the order in which they
    /// came.
    pub(super) fn apply<T>(
        &self,
        event: TaskEvent,
        record: impl FnOnce(Option<(TaskStatus, EventDetails)>) -> T,
    ) -> T {
        if matches!(event, TaskEvent::CallResumed) {
            self.approvals.fetch_add(1, Ordering::Relaxed);
        }
        let mut state = self.state.lock();
        let (next, actions) = state.step(event);
        *state = next;
        let mut to_record = None;
        for action in actions {
            match action {
                TaskAction::PublishStatus(_) => self.notify(),
                TaskAction::RecordStatus(status, event) => {
                    to_record = Some((status, event.into()));
                }
                TaskAction::CancelRun => self.cancel.cancel(),
            }
        }
        record(to_record)
    }

    /// Publishes its end.
    pub(super) fn publish(&self, outcome: TaskOutcome) {
        if let TaskOutcome::Recorded(task, _) = &outcome {
            self.apply(TaskEvent::Ended(task.status), drop);
        }
        self.outcome.send_replace(Some(outcome));
    }

    fn notify(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }
}

/// The beginning of a text, in one line.
fn line(text: &str) -> Arc<str> {
    let words = text.split_whitespace().flat_map(|word| [" ", word]).skip(1);
    let line: String = words.flat_map(str::chars).take(LINE_CHARS_MAX).collect();
    line.into()
}
