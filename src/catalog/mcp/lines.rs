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
    remarks::Oddity,
    unclosed::Unclosed,
};
use crate::catalog::upstream::response::{LARGE_BYTES, MemoryPermit, ResponseLimits};

/// Bytes of one message that are read and dropped beyond [`message::BYTES_MAX`]; a server whose
/// message is longer is disconnected.
const DROPPED_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Bytes at both ends of an overlong line that are searched for the id of the request it answers.
const ENDS_BYTES: usize = 256;
const PIPE_BYTES: usize = 64 * 1024;
/// Longest wait for the next line of a message that goes over several.
const NEXT_LINE_MAX: Duration = Duration::from_secs(2);
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
    /// Between two lines of one message.
    next_line_max: Duration,
    /// Of lines without a message, one after another.
    noise_bytes_max: usize,
}

const CHILD: Bounds = Bounds {
    line_bytes_max: message::BYTES_MAX,
    dropped_bytes_max: DROPPED_BYTES_MAX,
    noise_bytes_max: NOISE_BYTES_MAX,
    large_line_max: message::LARGE_MAX,
    large_silence_max: message::LARGE_SILENCE_MAX,
    next_line_max: NEXT_LINE_MAX,
};

/// The line that is being read, or the lines of a message that goes over several.
#[derive(Default)]
struct Line {
    text: Vec<u8>,
    /// What the lines before are, where the message goes on.
    open: Option<Unclosed>,
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

    /// Returns true once the dropped rest of an overlong line is too long.
    fn is_endless(&self, bounds: Bounds) -> bool {
        let dropped_bytes_max = bounds.dropped_bytes_max;
        let is_endless =
            self.overlong.as_ref().is_some_and(|overlong| overlong.dropped > dropped_bytes_max);
        if is_endless {
            tracing::warn!(
                dropped_bytes_max,
                "an upstream's message has no end after {dropped_bytes_max} bytes more"
            );
        }
        is_endless
    }

    /// Looks at a line that has ended. Returns the lines before it where they are no part of it;
    /// then it is a line of its own.
    fn end_line(&mut self) -> Option<Self> {
        if self.overlong.is_some() {
            self.open = None;
            return None;
        }
        let before = self.open.take().unwrap_or_default();
        let own = &self.text[before.bytes..];
        let begins_anew = before.bytes > 0 && before.is_ended_by(&self.text[..before.bytes], own);
        let rest = match begins_anew {
            true => {
                // What came before is no large message.
                let (text, permit) = (self.text.split_off(before.bytes), self.permit.take());
                Some(std::mem::replace(self, Self { text, permit, ..Self::default() }))
            }
            false => None,
        };
        let before = if begins_anew { Unclosed::default() } else { before };
        self.open = before.with(&self.text);
        rest
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
        if !messages.is_empty() && self.text.trim_ascii().contains(&b'\n') {
            incoming.remarks.add(Oddity::Unframed);
        }
        // A message is one line.
        let lines = messages.into_iter().map(|message| message.replace(['\r', '\n'], " ") + "\n");
        Some(lines.collect::<String>().into_bytes()).filter(|lines| !lines.is_empty())
    }
}

impl LineReader {
    /// Ends with the child's output, when nobody reads any more, or when it goes too far.
    async fn relay(self, from: impl AsyncRead + Unpin, to: DuplexStream, bounds: Bounds) {
        let mut from = BufReader::with_capacity(PIPE_BYTES, from);
        let mut output = Output { to, reader: self, bounds, bytes: 0, noise_bytes: 0 };
        let mut line = Line::default();
        loop {
            let chunk = match next_chunk(&mut from, &line, bounds).await {
                Next::Chunk(chunk) => chunk,
                Next::Silence => {
                    // With it go its memory and its place.
                    let mut unclosed = std::mem::take(&mut line);
                    if output.end(&mut unclosed).await.is_err() {
                        return;
                    }
                    continue;
                }
                Next::End => return,
            };
            let newline = chunk.iter().position(|byte| *byte == b'\n');
            let taken = newline.map_or(chunk.len(), |at| at + 1);
            let instead = line.read(&chunk[..taken], bounds.line_bytes_max);
            from.consume(taken);
            output.bytes = output.bytes.saturating_add(taken);
            if line.until.is_none() && line.text.len() > LARGE_BYTES {
                line.permit = Some(output.reader.response_limits.memory_permit().await);
                line.until = Some(Instant::now() + bounds.large_line_max);
            }
            if let Some(instead) = instead
                && output.write(&instead).await.is_err()
            {
                return;
            }
            if newline.is_none() && line.is_endless(bounds) {
                return;
            }
            if newline.is_some() && output.next_line(&mut line).await.is_err() {
                return;
            }
        }
    }
}

/// What becomes of the lines.
struct Output {
    to: DuplexStream,
    reader: LineReader,
    bounds: Bounds,
    /// Bytes of the lines that have not ended yet.
    bytes: usize,
    /// Bytes since the last message.
    noise_bytes: usize,
}

/// Nothing more is to be read.
struct Over;

impl Output {
    async fn write(&mut self, bytes: &[u8]) -> Result<(), Over> {
        self.noise_bytes = 0;
        self.to.write_all(bytes).await.map_err(|_| Over)
    }

    /// A line has ended, which may be a message, or a part of one.
    async fn next_line(&mut self, line: &mut Line) -> Result<(), Over> {
        if let Some(mut before) = line.end_line() {
            self.end(&mut before).await?;
        }
        match line.open {
            Some(_) => Ok(()),
            None => self.end(&mut std::mem::take(line)).await,
        }
    }

    /// Passes on what is in ended lines.
    async fn end(&mut self, line: &mut Line) -> Result<(), Over> {
        let bytes = std::mem::take(&mut self.bytes);
        let is_overlong = line.overlong.is_some();
        match line.ended(&self.reader.incoming) {
            Some(messages) => return self.write(&messages).await,
            None if is_overlong => self.noise_bytes = 0,
            None => self.noise_bytes = self.noise_bytes.saturating_add(bytes),
        }
        if self.noise_bytes <= self.bounds.noise_bytes_max {
            return Ok(());
        }
        self.reader.close_reason.end(format!(
            "it wrote {} bytes to its standard output without a message; the limit is {}",
            self.noise_bytes, self.bounds.noise_bytes_max
        ));
        Err(Over)
    }
}

/// What comes next of what a child writes.
enum Next<'c> {
    Chunk(&'c [u8]),
    /// A message that goes over several lines does not go on.
    Silence,
    /// It ends, or a large line does not come to its end.
    End,
}

/// The next piece of what a child writes; the rest of a large line must be there in its time.
async fn next_chunk<'c, R: AsyncBufRead + Unpin>(
    from: &'c mut R,
    line: &Line,
    bounds: Bounds,
) -> Next<'c> {
    let now = Instant::now();
    let large_until = line.until.map(|until| until.min(now + bounds.large_silence_max));
    // Only between two lines: within one, it goes on.
    let is_between = line.open.as_ref().is_some_and(|open| open.bytes == line.text.len());
    let next_until = is_between.then(|| now + bounds.next_line_max);
    let read = match large_until.into_iter().chain(next_until).min() {
        None => from.fill_buf().await,
        Some(until) => match tokio::time::timeout_at(until, from.fill_buf()).await {
            Ok(read) => read,
            Err(_) if large_until != Some(until) => return Next::Silence,
            Err(_) => {
                let limit_ms = bounds.large_line_max.as_millis();
                let silence_ms = bounds.large_silence_max.as_millis();
                tracing::warn!(
                    "an upstream did not end a large message within {limit_ms} ms, or fell silent \
                    in it for {silence_ms} ms"
                );
                return Next::End;
            }
        },
    };
    match read {
        Ok(chunk) if !chunk.is_empty() => Next::Chunk(chunk),
        _ => Next::End,
    }
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
