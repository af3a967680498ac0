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
    /// How much of `input` has been taken.
    taken: usize,
    output: VecDeque<Vec<u8>>,
    /// How much of the first frame of `output` is written.
    written: usize,
    queued_bytes: usize,
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
        Ok(Self {
            stream,
            input: Vec::new(),
            taken: 0,
            output: VecDeque::new(),
            written: 0,
            queued_bytes: 0,
            held_back: false,
            deaf: false,
        })
    }

    /// Queues one frame and writes what the socket takes at once. That a worker is gone shows when it is read from.
    pub(super) fn send(&mut self, kind: Kind, run: u32, parts: &[&[u8]]) {
        if self.deaf {
            return;
        }
        let bytes = protocol::encode(kind, run, parts);
        self.queued_bytes += bytes.len();
        self.output.push_back(bytes);
        self.flush();
    }

    /// Whether the worker takes its input too slowly. If so, [`Event::Room`] tells when it has caught up.
    pub(super) fn congested(&mut self) -> bool {
        self.held_back |= self.queued_bytes > CONGESTED_BYTES;
        self.queued_bytes > CONGESTED_BYTES
    }

    /// What happens next; meanwhile queued output is written. Safe to drop and call again.
    pub(super) async fn next(&mut self) -> Result<Event, FrameError> {
        loop {
            if let Some(frame) = self.take_frame()? {
                return Ok(Event::Frame(frame));
            }
            if self.held_back && self.queued_bytes <= CONGESTED_BYTES {
                self.held_back = false;
                return Ok(Event::Room);
            }
            let interest = if self.output.is_empty() { Interest::READABLE } else { Interest::READABLE | Interest::WRITABLE };
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
        let peeked = recv(self.stream.as_fd(), &mut byte[..], RecvFlags::PEEK | RecvFlags::DONTWAIT);
        self.taken == self.input.len() && matches!(peeked, Err(rustix::io::Errno::AGAIN))
    }

    fn take_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let rest = &self.input[self.taken..];
        let Some(head) = rest.first_chunk::<{ 4 + HEAD_BYTES }>() else { return Ok(None) };
        let (kind, run, bytes) = protocol::parse_head(*head)?;
        let Some(body) = rest.get(4 + HEAD_BYTES..4 + HEAD_BYTES + bytes) else { return Ok(None) };
        let body = body.to_vec();
        self.taken += 4 + HEAD_BYTES + bytes;
        Ok(Some(Frame { kind, run, body }))
    }

    fn fill(&mut self) -> Result<(), FrameError> {
        self.input.drain(..std::mem::take(&mut self.taken));
        if self.input.is_empty() {
            // A large frame must not hold its memory for the life of the worker.
            self.input.shrink_to(2 * READ_BYTES);
        }
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

    fn flush(&mut self) {
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
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {
                    self.deaf = true;
                    self.output.clear();
                    self.queued_bytes = 0;
                }
            }
        }
    }
}
