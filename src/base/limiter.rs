//! Per-key concurrency limits: so many permits for each key, waited for in the order of asking.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A limit of concurrency for each key. Clones share the permits.
#[derive(Clone)]
pub struct KeyedLimiter {
    max: usize,
    /// The keys whose permits are held or waited for; others are forgotten. The lock is held for a
    /// moment only.
    by_key: Arc<Mutex<HashMap<String, Weak<Semaphore>>>>,
}

/// A permit, given back when dropped.
pub type KeyedPermit = Option<OwnedSemaphorePermit>;

impl KeyedLimiter {
    /// A limiter with so many permits for each key.
    pub fn new(max: usize) -> Self {
        Self { max, by_key: Arc::default() }
    }

    /// Waits for a permit of this key.
    pub async fn acquire(&self, key: &str) -> KeyedPermit {
        // It is never closed; were it, all would go on without a permit.
        self.semaphore(key).acquire_owned().await.ok()
    }

    fn semaphore(&self, key: &str) -> Arc<Semaphore> {
        let mut by_key = self.by_key.lock();
        if let Some(known) = by_key.get(key).and_then(Weak::upgrade) {
            return known;
        }
        by_key.retain(|_, permits| permits.strong_count() > 0);
        let new = Arc::new(Semaphore::new(self.max));
        by_key.insert(key.to_owned(), Arc::downgrade(&new));
        new
    }
}

#[cfg(test)]
mod tests;
