//! The engine: V8 through deno_core. The only module that knows either.
//!
//! One [`Engine`] per process, one [`Guest`] per run. deno_core gives the snapshot, the native
//! functions and their binding; its event loop, its timers and its modules are not used: the loop
//! in [`run`] is small, and every wait in it belongs to the broker's clock. No tokio in this
//! process.
//!
//! The clock and the random numbers that a guest sees come from three places only, so that a
//! journal can record them later: V8's `Date` and `Math.random`, and the native functions behind
//! `runtime-js/`.

mod calls;
mod memory;
mod ops;
mod run;
mod seal;
pub(super) mod snapshot;
mod state;
#[cfg(test)]
mod tests;
mod thrown;

use std::{rc::Rc, sync::Once};

use deno_core::{JsRuntime, RuntimeOptions, v8};

use self::{seal::Hooks, state::GuestState};
use super::channel::{Alarm, Mailbox, Reason};
use crate::sandbox::protocol::Setup;

/// Why the engine cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum EngineError {
    /// V8 does not know one of our flags: another V8 than the one this was written for.
    #[error("v8 does not know {0:?}")]
    Flags(Vec<String>),
    /// The snapshot could not be made.
    #[error("the startup snapshot: {0}")]
    Snapshot(String),
    /// An isolate could not be made.
    #[error("a new isolate: {0}")]
    Isolate(String),
}

/// Flags for every process that touches V8, the one that bakes the snapshot included.
const FLAGS: &[&str] = &[
    // `eval` and `new Function`; the context says it again.
    "--disallow-code-generation-from-strings",
    // No callback asks for it, so `SharedArrayBuffer` is never there.
    "--enable-sharedarraybuffer-per-context",
    // Half of a guest's stack, in KiB: native code below it needs the rest.
    "--stack-size=2048",
    // No helper threads: a guest's clock counts all that it costs, and the system call filter needs
    // to know fewer calls.
    "--single-threaded",
];
/// Flag that leaves only the interpreter and the baseline compiler.
const NO_OPTIMIZERS: &str = "--disable-optimizing-compilers";

/// Starts V8 on this thread, which must be an ancestor of every thread that uses it. Once per
/// process.
fn start_v8(optimize: bool) -> Result<(), EngineError> {
    static STARTED: Once = Once::new();
    let mut result = Ok(());
    STARTED.call_once(|| {
        let mut flags: Vec<String> =
            std::iter::once("airlock").chain(FLAGS.iter().copied()).map(str::to_owned).collect();
        if !optimize {
            flags.push(NO_OPTIMIZERS.to_owned());
        }
        let unknown = v8::V8::set_flags_from_command_line(flags);
        if unknown.len() > 1 {
            result = Err(EngineError::Flags(unknown));
            return;
        }
        // Its own would open a file and read 4 KiB, three times for each isolate.
        v8::V8::set_entropy_source(|bytes| getrandom::fill(bytes).is_ok());
        // V8's own platform: its tasks are pumped by the run's loop, so nothing needs an executor.
        JsRuntime::init_platform(Some(
            v8::new_single_threaded_default_platform(false).make_shared(),
        ));
        memory::on_fatal_error();
    });
    result
}

/// Name and version of the engine, for people.
pub(super) fn version() -> String {
    format!("V8 {}", v8::V8::get_version())
}

/// The engine of this process.
pub(super) struct Engine {
    snapshot: &'static [u8],
}

impl Engine {
    /// Starts the engine on the main thread with the one snapshot that this process ever loads.
    pub(super) fn start(snapshot: &'static [u8], optimize: bool) -> Result<Self, EngineError> {
        start_v8(optimize)?;
        Ok(Self { snapshot })
    }
}

/// Ends a guest from another thread.
pub(super) struct Handle(v8::IsolateHandle);

impl Handle {
    /// Ends it at the next point where V8 looks; the alarm must have been raised before.
    pub(super) fn terminate(&self) {
        self.0.terminate_execution();
    }
}

/// An isolate that has run nothing yet. Bound to the thread that built it.
pub(super) struct Guest {
    // Handles into the isolate go before it does.
    hooks: Hooks,
    state: Rc<GuestState>,
    runtime: JsRuntime,
}

impl Guest {
    /// Builds the isolate and takes from it everything that a guest must not find.
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
        let hooks = seal::seal(&mut runtime, &state)
            .ok_or_else(|| EngineError::Isolate("the snapshot is not ours".into()))?;
        Ok(Self { hooks, state, runtime })
    }

    /// What ends it from another thread.
    pub(super) fn handle(&mut self) -> Handle {
        Handle(self.runtime.v8_isolate().thread_safe_handle())
    }

    /// Touches everything that opens a file on first use: time zone, locale data, random numbers,
    /// the compiler. Not the formatter of numbers: it opens nothing, costs its first user 1 ms, and
    /// cost every worker's start four.
    pub(super) fn warm_up(&mut self) {
        const TOUCH: &str = "new Date(0).getTimezoneOffset(); new Date(0).toString(); \
            Math.random();\
            new Intl.DateTimeFormat('en').format(0); 'a'.localeCompare('b'); /a+/.test('a')";
        // A failure would show as a guest's failure later; there is nobody to tell it to now.
        let _ = self.runtime.execute_script("ext:airlock/warm-up", TOUCH);
    }

    /// Grants the heap its headroom once when it comes near its bound, raises the alarm and ends
    /// the guest.
    fn guard_heap(&mut self, mailbox: &Mailbox) {
        let alarm: *const Alarm = &mailbox.alarm;
        let handle = self.runtime.v8_isolate().thread_safe_handle();
        let isolate: *mut v8::Isolate = &mut **self.runtime.v8_isolate();
        let state = self.state.clone();
        self.runtime.add_near_heap_limit_callback(move |bound, _| {
            // SAFETY: called by the isolate on its own thread, within the run; the callback is
            // removed at the run's end.
            let (used, alarm) =
                unsafe { ((*isolate).get_heap_statistics().used_heap_size(), &*alarm) };
            if state.buffers.refused() && used < bound / 4 * 3 {
                // V8 collects garbage so often for an array buffer that was refused that it gives
                // the heap up. The heap has room; the guest gets its RangeError.
                return bound + 1;
            }
            let hits = state.heap_hits.get() + 1;
            state.heap_hits.set(hits);
            state.heap_peak.set(state.heap_peak.get().max(used as u64));
            alarm.raise(Reason::Memory);
            handle.terminate_execution();
            memory::after_hit(hits, bound)
        });
    }
}
