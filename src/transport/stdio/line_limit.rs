//! Answers lines that are too long: rmcp drops them, and their sender gets an error with the id of
//! the request.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use rmcp::{
    ErrorData, RoleServer,
    model::RequestId,
    service::{RxJsonRpcMessage, TxJsonRpcMessage},
    transport::{Transport, async_rw::AsyncRwTransport},
};
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::mpsc,
    task::JoinHandle,
};

/// Bytes at the beginning and at the end of a line that are searched for its id.
const ENDS_BYTES: usize = 1024;
/// Overlong lines that wait to be answered. One read ends at most a few, and nothing is read while
/// an answer is being written.
const WAITING_MAX: usize = 16;

/// Messages in lines of at most so many bytes; one that is longer is answered with an error.
pub(super) struct Lines<R: AsyncRead + Unpin, W: AsyncWrite> {
    lines: AsyncRwTransport<RoleServer, Watched<R>, W>,
    line_bytes_max: usize,
    overlong: mpsc::Receiver<Option<RequestId>>,
    /// An answer that is being written. Outlives a `receive` that is given up.
    answering: Option<JoinHandle<Result<(), std::io::Error>>>,
}

impl<R, W> Lines<R, W>
where
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin + 'static,
{
    pub(super) fn new(input: R, output: W, line_bytes_max: usize) -> Self {
        let (report, overlong) = mpsc::channel(WAITING_MAX);
        let watched = Watched { input, line_bytes_max, line: Line::default(), report };
        let lines =
            AsyncRwTransport::new_server(watched, output).with_max_line_length(line_bytes_max);
        Self { lines, line_bytes_max, overlong, answering: None }
    }
}

impl<R, W> Transport<RoleServer> for Lines<R, W>
where
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin + 'static,
{
    type Error = std::io::Error;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        self.lines.send(item)
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            if let Some(answering) = &mut self.answering {
                // A peer that no longer reads is noticed at the next read or write.
                drop(answering.await);
                self.answering = None;
            }
            let id = tokio::select! {
                biased;
                Some(id) = self.overlong.recv() => id,
                message = self.lines.receive() => match (message, self.overlong.try_recv()) {
                    (None, Ok(id)) => id,
                    (message, Err(_)) => return message,
                    (Some(message), Ok(id)) => {
                        self.answer(id);
                        return Some(message);
                    }
                },
            };
            self.answer(id);
        }
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.lines.close().await
    }
}

impl<R, W> Lines<R, W>
where
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin + 'static,
{
    fn answer(&mut self, id: Option<RequestId>) {
        let error = ErrorData::invalid_request(
            format!("the line is larger than {} bytes", self.line_bytes_max),
            None,
        );
        self.answering =
            Some(tokio::spawn(self.lines.send(TxJsonRpcMessage::<RoleServer>::error(error, id))));
    }
}

/// Passes bytes on, and reports each line that was too long once it has ended.
struct Watched<R> {
    input: R,
    line_bytes_max: usize,
    line: Line,
    report: mpsc::Sender<Option<RequestId>>,
}

/// The line that is being read.
#[derive(Default)]
struct Line {
    bytes: usize,
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl<R: AsyncRead + Unpin> AsyncRead for Watched<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buf.filled().len();
        let read = ready!(Pin::new(&mut self.input).poll_read(cx, buf));
        for part in buf.filled()[before..].split_inclusive(|byte| *byte == b'\n') {
            self.line.take(part);
            if part.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                if line.bytes > self.line_bytes_max {
                    // Full only where the transport is gone.
                    drop(self.report.try_send(line.id()));
                }
            }
        }
        Poll::Ready(read)
    }
}

impl Line {
    fn take(&mut self, part: &[u8]) {
        self.bytes += part.len();
        let room = ENDS_BYTES - self.head.len();
        self.head.extend_from_slice(&part[..part.len().min(room)]);
        self.tail.extend_from_slice(&part[part.len().saturating_sub(ENDS_BYTES)..]);
        let surplus = self.tail.len().saturating_sub(ENDS_BYTES);
        self.tail.drain(..surplus);
    }

    /// The id of the message, where it is among its first members or the last one.
    fn id(&self) -> Option<RequestId> {
        first(&self.head).or_else(|| last(&self.tail))
    }
}

fn first(head: &[u8]) -> Option<RequestId> {
    let mut found = None;
    // Fails at the latest where the beginning is cut off.
    let _ = serde_json::Deserializer::from_slice(head).deserialize_map(Members(&mut found));
    found
}

/// Extracts the value of the member `id`, once it is known to have ended.
struct Members<'a>(&'a mut Option<RequestId>);

impl<'de> Visitor<'de> for Members<'_> {
    type Value = ();

    fn expecting(&self, text: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        text.write_str("a message")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(name) = members.next_key::<String>()? {
            if name == "id" {
                let id: RequestId = members.next_value()?;
                members.next_key::<IgnoredAny>()?;
                *self.0 = Some(id);
                return Ok(());
            }
            members.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

/// The id right before the brace that ends the line: only a member of the message itself can be
/// there.
fn last(tail: &[u8]) -> Option<RequestId> {
    let tail = String::from_utf8_lossy(tail);
    let members = tail.trim_end().strip_suffix('}')?;
    let (_, id) = members.rsplit_once(r#""id""#)?;
    serde_json::from_str(id.trim_start().strip_prefix(':')?).ok()
}

#[cfg(test)]
mod tests;
