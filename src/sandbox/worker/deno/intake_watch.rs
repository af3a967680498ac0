//! Ends a run whose intake takes too long. The parser cannot be interrupted, so another thread
//! reports the end.

use std::{io, sync::Arc, thread, time::Duration};

use parking_lot::{Condvar, Mutex};

use crate::{
    model::TaskError,
    sandbox::worker::{
        cpu_clock,
        intake::{self, Prepared},
        outbox::Outbox,
        run_end::RunEnd,
    },
};

/// Interval at which the parser's CPU time is read.
const CHECK_EVERY: Duration = Duration::from_millis(50);

/// The intake under way: its run, and the reading of the parser's clock at which it is abandoned.
type Current = Option<(u32, u64)>;

/// Watches the intakes of the thread that created it.
pub(super) struct IntakeWatch {
    current: Arc<(Mutex<Current>, Condvar)>,
    clock: libc::clockid_t,
}

impl IntakeWatch {
    /// Starts the thread that watches the calling one.
    pub(super) fn start(outbox: Arc<Outbox>) -> io::Result<Self> {
        let watch = Self { current: Arc::default(), clock: cpu_clock::of_this_thread() };
        let (current, clock) = (watch.current.clone(), watch.clock);
        thread::Builder::new()
            .name("intake-watch".into())
            .spawn(move || watch_intakes(&current, clock, &outbox))?;
        Ok(watch)
    }

    /// Prepares a program. Never returns if the intake was abandoned meanwhile: the end was
    /// reported, and the broker replaces this process.
    #[expect(
        clippy::result_large_err,
        reason = "an error ends the run: its size does not matter, its form is that of the answer"
    )]
    pub(super) fn prepare(&self, run: u32, source: &str) -> Result<Prepared, TaskError> {
        let end = cpu_clock::read_ns(self.clock).unwrap_or(0) + intake::CPU_MS_MAX * 1_000_000;
        *self.current.0.lock() = Some((run, end));
        self.current.1.notify_one();
        let prepared = intake::prepare(source);
        if self.current.0.lock().take().is_none() {
            loop {
                thread::park();
            }
        }
        prepared
    }
}

fn watch_intakes(shared: &(Mutex<Current>, Condvar), clock: libc::clockid_t, outbox: &Outbox) {
    let (current, changed) = shared;
    let mut current = current.lock();
    loop {
        match *current {
            None => changed.wait(&mut current),
            Some((run, end)) if cpu_clock::read_ns(clock).is_some_and(|ns| ns >= end) => {
                *current = None;
                RunEnd::of_slow_intake().send(outbox, run);
            }
            Some(_) => drop(changed.wait_for(&mut current, CHECK_EVERY)),
        }
    }
}
