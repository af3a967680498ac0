//! How the main thread of a worker reaches its guest's: answers in, the first reason to stop.
//!
//! Knows locks, nothing of V8. The main thread puts in, the guest's thread takes out.

use std::{
    mem,
    sync::atomic::{AtomicU8, Ordering},
    time::Instant,
};

use parking_lot::{Condvar, Mutex, MutexGuard};

/// Answers that wait for the guest, in bytes. Above it the broker's frames stay in the socket until
/// the guest catches up.
const WAITING_BYTES_MAX: usize = 64 << 20;

/// Why a guest is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Reason {
    /// The broker said so.
    Told = 1,
    /// The CPU budget ran out.
    Cpu = 2,
    /// The heap came near its bound.
    Memory = 3,
}

/// The first reason to stop, once and for all. V8 forgets a termination between two entries; this
/// does not.
#[derive(Default)]
pub(super) struct Alarm(AtomicU8);

impl Alarm {
    /// Raises it; whether this was the first time.
    pub(super) fn raise(&self, reason: Reason) -> bool {
        self.0.compare_exchange(0, reason as u8, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// The first reason, if there was one.
    pub(super) fn raised(&self) -> Option<Reason> {
        match self.0.load(Ordering::Acquire) {
            0 => None,
            1 => Some(Reason::Told),
            2 => Some(Reason::Cpu),
            _ => Some(Reason::Memory),
        }
    }
}

/// One run as the broker gave it.
pub(super) struct Job {
    pub(super) run: u32,
    pub(super) source: String,
}

/// One answer as it came: the call's number, whether it succeeded, the JSON.
pub(super) struct Answer {
    pub(super) call: u32,
    pub(super) ok: bool,
    pub(super) json: Vec<u8>,
}

#[derive(Default)]
struct Waiting {
    job: Option<Job>,
    answers: Vec<Answer>,
    answer_bytes: usize,
    go: bool,
    parked: bool,
    over: bool,
}

/// What the guest's thread waits for.
#[derive(Default)]
pub(super) struct Mailbox {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    intake: AtomicU8,
    pub(super) alarm: Alarm,
}

/// Where the intake of the code stands: the first of the two that says it is over decides.
const TAKING_IN: u8 = 0;
const TAKEN_IN: u8 = 1;
const GIVEN_UP: u8 = 2;

/// Why a park ended.
pub(super) enum Woken {
    /// These came; also the permission to go on.
    Answers(Vec<Answer>),
    /// The moment came; nothing may run yet.
    Due,
    /// The broker lets the guest go on.
    Go,
    /// The guest must end.
    Stopped,
}

impl Mailbox {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock()
    }

    /// Hands over the run.
    pub(super) fn start(&self, job: Job) {
        self.lock().job = Some(job);
        self.changed.notify_all();
    }

    /// Waits for the run.
    pub(super) fn job(&self) -> Job {
        let mut waiting = self.lock();
        loop {
            if let Some(job) = waiting.job.take() {
                return job;
            }
            self.changed.wait(&mut waiting);
        }
    }

    /// Says that the intake is over, for the guest's thread; false when the main thread has given
    /// it up.
    pub(super) fn taken_in(&self) -> bool {
        self.intake
            .compare_exchange(TAKING_IN, TAKEN_IN, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Gives the intake up, for the main thread; false when it is over.
    pub(super) fn give_up_intake(&self) -> bool {
        self.intake
            .compare_exchange(TAKING_IN, GIVEN_UP, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Puts an answer in.
    pub(super) fn answer(&self, answer: Answer) {
        let mut waiting = self.lock();
        waiting.answer_bytes += answer.json.len();
        waiting.answers.push(answer);
        waiting.parked = false;
        self.changed.notify_all();
    }

    /// Lets the guest go on after `Wake`.
    pub(super) fn go(&self) {
        let mut waiting = self.lock();
        waiting.go = true;
        waiting.parked = false;
        self.changed.notify_all();
    }

    /// Raises the alarm and wakes the guest if it waits.
    pub(super) fn stop(&self, reason: Reason) {
        let waiting = self.lock();
        self.alarm.raise(reason);
        drop(waiting);
        self.changed.notify_all();
    }

    /// Whether the guest only waits: its clock stands still until something is put in.
    pub(super) fn is_parked(&self) -> bool {
        self.lock().parked
    }

    /// Whether so many answers wait that no more should be read.
    pub(super) fn is_full(&self) -> bool {
        self.lock().answer_bytes > WAITING_BYTES_MAX
    }

    /// Whether the run has ended.
    pub(super) fn is_over(&self) -> bool {
        self.lock().over
    }

    /// Says that the run has ended; what still comes for it is late.
    pub(super) fn finish(&self) {
        let mut waiting = self.lock();
        waiting.over = true;
        waiting.answers = Vec::new();
        waiting.answer_bytes = 0;
    }

    /// The answers that have come, without waiting.
    pub(super) fn take(&self) -> Vec<Answer> {
        Self::drain(&mut self.lock())
    }

    /// Marks the guest as waiting, unless there is something for it.
    pub(super) fn park(&self) -> bool {
        let mut waiting = self.lock();
        waiting.parked = waiting.answers.is_empty() && self.alarm.raised().is_none();
        waiting.go = false;
        waiting.parked
    }

    /// Waits until something is there, or until the moment.
    pub(super) fn wait(&self, until: Option<Instant>) -> Woken {
        let mut waiting = self.lock();
        loop {
            if self.alarm.raised().is_some() {
                return Woken::Stopped;
            }
            if !waiting.answers.is_empty() {
                return Woken::Answers(Self::drain(&mut waiting));
            }
            if mem::take(&mut waiting.go) {
                return Woken::Go;
            }
            match until {
                None => self.changed.wait(&mut waiting),
                Some(moment) if moment <= Instant::now() => return Woken::Due,
                Some(moment) => drop(self.changed.wait_until(&mut waiting, moment)),
            }
        }
    }

    fn drain(waiting: &mut Waiting) -> Vec<Answer> {
        waiting.answer_bytes = 0;
        mem::take(&mut waiting.answers)
    }
}
