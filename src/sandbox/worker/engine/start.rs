//! Starts V8 in this process, and the errors of the engine.

use std::sync::Once;

use deno_core::{JsRuntime, v8};

use super::memory;

/// Reasons for which the engine cannot be used.
#[derive(Debug, thiserror::Error)]
pub(in crate::sandbox::worker) enum EngineError {
    /// V8 does not know one of our flags: it is not the version this was written for.
    #[error("v8 does not know {0:?}")]
    Flags(Vec<String>),
    /// The snapshot could not be made.
    #[error("the startup snapshot: {0}")]
    Snapshot(String),
    /// An isolate could not be created.
    #[error("a new isolate: {0}")]
    Isolate(String),
}

/// Flags for every process that uses V8, including the one that makes the snapshot.
const FLAGS: &[&str] = &[
    // `eval` and `new Function`; the context forbids them as well.
    "--disallow-code-generation-from-strings",
    // No callback requests it, so `SharedArrayBuffer` never exists.
    "--enable-sharedarraybuffer-per-context",
    // Half of a guest's stack, in KiB: native code below V8 needs the rest.
    "--stack-size=2048",
    // No helper threads: a guest's clock counts all its costs, and a system call filter needs to
    // allow fewer calls.
    "--single-threaded",
];
/// Flag that leaves only the interpreter and the baseline compiler.
const NO_OPTIMIZERS: &str = "--disable-optimizing-compilers";

/// Starts V8 on this thread, which must be an ancestor of every thread that uses it. Takes effect
/// once per process.
pub(super) fn start_v8(optimize: bool) -> Result<(), EngineError> {
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
        // V8's own source would open a file and read 4 KiB, three times for each isolate.
        v8::V8::set_entropy_source(|bytes| getrandom::fill(bytes).is_ok());
        // V8's own platform: the run's loop pumps its tasks, so it needs no executor.
        JsRuntime::init_platform(Some(
            v8::new_single_threaded_default_platform(false).make_shared(),
        ));
        memory::on_fatal_error();
    });
    result
}
