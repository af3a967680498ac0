//! Bounds the lines that a child may write, and answers in its name when one is too long.
//!
//! The protocol library drops an overlong line, so that its caller would wait for the timeout; here the caller hears why.

use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader, DuplexStream},
    process::ChildStdout,
};

use crate::catalog::upstream::ANSWER_BYTES_MAX;

/// Longest message of a server, in bytes: the largest answer that stands in it twice, as text and structured, with escapes.
pub(super) const LINE_BYTES_MAX: usize = 2 * ANSWER_BYTES_MAX + 16 * 1024 * 1024;
/// JSON-RPC error code that stands in for an answer that was too long.
pub(super) const OVERSIZED: i32 = -32_098;
/// How much of both ends of an overlong line is looked at for the id of the request it answers.
const ENDS_BYTES: usize = 256;
const PIPE_BYTES: usize = 64 * 1024;

/// The same lines, none longer than [`LINE_BYTES_MAX`].
pub(super) fn bounded(stdout: ChildStdout) -> DuplexStream {
    let (reader, writer) = tokio::io::duplex(PIPE_BYTES);
    tokio::spawn(relay(stdout, writer, LINE_BYTES_MAX));
    reader
}

/// Ends with the child's output, or when nobody reads any more.
pub(super) async fn relay(from: impl AsyncRead + Unpin, mut to: DuplexStream, line_bytes_max: usize) {
    let mut from = BufReader::with_capacity(PIPE_BYTES, from);
    let mut line = Vec::new();
    // While a line is too long: its head, and the last bytes seen.
    let mut overlong: Option<(Vec<u8>, Vec<u8>)> = None;
    loop {
        let Ok(chunk) = from.fill_buf().await else { return };
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
        if newline.is_none() {
            continue;
        }
        if let Some((head, tail)) = overlong.take() {
            tracing::warn!(line_bytes_max, "an upstream sent a message longer than {line_bytes_max} bytes, it was dropped");
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
