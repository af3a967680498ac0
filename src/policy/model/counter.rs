//! Identity and window of counters. The store counts; policy only says which counters.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use serde::Serialize;

use super::amount::Amount;
use crate::base::digest::sha256;

/// Longest key in clear text, in bytes; a longer one is replaced by its digest.
pub const PLAIN_KEY_BYTES_MAX: usize = 512;

/// Identity of a counter: its name, its window and the values of its scope. The file is not part
/// of it, so a counter survives a reload, a renamed file and a restart.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct CounterKey(Arc<str>);

impl CounterKey {
    /// Encodes the parts so that different lists of parts give different keys.
    pub(in crate::policy) fn new(parts: &[&str]) -> Self {
        let key = serde_json::to_string(parts).expect("a list of strings is JSON");
        if key.len() <= PLAIN_KEY_BYTES_MAX {
            return Self(key.into());
        }
        Self(format!("sha256:{}", sha256(key)).into())
    }

    /// Returns the key as a string of at most [`PLAIN_KEY_BYTES_MAX`] bytes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CounterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Length of a fixed window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FixedWindow {
    /// Minute of UTC.
    Minute,
    /// Hour of UTC.
    Hour,
    /// Day of UTC.
    Day,
    /// Number of seconds, counted from 1970-01-01T00:00:00Z; 1 to 31 days' worth.
    Seconds(u32),
}

impl FixedWindow {
    /// Returns the length in seconds.
    pub fn seconds(self) -> u32 {
        match self {
            Self::Minute => 60,
            Self::Hour => 3600,
            Self::Day => 86_400,
            Self::Seconds(seconds) => seconds,
        }
    }
}

/// Time over which a counter adds up.
///
/// A fixed window restarts at each boundary, so up to twice `max` can pass around a boundary. A
/// rolling window is counted in slices of a sixteenth of its length: no span of that length ever
/// admits more than `max`, and used quota becomes free up to a sixteenth late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Window {
    /// Aligned to the calendar, in UTC.
    Fixed(FixedWindow),
    /// The most recent span of this length; 1 s to 31 days.
    Rolling(Duration),
    /// The whole life of a task.
    Task,
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(FixedWindow::Minute) => f.write_str("minute"),
            Self::Fixed(FixedWindow::Hour) => f.write_str("hour"),
            Self::Fixed(FixedWindow::Day) => f.write_str("day"),
            Self::Fixed(FixedWindow::Seconds(seconds)) => write!(f, "{seconds} s"),
            Self::Rolling(length) => write!(f, "rolling {} s", length.as_secs()),
            Self::Task => f.write_str("task"),
        }
    }
}

/// Calls that a counter counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Count {
    /// Calls that succeed; the cost of a failed call is released.
    Success,
    /// Every call that is sent.
    Attempt,
}

/// Counter whose value a condition reads.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CounterRead {
    /// The counter.
    pub key: CounterKey,
    /// Its window, which the store needs to find the current value.
    pub window: Window,
}

/// Current values of counters, fetched from the store. If the value of a counter is missing, the
/// condition that reads it fails and the call is denied. A counter that never counted has the
/// value [`Amount::ZERO`]; the caller of [`super::super::Policy::decide`] must supply it.
#[derive(Debug, Clone, Default)]
pub struct CounterValues(HashMap<CounterKey, Amount>);

impl CounterValues {
    /// Returns an empty set.
    pub fn none() -> Self {
        Self::default()
    }

    /// Returns the value of a counter.
    pub fn get(&self, key: &CounterKey) -> Option<Amount> {
        self.0.get(key).copied()
    }
}

impl FromIterator<(CounterKey, Amount)> for CounterValues {
    fn from_iter<T: IntoIterator<Item = (CounterKey, Amount)>>(values: T) -> Self {
        Self(values.into_iter().collect())
    }
}

#[cfg(test)]
mod tests;
