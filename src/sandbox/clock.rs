//! The wall clock of a run: stands still while the guest does nothing but wait for a person.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::watch;

/// Shared by a run and its host. While at least one [`Hold`] lives and the guest only waits, no
/// time passes.
#[derive(Debug, Clone)]
pub struct WallClock {
    holds: Arc<watch::Sender<usize>>,
}

/// Holds the clock until dropped: a person is being asked.
#[derive(Debug)]
pub struct Hold(Arc<watch::Sender<usize>>);

impl WallClock {
    /// A clock that runs.
    #[allow(clippy::new_without_default, reason = "a clock is made on purpose")]
    pub fn new() -> Self {
        Self { holds: Arc::new(watch::Sender::new(0)) }
    }

    /// Stops the clock for as long as the answer lives.
    pub fn hold(&self) -> Hold {
        self.holds.send_modify(|holds| *holds += 1);
        Hold(self.holds.clone())
    }

    pub(super) fn holds(&self) -> watch::Receiver<usize> {
        self.holds.subscribe()
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.send_modify(|holds| *holds -= 1);
    }
}

/// What a guest is doing, for the clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    /// It runs, or could.
    Running,
    /// It waits for timers or for nothing that we know.
    Idle,
    /// It waits for tools.
    Tools,
    /// It waits for a person.
    Person,
}

/// Adds up where the time of a run went.
#[derive(Debug)]
pub(super) struct Stopwatch {
    since: Instant,
    doing: Doing,
    /// All time but that spent waiting for a person; this is what the limit is compared with.
    pub(super) counted: Duration,
    pub(super) tools: Duration,
    pub(super) person: Duration,
}

impl Stopwatch {
    pub(super) fn start() -> Self {
        Self {
            since: Instant::now(),
            doing: Doing::Running,
            counted: Duration::ZERO,
            tools: Duration::ZERO,
            person: Duration::ZERO,
        }
    }

    /// Books the time since the last call to what the guest was doing, and notes what it does from
    /// now on.
    pub(super) fn turn(&mut self, doing: Doing) {
        let now = Instant::now();
        let passed = now - self.since;
        match self.doing {
            Doing::Person => self.person += passed,
            Doing::Tools => self.tools += passed,
            Doing::Running | Doing::Idle => {}
        }
        if self.doing != Doing::Person {
            self.counted += passed;
        }
        self.since = now;
        self.doing = doing;
    }

    /// When `limit` will be reached if the guest goes on with what it is doing; never while it
    /// waits for a person.
    pub(super) fn deadline(&self, limit: Duration) -> Option<Instant> {
        (self.doing != Doing::Person).then(|| self.since + limit.saturating_sub(self.counted))
    }
}
