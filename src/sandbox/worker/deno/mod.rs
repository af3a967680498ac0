//! The runtime `local-deno`: a small worker, and Deno, which runs programs in a jail.
//!
//! The worker ([`guest`]) is our own code without an engine: intake, positions, limits, run ends.
//! Deno ([`child`]) runs `runtime-js/deno/main.js` and a realm for each guest ([`bundle`]). The two
//! exchange the frames of [`link`]. The worker treats Deno as hostile, as the broker treats both:
//! it checks everything that Deno sends, and ends the process if Deno breaks the protocol.

mod bundle;
mod child;
mod guest;
mod intake_watch;
mod link;
mod running;

use std::{
    ffi::OsStr,
    os::{fd::FromRawFd, unix::net::UnixStream},
    path::Path,
    process::ExitCode,
    sync::Arc,
};

pub(super) use bundle::realm;

use super::{
    exit::refuse,
    outbox::Outbox,
    start::{StartError, read_setup},
};
use crate::sandbox::{
    lockdown::{self, jail},
    v8_options::V8Options,
};

/// Memory of the worker itself in bytes: code, the parser's stack, frames in transit.
const MEMORY_BYTES: u64 = 512 << 20;

/// Runs a worker until its broker is gone. Returns only if it could not start.
pub(super) fn main(path: &Path, identity: &OsStr) -> ExitCode {
    match start(path, identity) {
        Ok(never) => never,
        Err(error) => refuse(format_args!("{error}")),
    }
}

fn start(path: &Path, identity: &OsStr) -> Result<ExitCode, StartError> {
    lockdown::lock(jail::DESCRIPTORS_MAX)?;
    let realm = lockdown::take_snapshot()?;
    // SAFETY: descriptor 0 is the connected socket from the broker; nothing else in this process
    // owns it.
    let mut input = unsafe { UnixStream::from_raw_fd(0) };
    let setup = read_setup(&mut input)?;
    let outbox = Arc::new(Outbox::new(input.try_clone().map_err(StartError::Socket)?));
    let options: V8Options =
        serde_json::from_str(setup.engine_options.get()).map_err(StartError::Options)?;
    let child = child::Child::start(path, identity, &setup, options, realm)
        .map_err(|error| StartError::Engine(Box::new(error)))?;
    // After the start of the child, whose own limit could not be higher than this one.
    lockdown::limit_memory(MEMORY_BYTES + 2 * setup.result_bytes_max)?;
    lockdown::drop_capabilities()?;
    lockdown::close_files()?;
    let watch = intake_watch::IntakeWatch::start(outbox.clone())
        .map_err(|error| StartError::Engine(Box::new(error)))?;
    lockdown::filter_calls(child.pid())?;
    guest::Worker::new(setup, input, outbox, child, watch).serve()
}
