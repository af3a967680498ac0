//! What one task has used of tools, against what policy lets it use.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use super::refusal::{RATE_LIMITED, Refusal};
use crate::policy::Budget;

/// What a task has used. Not kept: a task ends with its server.
#[derive(Debug, Default)]
pub(super) struct Spending(Mutex<Used>);

#[derive(Debug, Default)]
struct Used {
    calls: u64,
    bytes: u64,
    time: Duration,
}

impl Spending {
    /// Counts a call that is about to be made, or says which budget is used up.
    pub(super) fn admit(&self, budget: &Budget) -> Result<(), Refusal> {
        let mut used = self.0.lock().expect("no code panics while it holds this lock");
        if let Some(max) = budget.calls.filter(|max| used.calls >= *max) {
            return Err(over(format!("this task may make {max} tool calls and has made them")));
        }
        if let Some(max) = budget.bytes_returned.filter(|max| used.bytes >= *max) {
            return Err(over(format!("tools may return {max} bytes to this task and have returned them")));
        }
        if let Some(max) = budget.wall_time.filter(|max| used.time >= *max) {
            return Err(over(format!("tools may take {} ms for this task and have taken them", max.as_millis())));
        }
        used.calls += 1;
        Ok(())
    }

    /// How long the next call may take; none for as long as it likes.
    pub(super) fn time_left(&self, budget: &Budget) -> Option<Duration> {
        let used = self.0.lock().expect("no code panics while it holds this lock").time;
        budget.wall_time.map(|max| max.saturating_sub(used))
    }

    /// Counts the time since `began`.
    pub(super) fn took(&self, began: Instant) {
        self.0.lock().expect("no code panics while it holds this lock").time += began.elapsed();
    }

    /// Counts an answer, or says that it is more than the task may have.
    pub(super) fn receive(&self, budget: &Budget, bytes: usize) -> Result<(), Refusal> {
        let mut used = self.0.lock().expect("no code panics while it holds this lock");
        let total = used.bytes.saturating_add(bytes as u64);
        match budget.bytes_returned.filter(|max| total > *max) {
            Some(max) => {
                let left = max.saturating_sub(used.bytes);
                Err(over(format!(
                    "the call was made, but its answer of {bytes} bytes is kept back: of {max} bytes {left} are left"
                )))
            }
            None => {
                used.bytes = total;
                Ok(())
            }
        }
    }
}

/// The refusal of a call that would take longer than the task's tools may.
pub(super) fn out_of_time(budget: &Budget) -> Refusal {
    let max = budget.wall_time.unwrap_or_default().as_millis();
    over(format!("the call was sent and is given up, for tools may take {max} ms for this task"))
}

fn over(message: String) -> Refusal {
    Refusal { rule: Some("budget".into()), ..Refusal::new(RATE_LIMITED, message) }
}

#[cfg(test)]
#[path = "spending/tests.rs"]
mod tests;
