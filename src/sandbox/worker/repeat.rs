//! What a guest sees of time and chance, and how a run repeats an earlier one.
//!
//! Pure: callers pass the time. A guest that repeats sees the readings of the earlier run, its
//! timers fire where they fired then, and the responses come in the order of then; once it has
//! issued the calls and taken the turns of the earlier run, it is live.

use std::{
    collections::VecDeque,
    mem,
    time::{Duration, Instant},
};

use chacha20::{
    ChaCha20,
    cipher::{KeyIvInit, StreamCipher},
};

use crate::sandbox::{
    history::{ENTRIES_MAX, Entry},
    protocol::RunHead,
};

/// The time, the random numbers and the earlier turns of one run.
pub(super) struct Repeat {
    origin_ms: u64,
    began: Instant,
    /// Time from the origin until this run began.
    offset: Duration,
    /// The readings of the earlier run: how often the value before was read, and the next value.
    ticks: Vec<(u32, u64)>,
    random: ChaCha20,
    /// Timers that fired in the earlier run and have not fired in this one.
    fired: VecDeque<Fired>,
    /// Calls that the earlier run issued.
    calls: u32,
    /// Responses that the earlier run received.
    responses: u32,
    /// Calls that this run issued, and responses that it received.
    issued: u32,
    received: u32,
    /// Entries that the broker does not know yet.
    unsent: Vec<Entry>,
    /// Entries of this run and of the earlier one.
    entries: usize,
}

struct Fired {
    timer: u32,
    after: u32,
}

impl Repeat {
    /// The run that the broker describes, which begins now.
    pub(super) fn new(head: &RunHead, history: Vec<Entry>, now: Instant) -> Self {
        let entries = history.len();
        let (mut ticks, mut fired) = (Vec::new(), VecDeque::new());
        for entry in history {
            match entry {
                Entry::Tick { readings, ms } => ticks.push((readings, ms)),
                Entry::Fired { timer, after } => fired.push_back(Fired { timer, after }),
            }
        }
        // It never goes back.
        let last = ticks.last().map_or(0, |(_, ms)| *ms);
        Self {
            origin_ms: head.origin_ms,
            began: now,
            offset: Duration::from_millis(head.elapsed_ms.max(last)),
            ticks,
            random: ChaCha20::new(&head.seed.0.into(), &[0; 12].into()),
            fired,
            calls: head.calls,
            responses: head.responses,
            issued: 0,
            received: 0,
            unsent: Vec::new(),
            entries,
        }
    }

    /// True once nothing of the earlier run is left to be repeated.
    pub(super) fn is_live(&self) -> bool {
        let is_caught_up = self.issued >= self.calls && self.received >= self.responses;
        is_caught_up && self.fired.is_empty()
    }

    /// Notes that the guest has issued so many calls.
    pub(super) fn note_issued(&mut self, issued: u32) {
        self.issued = issued;
    }

    /// Notes that the guest has received one response more.
    pub(super) fn note_received(&mut self) {
        self.received += 1;
    }

    /// Time since the origin, for timers. Stands still while the guest repeats: a timer that had
    /// not fired waits again in full.
    pub(super) fn elapsed(&self, now: Instant) -> Duration {
        match self.is_live() {
            true => self.offset + now.saturating_duration_since(self.began),
            false => self.offset,
        }
    }

    /// The moment at which so much time has passed since the origin.
    pub(super) fn moment(&self, elapsed: Duration) -> Instant {
        self.began + elapsed.saturating_sub(self.offset)
    }

    /// The origin in milliseconds since 1970.
    pub(super) fn origin_ms(&self) -> u64 {
        self.origin_ms
    }

    /// The readings of the earlier run as a flat list, for `runtime-js/web/entropy.ts`.
    pub(super) fn ticks(&self) -> impl Iterator<Item = f64> {
        self.ticks.iter().flat_map(|(readings, ms)| [f64::from(*readings), *ms as f64])
    }

    /// Notes that the guest's clock shows another value, after so many readings of the one before.
    pub(super) fn note_tick(&mut self, readings: u32, ms: u64) {
        self.record(Entry::Tick { readings, ms });
    }

    /// Fills a buffer with the next random bytes.
    pub(super) fn fill_random(&mut self, bytes: &mut [u8]) {
        bytes.fill(0);
        self.random.apply_keystream(bytes);
    }

    /// Takes the timer that fired at this point of the earlier run, if one is left.
    pub(super) fn next_fired(&mut self) -> Option<u32> {
        let next = self.fired.front().filter(|fired| fired.after <= self.received)?.timer;
        self.fired.pop_front();
        Some(next)
    }

    /// Notes that a timer fires that did not fire in the earlier run.
    pub(super) fn note_fired(&mut self, timer: u32) {
        self.record(Entry::Fired { timer, after: self.received });
    }

    /// Takes what the broker has to know before anything of the guest's has an effect.
    pub(super) fn take_unsent(&mut self) -> Vec<Entry> {
        mem::take(&mut self.unsent)
    }

    fn record(&mut self, entry: Entry) {
        self.entries += 1;
        // One more tells the broker that there are too many.
        if self.entries <= ENTRIES_MAX + 1 {
            self.unsent.push(entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Seed;

    const MS: Duration = Duration::from_millis(1);

    fn head(calls: u32, responses: u32, elapsed_ms: u64) -> RunHead {
        RunHead {
            cpu_ms_max: 1,
            wall_ms_max: 1,
            origin_ms: 1_000,
            elapsed_ms,
            seed: Seed([7; 32]),
            calls,
            responses,
        }
    }

    #[test]
    fn the_clock_goes_on_from_the_earlier_run_and_never_back() {
        let began = Instant::now();
        let history =
            vec![Entry::Tick { readings: 2, ms: 3 }, Entry::Tick { readings: 3, ms: 900 }];
        let late = Repeat::new(&head(1, 0, 5_000), history.clone(), began);
        assert_eq!(late.ticks().collect::<Vec<_>>(), [2.0, 3.0, 3.0, 900.0]);
        let (now, mut late) = (began + 10 * MS, late);
        assert!(!late.is_live());
        assert_eq!(late.elapsed(now), 5_000 * MS);
        late.note_issued(1);
        assert!(late.is_live());
        assert_eq!(late.elapsed(now), 5_010 * MS);
        assert_eq!((late.moment(5_010 * MS), late.moment(MS)), (now, began));
        // The clock of the machine was set back since.
        let early = Repeat::new(&head(0, 0, 10), history, began);
        assert_eq!(early.elapsed(began), 900 * MS);
    }

    #[test]
    fn a_history_is_not_recorded_without_end() {
        let mut repeat =
            Repeat::new(&head(0, 0, 0), vec![Entry::Tick { readings: 0, ms: 1 }], Instant::now());
        for ms in 0..ENTRIES_MAX as u64 + 99 {
            repeat.note_tick(1, ms);
        }
        // One of them was of the earlier run, and one too many tells that there were more.
        assert_eq!(repeat.take_unsent().len(), ENTRIES_MAX);
    }

    #[test]
    fn timers_fire_where_they_fired_and_random_numbers_come_again() {
        let began = Instant::now();
        let mut first = Repeat::new(&head(0, 0, 0), vec![], began);
        first.note_fired(2);
        (0..3).for_each(|_| first.note_received());
        first.note_fired(1);
        let mut bytes = [[0; 40]; 2];
        first.fill_random(&mut bytes[0]);
        first.fill_random(&mut bytes[1]);
        assert_ne!(bytes[0], bytes[1]);
        let mut second = Repeat::new(&head(0, 0, 0), first.take_unsent(), began);
        assert!(!second.is_live());
        assert_eq!((second.next_fired(), second.next_fired()), (Some(2), None));
        (0..3).for_each(|_| second.note_received());
        assert_eq!((second.next_fired(), second.next_fired()), (Some(1), None));
        assert!(second.is_live());
        let mut again = [0; 80];
        second.fill_random(&mut again[..20]);
        second.fill_random(&mut again[20..]);
        assert_eq!(again, *bytes.as_flattened());
    }
}
