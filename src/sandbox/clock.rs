//! The wall clock of a run, which stands still while the guest only waits for an approval.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::watch;

/// Wall clock shared by a run and its host. It stands still while at least one [`ClockPause`]
/// exists and the guest only waits.
#[derive(Debug, Clone)]
pub struct WallClock {
    pauses: Arc<watch::Sender<usize>>,
    /// The run's activity is [`Activity::ApprovalWait`], and no other call of it is under way.
    still: Arc<watch::Sender<bool>>,
    /// Milliseconds of the wall time limit that are used.
    used_ms: Arc<AtomicU64>,
}

/// Pauses the clock until dropped: an approval is pending.
#[derive(Debug)]
pub struct ClockPause(Arc<watch::Sender<usize>>);

impl WallClock {
    /// Creates a clock that runs.
    #[allow(clippy::new_without_default, reason = "a clock is made on purpose")]
    pub fn new() -> Self {
        let (pauses, still) = (watch::Sender::new(0), watch::Sender::new(false));
        Self { pauses: Arc::new(pauses), still: Arc::new(still), used_ms: Arc::default() }
    }

    /// Milliseconds of the wall time limit that are used, over all runs.
    pub fn used_ms(&self) -> u64 {
        self.used_ms.load(Ordering::Relaxed)
    }

    /// Sets what an earlier run used of the wall time limit.
    pub fn set_used_ms(&self, used_ms: u64) {
        self.used_ms.store(used_ms, Ordering::Relaxed);
    }

    /// Pauses the clock for the lifetime of the returned guard.
    pub fn pause(&self) -> ClockPause {
        self.pauses.send_modify(|pauses| *pauses += 1);
        ClockPause(self.pauses.clone())
    }

    /// Waits until the guest does nothing but wait for approvals: it does not run, and no other
    /// call of it is under way.
    pub async fn stands_still(&self) {
        let mut still = self.still.subscribe();
        // An error cannot come while `self` holds the sender.
        let _ = still.wait_for(|still| *still).await;
    }

    /// Says whether the guest does nothing but wait for approvals.
    pub(super) fn set_still(&self, is_still: bool) {
        self.still.send_if_modified(|still| std::mem::replace(still, is_still) != is_still);
    }

    /// The number of pauses in force, and its changes.
    pub(super) fn pauses(&self) -> watch::Receiver<usize> {
        self.pauses.subscribe()
    }
}

impl Drop for ClockPause {
    fn drop(&mut self) {
        self.0.send_modify(|pauses| *pauses -= 1);
    }
}

/// Activity of a guest, as far as the clocks distinguish it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Activity {
    /// It runs, or could run.
    Running,
    /// It waits for timers, or for nothing the broker knows of.
    Idle,
    /// It waits for tool calls.
    ToolWait,
    /// It waits for an approval.
    ApprovalWait,
}

/// Sums up the time of a run by activity.
#[derive(Debug)]
pub(super) struct Stopwatch {
    since: Instant,
    activity: Activity,
    /// All time except [`Activity::ApprovalWait`]; compared with the wall limit.
    pub(super) counted: Duration,
    pub(super) tool_wait: Duration,
    pub(super) approval_wait: Duration,
}

impl Stopwatch {
    /// `used` is what earlier runs used of the wall limit.
    pub(super) fn start(used: Duration) -> Self {
        Self {
            since: Instant::now(),
            activity: Activity::Running,
            counted: used,
            tool_wait: Duration::ZERO,
            approval_wait: Duration::ZERO,
        }
    }

    /// Adds the time since the last call to the present activity, then switches to `next`.
    pub(super) fn switch_to(&mut self, next: Activity) {
        let now = Instant::now();
        let passed = now - self.since;
        match self.activity {
            Activity::ApprovalWait => self.approval_wait += passed,
            Activity::ToolWait => self.tool_wait += passed,
            Activity::Running | Activity::Idle => {}
        }
        if self.activity != Activity::ApprovalWait {
            self.counted += passed;
        }
        self.since = now;
        self.activity = next;
    }

    /// Moment at which `limit` is reached if the activity does not change; `None` during
    /// [`Activity::ApprovalWait`].
    pub(super) fn deadline(&self, limit: Duration) -> Option<Instant> {
        (self.activity != Activity::ApprovalWait)
            .then(|| self.since + limit.saturating_sub(self.counted))
    }
}
