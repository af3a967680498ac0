//! Reads one long string within a JSON artifact by slices, lines and patterns, as if it were an
//! artifact of its own: many servers answer a text as `{ "content": "…" }`.

use regex::bytes::Regex;
use serde_json::{Value, json};

use super::{
    ArtifactError, Artifacts, pointer,
    scan::{Line, Lines, Search},
};
use crate::{
    base::offload::offload,
    model::{Artifact, ArtifactKind},
    store::ResultPiece,
};

/// What is read of a string.
pub(super) enum Reading {
    /// A slice, in bytes.
    Slice { offset: u64, length: u64 },
    /// Lines, from this one on.
    Lines { from: u64, limit: usize },
    /// What a pattern matches, from a line or a byte on.
    Search { regex: Regex, from: Option<u64>, offset: Option<u64>, limit: usize },
}

impl Artifacts {
    /// Reads the string at this JSON Pointer of the artifact, which is whole in memory meanwhile.
    pub(super) async fn read_string(
        &self,
        artifact: &Artifact,
        pointer: &str,
        reading: Reading,
    ) -> Result<Value, ArtifactError> {
        let steps = pointer::steps(pointer).map_err(ArtifactError::InvalidArguments)?;
        if artifact.kind != ArtifactKind::Json {
            let message = format!("`{}` is not JSON, so `pointer` cannot be used", artifact.id);
            return Err(ArtifactError::InvalidArguments(message));
        }
        // The semaphore is never closed.
        let permit = self.0.pointer_reads.clone().acquire_owned().await;
        let json = self.text(artifact).await?;
        let pointer = pointer.to_owned();
        let read = offload(move || {
            let _permit = permit;
            let found = pointer::find(&json, &steps).map_err(|_| ArtifactError::Unreadable)?;
            let text = found.and_then(|found| serde_json::from_str::<String>(found.get()).ok());
            let text = text.ok_or_else(|| {
                ArtifactError::InvalidArguments(format!(
                    "there is no string at `pointer` {pointer:?}"
                ))
            })?;
            drop(json);
            perform(text.as_bytes(), reading).map_err(ArtifactError::InvalidArguments)
        });
        read.await.map_err(|_| ArtifactError::Unreadable)?
    }
}

fn perform(text: &[u8], reading: Reading) -> Result<Value, String> {
    let total = text.len() as u64;
    match reading {
        Reading::Slice { offset, length } => {
            within("offset", offset, total)?;
            let piece = ResultPiece::cut(text, 0, offset, length, total);
            Ok(json!({
                "text": piece.text, "offset": piece.offset, "nextOffset": piece.next_offset,
                "totalBytes": piece.total_bytes,
            }))
        }
        Reading::Lines { from, limit } => {
            let (all, start) = (lines_of(text), line_start(text, from)?);
            let mut lines = Lines::new(from, start as u64, limit);
            lines.feed(&text[start..], start as u64);
            lines.finish(total);
            let next = Some(lines.next()).filter(|next| *next <= all);
            Ok(json!({ "lines": lines.found, "nextFrom": next, "totalLines": all }))
        }
        Reading::Search { regex, from, offset, limit } => {
            let (start, line) = match offset {
                Some(offset) => {
                    within("offset", offset, total.saturating_sub(1))?;
                    let start = usize::try_from(offset).unwrap_or(text.len());
                    (start, newlines(&text[..start]) + 1)
                }
                None => {
                    let from = from.unwrap_or(1);
                    (line_start(text, from)?, from)
                }
            };
            let mut search = Search::new(regex, line, start as u64, limit, &text[..start]);
            search.feed(&text[start..]);
            search.finish();
            let next = search.next.filter(|next| *next < total);
            let hits: &[Line] = &search.found;
            Ok(json!({ "matches": hits, "nextOffset": next, "totalLines": lines_of(text) }))
        }
    }
}

fn within(name: &str, value: u64, max: u64) -> Result<(), String> {
    match value <= max {
        true => Ok(()),
        false => Err(format!("`{name}` is {value}; the string ends at byte {max}")),
    }
}

fn newlines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

/// The end of the text ends a line too, unless that is over already.
fn lines_of(text: &[u8]) -> u64 {
    newlines(text) + u64::from(!text.ends_with(b"\n"))
}

/// Where the line of this number begins.
fn line_start(text: &[u8], line: u64) -> Result<usize, String> {
    let all = lines_of(text);
    if line > all {
        return Err(format!("`from` is {line}; the string has {all} lines"));
    }
    let before = usize::try_from(line.max(1) - 1).unwrap_or(usize::MAX);
    let break_before =
        before.checked_sub(1).and_then(|nth| memchr::memchr_iter(b'\n', text).nth(nth));
    Ok(break_before.map_or(0, |at| at + 1))
}
