//! Bytes on their way through a socket that is never waited for: read and not yet taken, queued and not yet written.
//!
//! Knows neither frames nor sockets. How much may be queued is for the owner to bound, who can stop taking on more.

use std::{collections::VecDeque, io, mem};

/// How much is read at once, in bytes.
const READ_BYTES: usize = 64 * 1024;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    input: Vec<u8>,
    /// How much of `input` has been taken.
    taken: usize,
    output: VecDeque<Vec<u8>>,
    /// How much of the first piece of `output` is written.
    written: usize,
    queued_bytes: usize,
}

impl Buffers {
    /// What was read and not yet taken.
    pub(super) fn input(&self) -> &[u8] {
        &self.input[self.taken..]
    }

    /// Takes so many bytes from the front of the input.
    pub(super) fn take(&mut self, bytes: usize) {
        self.taken += bytes;
    }

    /// Reads once; none where nothing is there, 0 at the end of what comes.
    pub(super) fn fill(&mut self, read: impl FnOnce(&mut [u8]) -> io::Result<usize>) -> io::Result<Option<usize>> {
        self.input.drain(..mem::take(&mut self.taken));
        if self.input.is_empty() {
            // A large frame must not hold its memory for as long as the socket lives.
            self.input.shrink_to(2 * READ_BYTES);
        }
        let start = self.input.len();
        self.input.resize(start + READ_BYTES, 0);
        let read = read(&mut self.input[start..]);
        self.input.truncate(start + *read.as_ref().unwrap_or(&0));
        match read {
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(None),
            read => read.map(Some),
        }
    }

    /// Queues a piece.
    pub(super) fn queue(&mut self, piece: Vec<u8>) {
        self.queued_bytes += piece.len();
        self.output.push_back(piece);
    }

    /// What is queued and not yet written, in bytes.
    pub(super) fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }

    /// Writes as much as is taken at once.
    ///
    /// # Errors
    /// When the other side takes nothing any more; then nothing is queued any more either.
    pub(super) fn flush(&mut self, mut write: impl FnMut(&[u8]) -> io::Result<usize>) -> io::Result<()> {
        while let Some(first) = self.output.front() {
            match write(&first[self.written..]) {
                Ok(bytes) => {
                    self.written += bytes;
                    self.queued_bytes -= bytes;
                    if self.written == first.len() {
                        self.output.pop_front();
                        self.written = 0;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.output.clear();
                    (self.written, self.queued_bytes) = (0, 0);
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}
