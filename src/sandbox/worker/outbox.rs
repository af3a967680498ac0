//! Sends whole frames from any thread of a worker to its broker.

use std::os::unix::net::UnixStream;

use parking_lot::Mutex;

use super::exit::leave;
use crate::sandbox::protocol::{Kind, write_frame};

/// The sending end of the socket to the broker. If it cannot be written to, the broker is gone and
/// the process ends.
pub(super) struct Outbox(Mutex<UnixStream>);

impl Outbox {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self(Mutex::new(stream))
    }

    /// Writes one frame. Blocks while the broker does not read.
    pub(super) fn send(&self, kind: Kind, run: u32, parts: &[&[u8]]) {
        let mut stream = self.0.lock();
        if write_frame(&mut *stream, kind, run, parts).is_err() {
            leave(0);
        }
    }
}
