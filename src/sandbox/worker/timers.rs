//! The order of timers. Pure: it is told what time it is.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

/// The longest delay, as the web has it.
const DELAY_MAX: Duration = Duration::from_millis(2_147_483_647);

/// Timers of one guest, by the moment at which they are due and then by the order in which they
/// were started.
pub(super) struct Timers {
    max: u64,
    next: u32,
    order: u64,
    due: BTreeMap<(Instant, u64), u32>,
    live: HashMap<u32, Live>,
}

struct Live {
    key: (Instant, u64),
    every: Option<Duration>,
}

impl Timers {
    pub(super) fn new(max: u64) -> Self {
        Self { max, next: 0, order: 0, due: BTreeMap::new(), live: HashMap::new() }
    }

    /// Starts one and answers its number, from 1; none when there are too many.
    pub(super) fn start(&mut self, now: Instant, delay: Duration, repeat: bool) -> Option<u32> {
        if self.live.len() as u64 >= self.max {
            return None;
        }
        let delay = delay.min(DELAY_MAX);
        self.next = self.next.checked_add(1)?;
        let id = self.next;
        // An interval of nothing would never let anything else run.
        let every = repeat.then(|| delay.max(Duration::from_millis(1)));
        self.schedule(id, now + delay, every);
        Some(id)
    }

    /// Forgets one; unknown numbers are fine.
    pub(super) fn clear(&mut self, id: u32) {
        if let Some(live) = self.live.remove(&id) {
            self.due.remove(&live.key);
        }
    }

    /// When the next one is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.keys().next().map(|key| key.0)
    }

    /// Takes the next one that is due at that moment; an interval is started again.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<u32> {
        let (&key, &id) = self.due.iter().next().filter(|(key, _)| key.0 <= now)?;
        self.due.remove(&key);
        let live = self.live.remove(&id)?;
        if let Some(every) = live.every {
            self.schedule(id, now + every, live.every);
        }
        Some(id)
    }

    fn schedule(&mut self, id: u32, at: Instant, every: Option<Duration>) {
        self.order += 1;
        let key = (at, self.order);
        self.due.insert(key, id);
        self.live.insert(id, Live { key, every });
    }
}
