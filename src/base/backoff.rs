//! Pauses that grow with each failure in a row. Pure: told how many failures there were, and
//! chance.

use std::time::Duration;

/// Doublings at most; far more than any pause here needs to reach its longest.
const DOUBLINGS_MAX: u32 = 16;

/// A pause that doubles up to a longest one.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    jitter: f64,
}

impl Backoff {
    /// `first` after the first failure, doubled after each further one, never above `longest`.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, jitter: 0.0 }
    }

    /// Leaves this share of each pause, 0 to 1, to chance, so that those who failed together do not
    /// come back together.
    pub const fn with_jitter(self, share: f64) -> Self {
        Self { jitter: share, ..self }
    }

    /// The pause after so many failures in a row; 0 counts as 1. Without chance: the longest that
    /// it may be.
    pub fn after(&self, failures: u32) -> Duration {
        self.first
            .saturating_mul(1 << failures.saturating_sub(1).min(DOUBLINGS_MAX))
            .min(self.longest)
    }

    /// The same with `chance`, 0 to 1: at 1 the whole pause, at 0 the pause without the share that
    /// is left to chance.
    pub fn after_with(&self, failures: u32, chance: f64) -> Duration {
        self.after(failures).mul_f64(1.0 - self.jitter + chance.clamp(0.0, 1.0) * self.jitter)
    }
}

/// A number from 0 to 1 at random; 1 where the system gives none, which makes pauses merely
/// regular.
pub fn chance() -> f64 {
    let mut random = [0; 4];
    match getrandom::fill(&mut random) {
        Ok(()) => f64::from(u32::from_le_bytes(random)) / f64::from(u32::MAX),
        Err(_) => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_chance_takes_no_more_than_its_share() {
        let (first, longest) = (Duration::from_millis(500), Duration::from_secs(30));
        let backoff = Backoff::new(first, longest);
        let pauses: Vec<_> =
            [0, 1, 2, 3, 7, 8, u32::MAX].map(|failures| backoff.after(failures).as_millis()).into();
        assert_eq!(pauses, [500, 500, 1000, 2000, 30_000, 30_000, 30_000]);
        let jittered = backoff.with_jitter(0.25);
        assert_eq!(jittered.after_with(2, 1.0), Duration::from_secs(1));
        assert_eq!(jittered.after_with(2, 0.0), Duration::from_millis(750));
        for failures in 0..200 {
            let pause = jittered.after_with(failures, chance());
            assert!(pause >= first.mul_f64(0.75) && pause <= longest, "{failures}: {pause:?}");
        }
        assert_eq!(Backoff::new(Duration::MAX, Duration::MAX).after(5), Duration::MAX);
    }
}
