//! The worker's side: `airlock __worker` and `airlock __snapshot`, each for one of the runtimes.
//!
//! A worker runs one guest at a time and speaks only the frames of [`super::protocol`] over
//! descriptor 0. It opens no file and no socket, knows no tool and holds no secret. `local-v8` runs
//! V8 in the worker itself, an isolate for each guest; everything that touches V8 is behind
//! [`engine`]. `local-deno` runs Deno as a jailed child: [`deno`]. A command for a runtime that is
//! not built in fails with a message that says so.

#[cfg(feature = "v8")]
mod channel;
#[cfg(feature = "intake")]
mod cpu_clock;
#[cfg(feature = "intake")]
mod deno;
#[cfg(feature = "v8")]
mod engine;
mod exit;
#[cfg(feature = "intake")]
mod host_functions;
#[cfg(feature = "intake")]
pub mod intake;
#[cfg(feature = "intake")]
mod log;
#[cfg(feature = "intake")]
mod messages;
#[cfg(feature = "intake")]
mod outbox;
#[cfg(feature = "v8")]
mod process;
#[cfg(feature = "intake")]
mod repeat;
#[cfg(feature = "intake")]
mod run_end;
#[cfg(feature = "intake")]
mod start;
#[cfg(all(test, feature = "v8"))]
mod testing;
#[cfg(feature = "intake")]
mod timers;
#[cfg(feature = "intake")]
mod warnings;
#[cfg(feature = "v8")]
mod web;

use std::{ffi::OsString, process::ExitCode};

use exit::refuse;

/// The first argument that makes the executable a worker.
pub const WORKER_COMMAND: &str = "__worker";
/// The first argument that makes the executable write to standard output what workers start from: a
/// startup snapshot of V8, or the source of a realm.
pub const SNAPSHOT_COMMAND: &str = "__snapshot";
/// The argument after it for `local-deno`. The worker takes two more: the path of Deno's
/// executable, and the identity that the file had when it was checked.
pub const DENO_ARGUMENT: &str = "deno";

/// Runs a worker until its broker is gone. Expects descriptor 0 to be a connected stream socket, 1
/// a sealed memory file with the output of [`snapshot`], 2 a pipe for messages.
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.collect();
    match arguments.as_slice() {
        #[cfg(feature = "v8")]
        [] => process::main(),
        #[cfg(feature = "intake")]
        [runtime, path, identity] if runtime == DENO_ARGUMENT => {
            deno::main(path.as_ref(), identity)
        }
        other => not_built_in(other),
    }
}

/// Writes what workers start from to standard output.
pub fn snapshot(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.collect();
    match arguments.as_slice() {
        #[cfg(feature = "v8")]
        [] => write_out(engine::snapshot::bake()),
        #[cfg(feature = "intake")]
        [runtime] if runtime == DENO_ARGUMENT => write_out(deno::realm()),
        other => not_built_in(other),
    }
}

#[cfg(feature = "intake")]
fn write_out<B: AsRef<[u8]>, E: std::fmt::Display>(snapshot: Result<B, E>) -> ExitCode {
    use std::io::Write;

    match snapshot.map(|bytes| std::io::stdout().write_all(bytes.as_ref())) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => refuse(format_args!("the snapshot could not be written: {error}")),
        Err(error) => refuse(format_args!("the snapshot could not be made: {error}")),
    }
}

fn not_built_in(arguments: &[OsString]) -> ExitCode {
    refuse(format_args!(
        "this build has no runtime for {arguments:?}: build it with the feature `v8` or `intake`"
    ))
}
