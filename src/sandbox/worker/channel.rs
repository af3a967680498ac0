//! Passes messages from the main thread of a worker to its guest's thread: the run, responses, and
//! the first cause to stop.
//!
//! Knows locks and no engine. The main thread puts in, the guest's thread takes out.

use std::{
    mem,
    sync::atomic::{AtomicU8, Ordering},
    time::Instant,
};

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::repeat::Repeat;

/// Bytes of responses that wait for the guest. Above it the broker's frames stay in the socket
/// until the guest catches up.
const WAITING_BYTES_MAX: usize = 64 << 20;

/// Cause for which a guest is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum StopCause {
    /// The broker ordered it.
    Broker = 1,
    /// The CPU time limit was reached.
    Cpu = 2,
    /// The heap came near its limit.
    Memory = 3,
}

/// The first cause to stop, which is never cleared. V8 forgets a termination between two entries.
#[derive(Default)]
pub(super) struct StopFlag(AtomicU8);

impl StopFlag {
    /// Sets the cause unless there is one.
    pub(super) fn raise(&self, cause: StopCause) {
        let _ = self.0.compare_exchange(0, cause as u8, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Returns the first cause, if there is one.
    pub(super) fn cause(&self) -> Option<StopCause> {
        match self.0.load(Ordering::Acquire) {
            0 => None,
            1 => Some(StopCause::Broker),
            2 => Some(StopCause::Cpu),
            _ => Some(StopCause::Memory),
        }
    }

    /// Returns true if the guest must stop.
    pub(super) fn is_raised(&self) -> bool {
        self.cause().is_some()
    }
}

/// One run as the broker sent it.
pub(super) struct Job {
    pub(super) run: u32,
    pub(super) source: String,
    /// What the guest sees of time and chance.
    pub(super) repeat: Repeat,
}

/// One response as the broker sent it: number of the call, success, JSON.
pub(super) struct Response {
    pub(super) call: u32,
    pub(super) ok: bool,
    pub(super) json: Vec<u8>,
}

#[derive(Default)]
struct State {
    job: Option<Job>,
    responses: Vec<Response>,
    response_bytes: usize,
    go: bool,
    parked: bool,
    over: bool,
}

/// Messages for the guest's thread.
#[derive(Default)]
pub(super) struct Mailbox {
    state: Mutex<State>,
    changed: Condvar,
    intake: AtomicU8,
    pub(super) stop: StopFlag,
}

// States of the intake. The first of the two threads that ends it decides.
const INTAKE_RUNNING: u8 = 0;
const INTAKE_FINISHED: u8 = 1;
const INTAKE_ABANDONED: u8 = 2;

/// Event that ends a wait of a parked guest.
pub(super) enum Wakeup {
    /// Responses came, which permit the guest to continue.
    Responses(Vec<Response>),
    /// The given moment came; the guest must not run yet.
    TimerDue,
    /// The broker permits the guest to continue.
    Go,
    /// The guest must end.
    Stopped,
}

impl Mailbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Hands over the run.
    pub(super) fn start(&self, job: Job) {
        self.lock().job = Some(job);
        self.changed.notify_one();
    }

    /// Waits for the run.
    pub(super) fn job(&self) -> Job {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.job.take() {
                return job;
            }
            self.changed.wait(&mut state);
        }
    }

    /// Ends the intake for the guest's thread. Returns false if the main thread abandoned it.
    pub(super) fn finish_intake(&self) -> bool {
        self.end_intake(INTAKE_FINISHED)
    }

    /// Ends the intake for the main thread. Returns false if the guest's thread finished it.
    pub(super) fn abandon_intake(&self) -> bool {
        self.end_intake(INTAKE_ABANDONED)
    }

    fn end_intake(&self, state: u8) -> bool {
        self.intake
            .compare_exchange(INTAKE_RUNNING, state, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Adds a response.
    pub(super) fn respond(&self, response: Response) {
        let mut state = self.lock();
        state.response_bytes += response.json.len();
        state.responses.push(response);
        state.parked = false;
        drop(state);
        self.changed.notify_one();
    }

    /// Permits the guest to continue after `Wake`.
    pub(super) fn go(&self) {
        let mut state = self.lock();
        state.go = true;
        state.parked = false;
        drop(state);
        self.changed.notify_one();
    }

    /// Raises the stop flag and wakes the guest if it waits.
    pub(super) fn stop(&self, cause: StopCause) {
        let state = self.lock();
        self.stop.raise(cause);
        drop(state);
        self.changed.notify_one();
    }

    /// Returns true if the guest only waits, so its clock stands still until a message comes.
    pub(super) fn is_parked(&self) -> bool {
        self.lock().parked
    }

    /// Returns true if so many responses wait that no more should be read.
    pub(super) fn is_full(&self) -> bool {
        self.lock().response_bytes > WAITING_BYTES_MAX
    }

    /// Returns true if the run has ended.
    pub(super) fn is_over(&self) -> bool {
        self.lock().over
    }

    /// Marks the run as ended; messages that still come for it are late.
    pub(super) fn finish(&self) {
        let mut state = self.lock();
        state.over = true;
        state.responses = Vec::new();
        state.response_bytes = 0;
    }

    /// Takes the responses that have come, without waiting.
    pub(super) fn take(&self) -> Vec<Response> {
        Self::drain(&mut self.lock())
    }

    /// Marks the guest as parked. Returns false if there is a message for it.
    pub(super) fn park(&self) -> bool {
        let mut state = self.lock();
        state.parked = state.responses.is_empty() && !self.stop.is_raised();
        state.go = false;
        state.parked
    }

    /// Waits for a message, or until the moment.
    pub(super) fn wait(&self, until: Option<Instant>) -> Wakeup {
        let mut state = self.lock();
        loop {
            if self.stop.is_raised() {
                return Wakeup::Stopped;
            }
            if !state.responses.is_empty() {
                return Wakeup::Responses(Self::drain(&mut state));
            }
            if mem::take(&mut state.go) {
                return Wakeup::Go;
            }
            match until {
                None => self.changed.wait(&mut state),
                Some(moment) if moment <= Instant::now() => return Wakeup::TimerDue,
                Some(moment) => drop(self.changed.wait_until(&mut state, moment)),
            }
        }
    }

    fn drain(state: &mut State) -> Vec<Response> {
        state.response_bytes = 0;
        mem::take(&mut state.responses)
    }
}
