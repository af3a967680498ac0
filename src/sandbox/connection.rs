//! The broker's end of the socket to one worker: frames in, frames out, neither ever blocking the other.
//!
//! A worker may stop reading at any moment; so output is queued here, with a bound, and flushed while waiting for input.

use std::{
    collections::VecDeque,
    io,
    os::{fd::AsFd, unix::net::UnixStream as StdStream},
};

use rustix::net::{RecvFlags, recv};
use tokio::{io::Interest, net::UnixStream};

use super::protocol::{self, Frame, FrameError, HEAD_BYTES, Kind};

/// How much is read at once, in bytes.
const READ_BYTES: usize = 64 * 1024;
/// Above so many queued bytes [`Connection::congested`] is true and the owner should take on no further answers.
const CONGESTED_BYTES: usize = 16 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Connection {
    stream: UnixStream,
    input: Vec<u8>,
    output: VecDeque<Vec<u8>>,
    /// How much of the first frame of `output` is written.
    written: usize,
    queued_bytes: usize,
}

impl Connection {
    /// Must be called within a tokio runtime.
    pub(super) fn new(stream: StdStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        let stream = UnixStream::from_std(stream)?;
        Ok(Self { stream, input: Vec::new(), output: VecDeque::new(), written: 0, queued_bytes: 0 })
    }

    /// Queues one frame and writes what the socket takes at once.
    pub(super) fn send(&mut self, kind: Kind, run: u32, parts: &[&[u8]]) -> Result<(), FrameError> {
        let bytes = protocol::encode(kind, run, parts);
        self.queued_bytes += bytes.len();
        self.output.push_back(bytes);
        self.flush()
    }

    /// Whether the worker takes its input too slowly.
    pub(super) fn congested(&self) -> bool {
        self.queued_bytes > CONGESTED_BYTES
    }

    /// The next frame; meanwhile queued output is written. Safe to drop and call again.
    pub(super) async fn next(&mut self) -> Result<Frame, FrameError> {
        loop {
            if let Some(frame) = self.take_frame()? {
                return Ok(frame);
            }
            let interest = if self.output.is_empty() { Interest::READABLE } else { Interest::READABLE | Interest::WRITABLE };
            let ready = self.stream.ready(interest).await.map_err(FrameError::Io)?;
            if ready.is_writable() {
                self.flush()?;
            }
            if ready.is_readable() {
                self.fill()?;
            }
        }
    }

    /// Whether the worker has closed its end, or sent something, while nobody asked it to.
    pub(super) fn silent(&self) -> bool {
        let mut byte = [0_u8; 1];
        let peeked = recv(self.stream.as_fd(), &mut byte[..], RecvFlags::PEEK | RecvFlags::DONTWAIT);
        self.input.is_empty() && matches!(peeked, Err(rustix::io::Errno::AGAIN))
    }

    fn take_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let Some(head) = self.input.first_chunk::<{ 4 + HEAD_BYTES }>() else { return Ok(None) };
        let (kind, run, bytes) = protocol::parse_head(*head)?;
        let end = 4 + HEAD_BYTES + bytes;
        if self.input.len() < end {
            return Ok(None);
        }
        let body = self.input[4 + HEAD_BYTES..end].to_vec();
        self.input.drain(..end);
        Ok(Some(Frame { kind, run, body }))
    }

    fn fill(&mut self) -> Result<(), FrameError> {
        let start = self.input.len();
        self.input.resize(start + READ_BYTES, 0);
        let read = self.stream.try_read(&mut self.input[start..]);
        self.input.truncate(start + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) if start == 0 => Err(FrameError::Closed),
            Ok(0) => Err(FrameError::Io(io::ErrorKind::UnexpectedEof.into())),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(FrameError::Io(error)),
        }
    }

    fn flush(&mut self) -> Result<(), FrameError> {
        while let Some(first) = self.output.front() {
            match self.stream.try_write(&first[self.written..]) {
                Ok(bytes) => {
                    self.written += bytes;
                    self.queued_bytes -= bytes;
                    if self.written == first.len() {
                        self.output.pop_front();
                        self.written = 0;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(FrameError::Io(error)),
            }
        }
        Ok(())
    }
}
