//! The broker's end of the socket to one worker: frames in, frames out, neither ever blocking the
//! other.
//!
//! A worker may stop reading at any moment; so output is queued here, with a bound, and flushed
//! while waiting for input.

use std::{
    io,
    os::{fd::AsFd, unix::net::UnixStream as StdStream},
};

use rustix::net::{RecvFlags, recv};
use tokio::{io::Interest, net::UnixStream};

use super::{
    buffers::Buffers,
    protocol::{self, Frame, FrameError, HEAD_BYTES, Kind},
};

/// Above so many queued bytes [`Connection::congested`] is true and the owner should take on no
/// further answers.
const CONGESTED_BYTES: usize = 16 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Connection {
    stream: UnixStream,
    buffers: Buffers,
    /// Whether the owner held back because of [`Self::congested`].
    held_back: bool,
    /// The worker takes no more input. What it has said is still read to the end: it may be why.
    deaf: bool,
}

/// What happens on a connection.
#[derive(Debug)]
pub(super) enum Event {
    /// The worker said something.
    Frame(Frame),
    /// There is room for output again.
    Room,
}

impl Connection {
    /// Must be called within a tokio runtime.
    pub(super) fn new(stream: StdStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        let stream = UnixStream::from_std(stream)?;
        Ok(Self { stream, buffers: Buffers::default(), held_back: false, deaf: false })
    }

    /// Queues one frame and writes what the socket takes at once. That a worker is gone shows when
    /// it is read from.
    pub(super) fn send(&mut self, kind: Kind, run: u32, parts: &[&[u8]]) {
        if self.deaf {
            return;
        }
        self.buffers.queue(protocol::encode(kind, run, parts));
        self.flush();
    }

    /// Whether the worker takes its input too slowly. If so, [`Event::Room`] tells when it has
    /// caught up.
    pub(super) fn congested(&mut self) -> bool {
        let congested = self.buffers.queued_bytes() > CONGESTED_BYTES;
        self.held_back |= congested;
        congested
    }

    /// What happens next; meanwhile queued output is written. Safe to drop and call again.
    pub(super) async fn next(&mut self) -> Result<Event, FrameError> {
        loop {
            if let Some(frame) = self.take_frame()? {
                return Ok(Event::Frame(frame));
            }
            if self.held_back && self.buffers.queued_bytes() <= CONGESTED_BYTES {
                self.held_back = false;
                return Ok(Event::Room);
            }
            let all_is_written = self.buffers.queued_bytes() == 0;
            let interest = if all_is_written {
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

    /// The next frame, for those who send little.
    pub(super) async fn next_frame(&mut self) -> Result<Frame, FrameError> {
        loop {
            if let Event::Frame(frame) = self.next().await? {
                return Ok(frame);
            }
        }
    }

    /// Whether the worker has closed its end, or sent something, while nobody asked it to.
    pub(super) fn silent(&self) -> bool {
        let mut byte = [0_u8; 1];
        let peeked =
            recv(self.stream.as_fd(), &mut byte[..], RecvFlags::PEEK | RecvFlags::DONTWAIT);
        self.buffers.input().is_empty() && matches!(peeked, Err(rustix::io::Errno::AGAIN))
    }

    fn take_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let rest = self.buffers.input();
        let Some(head) = rest.first_chunk::<{ 4 + HEAD_BYTES }>() else { return Ok(None) };
        let (kind, run, bytes) = protocol::parse_head(*head)?;
        let Some(body) = rest.get(4 + HEAD_BYTES..4 + HEAD_BYTES + bytes) else { return Ok(None) };
        let body = body.to_vec();
        self.buffers.take(4 + HEAD_BYTES + bytes);
        Ok(Some(Frame { kind, run, body }))
    }

    fn fill(&mut self) -> Result<(), FrameError> {
        let is_between_frames = self.buffers.input().is_empty();
        match self.buffers.fill(|place| self.stream.try_read(place)) {
            Ok(Some(0)) if is_between_frames => Err(FrameError::Closed),
            Ok(Some(0)) => Err(FrameError::Io(io::ErrorKind::UnexpectedEof.into())),
            Ok(_) => Ok(()),
            Err(error) => Err(FrameError::Io(error)),
        }
    }

    fn flush(&mut self) {
        self.deaf |= self.buffers.flush(|bytes| self.stream.try_write(bytes)).is_err();
    }
}
