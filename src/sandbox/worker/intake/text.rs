//! Positions in a source, and edits that record how they shift positions. Knows no syntax.
//!
//! Line terminators are those of ECMAScript and V8; columns are in UTF-16 units, as in V8 and
//! editors. Both count from 1.

/// Line and column, both from 1.
pub(super) type Position = (u32, u32);

/// Byte offsets of the starts of a source's lines.
#[derive(Debug)]
pub(super) struct Lines {
    starts: Vec<usize>,
}

impl Lines {
    /// Splits by ECMAScript's line terminators: LF, CR, CRLF, U+2028, U+2029.
    pub(super) fn new(text: &str) -> Self {
        Self::ended_by(text, is_line_end)
    }

    /// Splits by LF, CR and CRLF only, as swc's source maps do.
    pub(super) fn of_map(text: &str) -> Self {
        Self::ended_by(text, |c| matches!(c, '\n' | '\r'))
    }

    fn ended_by(text: &str, ends: impl Fn(char) -> bool) -> Self {
        let mut starts = vec![0];
        let mut chars = text.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            let is_half = c == '\r' && matches!(chars.peek(), Some((_, '\n')));
            if ends(c) && !is_half {
                starts.push(at + c.len_utf8());
            }
        }
        Self { starts }
    }

    /// Number of lines; at least one.
    pub(super) fn count(&self) -> u32 {
        self.starts.len() as u32
    }

    /// Position of a byte offset. An offset beyond the source counts as its end.
    pub(super) fn position(&self, text: &str, offset: usize) -> Position {
        let offset = text.floor_char_boundary(offset);
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let column = text[self.starts[line - 1]..offset].encode_utf16().count();
        (line as u32, column as u32 + 1)
    }

    /// Byte offset of a position. A column beyond the line counts as its end.
    pub(super) fn offset(&self, text: &str, (line, column): Position) -> usize {
        let line = line.clamp(1, self.count());
        let shown = self.line(text, line).unwrap_or_default();
        let mut units = 1;
        let within = shown.char_indices().find(|(_, c)| {
            let reached = units >= column;
            units += c.len_utf16() as u32;
            reached
        });
        self.starts[line as usize - 1] + within.map_or(shown.len(), |(at, _)| at)
    }

    /// Returns a line without its terminator; `None` if there is no such line.
    pub(super) fn line<'a>(&self, text: &'a str, line: u32) -> Option<&'a str> {
        let index = (line as usize).checked_sub(1)?;
        let start = *self.starts.get(index)?;
        let end = self.starts.get(index + 1).copied().unwrap_or(text.len());
        Some(text[start..end].trim_end_matches(is_line_end))
    }
}

/// Returns true for a line terminator.
pub(super) fn is_line_end(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{2028}' | '\u{2029}')
}

/// Replaces every character except line terminators by blanks of the same width in UTF-16 units.
pub(super) fn blank(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            if is_line_end(c) {
                [Some(c), None]
            } else {
                [Some(' '), (c.len_utf16() == 2).then_some(' ')]
            }
        })
        .flatten()
        .collect()
}

/// Edits of a source that never change its lines.
#[derive(Debug, Default)]
pub(super) struct Edits {
    list: Vec<Edit>,
}

#[derive(Debug)]
struct Edit {
    at: usize,
    /// Number of bytes that become blank.
    blank: usize,
    /// Text that is inserted before them. Without line terminators.
    insert: &'static str,
}

/// An insertion into a line, for the conversion of columns back to the caller's source.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shift {
    position: Position,
    width: u32,
}

impl Edits {
    /// Inserts `text`, which has no line terminator, before the character at `at`.
    pub(super) fn insert(&mut self, at: usize, text: &'static str) {
        self.list.push(Edit { at, blank: 0, insert: text });
    }

    /// Blanks the range between two byte offsets.
    pub(super) fn blank(&mut self, from: usize, to: usize) {
        self.list.push(Edit { at: from, blank: to - from, insert: "" });
    }

    /// Returns the edited source and the insertions in it, in order.
    pub(super) fn apply(mut self, text: &str) -> (String, Vec<Shift>) {
        self.list.sort_by_key(|edit| edit.at);
        let mut out = String::with_capacity(text.len() + 32);
        let (mut done, mut inserted) = (0, Vec::new());
        for edit in &self.list {
            out.push_str(&text[done..edit.at]);
            if !edit.insert.is_empty() {
                inserted.push((out.len(), edit.insert.len() as u32));
                out.push_str(edit.insert);
            }
            done = edit.at + edit.blank;
            out.push_str(&blank(&text[edit.at..done]));
        }
        out.push_str(&text[done..]);
        if inserted.is_empty() {
            return (out, Vec::new());
        }
        let lines = Lines::new(&out);
        let shifts = inserted
            .into_iter()
            .map(|(at, width)| Shift { position: lines.position(&out, at), width })
            .collect();
        (out, shifts)
    }
}

/// Converts a position in the edited source to one in the original. A position within an insertion
/// becomes that of the character after it.
pub(super) fn unshift(shifts: &[Shift], (line, column): Position) -> Position {
    let before =
        shifts.iter().filter(|shift| shift.position.0 == line && shift.position.1 < column);
    let moved = before.map(|shift| shift.width.min(column - shift.position.1)).sum::<u32>();
    (line, column - moved)
}
