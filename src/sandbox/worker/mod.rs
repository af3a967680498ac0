//! The worker's side: `airlock __worker` and `airlock __snapshot`.
//!
//! A worker runs one guest at a time, each in an isolate of its own, and speaks nothing but the frames of
//! [`super::protocol`] over descriptor 0. It opens no file and no socket, knows no tool, and holds no secret. Everything that
//! touches V8 stands behind [`engine`]; without the feature `v8` both commands say that this build has no engine.

#[cfg(feature = "v8")]
mod channel;
#[cfg(feature = "v8")]
mod engine;
#[cfg(feature = "v8")]
pub mod intake;
#[cfg(feature = "v8")]
mod lockdown;
#[cfg(feature = "v8")]
mod process;
#[cfg(all(test, feature = "v8"))]
mod testing;
#[cfg(feature = "v8")]
mod web;

use std::process::ExitCode;

/// The first argument that makes the binary a worker.
pub const WORKER_COMMAND: &str = "__worker";
/// The first argument that makes the binary write the startup snapshot to standard output.
pub const SNAPSHOT_COMMAND: &str = "__snapshot";

/// Runs a worker until its broker is gone. Expects descriptor 0 to be a connected stream socket, 1 a sealed memory file that
/// holds the snapshot, 2 a pipe for messages.
#[cfg(feature = "v8")]
pub fn main() -> ExitCode {
    process::main()
}

/// Bakes the startup snapshot and writes it to standard output.
#[cfg(feature = "v8")]
pub fn snapshot() -> ExitCode {
    use std::io::Write;

    match engine::snapshot::bake() {
        Ok(bytes) => match std::io::stdout().write_all(&bytes) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => refuse(format_args!("the snapshot could not be written: {error}")),
        },
        Err(error) => refuse(format_args!("the snapshot could not be made: {error}")),
    }
}

/// Says that this build has no engine.
#[cfg(not(feature = "v8"))]
pub fn main() -> ExitCode {
    refuse(format_args!("this build has no engine: build it with the feature `v8`"))
}

/// Says that this build has no engine.
#[cfg(not(feature = "v8"))]
pub fn snapshot() -> ExitCode {
    main()
}

/// Tells the broker, over the pipe that it reads, why the process ends. There is no subscriber for `tracing` in here.
fn refuse(reason: std::fmt::Arguments<'_>) -> ExitCode {
    use std::io::Write;

    // The pipe may be gone or full; there is nobody else to tell.
    let _ = writeln!(std::io::stderr(), "airlock worker: {reason}");
    ExitCode::FAILURE
}
