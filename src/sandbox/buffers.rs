//! Input and output buffers of a non-blocking socket.
//!
//! Knows neither frames nor sockets. The owner bounds the output by not queueing more.

use std::{collections::VecDeque, io, mem};

/// Bytes read at once.
const READ_BYTES: usize = 64 * 1024;

/// Bytes that were read but not consumed, and bytes that were queued but not written.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    /// Space for input. Longer than the input, so memory is zeroed once and not for each read.
    input: Vec<u8>,
    /// Number of bytes in `input` that were read.
    filled: usize,
    /// Number of those bytes that were consumed.
    consumed: usize,
    output: VecDeque<Vec<u8>>,
    /// Number of written bytes of the first chunk of `output`.
    written: usize,
    queued_bytes: usize,
}

impl Buffers {
    /// The bytes that were read but not consumed.
    pub(super) fn input(&self) -> &[u8] {
        &self.input[self.consumed..self.filled]
    }

    /// Removes bytes from the front of the input.
    pub(super) fn consume(&mut self, bytes: usize) {
        self.consumed += bytes;
    }

    /// Reads once. Returns `None` if nothing is available and 0 at the end of the stream.
    pub(super) fn fill(
        &mut self,
        read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<Option<usize>> {
        if self.consumed > 0 {
            self.input.copy_within(self.consumed..self.filled, 0);
            self.filled -= mem::take(&mut self.consumed);
        }
        if self.filled == 0 {
            // The memory of a large frame must not stay for the life of the socket.
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

    /// Queues a chunk of output.
    pub(super) fn queue(&mut self, chunk: Vec<u8>) {
        self.queued_bytes += chunk.len();
        self.output.push_back(chunk);
    }

    /// Number of bytes that are queued but not written.
    pub(super) fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }

    /// Writes as much as the socket accepts without blocking.
    ///
    /// # Errors
    /// If the other side accepts no more; the queue is then discarded.
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
