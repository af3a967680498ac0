//! What unit tests of several parts share.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Measures the CPU time of the calling thread, which other processes do not lengthen.
pub(crate) struct CpuTimer(Duration);

impl CpuTimer {
    /// Starts to measure.
    pub(crate) fn start() -> Self {
        Self(cpu_time())
    }

    /// Returns the CPU time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        cpu_time().saturating_sub(self.0)
    }
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("a thread's CPU time is not negative")
}
