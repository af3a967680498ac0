//! Scans a text part by part: its lines, or the matches of a pattern in them. Holds one part and a
//! piece of a line in memory.

use regex::bytes::{Regex, RegexBuilder};
use serde::Serialize;

use crate::store::ArtifactPart;

/// The longest line that is searched as a whole, in bytes, and has one hit. A longer one is
/// searched in pieces that end at multiples of this in the whole text, so that it does not matter
/// where a search began; in it every match is a hit. Parts of artifacts begin at such multiples
/// too.
pub(super) const PIECE_BYTES: usize = 64 * 1024;
/// Overlap of such a piece with the one after it, so that a match up to this length
/// is found wherever it lies.
pub(super) const OVERLAP_BYTES: usize = 1024;
/// The longest line that `lines` gives whole, in bytes.
pub(super) const LINE_BYTES_MAX: usize = 16 * 1024;
/// Bytes of all lines of one response.
const LINES_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of a pattern, and of its compiled form.
const PATTERN_BYTES_MAX: usize = 1024;
const PATTERN_SIZE_MAX: usize = 1024 * 1024;
/// Bytes that a hit shows: before the match, and from it on.
const BEFORE_BYTES: usize = 128;
const AFTER_BYTES: usize = 384;

/// A line, or what a pattern found in one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Line {
    /// Its number, from 1.
    pub(super) line: u64,
    /// Offset of the line, or of the match, in bytes of the whole text.
    pub(super) offset: u64,
    /// The line, or the text around the match.
    pub(super) text: String,
    /// True if there is more of the line.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) cut: bool,
}

/// A pattern in the syntax of the regex crate: its time is that of the text's length.
pub(super) fn pattern(text: &str) -> Result<Regex, String> {
    if text.is_empty() || text.len() > PATTERN_BYTES_MAX {
        return Err(format!(
            "`pattern` is {} bytes; the limit is 1 to {PATTERN_BYTES_MAX}",
            text.len()
        ));
    }
    let built = RegexBuilder::new(text)
        .size_limit(PATTERN_SIZE_MAX)
        .dfa_size_limit(PATTERN_SIZE_MAX)
        .nest_limit(64)
        .build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => format!(
            "`pattern` is too large: compiled it has more \
            than {PATTERN_SIZE_MAX} bytes"
        ),
        regex::Error::Syntax(text) => {
            let last = text
                .lines()
                .last()
                .unwrap_or_default()
                .trim()
                .trim_start_matches("error: ")
                .to_owned();
            format!(
                "`pattern` does not compile: {last}; it is a regular expression without \
                look-around and back references"
            )
        }
        _ => "`pattern` does not compile".to_owned(),
    })
}

/// A position in the text.
#[derive(Debug, Clone, Copy)]
struct Position {
    line: u64,
    offset: u64,
}

/// Takes lines out of parts that follow each other.
pub(super) struct Lines {
    /// Offset of the held piece of a line.
    position: Position,
    held: Vec<u8>,
    /// True if the line is longer than the held piece.
    is_cut: bool,
    limit: usize,
    bytes: usize,
    pub(super) found: Vec<Line>,
}

impl Lines {
    /// `limit` lines from this one on, which begins at this offset.
    pub(super) fn new(line: u64, offset: u64, limit: usize) -> Self {
        Self {
            position: Position { line, offset },
            held: Vec::new(),
            is_cut: false,
            limit,
            bytes: 0,
            found: Vec::new(),
        }
    }

    /// The number of the line that comes after what was found.
    pub(super) fn next(&self) -> u64 {
        self.position.line
    }

    pub(super) fn is_done(&self) -> bool {
        self.found.len() >= self.limit || self.bytes >= LINES_BYTES_MAX
    }

    /// Takes what follows; returns once there is enough.
    pub(super) fn feed(&mut self, bytes: &[u8], at: u64) {
        let mut rest = bytes;
        let mut offset = at;
        while !rest.is_empty() && !self.is_done() {
            let end = rest.iter().position(|byte| *byte == b'\n');
            let taken = end.unwrap_or(rest.len());
            let room = LINE_BYTES_MAX.saturating_sub(self.held.len()).min(taken);
            self.held.extend_from_slice(&rest[..room]);
            self.is_cut |= room < taken;
            let passed = end.map_or(taken, |end| end + 1);
            offset += passed as u64;
            rest = &rest[passed..];
            if end.is_some() {
                self.end(offset);
            }
        }
    }

    /// The text is over: what is held is its last line.
    pub(super) fn finish(&mut self, at: u64) {
        if !self.held.is_empty() && !self.is_done() {
            self.end(at);
        }
    }

    fn end(&mut self, next: u64) {
        let text = cleaned(&self.held, self.is_cut);
        self.bytes += text.len();
        self.found.push(Line {
            line: self.position.line,
            offset: self.position.offset,
            text,
            cut: self.is_cut,
        });
        self.held.clear();
        self.is_cut = false;
        self.position = Position { line: self.position.line + 1, offset: next };
    }
}

/// Searches parts that follow each other.
pub(super) struct Search {
    regex: Regex,
    /// The text not searched yet, and its offset.
    held: Vec<u8>,
    position: Position,
    /// True if that is within a line that is searched in pieces.
    within: bool,
    /// End of the last match: nothing before it is searched.
    after: u64,
    limit: usize,
    pub(super) found: Vec<Line>,
    /// Position to go on from, once there is enough.
    pub(super) next: Option<u64>,
}

impl Search {
    /// For at most `limit` hits from this byte on, which is in this line. `before` is what stands
    /// before it: at least one byte, if there is any, and all since the last multiple of
    /// [`PIECE_BYTES`].
    pub(super) fn new(regex: Regex, line: u64, offset: u64, limit: usize, before: &[u8]) -> Self {
        let within = before.last().is_some_and(|byte| *byte != b'\n');
        // What the search saw that found what comes before: a match depends on what stands next to
        // it.
        let seen = if within { (offset % PIECE_BYTES as u64) as usize } else { 0 };
        let seen = &before[before.len().saturating_sub(seen)..];
        let held = seen.rsplit(|byte| *byte == b'\n').next().unwrap_or_default().to_vec();
        let position = Position { line, offset: offset - held.len() as u64 };
        Self { regex, held, position, within, after: offset, limit, found: Vec::new(), next: None }
    }

    /// Takes what follows.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
        self.search(false);
    }

    /// The text is over.
    pub(super) fn finish(&mut self) {
        self.search(true);
    }

    fn search(&mut self, is_over: bool) {
        let held = std::mem::take(&mut self.held);
        let mut rest = held.as_slice();
        while self.next.is_none()
            && !rest.is_empty()
            && let Some(passed) =
                if self.within { self.piece(rest, is_over) } else { self.line(rest, is_over) }
        {
            rest = &rest[passed..];
        }
        self.held = rest.to_vec();
    }

    /// Searches the line that begins here: one hit. Gives how far that went; nothing where more of
    /// it is needed.
    fn line(&mut self, rest: &[u8], is_over: bool) -> Option<usize> {
        let window = &rest[..rest.len().min(PIECE_BYTES)];
        let end = match window.iter().position(|byte| *byte == b'\n') {
            None if window.len() == PIECE_BYTES => {
                self.within = true;
                return Some(0);
            }
            None => is_over.then_some(window.len())?,
            Some(end) => end,
        };
        if let Some(hit) = self.regex.find(&window[..end]) {
            self.tell(&window[..end], &hit);
        }
        self.end_line(end + 1);
        if self.found.len() >= self.limit {
            self.next = Some(self.position.offset);
        }
        Some((end + 1).min(rest.len()))
    }

    /// Searches the piece of a long line that begins here: every match that begins in it. The same.
    fn piece(&mut self, rest: &[u8], is_over: bool) -> Option<usize> {
        let own = PIECE_BYTES - (self.position.offset % PIECE_BYTES as u64) as usize;
        let window = &rest[..rest.len().min(own + OVERLAP_BYTES)];
        let end = match window.iter().position(|byte| *byte == b'\n') {
            None if window.len() < own + OVERLAP_BYTES && !is_over => return None,
            end => end.unwrap_or(window.len()),
        };
        let seen = &window[..end];
        let begins_before = own.min(end);
        loop {
            let from = usize::try_from(self.after.saturating_sub(self.position.offset))
                .unwrap_or(usize::MAX);
            if from >= begins_before {
                break;
            }
            let Some(hit) =
                self.regex.find_at(seen, from).filter(|hit| hit.start() < begins_before)
            else {
                break;
            };
            self.tell(seen, &hit);
            if self.found.len() >= self.limit {
                self.next = Some(self.after);
                break;
            }
        }
        if end < own {
            self.end_line(end + 1);
            return Some((end + 1).min(rest.len()));
        }
        self.position.offset += own as u64;
        Some(own)
    }

    fn end_line(&mut self, passed: usize) {
        self.position =
            Position { line: self.position.line + 1, offset: self.position.offset + passed as u64 };
        self.within = false;
    }

    fn tell(&mut self, piece: &[u8], hit: &regex::bytes::Match<'_>) {
        let offset = self.position.offset + hit.start() as u64;
        self.after = offset + hit.len().max(1) as u64;
        let (start, end) = (
            hit.start().saturating_sub(BEFORE_BYTES),
            (hit.start() + AFTER_BYTES).min(piece.len()),
        );
        let cut = self.within || start > 0 || end < piece.len();
        let text = cleaned(&piece[start..end], cut);
        self.found.push(Line { line: self.position.line, offset, text, cut });
    }
}

/// As text; where it was cut, without the pieces of characters at its ends, and without the line
/// break of another system.
fn cleaned(bytes: &[u8], cut: bool) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = if cut {
        text.trim_matches(char::REPLACEMENT_CHARACTER)
    } else {
        text.strip_suffix('\r').unwrap_or(&text)
    };
    text.to_owned()
}

/// Offset of a line's start in a part; none if it does not begin in it.
pub(super) fn line_start(part: &ArtifactPart, line: u64) -> Option<usize> {
    let breaks = (line - 1).checked_sub(part.newlines_before)?;
    if breaks == 0 {
        return (part.index == 0).then_some(0);
    }
    let breaks = usize::try_from(breaks).ok()?;
    part.bytes
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'\n')
        .nth(breaks - 1)
        .map(|(at, _)| at + 1)
}
