//! Calls that wait for an approval: which, for how long, and how many at most.
//!
//! In memory only. The store's rows hold the decisions; this wakes the calls that they concern, and
//! decides nothing.

use std::{collections::HashMap, sync::Arc, time::Duration};

use dashmap::{DashMap, DashSet};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use crate::{
    model::{ApprovalId, TaskId},
    task::call::rejection::{CallRejection, RATE_LIMITED},
};

/// Time that an approval's answer waits for the call's fate: sent, or forbidden by now.
const SETTLED_WITHIN: Duration = Duration::from_secs(2);
/// The longest that a call may wait for an approval, whatever its rule says.
pub const APPROVAL_MAX: Duration = Duration::from_secs(24 * 3600);

/// Limits of waiting for approvals.
#[derive(Debug, Clone, Copy)]
pub struct ApprovalTerms {
    /// Time that a call waits if its rule sets none; at most [`APPROVAL_MAX`].
    pub timeout: Duration,
    /// Calls of one task that wait at once.
    pub calls_max: usize,
    /// Tasks that wait at once.
    pub tasks_max: usize,
}

/// All calls that wait for an approval.
pub struct ApprovalWaiters {
    terms: Mutex<ApprovalTerms>,
    waiting: DashMap<ApprovalId, Arc<Waiter>>,
    /// Approvals that an earlier process asked for, and that no call has come back to yet.
    expected: DashSet<ApprovalId>,
    tasks: Mutex<HashMap<TaskId, usize>>,
}

/// One call that waits, and those who wait for its fate.
struct Waiter {
    decided: Notify,
    settled: watch::Sender<bool>,
}

/// A slot among the waiting calls. Dropping it gives it back.
pub(in crate::task) struct WaiterSlot {
    waiters: Arc<ApprovalWaiters>,
    task: TaskId,
}

/// A call's registration for the decision about one approval. Dropping it ends the registration,
/// and tells those who wait for the call's fate that it is in the store.
pub(in crate::task) struct PendingApproval {
    id: ApprovalId,
    waiters: Arc<ApprovalWaiters>,
    waiter: Arc<Waiter>,
}

impl ApprovalWaiters {
    /// A set without waiting calls.
    pub fn new(terms: ApprovalTerms) -> Arc<Self> {
        let terms = Mutex::new(terms);
        let (waiting, expected) = (DashMap::new(), DashSet::new());
        Arc::new(Self { terms, waiting, expected, tasks: Mutex::default() })
    }

    /// Sets the limits of calls that begin to wait from now on.
    pub fn set_terms(&self, terms: ApprovalTerms) {
        *self.terms.lock() = terms;
    }

    fn terms(&self) -> ApprovalTerms {
        *self.terms.lock()
    }

    /// The number of tasks with calls that wait for an approval.
    pub fn parked_tasks(&self) -> usize {
        self.tasks.lock().len()
    }

    /// Returns true if a call waits for this approval, or is expected to.
    pub fn is_waiting(&self, id: ApprovalId) -> bool {
        self.waiting.contains_key(&id) || self.expected.contains(&id)
    }

    /// Expects that a call comes back to this approval, which an earlier process asked for.
    pub(in crate::task) fn expect(&self, id: ApprovalId) {
        self.expected.insert(id);
    }

    /// Expects no call any more.
    pub(in crate::task) fn expect_no_more(&self, id: ApprovalId) {
        self.expected.remove(&id);
    }

    /// Wakes the call that waits for this approval, whose decision the store has, and waits for
    /// the call's fate, at most two seconds.
    pub async fn wake(&self, id: ApprovalId) {
        let Some(waiter) = self.waiting.get(&id).map(|entry| entry.value().clone()) else { return };
        waiter.decided.notify_one();
        let mut settled = waiter.settled.subscribe();
        // Where it takes longer, the store's row tells.
        drop(tokio::time::timeout(SETTLED_WITHIN, settled.wait_for(|settled| *settled)).await);
    }

    /// Time that a call may wait whose rule sets this one.
    pub(in crate::task) fn timeout(&self, of_rule: Option<Duration>) -> Duration {
        of_rule.unwrap_or(self.terms().timeout).min(APPROVAL_MAX)
    }

    /// Takes a slot for one more call of this task.
    ///
    /// # Errors
    /// If the limit of waiting calls of the task, or of waiting tasks, is reached.
    pub(in crate::task) fn acquire_slot(
        self: &Arc<Self>,
        task: TaskId,
    ) -> Result<WaiterSlot, CallRejection> {
        let mut tasks = self.tasks.lock();
        let calls = tasks.get(&task).copied().unwrap_or(0);
        let ApprovalTerms { calls_max, tasks_max, .. } = self.terms();
        if calls >= calls_max {
            let message =
                format!("{calls_max} calls of this task wait for approval, which is the limit");
            return Err(CallRejection::new(RATE_LIMITED, message));
        }
        if calls == 0 && tasks.len() >= tasks_max {
            let message = format!("{tasks_max} tasks wait for approval, which is the limit");
            return Err(CallRejection::new(RATE_LIMITED, message));
        }
        *tasks.entry(task).or_default() += 1;
        Ok(WaiterSlot { waiters: self.clone(), task })
    }

    /// Registers for the decision about this approval. To be called before its row exists, so that
    /// no decision is missed.
    pub(in crate::task) fn register(self: &Arc<Self>, id: ApprovalId) -> PendingApproval {
        let waiter =
            Arc::new(Waiter { decided: Notify::new(), settled: watch::Sender::new(false) });
        self.waiting.insert(id, waiter.clone());
        self.expected.remove(&id);
        PendingApproval { id, waiters: self.clone(), waiter }
    }
}

impl Drop for WaiterSlot {
    fn drop(&mut self) {
        let mut tasks = self.waiters.tasks.lock();
        if let Some(calls) = tasks.get_mut(&self.task) {
            *calls -= 1;
            if *calls == 0 {
                tasks.remove(&self.task);
            }
        }
    }
}

impl PendingApproval {
    /// Waits until the row is decided.
    pub(in crate::task) async fn decided(&self) {
        self.waiter.decided.notified().await;
    }
}

impl Drop for PendingApproval {
    fn drop(&mut self) {
        self.waiters.waiting.remove(&self.id);
        self.waiter.settled.send_replace(true);
    }
}

#[cfg(test)]
#[path = "waiters/tests.rs"]
mod tests;
