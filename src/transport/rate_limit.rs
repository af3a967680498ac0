//! The limits on requests of a workspace in a minute, the same over HTTP and stdio: one on requests
//! that start work, and a higher one on all others, so that nobody who waits for work is refused
//! for asking about it.

use std::{fmt, num::NonZeroU32, sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
    state::keyed::DefaultKeyedStateStore,
};
use rmcp::{ErrorData, model};
use serde_json::{Value, json};

use crate::model::ErrorCode;

/// The code of a refusal: from the range left to servers, beside what public SDKs use.
pub(super) const RATE_LIMITED: i32 = -32005;
/// Requests a minute that start work, unless configured otherwise.
const WORK_PER_MINUTE: u32 = 100;
/// Other requests a minute, unless configured otherwise.
const POLLS_PER_MINUTE: u32 = 1000;
/// The window that the limits are stated for.
const WINDOW: Duration = Duration::from_secs(60);
/// Workspaces remembered at once; beyond it those without requests for a minute are forgotten.
const WORKSPACES_MAX: usize = 10_000;

type Limiter =
    RateLimiter<String, DefaultKeyedStateStore<String>, DefaultClock, StateInformationMiddleware>;

/// The limits of a server.
pub struct RateLimits {
    work: ArcSwapOption<Rate>,
    polls: ArcSwapOption<Rate>,
}

/// What a request counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counts {
    /// It starts work: `execute`.
    AsWork,
    /// It asks about work, lists, pings or greets.
    AsPoll,
}

impl RateLimits {
    /// Limits of so many requests a minute for each workspace; none where the number is 0.
    pub fn new(work_per_minute: u32, polls_per_minute: u32) -> Arc<Self> {
        let limits = Self { work: ArcSwapOption::empty(), polls: ArcSwapOption::empty() };
        limits.set(work_per_minute, polls_per_minute);
        Arc::new(limits)
    }

    /// Sets other limits. A limit that stays the same goes on counting; one that changes begins
    /// anew.
    pub fn set(&self, work_per_minute: u32, polls_per_minute: u32) {
        set(&self.work, "workspace", work_per_minute);
        set(&self.polls, "polls", polls_per_minute);
    }

    /// Counts one request; none where it is not limited.
    pub(super) fn count(&self, counts: Counts, workspace: &str) -> Option<Counted> {
        let rate = match counts {
            Counts::AsWork => self.work.load_full()?,
            Counts::AsPoll => self.polls.load_full()?,
        };
        let status = rate.count(workspace);
        Some(Counted { rate, counts, status })
    }
}

impl Default for RateLimits {
    fn default() -> Self {
        let limits = Self { work: ArcSwapOption::empty(), polls: ArcSwapOption::empty() };
        limits.set(WORK_PER_MINUTE, POLLS_PER_MINUTE);
        limits
    }
}

fn set(rate: &ArcSwapOption<Rate>, name: &'static str, per_minute: u32) {
    let present = rate.load().as_ref().map_or(0, |rate| rate.per_minute.get());
    if present != per_minute {
        rate.store(Rate::new(name, per_minute).map(Arc::new));
    }
}

impl fmt::Debug for RateLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per_minute =
            |rate: &ArcSwapOption<Rate>| rate.load().as_ref().map(|rate| rate.per_minute);
        f.debug_struct("RateLimits")
            .field("work", &per_minute(&self.work))
            .field("polls", &per_minute(&self.polls))
            .finish()
    }
}

/// A bucket per workspace that holds a minute's requests and fills evenly.
struct Rate {
    /// Its name in headers.
    name: &'static str,
    limiter: Limiter,
    clock: DefaultClock,
    per_minute: NonZeroU32,
}

/// The remaining requests, or how long to wait.
#[derive(Debug, Clone, Copy)]
enum RateStatus {
    /// The request may pass; so many more may follow at once.
    Within { left: u32 },
    /// Not now.
    Beyond { retry_after: Duration },
}

impl Rate {
    /// No limit where `per_minute` is 0.
    fn new(name: &'static str, per_minute: u32) -> Option<Self> {
        let per_minute = NonZeroU32::new(per_minute)?;
        let limiter = RateLimiter::keyed(Quota::per_minute(per_minute)).with_middleware();
        Some(Self { name, limiter, clock: DefaultClock::default(), per_minute })
    }

    fn count(&self, workspace: &str) -> RateStatus {
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
}

/// A request that was counted.
pub(super) struct Counted {
    rate: Arc<Rate>,
    counts: Counts,
    status: RateStatus,
}

impl Counted {
    /// The refusal of a request beyond its limit.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        let RateStatus::Beyond { retry_after } = self.status else { return None };
        let (limit, seconds) = (self.rate.per_minute.get(), seconds(retry_after));
        let what = match self.counts {
            Counts::AsWork => "requests that start work",
            Counts::AsPoll => "requests that start no work",
        };
        let message = format!(
            "more than {limit} {what} in a minute, from this workspace: retry after {seconds} s"
        );
        let data = json!({
            "type": ErrorCode::RateLimited.as_str(),
            "retryAfterMs": retry_after.as_millis() as u64 + 1,
            "limit": limit,
            "windowMs": WINDOW.as_millis() as u64,
            "scope": "workspace",
        });
        Some(Refusal { message, data, seconds })
    }

    /// `RateLimit-Policy` and `RateLimit`, as the IETF's draft names them.
    pub(super) fn headers(&self, headers: &mut HeaderMap) {
        let (name, per_minute) = (self.rate.name, self.rate.per_minute.get());
        let policy = format!("\"{name}\";q={per_minute};w={}", WINDOW.as_secs());
        let (left, wait) = match self.status {
            RateStatus::Within { left } => (left, WINDOW.as_secs().div_ceil(per_minute.into())),
            RateStatus::Beyond { retry_after } => (0, seconds(retry_after)),
        };
        let limit = format!("\"{name}\";r={left};t={wait}");
        for (name, value) in [("ratelimit-policy", policy), ("ratelimit", limit)] {
            let value = HeaderValue::from_str(&value).expect("digits and quotes are visible ASCII");
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

/// The refusal of a request beyond its limit.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) message: String,
    pub(super) data: Value,
    /// Whole seconds to wait, at least one, as `Retry-After` takes them.
    pub(super) seconds: u64,
}

impl From<Refusal> for ErrorData {
    fn from(refusal: Refusal) -> Self {
        Self::new(model::ErrorCode(RATE_LIMITED), refusal.message, Some(refusal.data))
    }
}

fn seconds(wait: Duration) -> u64 {
    (wait.as_millis() as u64).div_ceil(1000).max(1)
}

#[cfg(test)]
mod tests;
