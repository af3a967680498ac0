//! Lines of a bounded length. Of one that is longer, only the id of its request is kept.

use std::mem;

use rmcp::model::RequestId;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// Bytes at the beginning and at the end of a long line that are searched for its id.
const ENDS_BYTES: usize = 1024;

/// One line.
#[derive(Debug, PartialEq)]
pub(super) enum Line {
    /// Within the bound, with its end.
    Whole(Vec<u8>),
    /// Longer, with the id of its message where that is among the first members or the last one.
    TooLong(Option<RequestId>),
}

/// Reads lines.
pub(super) struct Lines<R> {
    input: BufReader<R>,
    bytes_max: usize,
    /// The line that is being read. Outlives a `next` that is given up.
    part: Part,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(input: R, bytes_max: usize) -> Self {
        Self { input: BufReader::new(input), bytes_max, part: Part::default() }
    }

    /// The next line; none at the end. What comes before the end without a line end is a line, too.
    /// May be dropped at any time: nothing is lost.
    pub(super) async fn next(&mut self) -> Option<Line> {
        loop {
            let read = match self.input.fill_buf().await {
                Ok(read) => read,
                Err(error) => {
                    tracing::error!(%error, "the input cannot be read");
                    return None;
                }
            };
            let end = read.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
            let taken = end.unwrap_or(read.len());
            self.part.take(&read[..taken], self.bytes_max);
            self.input.consume(taken);
            if taken == 0 && self.part.bytes == 0 {
                return None;
            }
            if taken == 0 || end.is_some() {
                return Some(mem::take(&mut self.part).into_line(self.bytes_max));
            }
        }
    }
}

/// A line as far as it was read.
#[derive(Default)]
struct Part {
    bytes: usize,
    /// The line, or its beginning where it is too long.
    head: Vec<u8>,
    /// The end of a line that is too long.
    tail: Vec<u8>,
}

impl Part {
    fn take(&mut self, read: &[u8], bytes_max: usize) {
        let was_whole = self.bytes <= bytes_max;
        self.bytes += read.len();
        if self.bytes <= bytes_max {
            self.head.extend_from_slice(read);
            return;
        }
        if was_whole {
            self.tail = self.head[self.head.len().saturating_sub(ENDS_BYTES)..].to_vec();
        }
        let room = ENDS_BYTES.saturating_sub(self.head.len());
        self.head.extend_from_slice(&read[..read.len().min(room)]);
        self.head.truncate(ENDS_BYTES);
        self.head.shrink_to_fit();
        self.tail.extend_from_slice(&read[read.len().saturating_sub(ENDS_BYTES)..]);
        let surplus = self.tail.len().saturating_sub(ENDS_BYTES);
        self.tail.drain(..surplus);
    }

    fn into_line(self, bytes_max: usize) -> Line {
        if self.bytes <= bytes_max {
            return Line::Whole(self.head);
        }
        Line::TooLong(first(&self.head).or_else(|| last(&self.tail)))
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
