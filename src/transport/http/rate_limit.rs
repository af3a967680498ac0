//! The limit on requests of a workspace in a minute.

use std::{num::NonZeroU32, time::Duration};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
    state::keyed::DefaultKeyedStateStore,
};

/// The window that the limit is stated for.
pub(super) const WINDOW: Duration = Duration::from_secs(60);
/// Workspaces remembered at once; beyond it those without requests for a minute are forgotten.
const WORKSPACES_MAX: usize = 10_000;

type Limiter =
    RateLimiter<String, DefaultKeyedStateStore<String>, DefaultClock, StateInformationMiddleware>;

/// A bucket per workspace that holds a minute's requests and fills evenly.
pub(super) struct Rate {
    limiter: Limiter,
    clock: DefaultClock,
    per_minute: NonZeroU32,
}

/// The remaining requests, or how long to wait.
#[derive(Debug, Clone, Copy)]
pub(super) enum RateStatus {
    /// The request may pass; so many more may follow at once.
    Within { left: u32 },
    /// Not now.
    Beyond { retry_after: Duration },
}

impl Rate {
    /// No limit where `per_minute` is 0.
    pub(super) fn new(per_minute: u32) -> Option<Self> {
        let per_minute = NonZeroU32::new(per_minute)?;
        let limiter = RateLimiter::keyed(Quota::per_minute(per_minute)).with_middleware();
        Some(Self { limiter, clock: DefaultClock::default(), per_minute })
    }

    /// Counts one request.
    pub(super) fn count(&self, workspace: &str) -> RateStatus {
        if self.limiter.len() > WORKSPACES_MAX {
            self.limiter.retain_recent();
        }
        match self.limiter.check_key(&workspace.to_owned()) {
            Ok(state) => RateStatus::Within { left: state.remaining_burst_capacity() },
            Err(until) => {
                RateStatus::Beyond { retry_after: until.wait_time_from(self.clock.now()) }
            }
        }
    }

    /// Requests a minute.
    pub(super) fn per_minute(&self) -> u32 {
        self.per_minute.get()
    }

    /// `RateLimit-Policy` and `RateLimit`, as the IETF's draft names them.
    pub(super) fn headers(&self, status: RateStatus, headers: &mut HeaderMap) {
        let policy = format!("\"workspace\";q={};w={}", self.per_minute, WINDOW.as_secs());
        let (left, wait) = match status {
            RateStatus::Within { left } => {
                (left, WINDOW.as_secs().div_ceil(u64::from(self.per_minute.get())))
            }
            RateStatus::Beyond { retry_after } => (0, seconds(retry_after)),
        };
        let limit = format!("\"workspace\";r={left};t={wait}");
        for (name, value) in [("ratelimit-policy", policy), ("ratelimit", limit)] {
            let value = HeaderValue::from_str(&value).expect("digits and quotes are visible ASCII");
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

/// Whole seconds, at least one, as `Retry-After` takes them.
pub(super) fn seconds(wait: Duration) -> u64 {
    (wait.as_millis() as u64).div_ceil(1000).max(1)
}

#[cfg(test)]
mod tests;
