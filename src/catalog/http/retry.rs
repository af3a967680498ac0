//! Decides whether and when a request is sent again. Pure: the result, the remaining time and the
//! random number are given.

use std::time::Duration;

use http::{HeaderMap, StatusCode, header::RETRY_AFTER};
use jiff::Timestamp;

use super::failure::ServiceFailure;
use crate::base::backoff::Backoff;

/// Attempts at one request, at most.
pub(super) const TRIES_MAX: u32 = 3;
/// Pause before the second try, and before the third.
const BACKOFF: Backoff =
    Backoff::new(Duration::from_millis(250), Duration::from_millis(500)).with_jitter(0.5);

/// Result of one attempt.
pub(super) enum Ended<'a> {
    /// With an answer of this status.
    Answered(StatusCode, &'a HeaderMap),
    /// Without one.
    Failed(&'a ServiceFailure),
}

/// The pause before the next try, or none when there is to be no other: `tries` were made, `left`
/// is what is left of the time of the call, `chance` is from 0 to 1.
pub(super) fn pause(
    ended: &Ended<'_>,
    tries: u32,
    left: Duration,
    chance: f64,
    now: Timestamp,
) -> Option<Duration> {
    let own = BACKOFF.after_with(tries, chance);
    let pause = match ended {
        Ended::Answered(
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE,
            headers,
        ) => retry_after(headers, now).map_or(own, |asked| asked.max(own)),
        Ended::Answered(StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT, _) => own,
        Ended::Failed(ServiceFailure::Unreachable(_) | ServiceFailure::Lost(_)) => own,
        Ended::Answered(..) | Ended::Failed(_) => return None,
    };
    (tries < TRIES_MAX && pause < left).then_some(pause)
}

/// Wait that `Retry-After` asks for, in seconds or as a date.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Duration::try_from(now.until(date).ok()?).unwrap_or_default())
}

#[cfg(test)]
mod tests;
