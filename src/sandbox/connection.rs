//! The broker's end of the socket to one worker. Neither direction ever blocks the other.
//!
//! A worker may stop reading at any moment, so output is queued here, with a bound, and flushed
//! while waiting for input.

use std::{
    io,
    os::{fd::AsFd, unix::net::UnixStream as StdStream},
};

use rustix::net::{RecvFlags, recv};
use tokio::{io::Interest, net::UnixStream};

use super::{
    buffers::Buffers,
    protocol::{self, Frame, FrameError, Kind, PREFIX_BYTES},
};

/// Queued bytes above which [`Connection::congested`] is true and the owner must hold back further
/// responses.
const CONGESTED_BYTES: usize = 16 * 1024 * 1024;

/// Framed socket to one worker.
#[derive(Debug)]
pub(super) struct Connection {
    stream: UnixStream,
    buffers: Buffers,
    /// True if the owner held back output because of [`Self::congested`].
    held_back: bool,
    /// True if the worker accepts no more input. Its output is still read to the end: it may hold
    /// the reason.
    write_closed: bool,
}

/// An event on a connection.
#[derive(Debug)]
pub(super) enum Event {
    /// The worker sent a frame.
    Frame(Frame),
    /// The output queue has room again.
    Writable,
}

impl Connection {
    /// Creates a connection. Must be called within a tokio runtime.
    pub(super) fn new(stream: StdStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        let stream = UnixStream::from_std(stream)?;
        Ok(Self { stream, buffers: Buffers::default(), held_back: false, write_closed: false })
    }

    /// Queues one frame and writes as much as the socket accepts. If the worker is gone, the next
    /// read reports it.
    pub(super) fn send(&mut self, kind: Kind, run: u32, parts: &[&[u8]]) {
        if self.write_closed {
            return;
        }
        self.buffers.queue(protocol::encode(kind, run, parts));
        self.flush();
    }

    /// Returns true if the worker reads its input too slowly. [`Event::Writable`] follows once it
    /// has caught up.
    pub(super) fn congested(&mut self) -> bool {
        let congested = self.buffers.queued_bytes() > CONGESTED_BYTES;
        self.held_back |= congested;
        congested
    }

    /// Waits for the next event and writes queued output meanwhile. Cancel safe.
    pub(super) async fn next(&mut self) -> Result<Event, FrameError> {
        loop {
            if let Some(frame) = self.take_frame()? {
                return Ok(Event::Frame(frame));
            }
            if self.held_back && self.buffers.queued_bytes() <= CONGESTED_BYTES {
                self.held_back = false;
                return Ok(Event::Writable);
            }
            let is_flushed = self.buffers.queued_bytes() == 0;
            let interest = if is_flushed {
                Interest::READABLE
            } else {
                Interest::READABLE | Interest::WRITABLE
            };
            let ready = self.stream.ready(interest).await.map_err(FrameError::Io)?;
            if ready.is_writable() {
                self.flush();
            }
            if ready.is_readable() {
                self.fill()?;
            }
        }
    }

    /// Waits for the next frame, for callers that send little.
    pub(super) async fn next_frame(&mut self) -> Result<Frame, FrameError> {
        loop {
            if let Event::Frame(frame) = self.next().await? {
                return Ok(frame);
            }
        }
    }

    /// Returns true if the worker is alive and has sent nothing unasked. Does not block.
    pub(super) fn is_silent(&self) -> bool {
        let mut byte = [0_u8; 1];
        let peeked =
            recv(self.stream.as_fd(), &mut byte[..], RecvFlags::PEEK | RecvFlags::DONTWAIT);
        self.buffers.input().is_empty() && matches!(peeked, Err(rustix::io::Errno::AGAIN))
    }

    fn take_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let input = self.buffers.input();
        let Some(head) = input.first_chunk::<PREFIX_BYTES>() else { return Ok(None) };
        let (kind, run, bytes) = protocol::parse_head(*head)?;
        let Some(body) = input.get(PREFIX_BYTES..PREFIX_BYTES + bytes) else { return Ok(None) };
        let body = body.to_vec();
        self.buffers.consume(PREFIX_BYTES + bytes);
        Ok(Some(Frame { kind, run, body }))
    }

    fn fill(&mut self) -> Result<(), FrameError> {
        let is_between_frames = self.buffers.input().is_empty();
        match self.buffers.fill(|space| self.stream.try_read(space)) {
            Ok(Some(0)) if is_between_frames => Err(FrameError::Closed),
            Ok(Some(0)) => Err(FrameError::Io(io::ErrorKind::UnexpectedEof.into())),
            Ok(_) => Ok(()),
            Err(error) => Err(FrameError::Io(error)),
        }
    }

    fn flush(&mut self) {
        self.write_closed |= self.buffers.flush(|bytes| self.stream.try_write(bytes)).is_err();
    }
}
