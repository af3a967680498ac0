//! The engine: V8 through deno_core. The only module that knows either.
//!
//! One [`Engine`] per process, one [`Guest`] per run. deno_core provides the snapshot, the native
//! functions and their bindings. Its event loop, timers and modules are not used: the loop in
//! [`run`] is small, and the broker's clock accounts for every wait in it. There is no tokio in
//! this process.
//!
//! The time and the random numbers that a guest sees come from `runtime-js/web/entropy.ts` alone,
//! so that a run can be recorded and repeated.

mod calls;
mod memory;
mod ops;
mod run;
mod seal;
pub(super) mod snapshot;
mod start;
mod state;
#[cfg(test)]
mod tests;
mod thrown;

use std::rc::Rc;

use deno_core::{JsRuntime, RuntimeOptions, v8};

use self::{
    seal::Hooks,
    start::{EngineError, start_v8},
    state::GuestState,
};
use super::channel::{Mailbox, StopCause, StopFlag};
use crate::sandbox::{protocol::Setup, v8_options::V8Options};

/// Name and version of the engine, for display.
pub(super) fn version() -> String {
    format!("V8 {}", v8::V8::get_version())
}

/// The engine of this process.
pub(super) struct Engine {
    snapshot: &'static [u8],
}

impl Engine {
    /// Starts the engine on the main thread with the only snapshot that this process ever loads.
    pub(super) fn start(snapshot: &'static [u8], options: V8Options) -> Result<Self, EngineError> {
        start_v8(options.optimize)?;
        Ok(Self { snapshot })
    }
}

/// Handle that ends a guest from another thread.
pub(super) struct Handle(v8::IsolateHandle);

impl Handle {
    /// Ends the guest at V8's next check. The stop flag must be raised before.
    pub(super) fn terminate(&self) {
        self.0.terminate_execution();
    }
}

/// An isolate for one run. Bound to the thread that built it.
pub(super) struct Guest {
    // Handles into the isolate are dropped before it.
    hooks: Hooks,
    state: Rc<GuestState>,
    runtime: JsRuntime,
}

impl Guest {
    /// Builds the isolate and removes from it everything that a guest must not find.
    pub(super) fn build(engine: &Engine, limits: &Setup) -> Result<Self, EngineError> {
        let state = GuestState::new(limits);
        let mut runtime = JsRuntime::try_new(RuntimeOptions {
            startup_snapshot: Some(engine.snapshot),
            extensions: snapshot::extensions(),
            skip_op_registration: true,
            create_params: Some(memory::params(limits.heap_bytes_max, &state.buffers)),
            ..RuntimeOptions::default()
        })
        .map_err(|error| EngineError::Isolate(error.to_string()))?;
        runtime.op_state().borrow_mut().put(state.clone());
        runtime.op_state().borrow_mut().put(state.repeat.clone());
        let hooks = seal::seal(&mut runtime, &state).ok_or_else(|| {
            EngineError::Isolate("the snapshot does not hold our bootstrap".into())
        })?;
        Ok(Self { hooks, state, runtime })
    }

    /// Returns the handle that ends the guest from another thread.
    pub(super) fn handle(&mut self) -> Handle {
        Handle(self.runtime.v8_isolate().thread_safe_handle())
    }

    /// Uses everything that opens a file on first use: time zone, locale data, random numbers, the
    /// compiler. Not the number formatter: it opens nothing and costs its first user 1 ms, but
    /// would cost every worker's start 4 ms.
    pub(super) fn warm_up(&mut self) {
        const WARM_UP: &str = "new Date(0).getTimezoneOffset(); new Date(0).toString(); \
            new Intl.DateTimeFormat('en').format(0); 'a'.localeCompare('b'); /a+/.test('a')";
        // A failure here would also be a guest's failure later; there is nobody to report it to.
        let _ = self.runtime.execute_script("ext:airlock/warm-up", WARM_UP);
    }

    /// Installs the callback of a heap near its limit: it grants headroom once, raises the stop
    /// flag and ends the guest.
    fn guard_heap(&mut self, mailbox: &Mailbox) {
        let stop: *const StopFlag = &mailbox.stop;
        let handle = self.runtime.v8_isolate().thread_safe_handle();
        let isolate: *mut v8::Isolate = &mut **self.runtime.v8_isolate();
        let state = self.state.clone();
        self.runtime.add_near_heap_limit_callback(move |limit, _| {
            // SAFETY: the isolate calls this on its own thread during the run; the callback is
            // removed at the end of the run.
            let (used, stop) =
                unsafe { ((*isolate).get_heap_statistics().used_heap_size(), &*stop) };
            if state.buffers.refused() && used < limit / 4 * 3 {
                // V8 collects garbage so often for a refused array buffer that it considers the
                // heap full. The heap has room, and the guest gets its RangeError.
                return limit + 1;
            }
            let hits = state.heap_hits.get() + 1;
            state.heap_hits.set(hits);
            state.heap_peak.set(state.heap_peak.get().max(used as u64));
            stop.raise(StopCause::Memory);
            handle.terminate_execution();
            memory::limit_after_hit(hits, limit)
        });
    }
}
