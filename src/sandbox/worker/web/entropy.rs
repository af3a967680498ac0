//! Time and random numbers: the only native functions whose results differ from run to run. A
//! recording or replay of runs belongs here.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use deno_core::{OpState, op2};

/// Time of the guest's first reading of a clock.
struct Origin {
    monotonic: Instant,
    since_epoch: Duration,
}

#[expect(clippy::disallowed_methods, reason = "the clock of programs, not of records")]
fn origin(state: &mut OpState) -> &Origin {
    if !state.has::<Origin>() {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        state.put(Origin { monotonic: Instant::now(), since_epoch });
    }
    state.borrow::<Origin>()
}

/// Returns whole milliseconds since the origin. Coarse on purpose: timing attacks need a fine
/// clock.
#[op2(fast)]
pub(super) fn op_web_clock(state: &mut OpState) -> f64 {
    origin(state).monotonic.elapsed().as_millis() as f64
}

/// Returns the origin in whole milliseconds since 1970.
#[op2(fast)]
pub(super) fn op_web_clock_origin(state: &mut OpState) -> f64 {
    origin(state).since_epoch.as_millis() as f64
}

/// Fills a buffer with cryptographically secure random bytes. Returns false if the system has none.
#[op2(fast)]
pub(super) fn op_web_random(#[buffer] bytes: &mut [u8]) -> bool {
    getrandom::fill(bytes).is_ok()
}
