//! The start that all workers share: its errors, the errors of a broker, and the first frame.

use std::{io, os::unix::net::UnixStream};

use crate::sandbox::{
    lockdown::LockdownError,
    protocol::{FrameError, Kind, Setup, VERSION, read_frame},
};

/// Reasons why a worker could not start.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    #[error(transparent)]
    Lockdown(#[from] LockdownError),
    #[error(transparent)]
    Engine(Box<dyn std::error::Error>),
    #[error("the first frame: {0}")]
    Setup(FrameError),
    #[error("the options of the engine: {0}")]
    Options(serde_json::Error),
    #[error("the broker speaks version {0} of the frames, this worker {VERSION}")]
    Version(u32),
    #[error("descriptor 0: {0}")]
    Socket(io::Error),
}

/// Violations of the protocol by the broker.
#[derive(Debug, thiserror::Error)]
pub(super) enum Violation {
    #[error(transparent)]
    Frame(FrameError),
    #[error("a {0:?} frame, which a worker does not accept")]
    Unexpected(Kind),
    #[error("a frame for run {0}, which is not under way")]
    WrongRun(u32),
    #[error("a run while none can be accepted")]
    Busy,
}

/// Reads the first frame that every worker receives.
pub(super) fn read_setup(input: &mut UnixStream) -> Result<Setup, StartError> {
    let malformed = || StartError::Setup(FrameError::Malformed(Kind::Setup));
    let frame = read_frame(input).map_err(StartError::Setup)?;
    if frame.kind != Kind::Setup {
        return Err(malformed());
    }
    let setup: Setup = serde_json::from_slice(&frame.body).map_err(|_| malformed())?;
    if setup.version != VERSION { Err(StartError::Version(setup.version)) } else { Ok(setup) }
}
