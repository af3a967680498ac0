//! Counters, as policy speaks of them: which ones a call must be admitted to, at what cost.
//! Counting itself is the store's.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use serde::Serialize;

use super::{AskTerms, Denial, DenialCode, RuleRef};
use crate::base::digest::sha256;

/// Longest text of a key, in bytes; what would be longer is hashed.
pub const COUNTER_KEY_BYTES_MAX: usize = 512;

/// Which counter: its name, its window and the values of its scope. Says nothing of the file it
/// stands in, so a counter survives reload, renaming of files and restart.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct CounterKey(Arc<str>);

impl CounterKey {
    /// From parts that are kept apart whatever they hold.
    pub(super) fn new(parts: &[&str]) -> Self {
        let text = serde_json::to_string(parts).expect("a list of strings is JSON");
        if text.len() <= COUNTER_KEY_BYTES_MAX {
            return Self(text.into());
        }
        Self(format!("sha256:{}", sha256(text)).into())
    }

    /// The key as text, at most [`COUNTER_KEY_BYTES_MAX`] bytes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CounterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A decimal in millionths: finite, never negative, at most about 9.2 trillion.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Amount(i64);

/// Why a number is no amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoAmount {
    /// Less than zero.
    #[error("is negative")]
    Negative,
    /// Infinite, or no number at all.
    #[error("is not finite")]
    NotFinite,
    /// Over the bound.
    #[error("is larger than {}", Amount::MAX)]
    TooLarge,
}

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// One call.
    pub const ONE: Self = Self(Self::UNIT);
    /// The largest.
    pub const MAX: Self = Self(i64::MAX);
    const UNIT: i64 = 1_000_000;

    /// From millionths, none if negative.
    pub fn from_millionths(millionths: i64) -> Option<Self> {
        (millionths >= 0).then_some(Self(millionths))
    }

    /// In millionths: what the store adds up.
    pub fn millionths(self) -> i64 {
        self.0
    }

    /// A whole number.
    pub fn whole(value: u64) -> Result<Self, NoAmount> {
        i64::try_from(value)
            .ok()
            .and_then(|value| value.checked_mul(Self::UNIT))
            .map(Self)
            .ok_or(NoAmount::TooLarge)
    }

    /// From a number of JSON. Its shortest decimal form counts, so 0.1 is a tenth; what is finer
    /// than a millionth is rounded up.
    pub fn from_number(number: &serde_json::Number) -> Result<Self, NoAmount> {
        if let Some(value) = number.as_u64() {
            return Self::whole(value);
        }
        if number.as_i64().is_some() {
            return Err(NoAmount::Negative);
        }
        Self::from_f64(number.as_f64().unwrap_or(f64::NAN))
    }

    /// From a float, as [`Self::from_number`].
    pub fn from_f64(value: f64) -> Result<Self, NoAmount> {
        if !value.is_finite() {
            return Err(NoAmount::NotFinite);
        }
        if value == 0.0 {
            return Ok(Self::ZERO);
        }
        if value < 0.0 {
            return Err(NoAmount::Negative);
        }
        if value >= (i64::MAX / Self::UNIT) as f64 {
            return Err(NoAmount::TooLarge);
        }
        // `Display` of a float never uses an exponent, and gives the shortest digits that mean this
        // float.
        let text = value.to_string();
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let whole: i64 = whole.parse().map_err(|_| NoAmount::TooLarge)?;
        let (kept, finer) = fraction.split_at(fraction.len().min(6));
        let kept: i64 = format!("{kept:0<6}").parse().map_err(|_| NoAmount::NotFinite)?;
        let up = i64::from(finer.bytes().any(|digit| digit != b'0'));
        whole
            .checked_mul(Self::UNIT)
            .and_then(|sum| sum.checked_add(kept))
            .and_then(|sum| sum.checked_add(up))
            .map(Self)
            .ok_or(NoAmount::TooLarge)
    }

    /// The sum, none over [`Self::MAX`].
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The largest amount that is less, none for zero.
    pub(super) fn just_below(self) -> Option<Self> {
        Self::from_millionths(self.0 - 1)
    }

    /// As a float, for expressions.
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / Self::UNIT as f64
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0 / Self::UNIT, self.0 % Self::UNIT);
        if fraction == 0 {
            return write!(f, "{whole}");
        }
        let fraction = format!("{fraction:06}");
        write!(f, "{whole}.{}", fraction.trim_end_matches('0'))
    }
}

/// The length of a fixed window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FixedWindow {
    /// Minutes of UTC.
    Minute,
    /// Hours of UTC.
    Hour,
    /// Days of UTC.
    Day,
    /// So many seconds, counted from 1970-01-01T00:00:00Z; at least 1, at most 31 days.
    Seconds(u32),
}

impl FixedWindow {
    /// Its length, in seconds.
    pub fn seconds(self) -> u32 {
        match self {
            Self::Minute => 60,
            Self::Hour => 3600,
            Self::Day => 86_400,
            Self::Seconds(seconds) => seconds,
        }
    }
}

/// Over what time a counter adds up.
///
/// A fixed window starts anew at each edge, so twice `max` can pass around an edge. A rolling one
/// is counted in slices of a sixteenth of its length: never more than `max` pass within any length,
/// and what was used is given free up to a sixteenth late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Window {
    /// Aligned to the calendar, in UTC.
    Fixed(FixedWindow),
    /// The last so many seconds; at least 1 s, at most 31 days.
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

/// What counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Count {
    /// A call that succeeded; what failed is given back.
    Success,
    /// Every call that left.
    Attempt,
}

/// What happens to a call that a counter does not admit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OnExceed {
    /// It is refused, `rate_limited`.
    Deny,
    /// It waits until the counter admits it, at most so long; then it is refused.
    Wait {
        /// The longest wait, at most 5 minutes.
        max: Duration,
    },
    /// A person is asked.
    Ask(AskTerms),
}

/// One counter that a call must be admitted to before it leaves. All holds of a call are reserved
/// together, or none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hold {
    /// Which counter. No two holds of one decision have the same.
    pub key: CounterKey,
    /// Over what time.
    pub window: Window,
    /// The counter may reach this, and no more.
    pub max: Amount,
    /// What this call adds.
    pub cost: Amount,
    /// What counts.
    pub count: Count,
    /// What happens to a call that is not admitted.
    pub on_exceed: OnExceed,
    /// The rule that limits.
    pub rule: RuleRef,
    /// What the rule says to the caller.
    pub message: Option<Arc<str>>,
}

impl Hold {
    /// The refusal of a call that this counter does not admit.
    pub fn denial(&self, retry_after: Option<Duration>) -> Denial {
        let window = match self.window {
            Window::Task => "task".to_owned(),
            window => window.to_string(),
        };
        let message = match &self.message {
            Some(message) => message.to_string(),
            None => {
                format!("limit of {} per {window} reached (rule `{}`)", self.max, self.rule.name)
            }
        };
        Denial { code: DenialCode::RateLimited, message, hidden: false, retry_after }
    }
}

/// A counter whose value is read, by a condition.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CounterRead {
    /// Which counter.
    pub key: CounterKey,
    /// Over what time: the store must know it to find the current value.
    pub window: Window,
}

/// Values of counters as the store last had them. One that is missing makes the condition that
/// reads it fail, and the call is denied; a counter that never counted has the value
/// [`Amount::ZERO`], and whoever fetches says so.
#[derive(Debug, Clone, Default)]
pub struct CounterValues(HashMap<CounterKey, Amount>);

impl CounterValues {
    /// Without any.
    pub fn none() -> Self {
        Self::default()
    }

    /// The value of a counter.
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
