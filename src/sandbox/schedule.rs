//! Who runs next. Pure bookkeeping behind one lock; nothing here knows processes.
//!
//! Two bounds: guests that *run* (hold a permit) and guests that *exist* (hold a place, which
//! becomes a worker). A guest that waits for a tool gives its permit back and keeps its place; when
//! it can go on it is served before any new guest, so running programs finish before others begin.
//! New guests wait per tenant and are served in turn; while there is more than one tenant, none
//! gets more than three quarters of the places, so that guests which never end leave room.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;

/// Hands out permits and places.
#[derive(Debug, Clone)]
pub(super) struct Schedule(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    permits: usize,
    places: usize,
    /// Places that one tenant may hold.
    share_max: usize,
    /// Places that each tenant holds; none for a tenant that holds none.
    held: HashMap<String, usize>,
    queue_max: usize,
    queued: usize,
    resuming: VecDeque<oneshot::Sender<Permit>>,
    /// Per tenant, and the tenants in the order of their turns. A tenant is in `turns` exactly
    /// while its queue is not empty.
    queues: HashMap<String, VecDeque<oneshot::Sender<(Place, Permit)>>>,
    turns: VecDeque<String>,
}

/// The right to run; back at drop.
#[derive(Debug)]
pub(super) struct Permit(Option<Schedule>);

/// The right to exist; back at drop.
#[derive(Debug)]
pub(super) struct Place(Option<(Schedule, String)>);

/// As many guests as may wait do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full {
    pub(super) queue_max: usize,
}

impl Schedule {
    pub(super) fn new(permits: usize, places: usize, queue_max: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            permits,
            places,
            share_max: (places - places / 4).max(1),
            held: HashMap::new(),
            queue_max,
            queued: 0,
            resuming: VecDeque::new(),
            queues: HashMap::new(),
            turns: VecDeque::new(),
        })))
    }

    /// A place and a permit for a new guest. Dropping the future gives up the turn.
    pub(super) async fn admit(&self, tenant: &str) -> Result<(Place, Permit), Full> {
        let turn = {
            let mut state = self.lock();
            if state.queued >= state.queue_max {
                state.forget_the_gone();
            }
            if state.queued >= state.queue_max {
                return Err(Full { queue_max: state.queue_max });
            }
            let (grant, turn) = oneshot::channel();
            state.queued += 1;
            let queue = state.queues.entry(tenant.to_owned()).or_default();
            queue.push_back(grant);
            if queue.len() == 1 {
                state.turns.push_back(tenant.to_owned());
            }
            turn
        };
        self.serve();
        Ok(turn.await.expect("a queued grant is either sent or its receiver is gone"))
    }

    /// A permit for a guest that has a place, before any new guest.
    pub(super) async fn resume(&self) -> Permit {
        let turn = {
            let (grant, turn) = oneshot::channel();
            self.lock().resuming.push_back(grant);
            turn
        };
        self.serve();
        turn.await.expect("a queued grant is either sent or its receiver is gone")
    }

    /// Guests that wait to begin.
    pub(super) fn queued(&self) -> usize {
        self.lock().queued
    }

    /// Grants what can be granted. A grant whose receiver is gone comes back and is given to the
    /// next; it is taken apart only after the lock is released, since its drop takes the lock.
    fn serve(&self) {
        let mut refused = Vec::new();
        let mut state = self.lock();
        while state.permits > 0 {
            if let Some(grant) = state.resuming.pop_front() {
                if grant.is_closed() {
                    continue;
                }
                state.permits -= 1;
                if let Err(permit) = grant.send(Permit(Some(self.clone()))) {
                    state.permits += 1;
                    refused.push((None, permit));
                }
            } else if state.places > 0
                && let Some((tenant, grant)) = state.next_in_turn()
            {
                if grant.is_closed() {
                    continue;
                }
                state.permits -= 1;
                state.take_place(&tenant);
                if let Err((place, permit)) = grant
                    .send((Place(Some((self.clone(), tenant.clone()))), Permit(Some(self.clone()))))
                {
                    state.permits += 1;
                    state.return_place(&tenant);
                    refused.push((Some(place), permit));
                }
            } else {
                break;
            }
        }
        drop(state);
        for (place, permit) in refused {
            permit.void();
            if let Some(place) = place {
                place.void();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }
}

impl State {
    /// The next tenant in turn that may hold another place, and the one of it who waited longest.
    fn next_in_turn(&mut self) -> Option<(String, oneshot::Sender<(Place, Permit)>)> {
        let alone = self.queues.len() == 1
            && self.held.keys().all(|tenant| self.queues.contains_key(tenant));
        let may = |tenant: &String| {
            alone || self.held.get(tenant).is_none_or(|held| *held < self.share_max)
        };
        let tenant = self.turns.remove(self.turns.iter().position(may)?)?;
        let queue = self.queues.get_mut(&tenant).expect("a tenant with a turn has a queue");
        let grant = queue.pop_front().expect("a tenant with a turn waits");
        self.queued -= 1;
        if queue.is_empty() {
            self.queues.remove(&tenant);
        } else {
            self.turns.push_back(tenant.clone());
        }
        Some((tenant, grant))
    }

    /// Takes those out of the queues who do not wait any more.
    fn forget_the_gone(&mut self) {
        self.queues.retain(|_, queue| {
            queue.retain(|grant| !grant.is_closed());
            !queue.is_empty()
        });
        self.turns.retain(|tenant| self.queues.contains_key(tenant));
        self.queued = self.queues.values().map(VecDeque::len).sum();
    }

    fn take_place(&mut self, tenant: &str) {
        self.places -= 1;
        *self.held.entry(tenant.to_owned()).or_default() += 1;
    }

    fn return_place(&mut self, tenant: &str) {
        self.places += 1;
        if let Some(held) = self.held.get_mut(tenant) {
            *held -= 1;
            if *held == 0 {
                self.held.remove(tenant);
            }
        }
    }
}

impl Permit {
    /// Drops it without giving it back.
    fn void(mut self) {
        self.0 = None;
    }
}

impl Place {
    /// Drops it without giving it back.
    fn void(mut self) {
        self.0 = None;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(schedule) = self.0.take() {
            schedule.lock().permits += 1;
            schedule.serve();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some((schedule, tenant)) = self.0.take() {
            schedule.lock().return_place(&tenant);
            schedule.serve();
        }
    }
}

#[cfg(test)]
#[path = "schedule/tests.rs"]
mod tests;
