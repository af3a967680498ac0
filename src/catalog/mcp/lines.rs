//! Reads the lines that a child writes, within bounds, and passes on the messages in them. In place
//! of an answer that is too long or cannot be read, the caller gets the reason.

use std::time::Duration;

use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader, DuplexStream},
    process::ChildStdout,
    time::Instant,
};

use super::{
    backpressure::CloseReason,
    incoming::{self, Incoming},
    message::{self, OVERSIZED, VALUES_MAX},
};
use crate::catalog::upstream::response::{LARGE_BYTES, MemoryPermit, ResponseLimits};

/// Bytes of one message that are read and dropped beyond [`message::BYTES_MAX`]; a server whose
/// message is longer is disconnected.
const DROPPED_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Bytes at both ends of an overlong line that are searched for the id of the request it answers.
const ENDS_BYTES: usize = 256;
const PIPE_BYTES: usize = 64 * 1024;
/// Bytes without a message, since the last one, after which a server is disconnected.
const NOISE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What the lines of a child are read with.
pub(super) struct LineReader {
    pub(super) response_limits: ResponseLimits,
    pub(super) incoming: Incoming,
    /// Told why, if the connection is ended from here.
    pub(super) close_reason: CloseReason,
}

impl LineReader {
    /// Passes on the messages of the child, none longer than [`message::BYTES_MAX`].
    pub(super) fn read(self, stdout: ChildStdout) -> DuplexStream {
        let (reader, writer) = tokio::io::duplex(PIPE_BYTES);
        tokio::spawn(self.relay(stdout, writer, CHILD));
        reader
    }
}

/// Limits on a child's output.
#[derive(Clone, Copy)]
struct Bounds {
    /// Limit of one line.
    line_bytes_max: usize,
    /// Limit of the dropped rest of a longer line.
    dropped_bytes_max: usize,
    /// For the rest of a large line.
    large_line_max: Duration,
    /// Between two pieces of it.
    large_silence_max: Duration,
    /// Of lines without a message, one after another.
    noise_bytes_max: usize,
}

const CHILD: Bounds = Bounds {
    line_bytes_max: message::BYTES_MAX,
    dropped_bytes_max: DROPPED_BYTES_MAX,
    noise_bytes_max: NOISE_BYTES_MAX,
    large_line_max: message::LARGE_MAX,
    large_silence_max: message::LARGE_SILENCE_MAX,
};

/// The line that is being read.
#[derive(Default)]
struct Line {
    text: Vec<u8>,
    /// Set once the line is too long; its text is dropped.
    overlong: Option<Overlong>,
    /// The place of a large one, while its text is in memory.
    permit: Option<MemoryPermit>,
    /// Until when the rest of a large one must be there.
    until: Option<Instant>,
}

/// A line that is too long.
struct Overlong {
    /// The request it answers, where its beginning says so: that is answered already.
    answered: Option<i64>,
    /// The last bytes seen.
    tail: Vec<u8>,
    /// Bytes dropped since it was too long.
    dropped: usize,
}

impl Overlong {
    fn read(&mut self, bytes: &[u8]) {
        self.dropped = self.dropped.saturating_add(bytes.len());
        self.tail.extend_from_slice(&bytes[bytes.len().saturating_sub(ENDS_BYTES)..]);
        let surplus = self.tail.len().saturating_sub(ENDS_BYTES);
        self.tail.drain(..surplus);
    }
}

impl Line {
    /// Takes the next piece of it; gives what is to be said in its place, which may never come to
    /// its end.
    fn read(&mut self, bytes: &[u8], line_bytes_max: usize) -> Option<Vec<u8>> {
        if let Some(overlong) = &mut self.overlong {
            overlong.read(bytes);
            return None;
        }
        if self.text.len() + bytes.len() <= line_bytes_max {
            self.text.extend_from_slice(bytes);
            return None;
        }
        tracing::warn!(
            line_bytes_max,
            "an upstream sends a message longer than {line_bytes_max} bytes, it is dropped"
        );
        self.text.extend_from_slice(&bytes[..bytes.len().min(ENDS_BYTES)]);
        let answered = id_at_begin(&self.text[..self.text.len().min(ENDS_BYTES)]);
        let mut overlong = Overlong { answered, tail: Vec::new(), dropped: 0 };
        overlong.read(bytes);
        self.text = Vec::new();
        self.permit = None;
        self.overlong = Some(overlong);
        answered.map(too_long)
    }

    /// Bytes to pass on now that the line has ended, if any.
    fn ended(&mut self, incoming: &Incoming) -> Option<Vec<u8>> {
        if let Some(overlong) = &self.overlong {
            return id_at_end(&overlong.tail).filter(|_| overlong.answered.is_none()).map(too_long);
        }
        if message::is_crowded(&self.text) {
            tracing::warn!(
                "an upstream sent a message of more than {VALUES_MAX} values, it is dropped"
            );
            let (head, tail) =
                (&self.text[..ENDS_BYTES], &self.text[self.text.len() - ENDS_BYTES..]);
            return id_at_begin(head).or_else(|| id_at_end(tail)).map(too_long);
        }
        let messages = incoming.read(&self.text, None, self.permit.take());
        // A message is one line.
        let lines = messages.into_iter().map(|message| message.replace(['\r', '\n'], " ") + "\n");
        Some(lines.collect::<String>().into_bytes()).filter(|lines| !lines.is_empty())
    }
}

impl LineReader {
    /// Ends with the child's output, when nobody reads any more, or when it goes too far.
    async fn relay(self, from: impl AsyncRead + Unpin, mut to: DuplexStream, bounds: Bounds) {
        let mut from = BufReader::with_capacity(PIPE_BYTES, from);
        let (mut line, mut line_bytes, mut noise_bytes) = (Line::default(), 0usize, 0usize);
        loop {
            let Some(chunk) = next_chunk(&mut from, line.until, bounds).await else { return };
            let newline = chunk.iter().position(|byte| *byte == b'\n');
            let taken = newline.map_or(chunk.len(), |at| at + 1);
            let mut output = line.read(&chunk[..taken], bounds.line_bytes_max);
            from.consume(taken);
            line_bytes = line_bytes.saturating_add(taken);
            if line.until.is_none() && line.text.len() > LARGE_BYTES {
                line.permit = Some(self.response_limits.memory_permit().await);
                line.until = Some(Instant::now() + bounds.large_line_max);
            }
            if newline.is_some() {
                output = output.or_else(|| line.ended(&self.incoming));
            } else if let Some(overlong) = &line.overlong
                && overlong.dropped > bounds.dropped_bytes_max
            {
                let dropped_bytes_max = bounds.dropped_bytes_max;
                tracing::warn!(
                    dropped_bytes_max,
                    "an upstream's message has no end after {dropped_bytes_max} bytes more"
                );
                return;
            }
            let is_noise = output.is_none() && line.overlong.is_none();
            if let Some(output) = output
                && to.write_all(&output).await.is_err()
            {
                return;
            }
            if newline.is_none() {
                continue;
            }
            noise_bytes = if is_noise { noise_bytes.saturating_add(line_bytes) } else { 0 };
            line_bytes = 0;
            // With it go its memory and its place.
            line = Line::default();
            if noise_bytes > bounds.noise_bytes_max {
                self.close_reason.end(format!(
                    "it wrote {noise_bytes} bytes to its standard output without a message; the \
                    limit is {}",
                    bounds.noise_bytes_max
                ));
                return;
            }
        }
    }
}

/// The next piece of what a child writes; none at its end, or where the rest of a large line, which
/// must be there at `until`, does not come.
async fn next_chunk<R: AsyncBufRead + Unpin>(
    from: &mut R,
    until: Option<Instant>,
    bounds: Bounds,
) -> Option<&[u8]> {
    let read = match until {
        None => from.fill_buf().await,
        Some(until) => {
            let silent_at = Instant::now() + bounds.large_silence_max;
            match tokio::time::timeout_at(until.min(silent_at), from.fill_buf()).await {
                Ok(read) => read,
                Err(_) => {
                    let limit_ms = bounds.large_line_max.as_millis();
                    let silence_ms = bounds.large_silence_max.as_millis();
                    tracing::warn!(
                        "an upstream did not end a large message within {limit_ms} ms, or fell \
                        silent in it for {silence_ms} ms"
                    );
                    return None;
                }
            }
        }
    };
    read.ok().filter(|chunk| !chunk.is_empty())
}

/// Error response in place of a response that was too long.
fn too_long(id: i64) -> Vec<u8> {
    format!("{}\n", incoming::error(id, OVERSIZED, "message too long")).into_bytes()
}

/// The id that a message answers, where it stands at the very beginning of it, so that it cannot be
/// a field of the answer.
fn id_at_begin(head: &[u8]) -> Option<i64> {
    let head: String = String::from_utf8_lossy(head).split_whitespace().collect();
    let begin = head.strip_prefix('{')?;
    let begin = begin.strip_prefix(r#""jsonrpc":"2.0","#).unwrap_or(begin);
    let rest = begin.strip_prefix(r#""id":"#)?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// The id at the very end of a line.
fn id_at_end(tail: &[u8]) -> Option<i64> {
    let tail: String = String::from_utf8_lossy(tail).split_whitespace().collect();
    let end = tail.strip_suffix('}')?;
    let end = end.strip_suffix(r#","jsonrpc":"2.0""#).unwrap_or(end);
    let (before, digits) = end.rsplit_once(':')?;
    before.ends_with(r#","id""#).then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests;
