//! Per-key concurrency limits: one task cannot take its workspace's share, nor one workspace the
//! share of all others. Callers wait for a permit here.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use futures::FutureExt;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::model::TaskId;

/// Calls of one task that are under way at once at one upstream: half of those that the upstream
/// has places for.
const TASK_CALLS_MAX: usize = 32;
/// The same of all tasks of one workspace: three quarters.
const WORKSPACE_CALLS_MAX: usize = 48;

/// So many places for each of those that have a name. Clones share them.
#[derive(Clone)]
pub(in crate::task) struct KeyedLimiter {
    max: usize,
    // A plain lock: held for a moment only. There are as many as have a place or wait for one.
    by_name: Arc<Mutex<HashMap<String, Weak<Semaphore>>>>,
}

/// A place, given back when dropped.
pub(in crate::task) type Place = Option<OwnedSemaphorePermit>;

impl KeyedLimiter {
    pub(in crate::task) fn new(max: usize) -> Self {
        Self { max, by_name: Arc::default() }
    }

    /// A place of the one that has this name, waited for.
    pub(in crate::task) async fn place(&self, name: &str) -> Place {
        // It is never closed; were it, all would go on without a place.
        self.of(name).acquire_owned().await.ok()
    }

    fn of(&self, name: &str) -> Arc<Semaphore> {
        let mut by_name = self.by_name.lock();
        if let Some(known) = by_name.get(name).and_then(Weak::upgrade) {
            return known;
        }
        by_name.retain(|_, places| places.strong_count() > 0);
        let new = Arc::new(Semaphore::new(self.max));
        by_name.insert(name.to_owned(), Arc::downgrade(&new));
        new
    }
}

/// The turns of calls at upstreams. Cheap to clone.
#[derive(Clone)]
pub struct UpstreamConcurrency {
    of_tasks: KeyedLimiter,
    of_workspaces: KeyedLimiter,
}

impl Default for UpstreamConcurrency {
    fn default() -> Self {
        Self {
            of_tasks: KeyedLimiter::new(TASK_CALLS_MAX),
            of_workspaces: KeyedLimiter::new(WORKSPACE_CALLS_MAX),
        }
    }
}

/// A call that may be under way, until this is dropped.
pub(in crate::task) struct CallPermit {
    /// Whether it was waited for.
    pub(in crate::task) is_late: bool,
    _places: (Place, Place),
}

impl UpstreamConcurrency {
    /// A turn of this task at this upstream.
    pub(in crate::task) async fn take(
        &self,
        task: TaskId,
        workspace_id: &str,
        upstream: &str,
    ) -> CallPermit {
        let taking = async || {
            let of_task = self.of_tasks.place(&format!("{task}\0{upstream}")).await;
            (of_task, self.of_workspaces.place(&format!("{workspace_id}\0{upstream}")).await)
        };
        match taking().now_or_never() {
            Some(places) => CallPermit { is_late: false, _places: places },
            None => CallPermit { is_late: true, _places: taking().await },
        }
    }
}

#[cfg(test)]
mod tests;
