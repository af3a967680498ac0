//! Clock and chance, the only sources here of what differs from run to run. Whoever records or
//! replays a run does it in this file.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use deno_core::{OpState, op2};

/// When the guest first asked for the time.
struct Origin {
    monotonic: Instant,
    since_epoch: Duration,
}

#[expect(clippy::disallowed_methods, reason = "the clock of programs, which is nobody else's")]
fn origin(state: &mut OpState) -> &Origin {
    if !state.has::<Origin>() {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        state.put(Origin { monotonic: Instant::now(), since_epoch });
    }
    state.borrow::<Origin>()
}

/// Whole milliseconds since the origin. Coarse on purpose: a fine clock is what timing attacks
/// read.
#[op2(fast)]
pub(super) fn op_web_clock(state: &mut OpState) -> f64 {
    origin(state).monotonic.elapsed().as_millis() as f64
}

/// The origin in whole milliseconds since 1970.
#[op2(fast)]
pub(super) fn op_web_clock_origin(state: &mut OpState) -> f64 {
    origin(state).since_epoch.as_millis() as f64
}

/// Fills a buffer with bytes fit for keys; false when the system gives none.
#[op2(fast)]
pub(super) fn op_web_random(#[buffer] bytes: &mut [u8]) -> bool {
    getrandom::fill(bytes).is_ok()
}
