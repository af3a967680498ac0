//! Counters: how much of something was used within a window, exact under concurrency and across
//! restarts.
//!
//! A reservation compares and adds in one immediate transaction, all of its holds or none, so that
//! no two callers, processes included, can both take the last of a limit. What is reserved counts
//! at once. Giving it back is a write of its own; a process that dies between the two leaves it
//! counted, so that a crash can only make a limit stricter, until its window is over.

use std::time::Duration;

use futures::future::BoxFuture;

use super::error::{StoreError, Written};
use crate::model::Timestamp;

/// Holds of one reservation, at most.
pub const HOLDS_MAX: usize = 64;
/// Length of a counter's key, in bytes, at most.
pub const COUNTER_KEY_BYTES_MAX: usize = 1024;
/// A rolling window is counted in so many slices, and one more, so that nothing that is still
/// within it is left out: it never lets more through than its limit, and forgets a call at most a
/// sixteenth of the window late.
pub const ROLLING_SLICES: i64 = 16;
/// Lifetime of a counter without a window, after its last use: longer than a task
/// and its approvals last.
const WHOLE_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// Counts what was used.
pub trait CounterStore: Send + Sync + 'static {
    /// Counts these holds, all of them or none. They are counted when it resolves, durably,
    /// and stay so unless [`CounterStore::release`] gives them back.
    ///
    /// `Invalid` where there are more than [`HOLDS_MAX`], a key is longer than
    /// [`COUNTER_KEY_BYTES_MAX`], or a bound or a cost is below zero.
    fn reserve(&self, at: Timestamp, holds: &[CounterHold]) -> Written<Reserved>;

    /// Gives back what was counted, for a call that did not take place.
    fn release(&self, token: HoldToken) -> Written;

    /// The values of counters within their windows, in millionths and in the order of `reads`. What
    /// is reserved is in them.
    fn counters<'a>(
        &'a self,
        at: Timestamp,
        reads: &'a [CounterRead],
    ) -> BoxFuture<'a, Result<Vec<i64>, StoreError>>;
}

/// The window of a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CounterWindow {
    /// Since the last whole multiple of this length after 1970 in UTC: 60 s is the minute, 86 400 s
    /// the day of the calendar.
    Fixed(Duration),
    /// The time that just passed.
    Rolling(Duration),
    /// All time, for counters whose key names something that ends, such as a task.
    Whole,
}

/// One counter that a call must be admitted to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CounterHold {
    /// The counter's name.
    pub key: String,
    /// Its window.
    pub window: CounterWindow,
    /// The most it may be, in millionths.
    pub max: i64,
    /// Amount that this call adds, in millionths; 0 or more.
    pub cost: i64,
}

/// A counter that is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CounterRead {
    /// The counter's name.
    pub key: String,
    /// Its window.
    pub window: CounterWindow,
}

/// The outcome of a reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reserved {
    /// Everything is counted. Give the token back where it should not stay so.
    Held(HoldToken),
    /// Nothing is counted: this hold, by its place, does not fit.
    Exceeded {
        /// Which hold.
        index: usize,
        /// The counter's value, in millionths.
        value: i64,
        /// Time until the window may have room again; none if it never will.
        retry_after: Option<Duration>,
    },
}

/// The counted amounts, so that they can be given back. Dropping it leaves everything counted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HoldToken(Vec<Slot>);

impl HoldToken {
    /// A token over what a store has counted.
    pub fn of(slots: Vec<Slot>) -> Self {
        Self(slots)
    }

    /// The counted amounts.
    pub fn slots(&self) -> &[Slot] {
        &self.0
    }

    /// Only these of the holds, by their place, to give back; the others stay counted.
    pub fn part(&self, keep: impl Fn(usize) -> bool) -> Self {
        Self(self.0.iter().filter(|slot| keep(slot.index)).cloned().collect())
    }

    /// Returns true if there is nothing to give back.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A piece of a counter in the store's terms: a slice of time, in nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// The hold's place in the reservation.
    pub index: usize,
    /// The counter's name.
    pub key: String,
    /// Length of a slice; 0 for all time. Part of the counter's identity: a minute and an hour of
    /// one name are two counters.
    pub width: i64,
    /// Start of the slice that this use is counted in.
    pub bucket: i64,
    /// Start of the first slice of the window.
    pub first: i64,
    /// Time after which nothing needs it.
    pub expires_at: i64,
    /// Amount that this use adds, in millionths.
    pub cost: i64,
    /// The most the window may hold, in millionths.
    pub max: i64,
}

impl Slot {
    /// The slots of all of a call's holds. Two on one counter are one use of it: the larger
    /// cost under the smaller bound.
    pub fn all(holds: &[CounterHold], at: Timestamp) -> Vec<Self> {
        let mut slots: Vec<Self> = Vec::with_capacity(holds.len());
        for (index, hold) in holds.iter().enumerate() {
            let slot = Self::of(index, hold, at);
            match slots.iter_mut().find(|other| other.key == slot.key && other.width == slot.width)
            {
                Some(same) => {
                    if slot.max < same.max {
                        (same.index, same.max) = (slot.index, slot.max);
                    }
                    same.cost = same.cost.max(slot.cost);
                }
                None => slots.push(slot),
            }
        }
        slots
    }

    /// The window this slice is the present one of.
    pub fn place(&self) -> Place {
        Place {
            width: self.width,
            bucket: self.bucket,
            first: self.first,
            expires_at: self.expires_at,
        }
    }

    fn of(index: usize, hold: &CounterHold, at: Timestamp) -> Self {
        let Place { width, bucket, first, expires_at } = Place::of(hold.window, at);
        Self {
            index,
            key: hold.key.clone(),
            width,
            bucket,
            first,
            expires_at,
            cost: hold.cost,
            max: hold.max,
        }
    }
}

/// The position of a window at a moment, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Length of a slice; 0 for all time.
    pub width: i64,
    /// Start of the present slice.
    pub bucket: i64,
    /// Start of the first slice of the window.
    pub first: i64,
    /// Time after which nothing needs it.
    pub expires_at: i64,
}

impl Place {
    /// The place of this moment.
    pub fn of(window: CounterWindow, at: Timestamp) -> Self {
        let now = i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX);
        let ns = |length: Duration| i64::try_from(length.as_nanos()).unwrap_or(i64::MAX).max(1);
        match window {
            CounterWindow::Fixed(length) => {
                let width = ns(length);
                let bucket = now - now.rem_euclid(width);
                Self { width, bucket, first: bucket, expires_at: bucket.saturating_add(width) }
            }
            CounterWindow::Rolling(length) => {
                let width = (ns(length) / ROLLING_SLICES).max(1);
                let bucket = now - now.rem_euclid(width);
                let first = bucket.saturating_sub(width.saturating_mul(ROLLING_SLICES));
                let expires_at = bucket.saturating_add(width.saturating_mul(ROLLING_SLICES + 1));
                // A rolling window's slices are told from those of a fixed window of the same width
                // by their sign.
                Self { width: -width, bucket, first, expires_at }
            }
            CounterWindow::Whole => Self {
                width: 0,
                bucket: 0,
                first: 0,
                expires_at: now.saturating_add(ns(WHOLE_KEPT)),
            },
        }
    }

    /// Time until the window of a counter whose oldest slice in use is `oldest` has room again;
    /// none where it never has.
    pub fn retry_after(&self, oldest: i64, at: Timestamp) -> Option<Duration> {
        let now = i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX);
        let end = match self.width {
            0 => return None,
            width if width > 0 => self.expires_at,
            width => oldest.saturating_add((-width).saturating_mul(ROLLING_SLICES + 1)),
        };
        Some(Duration::from_nanos(end.saturating_sub(now).max(1).unsigned_abs()))
    }
}

/// Checks that every store can take these holds.
pub fn counters_fit(holds: &[CounterHold]) -> Result<(), StoreError> {
    if holds.len() > HOLDS_MAX {
        return Err(StoreError::Invalid("a call has more limits than a reservation takes"));
    }
    if holds.iter().any(|hold| hold.key.len() > COUNTER_KEY_BYTES_MAX) {
        return Err(StoreError::Invalid("the key of a counter is too long"));
    }
    if holds.iter().any(|hold| hold.max < 0 || hold.cost < 0) {
        return Err(StoreError::Invalid("a limit or a cost is below zero"));
    }
    Ok(())
}

#[cfg(test)]
#[path = "counters/tests.rs"]
mod tests;
