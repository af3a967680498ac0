//! Exponential backoff. Pure: the number of failures and the randomness are arguments.

use std::time::Duration;

/// Most doublings; every delay reaches its maximum much earlier.
const DOUBLINGS_MAX: u32 = 16;

/// Delay that doubles with each consecutive failure, up to a maximum.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    jitter: f64,
}

impl Backoff {
    /// Returns a backoff that starts with `first` and never exceeds `longest`, without jitter.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, jitter: 0.0 }
    }

    /// Randomizes this share of each delay, 0 to 1, so that clients that failed together do not
    /// retry together.
    pub const fn with_jitter(self, share: f64) -> Self {
        Self { jitter: share, ..self }
    }

    /// Returns the delay after this number of consecutive failures, without jitter. 0 counts as 1.
    pub fn after(&self, failures: u32) -> Duration {
        self.first
            .saturating_mul(1 << failures.saturating_sub(1).min(DOUBLINGS_MAX))
            .min(self.longest)
    }

    /// Returns the delay with jitter. `chance` is 0 to 1: 1 gives the whole delay, 0 the delay
    /// without its random share.
    pub fn after_with(&self, failures: u32, chance: f64) -> Duration {
        self.after(failures).mul_f64(1.0 - self.jitter + chance.clamp(0.0, 1.0) * self.jitter)
    }
}

/// Returns a random number from 0 to 1; 1 if the system has no randomness, which only removes the
/// jitter.
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
    fn delays_double_up_to_the_maximum_and_jitter_removes_no_more_than_its_share() {
        let (first, longest) = (Duration::from_millis(500), Duration::from_secs(30));
        let backoff = Backoff::new(first, longest);
        let delays: Vec<_> =
            [0, 1, 2, 3, 7, 8, u32::MAX].map(|failures| backoff.after(failures).as_millis()).into();
        assert_eq!(delays, [500, 500, 1000, 2000, 30_000, 30_000, 30_000]);
        let jittered = backoff.with_jitter(0.25);
        assert_eq!(jittered.after_with(2, 1.0), Duration::from_secs(1));
        assert_eq!(jittered.after_with(2, 0.0), Duration::from_millis(750));
        for failures in 0..200 {
            let delay = jittered.after_with(failures, chance());
            assert!(delay >= first.mul_f64(0.75) && delay <= longest, "{failures}: {delay:?}");
        }
        assert_eq!(Backoff::new(Duration::MAX, Duration::MAX).after(5), Duration::MAX);
    }
}
