//! The worker's side: `airlock __worker` and `airlock __snapshot`, each for one of the runtimes.
//!
//! A worker runs one guest at a time and speaks nothing but the frames of [`super::protocol`] over
//! descriptor 0. It opens no file and no socket, knows no tool, and holds no secret. `local-v8`
//! runs V8 in the worker itself, an isolate for each guest: everything that touches V8 stands
//! behind [`engine`]. `local-deno` runs Deno as a jailed child: [`deno`]. A command for a runtime
//! that is not built in says so.

#[cfg(feature = "v8")]
mod channel;
#[cfg(feature = "intake")]
mod cpu_clock;
#[cfg(feature = "intake")]
mod deno;
#[cfg(feature = "intake")]
mod ending;
#[cfg(feature = "intake")]
mod endings;
#[cfg(feature = "v8")]
mod engine;
#[cfg(feature = "intake")]
mod host_functions;
#[cfg(feature = "intake")]
pub mod intake;
#[cfg(feature = "intake")]
mod log;
#[cfg(feature = "intake")]
mod outbox;
#[cfg(feature = "v8")]
mod process;
#[cfg(all(test, feature = "v8"))]
mod testing;
#[cfg(feature = "intake")]
mod timers;
#[cfg(feature = "intake")]
mod warnings;
#[cfg(feature = "v8")]
mod web;

use std::{ffi::OsString, process::ExitCode};

/// The first argument that makes the binary a worker.
pub const WORKER_COMMAND: &str = "__worker";
/// The first argument that makes the binary write to standard output what workers start from: a
/// startup snapshot, or the text of a realm.
pub const SNAPSHOT_COMMAND: &str = "__snapshot";
/// The argument after it for `local-deno`. The worker takes two more: where Deno is, and which file
/// that was when it was checked.
pub const DENO_ARGUMENT: &str = "deno";

/// Runs a worker until its broker is gone. Expects descriptor 0 to be a connected stream socket, 1
/// a sealed memory file that holds what [`snapshot`] wrote, 2 a pipe for messages.
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
fn write_out<B: AsRef<[u8]>, E: std::fmt::Display>(made: Result<B, E>) -> ExitCode {
    use std::io::Write;

    match made.map(|bytes| std::io::stdout().write_all(bytes.as_ref())) {
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

/// Tells the broker, over the pipe that it reads, why the process ends. There is no subscriber for
/// `tracing` in here.
fn refuse(reason: std::fmt::Arguments<'_>) -> ExitCode {
    use std::io::Write;

    // The pipe may be gone or full; there is nobody else to tell.
    let _ = writeln!(std::io::stderr(), "airlock worker: {reason}");
    ExitCode::FAILURE
}

/// The start that all workers share: the errors of it, and the first frame.
#[cfg(feature = "intake")]
mod start {
    use std::{io, os::unix::net::UnixStream};

    use crate::sandbox::{
        lockdown::LockdownError,
        protocol::{FrameError, Kind, Setup, VERSION, read_frame},
    };

    /// Why a worker could not start.
    #[derive(Debug, thiserror::Error)]
    pub(super) enum StartError {
        #[error(transparent)]
        Lockdown(#[from] LockdownError),
        #[error(transparent)]
        Engine(Box<dyn std::error::Error>),
        #[error("the first frame: {0}")]
        Setup(FrameError),
        #[error("the broker speaks version {0} of the frames, this worker {VERSION}")]
        Version(u32),
        #[error("descriptor 0: {0}")]
        Socket(io::Error),
    }

    /// What a broker must not do.
    #[derive(Debug, thiserror::Error)]
    pub(super) enum Violation {
        #[error(transparent)]
        Frame(FrameError),
        #[error("a {0:?} frame, which a worker does not take")]
        Unexpected(Kind),
        #[error("a frame for run {0}, which is not under way")]
        WrongRun(u32),
        #[error("a run while none can be taken")]
        Busy,
    }

    /// Reads the frame that every worker begins with.
    pub(super) fn read_setup(input: &mut UnixStream) -> Result<Setup, StartError> {
        let frame = read_frame(input).map_err(StartError::Setup)?;
        if frame.kind != Kind::Setup {
            return Err(StartError::Setup(FrameError::Malformed(Kind::Setup)));
        }
        let setup: Setup = serde_json::from_slice(&frame.body)
            .map_err(|_| StartError::Setup(FrameError::Malformed(Kind::Setup)))?;
        if setup.version != VERSION { Err(StartError::Version(setup.version)) } else { Ok(setup) }
    }
}
