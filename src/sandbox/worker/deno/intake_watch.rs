//! Ends a run whose code takes too long to take in: a parser cannot be interrupted, so another
//! thread says it in the parser's stead.

use std::{io, sync::Arc, thread, time::Duration};

use parking_lot::{Condvar, Mutex};

use crate::{
    model::TaskError,
    sandbox::worker::{
        cpu_clock,
        ending::Ending,
        intake::{self, Prepared},
        outbox::Outbox,
    },
};

/// How often the parser's CPU time is read.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What is being taken in: the run, and what the parser's clock shows when it has taken too long.
type Busy = Option<(u32, u64)>;

/// See the module. Belongs to the thread that made it.
pub(super) struct IntakeWatch {
    busy: Arc<(Mutex<Busy>, Condvar)>,
    clock: libc::clockid_t,
}

impl IntakeWatch {
    /// Starts the thread that watches this one.
    pub(super) fn start(outbox: Arc<Outbox>) -> io::Result<Self> {
        let watch = Self { busy: Arc::default(), clock: cpu_clock::of_this_thread() };
        let (busy, clock) = (watch.busy.clone(), watch.clock);
        thread::Builder::new()
            .name("intake-watch".into())
            .spawn(move || follow(&busy, clock, &outbox))?;
        Ok(watch)
    }

    /// Makes a program ready to run. Never returns when it was given up meanwhile: its end was
    /// told, and the broker replaces this process.
    #[expect(
        clippy::result_large_err,
        reason = "an error ends the run: its size does not matter, its form is that of the answer"
    )]
    pub(super) fn prepare(&self, run: u32, source: &str) -> Result<Prepared, TaskError> {
        let end = cpu_clock::read_ns(self.clock).unwrap_or(0) + intake::CPU_MS_MAX * 1_000_000;
        *self.busy.0.lock() = Some((run, end));
        self.busy.1.notify_one();
        let prepared = intake::prepare(source);
        if self.busy.0.lock().take().is_none() {
            loop {
                thread::park();
            }
        }
        prepared
    }
}

fn follow(busy: &(Mutex<Busy>, Condvar), clock: libc::clockid_t, outbox: &Outbox) {
    let (busy, changed) = busy;
    let mut now = busy.lock();
    loop {
        match *now {
            None => changed.wait(&mut now),
            Some((run, end)) if cpu_clock::read_ns(clock).is_some_and(|ns| ns >= end) => {
                *now = None;
                Ending::of_slow_intake().send(outbox, run);
            }
            Some(_) => drop(changed.wait_for(&mut now, LOOK_EVERY)),
        }
    }
}
