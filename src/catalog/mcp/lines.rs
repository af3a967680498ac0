//! Bounds the lines that a child may write, and answers in its name when one is too long.
//!
//! The protocol library drops an overlong line, so that its caller would wait for the timeout; here the caller hears why.

use std::time::Duration;

use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader, DuplexStream},
    process::ChildStdout,
    time::Instant,
};

use crate::{
    base::json::values_in,
    catalog::{
        answer::{AnswerBounds, LARGE_BYTES},
        upstream::ANSWER_BYTES_MAX,
    },
};

/// Longest message of a server, in bytes: the largest answer that stands in it twice, as text and structured, with escapes.
pub(super) const LINE_BYTES_MAX: usize = 2 * ANSWER_BYTES_MAX + 16 * 1024 * 1024;
/// Values of JSON in a large message: the protocol library makes each into some 100 bytes of memory.
pub(super) const VALUES_MAX: usize = 2_000_000;
/// Longest time in which the rest of a large message comes.
const LARGE_LINE_MAX: Duration = Duration::from_secs(60);
/// JSON-RPC error code that stands in for an answer that was too long.
pub(super) const OVERSIZED: i32 = -32_098;
/// How much of both ends of an overlong line is looked at for the id of the request it answers.
const ENDS_BYTES: usize = 256;
const PIPE_BYTES: usize = 64 * 1024;

/// The same lines, none longer than [`LINE_BYTES_MAX`].
pub(super) fn bounded(stdout: ChildStdout, answers: AnswerBounds) -> DuplexStream {
    let (reader, writer) = tokio::io::duplex(PIPE_BYTES);
    tokio::spawn(relay(stdout, writer, LINE_BYTES_MAX, answers));
    reader
}

/// Ends with the child's output, or when nobody reads any more.
pub(super) async fn relay(from: impl AsyncRead + Unpin, mut to: DuplexStream, line_bytes_max: usize, answers: AnswerBounds) {
    let mut from = BufReader::with_capacity(PIPE_BYTES, from);
    let mut line = Vec::new();
    // While a line is too long: its head, and the last bytes seen.
    let mut overlong: Option<(Vec<u8>, Vec<u8>)> = None;
    // While a line is a large one: its place, and until when the rest of it must be there.
    let mut room = None;
    loop {
        let read = match room {
            None => from.fill_buf().await,
            Some((_, until)) => match tokio::time::timeout_at(until, from.fill_buf()).await {
                Ok(read) => read,
                Err(_) => {
                    let seconds = LARGE_LINE_MAX.as_secs();
                    tracing::warn!(seconds, "an upstream did not end a large message within {seconds} s");
                    return;
                }
            },
        };
        let Ok(chunk) = read else { return };
        if chunk.is_empty() {
            return;
        }
        let newline = chunk.iter().position(|byte| *byte == b'\n');
        let taken = newline.map_or(chunk.len(), |at| at + 1);
        match &mut overlong {
            Some((_, tail)) => keep_tail(tail, &chunk[..taken]),
            None if line.len() + taken > line_bytes_max => {
                line.extend_from_slice(&chunk[..taken.min(ENDS_BYTES)]);
                let head = line[..line.len().min(ENDS_BYTES)].to_vec();
                let mut tail = Vec::new();
                keep_tail(&mut tail, &chunk[..taken]);
                line = Vec::new();
                overlong = Some((head, tail));
            }
            None => line.extend_from_slice(&chunk[..taken]),
        }
        from.consume(taken);
        if room.is_none() && line.len() > LARGE_BYTES {
            room = Some((answers.room().await, Instant::now() + LARGE_LINE_MAX));
        }
        if newline.is_none() {
            continue;
        }
        if line.len() > LARGE_BYTES && values_in(&line) > VALUES_MAX {
            overlong = Some((line[..ENDS_BYTES].to_vec(), line[line.len() - ENDS_BYTES..].to_vec()));
            line = Vec::new();
        }
        if let Some((head, tail)) = overlong.take() {
            tracing::warn!(
                line_bytes_max,
                "an upstream sent a message longer than {line_bytes_max} bytes or of very many values, it was dropped"
            );
            let Some(id) = answered_id(&head, &tail) else { continue };
            let error = json!({"jsonrpc": "2.0", "id": id, "error": {"code": OVERSIZED, "message": "message too long"}});
            line.extend_from_slice(error.to_string().as_bytes());
            line.push(b'\n');
        }
        if to.write_all(&line).await.is_err() {
            return;
        }
        line.clear();
        // One large answer must not pin its memory for the life of the connection.
        line.shrink_to(PIPE_BYTES);
        room = None;
    }
}

fn keep_tail(tail: &mut Vec<u8>, bytes: &[u8]) {
    tail.extend_from_slice(&bytes[bytes.len().saturating_sub(ENDS_BYTES)..]);
    let surplus = tail.len().saturating_sub(ENDS_BYTES);
    tail.drain(..surplus);
}

/// The id that a message answers, where it stands at the very beginning or the very end of the message, so that it cannot be
/// a field of the answer.
fn answered_id(head: &[u8], tail: &[u8]) -> Option<u64> {
    let head: String = String::from_utf8_lossy(head).split_whitespace().collect();
    let begin = head.strip_prefix('{')?;
    let begin = begin.strip_prefix(r#""jsonrpc":"2.0","#).unwrap_or(begin);
    if let Some(rest) = begin.strip_prefix(r#""id":"#) {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        return digits.parse().ok();
    }
    let tail: String = String::from_utf8_lossy(tail).split_whitespace().collect();
    let end = tail.strip_suffix('}')?;
    let end = end.strip_suffix(r#","jsonrpc":"2.0""#).unwrap_or(end);
    let (before, digits) = end.rsplit_once(':')?;
    before.ends_with(r#","id""#).then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests;
