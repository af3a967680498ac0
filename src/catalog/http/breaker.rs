//! A circuit breaker: opens after failures in a row, lets one request through after a while, and
//! closes when that one succeeds. The caller passes the time, so tests need not wait.
//!
//! The caller may control an operation's duration, so a timeout says nothing about other
//! operations, and nothing at all while the service answers others.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use parking_lot::{Mutex, MutexGuard};

use crate::base::backoff::Backoff;

/// Failures in a row after which nothing is sent for a while.
pub(super) const FAILURES_MAX: u32 = 5;
/// Time for which it stays open; doubled each time the probe fails too.
const OPEN: Backoff = Backoff::new(Duration::from_secs(5), Duration::from_secs(60));
/// Longest time for which other requests wait for the probe, whose operation may be slow; then the
/// next one may probe.
const PROBE_MAX: Duration = Duration::from_secs(5);
/// Operations whose lateness is counted; further ones are called as if they had never been late.
const OPERATIONS_MAX: usize = 1_000;

/// Result of a request, as far as it concerns the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::catalog) enum CallOutcome {
    /// The service answered.
    Success,
    /// This operation was not answered in time.
    Timeout,
    /// Not reachable, a broken connection, or a gateway's error that says so.
    Failure,
}

/// Decides whether requests to one service are sent.
#[derive(Debug, Default)]
pub(in crate::catalog) struct CircuitBreaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// For all operations.
    whole: BreakerState,
    /// For those that were not answered in time, since anything was.
    late: HashMap<String, BreakerState>,
    /// Time of the last response.
    answered: Option<Instant>,
}

#[derive(Debug, Default)]
struct BreakerState {
    /// Failures in a row.
    failures: u32,
    /// Time before which nothing is sent.
    open_until: Option<Instant>,
    /// Times it was opened since the last response.
    opened: u32,
    /// Since when the one request that finds out is on its way.
    probing: Option<Instant>,
}

impl BreakerState {
    /// Admits a request; true if it is a probe. The error is the time to wait.
    fn enter(&mut self, now: Instant) -> Result<bool, Duration> {
        let Some(until) = self.open_until else { return Ok(false) };
        let until = self.probing.map_or(until, |since| until.max(since + PROBE_MAX));
        if now < until {
            return Err(until - now);
        }
        self.probing = Some(now);
        Ok(true)
    }

    fn fail(&mut self, is_probe: bool, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        if is_probe || self.open_until.is_none() && self.failures >= FAILURES_MAX {
            self.opened = self.opened.saturating_add(1);
            self.open_until = Some(now + OPEN.after(self.opened));
        }
    }

    /// The probe that began then is over.
    fn probed(&mut self, since: Instant) {
        self.probing = self.probing.filter(|probing| *probing != since);
    }

    /// For how long nothing is sent, and after how many failures.
    fn trouble(&self, now: Instant) -> Option<(u32, Duration)> {
        self.open_until.map(|until| (self.failures, until.saturating_duration_since(now)))
    }
}

/// Permission to send one request. If it is dropped without an outcome, it says only that it is
/// over.
#[derive(Debug)]
pub(in crate::catalog) struct Permit<'a> {
    circuit: &'a CircuitBreaker,
    operation: String,
    since: Instant,
    /// True if it probes for all operations, and for its own.
    probes: (bool, bool),
}

impl CircuitBreaker {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }

    /// Leave to send a request of this operation, or how long to wait.
    pub(in crate::catalog) fn enter(
        &self,
        operation: &str,
        now: Instant,
    ) -> Result<Permit<'_>, Duration> {
        let mut state = self.state();
        let of_all = state.whole.enter(now)?;
        let of_own =
            state.late.get_mut(operation).map_or(Ok(false), |state_of_one| state_of_one.enter(now));
        if of_own.is_err() && of_all {
            state.whole.probed(now);
        }
        Ok(Permit {
            circuit: self,
            operation: operation.to_owned(),
            since: now,
            probes: (of_all, of_own?),
        })
    }

    /// Reason why requests are not sent at present, if any.
    pub(in crate::catalog) fn status_line(&self, now: Instant) -> Option<String> {
        let state = self.state();
        let (what, of_it, (failures, wait)) = match state.whole.trouble(now) {
            Some(trouble) => ("it failed".to_owned(), "", trouble),
            None => {
                let late = state.late.iter().filter_map(|(operation, state_of_one)| {
                    Some((operation, state_of_one.trouble(now)?))
                });
                // Always the same one, so that the message changes only with events.
                let (operation, trouble) = late.min_by_key(|(operation, _)| *operation)?;
                (format!("`{operation}` was not answered in time"), " of it", trouble)
            }
        };
        Some(match wait.is_zero() {
            true => format!(
                "{what} {failures} times in a row; the next call finds out whether it answers again"
            ),
            false => {
                format!(
                    "{what} {failures} times in a row, so no call{of_it} is sent for another {} s",
                    wait.as_secs().max(1)
                )
            }
        })
    }

    #[cfg(test)]
    fn trouble(&self, now: Instant) -> Option<(u32, Duration)> {
        self.state().whole.trouble(now)
    }
}

impl Permit<'_> {
    /// The request has ended.
    pub(in crate::catalog) fn end(mut self, outcome: CallOutcome, now: Instant) {
        let mut state = self.circuit.state();
        match outcome {
            CallOutcome::Success => *state = State { answered: Some(now), ..State::default() },
            CallOutcome::Failure => state.whole.fail(self.probes.0, now),
            CallOutcome::Timeout => {
                if self.probes.0 {
                    state.whole.fail(true, now);
                }
                let is_silent = state.answered.is_none_or(|answered| answered < self.since);
                let has_room =
                    state.late.len() < OPERATIONS_MAX || state.late.contains_key(&self.operation);
                if is_silent && has_room {
                    let operation = std::mem::take(&mut self.operation);
                    let state_of_one = state.late.entry(operation).or_default();
                    state_of_one.fail(self.probes.1, now);
                    state_of_one.probed(self.since);
                }
            }
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut state = self.circuit.state();
        if self.probes.0 {
            state.whole.probed(self.since);
        }
        if self.probes.1
            && let Some(state_of_one) = state.late.get_mut(&self.operation)
        {
            state_of_one.probed(self.since);
        }
    }
}

#[cfg(test)]
mod tests;
