//! Decides which guest runs next. Bookkeeping behind one lock; knows no processes.
//!
//! Two bounds: guests that *run* hold a [`Permit`], guests that *exist* hold a [`WorkerSlot`]. A
//! guest that waits for a tool returns its permit and keeps its slot; when it can continue it is
//! served before any new guest, so running programs finish before others begin. New guests queue
//! per tenant and tenants are served round-robin. While there is more than one tenant, none gets
//! more than three quarters of the slots, so guests that never end leave room for others.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;

/// Hands out permits and worker slots. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Schedule(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    free_permits: usize,
    free_slots: usize,
    /// Number of slots that one tenant may hold while there are others.
    share_max: usize,
    /// Number of slots held by each tenant; tenants without a slot are absent.
    held: HashMap<String, usize>,
    queue_max: usize,
    queued: usize,
    resuming: VecDeque<oneshot::Sender<Permit>>,
    /// Waiting guests of each tenant. A tenant is in `rotation` exactly while its queue is not
    /// empty.
    queues: HashMap<String, VecDeque<oneshot::Sender<(WorkerSlot, Permit)>>>,
    /// Tenants in the order in which they are served.
    rotation: VecDeque<String>,
}

/// The right to run. Returned when dropped.
#[derive(Debug)]
pub(super) struct Permit(Option<Schedule>);

/// The right to exist in a worker process. Returned when dropped.
#[derive(Debug)]
pub(super) struct WorkerSlot(Option<(Schedule, String)>);

/// The queue holds as many guests as it may.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct QueueFull {
    pub(super) queue_max: usize,
}

impl Schedule {
    pub(super) fn new(permits: usize, slots: usize, queue_max: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            free_permits: permits,
            free_slots: slots,
            share_max: (slots - slots / 4).max(1),
            held: HashMap::new(),
            queue_max,
            queued: 0,
            resuming: VecDeque::new(),
            queues: HashMap::new(),
            rotation: VecDeque::new(),
        })))
    }

    /// Sets the number of guests that may wait to begin.
    pub(super) fn set_queue_max(&self, queue_max: usize) {
        self.0.lock().queue_max = queue_max;
    }

    /// Waits for a slot and a permit for a new guest. Dropping the future leaves the queue.
    pub(super) async fn admit(&self, tenant: &str) -> Result<(WorkerSlot, Permit), QueueFull> {
        let granted = {
            let mut state = self.lock();
            if state.queued >= state.queue_max {
                state.remove_cancelled();
            }
            if state.queued >= state.queue_max {
                return Err(QueueFull { queue_max: state.queue_max });
            }
            let (grant, granted) = oneshot::channel();
            state.queued += 1;
            let queue = state.queues.entry(tenant.to_owned()).or_default();
            queue.push_back(grant);
            if queue.len() == 1 {
                state.rotation.push_back(tenant.to_owned());
            }
            granted
        };
        self.grant_waiting();
        Ok(granted.await.expect("a queued grant is either sent or its receiver is gone"))
    }

    /// Waits for a permit for a guest that holds a slot; served before any new guest.
    pub(super) async fn resume(&self) -> Permit {
        let granted = {
            let (grant, granted) = oneshot::channel();
            self.lock().resuming.push_back(grant);
            granted
        };
        self.grant_waiting();
        granted.await.expect("a queued grant is either sent or its receiver is gone")
    }

    /// Number of guests that wait to begin.
    pub(super) fn queued(&self) -> usize {
        self.lock().queued
    }

    /// Returns true if guests wait to begin only because others hold the slots.
    pub(super) fn lacks_slots(&self) -> bool {
        let state = self.lock();
        state.queued > 0 && state.free_permits > 0
    }

    /// Grants whatever can be granted. A grant whose receiver is gone comes back and goes to the
    /// next guest; it is dropped only after the lock is released, because its drop takes the lock.
    fn grant_waiting(&self) {
        let mut returned = Vec::new();
        let mut state = self.lock();
        while state.free_permits > 0 {
            if let Some(grant) = state.resuming.pop_front() {
                if grant.is_closed() {
                    continue;
                }
                state.free_permits -= 1;
                if let Err(permit) = grant.send(Permit(Some(self.clone()))) {
                    state.free_permits += 1;
                    returned.push((None, permit));
                }
            } else if state.free_slots > 0
                && let Some((tenant, grant)) = state.next_guest()
            {
                if grant.is_closed() {
                    continue;
                }
                state.free_permits -= 1;
                state.take_slot(&tenant);
                let slot = WorkerSlot(Some((self.clone(), tenant.clone())));
                if let Err((slot, permit)) = grant.send((slot, Permit(Some(self.clone())))) {
                    state.free_permits += 1;
                    state.return_slot(&tenant);
                    returned.push((Some(slot), permit));
                }
            } else {
                break;
            }
        }
        drop(state);
        for (slot, permit) in returned {
            permit.defuse();
            if let Some(slot) = slot {
                slot.defuse();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }
}

impl State {
    /// Removes the longest waiting guest of the next tenant that may hold another slot.
    fn next_guest(&mut self) -> Option<(String, oneshot::Sender<(WorkerSlot, Permit)>)> {
        let is_alone = self.queues.len() == 1
            && self.held.keys().all(|tenant| self.queues.contains_key(tenant));
        let may = |tenant: &String| {
            is_alone || self.held.get(tenant).is_none_or(|held| *held < self.share_max)
        };
        let tenant = self.rotation.remove(self.rotation.iter().position(may)?)?;
        let queue = self.queues.get_mut(&tenant).expect("a tenant in rotation has a queue");
        let grant = queue.pop_front().expect("a tenant in rotation has a waiting guest");
        self.queued -= 1;
        if queue.is_empty() {
            self.queues.remove(&tenant);
        } else {
            self.rotation.push_back(tenant.clone());
        }
        Some((tenant, grant))
    }

    /// Removes guests that no longer wait.
    fn remove_cancelled(&mut self) {
        self.queues.retain(|_, queue| {
            queue.retain(|grant| !grant.is_closed());
            !queue.is_empty()
        });
        self.rotation.retain(|tenant| self.queues.contains_key(tenant));
        self.queued = self.queues.values().map(VecDeque::len).sum();
    }

    fn take_slot(&mut self, tenant: &str) {
        self.free_slots -= 1;
        *self.held.entry(tenant.to_owned()).or_default() += 1;
    }

    fn return_slot(&mut self, tenant: &str) {
        self.free_slots += 1;
        if let Some(held) = self.held.get_mut(tenant) {
            *held -= 1;
            if *held == 0 {
                self.held.remove(tenant);
            }
        }
    }
}

impl Permit {
    /// Drops the permit without returning it.
    fn defuse(mut self) {
        self.0 = None;
    }
}

impl WorkerSlot {
    /// Drops the slot without returning it.
    fn defuse(mut self) {
        self.0 = None;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(schedule) = self.0.take() {
            schedule.lock().free_permits += 1;
            schedule.grant_waiting();
        }
    }
}

impl Drop for WorkerSlot {
    fn drop(&mut self) {
        if let Some((schedule, tenant)) = self.0.take() {
            schedule.lock().return_slot(&tenant);
            schedule.grant_waiting();
        }
    }
}

#[cfg(test)]
#[path = "schedule/tests.rs"]
mod tests;
