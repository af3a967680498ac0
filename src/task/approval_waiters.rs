//! Calls that wait for an approval: which, for how long, and how many at most.
//!
//! The store's rows hold the decisions; this only wakes the calls they concern, and decides
//! nothing.

use std::{collections::HashMap, sync::Arc, time::Duration};

use dashmap::DashMap;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::call::rejection::{CallRejection, RATE_LIMITED};
use crate::{
    model::{ApprovalId, ApprovalStatus, TaskId, Timestamp},
    store::{ApprovalChange, Store},
};

/// How long the person who approves waits to hear whether policy still allows the call.
const SETTLED_WITHIN: Duration = Duration::from_secs(2);
/// The longest that a call may wait for a person, whatever its rule says.
pub const APPROVAL_MAX: Duration = Duration::from_secs(24 * 3600);

/// How approvals are asked for.
#[derive(Debug, Clone)]
pub struct ApprovalTerms {
    /// How long a call waits, where its rule does not say; at most [`APPROVAL_MAX`].
    pub timeout: Duration,
    /// Calls of one task that wait at once.
    pub calls_max: usize,
    /// Tasks that wait at once; each holds a worker.
    pub tasks_max: usize,
}

/// Everybody who waits for a word.
pub struct ApprovalWaiters {
    terms: ApprovalTerms,
    waiting: DashMap<ApprovalId, Arc<Waiter>>,
    tasks: Mutex<HashMap<TaskId, usize>>,
}

/// One who waits, and those who wait to hear what came of it.
struct Waiter {
    decided: Notify,
    settled: watch::Sender<bool>,
}

/// A place among those who wait; dropping it gives it back.
pub(super) struct WaiterSlot {
    waiters: Arc<ApprovalWaiters>,
    task: TaskId,
}

/// An approval that is asked for and neither let go nor refused. Dropping it, as the end of a run
/// does, cancels it.
pub(super) struct PendingApproval {
    pub(super) id: ApprovalId,
    workspace_id: String,
    store: Arc<dyn Store>,
    waiters: Arc<ApprovalWaiters>,
    waiter: Arc<Waiter>,
    is_settled: bool,
}

impl ApprovalWaiters {
    /// Nobody waits yet.
    pub fn new(terms: ApprovalTerms) -> Arc<Self> {
        Arc::new(Self { terms, waiting: DashMap::new(), tasks: Mutex::default() })
    }

    /// Tasks that wait for a word.
    pub fn parked_tasks(&self) -> usize {
        self.tasks.lock().len()
    }

    /// Whether somebody waits for this word.
    pub fn awaits(&self, id: ApprovalId) -> bool {
        self.waiting.contains_key(&id)
    }

    /// Wakes who waits for this word, once the store has it, and waits until it is known what came
    /// of it.
    pub async fn tell(&self, id: ApprovalId) {
        let Some(waiter) = self.waiting.get(&id).map(|entry| entry.value().clone()) else { return };
        waiter.decided.notify_one();
        let mut settled = waiter.settled.subscribe();
        // Where it takes longer the store tells.
        drop(tokio::time::timeout(SETTLED_WITHIN, settled.wait_for(|settled| *settled)).await);
    }

    /// How long a call may wait.
    pub(super) fn timeout(&self, asked: Option<Duration>) -> Duration {
        asked.unwrap_or(self.terms.timeout).min(APPROVAL_MAX)
    }

    /// A place for one more call of this task, if there is one.
    pub(super) fn place(self: &Arc<Self>, task: TaskId) -> Result<WaiterSlot, CallRejection> {
        let mut tasks = self.tasks.lock();
        let calls = tasks.get(&task).copied().unwrap_or(0);
        let (calls_max, tasks_max) = (self.terms.calls_max, self.terms.tasks_max);
        if calls >= calls_max {
            let message = format!(
                "{calls_max} calls of this task wait for approval already, the most that may"
            );
            return Err(CallRejection::new(RATE_LIMITED, message));
        }
        if calls == 0 && tasks.len() >= tasks_max {
            let message = format!("{tasks_max} tasks wait for approval already, the most that may");
            return Err(CallRejection::new(RATE_LIMITED, message));
        }
        *tasks.entry(task).or_default() += 1;
        Ok(WaiterSlot { waiters: self.clone(), task })
    }

    /// Takes a place in line for the word on this approval. Before its row exists, so that no word
    /// is missed.
    pub(super) fn open(
        self: &Arc<Self>,
        id: ApprovalId,
        workspace_id: &str,
        store: Arc<dyn Store>,
    ) -> PendingApproval {
        let waiter =
            Arc::new(Waiter { decided: Notify::new(), settled: watch::Sender::new(false) });
        self.waiting.insert(id, waiter.clone());
        PendingApproval {
            id,
            workspace_id: workspace_id.to_owned(),
            store,
            waiters: self.clone(),
            waiter,
            is_settled: false,
        }
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
    /// Waits to be told that the row was decided.
    pub(super) async fn decided(&self) {
        self.waiter.decided.notified().await;
    }

    /// It was let go or refused: nothing is left to cancel.
    pub(super) fn settle(mut self) {
        self.is_settled = true;
    }

    /// Its change from one status to another, by nobody's word.
    pub(super) fn change(
        &self,
        from: ApprovalStatus,
        to: ApprovalStatus,
        why: Option<&str>,
    ) -> ApprovalChange {
        let why = why.map(str::to_owned);
        ApprovalChange { id: self.id, from, to, at: Timestamp::now(), by: None, note: None, why }
    }
}

impl Drop for PendingApproval {
    fn drop(&mut self) {
        self.waiters.waiting.remove(&self.id);
        if !self.is_settled {
            // Writes keep their order: the task's end, which is waited for, comes after these.
            for from in [ApprovalStatus::Pending, ApprovalStatus::Approved] {
                let change =
                    self.change(from, ApprovalStatus::Cancelled, Some("its task ended first"));
                drop(self.store.decide_approval(&self.workspace_id, change));
            }
        }
        self.waiter.settled.send_replace(true);
    }
}

#[cfg(test)]
#[path = "approval_waiters/tests.rs"]
mod tests;
