//! The order of timers. Pure: callers pass the current time, as the guest sees it.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

/// The longest delay, as in the web platform.
const DELAY_MAX: Duration = Duration::from_millis(2_147_483_647);

/// Timers of one guest, ordered by due time and then by the order in which they were started. Times
/// count from the origin of the guest's clock.
pub(super) struct Timers {
    max: u64,
    next: u32,
    order: u64,
    due: BTreeMap<(Duration, u64), u32>,
    active: HashMap<u32, Active>,
}

struct Active {
    key: (Duration, u64),
    every: Option<Duration>,
}

impl Timers {
    pub(super) fn new(max: u64) -> Self {
        Self { max, next: 0, order: 0, due: BTreeMap::new(), active: HashMap::new() }
    }

    /// Starts a timer and returns its number, from 1; `None` if too many are active.
    pub(super) fn start(&mut self, now: Duration, delay: Duration, repeat: bool) -> Option<u32> {
        if self.active.len() as u64 >= self.max {
            return None;
        }
        let delay = delay.min(DELAY_MAX);
        self.next = self.next.checked_add(1)?;
        let id = self.next;
        // An interval of 0 would let nothing else run.
        let every = repeat.then(|| delay.max(Duration::from_millis(1)));
        self.schedule(id, now + delay, every);
        Some(id)
    }

    /// Stops a timer; ignores unknown numbers.
    pub(super) fn clear(&mut self, id: u32) {
        if let Some(timer) = self.active.remove(&id) {
            self.due.remove(&timer.key);
        }
    }

    /// Due time of the next timer.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.due.keys().next().map(|key| key.0)
    }

    /// Removes the next timer that is due at `now`; an interval is started again.
    pub(super) fn take_due(&mut self, now: Duration) -> Option<u32> {
        let (_, &id) = self.due.iter().next().filter(|(key, _)| key.0 <= now)?;
        self.take(id, now).then_some(id)
    }

    /// Removes a timer as if it were due at `now`; an interval is started again. Returns false if
    /// it is not active.
    pub(super) fn take(&mut self, id: u32, now: Duration) -> bool {
        let Some(timer) = self.active.remove(&id) else { return false };
        self.due.remove(&timer.key);
        if let Some(every) = timer.every {
            self.schedule(id, now + every, timer.every);
        }
        true
    }

    fn schedule(&mut self, id: u32, at: Duration, every: Option<Duration>) {
        self.order += 1;
        let key = (at, self.order);
        self.due.insert(key, id);
        self.active.insert(id, Active { key, every });
    }
}
