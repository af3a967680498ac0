//! Stops asking a service that does not answer: opens after failures in a row, lets one request through after a while, and
//! closes when that one is answered. Told the time, so that it can be tested without waiting.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Failures in a row after which nothing is sent for a while.
pub(super) const FAILURES_MAX: u32 = 5;
/// How long it stays open: the first time, and at the most. Doubled each time the probe fails too.
const OPEN: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));

/// Whether requests to one service are sent.
#[derive(Debug, Default)]
pub(in crate::catalog) struct Circuit(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// In a row.
    failures: u32,
    /// Nothing is sent before this moment.
    open_until: Option<Instant>,
    /// How often it was opened without an answer since.
    opened: u32,
    /// Whether the one request that finds out is on its way.
    probing: bool,
}

/// Leave to send one request. Dropped without a word of how it ended, it tells nothing but that it is over.
#[derive(Debug)]
pub(in crate::catalog) struct Leave<'a> {
    circuit: &'a Circuit,
    is_probe: bool,
}

impl Circuit {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leave to send, or how long to wait.
    pub(in crate::catalog) fn enter(&self, now: Instant) -> Result<Leave<'_>, Duration> {
        let mut state = self.state();
        let Some(until) = state.open_until else { return Ok(Leave { circuit: self, is_probe: false }) };
        if now < until {
            return Err(until - now);
        }
        if state.probing {
            return Err(Duration::from_secs(1));
        }
        state.probing = true;
        Ok(Leave { circuit: self, is_probe: true })
    }

    /// What keeps requests from being sent at present, if anything.
    pub(in crate::catalog) fn told(&self, now: Instant) -> Option<String> {
        let (failures, wait) = self.trouble(now)?;
        Some(match wait.is_zero() {
            true => format!("it failed {failures} times in a row; the next call finds out whether it answers again"),
            false => {
                format!("it failed {failures} times in a row, so no call is sent for another {} s", wait.as_secs().max(1))
            }
        })
    }

    /// For how long nothing is sent, and after how many failures.
    fn trouble(&self, now: Instant) -> Option<(u32, Duration)> {
        let state = self.state();
        state.open_until.map(|until| (state.failures, until.saturating_duration_since(now)))
    }
}

impl Leave<'_> {
    /// The service answered, or failed to.
    pub(in crate::catalog) fn end(self, answered: bool, now: Instant) {
        let mut state = self.circuit.state();
        if answered {
            *state = State::default();
            return;
        }
        state.failures = state.failures.saturating_add(1);
        if self.is_probe || state.open_until.is_none() && state.failures >= FAILURES_MAX {
            state.open_until = Some(now + OPEN.0.saturating_mul(1 << state.opened.min(8)).min(OPEN.1));
            state.opened = state.opened.saturating_add(1);
        }
    }
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        if self.is_probe {
            self.circuit.state().probing = false;
        }
    }
}

#[cfg(test)]
mod tests;
