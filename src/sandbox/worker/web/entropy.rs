//! Time and random numbers: the only native functions whose results differ from run to run. What
//! they return comes from the run's [`Repeat`], so that it can be recorded and repeated. While the
//! snapshot is made there is no run: time stands still, and there are no random numbers.

use std::{cell::RefCell, rc::Rc, time::Instant};

use deno_core::{OpState, op2};

use crate::sandbox::worker::repeat::Repeat;

/// The time and chance of the run; none before it begins.
pub(in crate::sandbox::worker) type RunInputs = Rc<RefCell<Option<Repeat>>>;

/// Applies a function to the run's time and chance; none while there is no run.
fn with_run<T>(state: &OpState, apply: impl FnOnce(&mut Repeat) -> T) -> Option<T> {
    state.try_borrow::<RunInputs>()?.borrow_mut().as_mut().map(apply)
}

/// Returns whole milliseconds since the origin, or -1 while the guest repeats an earlier run.
/// Coarse on purpose: timing attacks need a fine clock.
#[op2(fast)]
pub(super) fn op_web_clock(state: &mut OpState) -> f64 {
    let now = |repeat: &mut Repeat| match repeat.is_live() {
        true => repeat.elapsed(Instant::now()).as_millis() as f64,
        false => -1.0,
    };
    with_run(state, now).unwrap_or(0.0)
}

/// Returns the origin in whole milliseconds since 1970.
#[op2(fast)]
pub(super) fn op_web_clock_origin(state: &mut OpState) -> f64 {
    with_run(state, |repeat| repeat.origin_ms() as f64).unwrap_or(0.0)
}

/// Returns the readings of the run that is repeated, as JSON: `[readings, ms, readings, ms, …]`.
/// Empty while there is no run.
#[op2]
#[string]
pub(super) fn op_web_ticks(state: &mut OpState) -> String {
    let ticks = with_run(state, |repeat| repeat.ticks().collect::<Vec<_>>());
    ticks.and_then(|ticks| serde_json::to_string(&ticks).ok()).unwrap_or_default()
}

/// Notes that the clock shows another value, after so many readings of the one before.
#[op2(fast)]
pub(super) fn op_web_tick(state: &mut OpState, readings: f64, ms: f64) {
    with_run(state, |repeat| repeat.note_tick(readings as u32, ms as u64));
}

/// Fills a buffer with cryptographically secure random bytes. Returns false while there is no run.
#[op2(fast)]
pub(super) fn op_web_random(state: &mut OpState, #[buffer] bytes: &mut [u8]) -> bool {
    with_run(state, |repeat| repeat.fill_random(bytes)).is_some()
}
