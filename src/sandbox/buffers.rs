//! Bytes on their way through a socket that is never waited for: read and not yet taken, queued and
//! not yet written.
//!
//! Knows neither frames nor sockets. How much may be queued is for the owner to bound, who can stop
//! taking on more.

use std::{collections::VecDeque, io, mem};

/// How much is read at once, in bytes.
const READ_BYTES: usize = 64 * 1024;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    /// Where input is read to. Longer than what was read, so that memory is cleared once and not
    /// for each read.
    input: Vec<u8>,
    /// How much of `input` was read, and how much of that has been taken.
    filled: usize,
    taken: usize,
    output: VecDeque<Vec<u8>>,
    /// How much of the first piece of `output` is written.
    written: usize,
    queued_bytes: usize,
}

impl Buffers {
    /// What was read and not yet taken.
    pub(super) fn input(&self) -> &[u8] {
        &self.input[self.taken..self.filled]
    }

    /// Takes so many bytes from the front of the input.
    pub(super) fn take(&mut self, bytes: usize) {
        self.taken += bytes;
    }

    /// Reads once; none where nothing is there, 0 at the end of what comes.
    pub(super) fn fill(
        &mut self,
        read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<Option<usize>> {
        if self.taken > 0 {
            self.input.copy_within(self.taken..self.filled, 0);
            self.filled -= mem::take(&mut self.taken);
        }
        if self.filled == 0 {
            // A large frame must not hold its memory for as long as the socket lives.
            self.input.truncate(2 * READ_BYTES);
            self.input.shrink_to(2 * READ_BYTES);
        }
        if self.input.len() < self.filled + READ_BYTES {
            self.input.resize(self.filled + READ_BYTES, 0);
        }
        match read(&mut self.input[self.filled..]) {
            Ok(bytes) => {
                self.filled += bytes;
                Ok(Some(bytes))
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
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
    pub(super) fn flush(
        &mut self,
        mut write: impl FnMut(&[u8]) -> io::Result<usize>,
    ) -> io::Result<()> {
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
