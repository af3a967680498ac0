//! The budget of one task: the calls, bytes and time that policy gives it, and its use of them.

use std::{
    pin::pin,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::sync::watch;

use super::rejection::{CallRejection, RATE_LIMITED};
use crate::{base::plural::counted, policy::Budget};

/// The use of a budget. Not stored: a program that runs again after a restart repeats its calls.
#[derive(Debug, Default)]
pub(in crate::task) struct BudgetTracker {
    used: Mutex<Used>,
    /// The number of calls under way. Each uses up time.
    under_way: watch::Sender<u32>,
}

#[derive(Debug, Default)]
struct Used {
    calls: u64,
    bytes: u64,
    /// The time of all calls together, up to `since`.
    time: Duration,
    under_way: u32,
    since: Option<Instant>,
}

impl Used {
    /// The time of all calls together, those under way included, up to now.
    fn time(&mut self) -> Duration {
        let now = Instant::now();
        let passed =
            self.since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        self.time = self.time.saturating_add(passed.saturating_mul(self.under_way));
        self.since = Some(now);
        self.time
    }
}

impl BudgetTracker {
    /// Counts a call that is about to be made.
    ///
    /// # Errors
    /// If a budget is used up.
    pub(in crate::task) fn count_call(&self, budget: &Budget) -> Result<(), CallRejection> {
        let mut used = self.used.lock();
        if let Some(max) = budget.calls.filter(|max| used.calls >= *max) {
            return Err(over(format!(
                "this task may make {} and has made them",
                counted(max, "tool call")
            )));
        }
        if let Some(max) = budget.bytes_returned.filter(|max| used.bytes >= *max) {
            return Err(over(format!(
                "tools may return {max} bytes to this task and have returned them"
            )));
        }
        if let Some(max) = budget.wall_time.filter(|max| used.time() >= *max) {
            return Err(over(format!(
                "tools may take {} ms for this task and have taken them",
                max.as_millis()
            )));
        }
        used.calls += 1;
        Ok(())
    }

    /// Counts a call that an earlier process made.
    pub(in crate::task) fn repeat(&self, bytes: usize) {
        let mut used = self.used.lock();
        used.calls += 1;
        used.bytes = used.bytes.saturating_add(bytes as u64);
    }

    /// Runs a call as long as tools may still take time, that of other calls meanwhile included.
    /// None where the time runs out first.
    pub(in crate::task) async fn run_within<T>(
        &self,
        budget: &Budget,
        call: impl Future<Output = T>,
    ) -> Option<T> {
        let mut others = self.under_way.subscribe();
        let _running = RunningCall::new(self);
        let mut call = pin!(call);
        loop {
            let Some(left) = budget.wall_time.map(|max| self.time_left(max)) else {
                return Some(call.await);
            };
            if left.is_zero() {
                return None;
            }
            tokio::select! {
                biased;
                done = &mut call => return Some(done),
                () = tokio::time::sleep(left) => {}
                // With one more or one less there is another time left. The sender lives as long as
                // `self`.
                _ = others.changed() => {}
            }
        }
    }

    /// The time in which the calls under way use up the rest of the budget.
    fn time_left(&self, max: Duration) -> Duration {
        let mut used = self.used.lock();
        max.saturating_sub(used.time()) / used.under_way.max(1)
    }

    /// Changes the number of calls under way.
    fn change(&self, change: impl FnOnce(u32) -> u32) {
        let mut used = self.used.lock();
        used.time();
        used.under_way = change(used.under_way);
        self.under_way.send_replace(used.under_way);
    }

    /// Counts a response.
    ///
    /// # Errors
    /// If it is larger than what is left of the budget.
    pub(in crate::task) fn count_response(
        &self,
        budget: &Budget,
        bytes: usize,
    ) -> Result<(), CallRejection> {
        let mut used = self.used.lock();
        let total = used.bytes.saturating_add(bytes as u64);
        match budget.bytes_returned.filter(|max| total > *max) {
            Some(max) => {
                let left = max.saturating_sub(used.bytes);
                Err(over(format!(
                    "the call was made, but its response of {bytes} bytes is withheld: {left} \
                    of {max} bytes are left"
                )))
            }
            None => {
                used.bytes = total;
                Ok(())
            }
        }
    }
}

/// A call whose time counts.
struct RunningCall<'a>(&'a BudgetTracker);

impl<'a> RunningCall<'a> {
    fn new(budget: &'a BudgetTracker) -> Self {
        budget.change(|calls| calls.saturating_add(1));
        Self(budget)
    }
}

impl Drop for RunningCall<'_> {
    fn drop(&mut self) {
        self.0.change(|calls| calls.saturating_sub(1));
    }
}

/// The rejection of a call that would take longer than the task's tools may.
pub(in crate::task) fn out_of_time(budget: &Budget) -> CallRejection {
    let max = budget.wall_time.unwrap_or_default().as_millis();
    over(format!("the call was sent and is aborted: tools may take {max} ms for this task"))
}

fn over(message: String) -> CallRejection {
    CallRejection { rule: Some("budget".into()), ..CallRejection::new(RATE_LIMITED, message) }
}

#[cfg(test)]
mod tests;
