//! The way from a worker to its broker: whole frames, from whichever thread.

use std::os::unix::net::UnixStream;

use parking_lot::Mutex;

use crate::sandbox::protocol::{Kind, write_frame};

/// Ends the process without running anything that a broken engine could stumble over.
pub(super) fn leave(code: i32) -> ! {
    // SAFETY: `_exit` only ends the process.
    unsafe { libc::_exit(code) }
}

/// The frames to the broker. A broker that cannot be written to is gone, and the worker with it.
pub(super) struct Outbox(Mutex<UnixStream>);

impl Outbox {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self(Mutex::new(stream))
    }

    /// Writes one frame; waits while the broker does not read.
    pub(super) fn send(&self, kind: Kind, run: u32, parts: &[&[u8]]) {
        let mut stream = self.0.lock();
        if write_frame(&mut *stream, kind, run, parts).is_err() {
            leave(0);
        }
    }
}
