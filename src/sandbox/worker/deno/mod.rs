//! The runtime `local-deno`: a small worker that takes programs in and judges what comes out, and
//! Deno, which runs them in a jail.
//!
//! The worker ([`guest`]) is Rust of ours without an engine: intake, positions, limits, endings.
//! Deno ([`child`]) runs `runtime-js/deno/main.js` and a realm for each guest ([`bundle`]); between
//! the two go the frames of [`link`]. The worker takes Deno for hostile, as the broker takes both:
//! whatever Deno says is checked, and what it leaves undone ends with its process.

mod bundle;
mod child;
mod guest;
mod intake_watch;
mod link;

use std::{
    ffi::OsStr,
    os::{fd::FromRawFd, unix::net::UnixStream},
    path::Path,
    process::ExitCode,
    sync::Arc,
};

pub(super) use bundle::realm;

use super::{
    outbox::Outbox,
    refuse,
    start::{StartError, read_setup},
};
use crate::sandbox::lockdown::{self, jail};

/// What the worker itself needs, in bytes: code, the stack of the parser, frames on their way.
const MEMORY_BYTES: u64 = 512 << 20;

/// Runs a worker until its broker is gone.
pub(super) fn main(path: &Path, identity: &OsStr) -> ExitCode {
    match start(path, identity) {
        Ok(never) => never,
        Err(error) => refuse(format_args!("{error}")),
    }
}

fn start(path: &Path, identity: &OsStr) -> Result<ExitCode, StartError> {
    lockdown::lock(jail::DESCRIPTORS_MAX)?;
    let realm = lockdown::take_snapshot()?;
    // SAFETY: descriptor 0 is the connected socket that the broker gave; nothing else in this
    // process owns it.
    let mut input = unsafe { UnixStream::from_raw_fd(0) };
    let setup = read_setup(&mut input)?;
    let outbox = Arc::new(Outbox::new(input.try_clone().map_err(StartError::Socket)?));
    let child = child::Child::start(path, identity, &setup, realm)
        .map_err(|error| StartError::Engine(Box::new(error)))?;
    // After the child, whose own bound is another one and could not be above this.
    lockdown::limit_memory(MEMORY_BYTES + 2 * setup.result_bytes_max)?;
    lockdown::drop_capabilities()?;
    lockdown::close_files()?;
    let watch = intake_watch::IntakeWatch::start(outbox.clone())
        .map_err(|error| StartError::Engine(Box::new(error)))?;
    lockdown::filter_calls(child.pid())?;
    guest::Worker::new(setup, input, outbox, child, watch).serve()
}
