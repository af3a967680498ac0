//! Limits the upstreams that start at once, so that many programs do not slow each other down, and
//! lets those that are called start at once.

use std::{sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Starts at once, where there are fewer processors; else as many as there are processors.
const STARTS_MIN: usize = 2;
/// Time after which a start gives its place to the next one: it waits for something else than a
/// processor, such as a download.
const PLACE_HELD_MAX: Duration = Duration::from_secs(5);

/// The starts of all upstreams. Clones share the places.
#[derive(Debug, Clone)]
pub(in crate::catalog) struct StartQueue {
    places: Arc<Semaphore>,
    held_max: Duration,
}

/// Counts those who wait for an upstream to start.
#[derive(Debug)]
pub(in crate::catalog) struct Demand(watch::Sender<usize>);

/// Somebody who waits, until dropped.
#[derive(Debug)]
pub(in crate::catalog) struct Waiting<'a>(&'a Demand);

impl Default for StartQueue {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let places = Arc::new(Semaphore::new(processors.max(STARTS_MIN)));
        Self { places, held_max: PLACE_HELD_MAX }
    }
}

impl StartQueue {
    /// Performs a start in its turn, or at once when somebody waits for it.
    pub(in crate::catalog) async fn perform<T>(
        &self,
        demand: &Demand,
        start: impl Future<Output = T>,
    ) -> T {
        let mut place = self.place(demand).await;
        let mut start = std::pin::pin!(start);
        match tokio::time::timeout(self.held_max, &mut start).await {
            Ok(started) => started,
            Err(_) => {
                drop(place.take());
                start.await
            }
        }
    }

    async fn place(&self, demand: &Demand) -> Option<OwnedSemaphorePermit> {
        let mut waiting = demand.0.subscribe();
        tokio::select! {
            biased;
            // An error cannot come while `demand` holds the sender.
            _ = waiting.wait_for(|waiting| *waiting > 0) => None,
            // It is never closed; were it, a start would merely not wait.
            place = self.places.clone().acquire_owned() => place.ok(),
        }
    }
}

impl Default for Demand {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl Demand {
    /// Says that somebody waits.
    pub(in crate::catalog) fn wait(&self) -> Waiting<'_> {
        self.0.send_modify(|waiting| *waiting += 1);
        Waiting(self)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.0.send_modify(|waiting| *waiting -= 1);
    }
}

#[cfg(test)]
mod tests;
