//! Places in a source text, and edits that remember how they moved them. Knows no syntax.
//!
//! A line ends where ECMAScript and V8 say it does; a column counts UTF-16 units, as V8 and editors
//! do. Both count from 1.

/// Where a place is: line and column, both from 1.
pub(super) type Place = (u32, u32);

/// The starts of a text's lines, as byte offsets.
#[derive(Debug)]
pub(super) struct Lines {
    starts: Vec<usize>,
}

impl Lines {
    /// By ECMAScript's line terminators: LF, CR, CRLF, U+2028, U+2029.
    pub(super) fn new(text: &str) -> Self {
        Self::ended_by(text, is_line_end)
    }

    /// By LF, CR and CRLF alone, as swc's source maps count.
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

    /// How many there are; at least one.
    pub(super) fn count(&self) -> u32 {
        self.starts.len() as u32
    }

    /// The place of a byte offset; one beyond the text counts as its end.
    pub(super) fn place(&self, text: &str, offset: usize) -> Place {
        let offset = text.floor_char_boundary(offset);
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let column = text[self.starts[line - 1]..offset].encode_utf16().count();
        (line as u32, column as u32 + 1)
    }

    /// The byte offset of a place; one beyond the line counts as its end.
    pub(super) fn offset(&self, text: &str, (line, column): Place) -> usize {
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

    /// The text of a line without its end; none when there is no such line.
    pub(super) fn line<'a>(&self, text: &'a str, line: u32) -> Option<&'a str> {
        let index = (line as usize).checked_sub(1)?;
        let start = *self.starts.get(index)?;
        let end = self.starts.get(index + 1).copied().unwrap_or(text.len());
        Some(text[start..end].trim_end_matches(is_line_end))
    }
}

/// Whether a character ends a line.
pub(super) fn is_line_end(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{2028}' | '\u{2029}')
}

/// Blanks every character but the line ends, keeping each one's width in UTF-16 units.
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

/// Changes to a text that never change its lines.
#[derive(Debug, Default)]
pub(super) struct Edits {
    list: Vec<Edit>,
}

#[derive(Debug)]
struct Edit {
    at: usize,
    /// Bytes that become blank.
    blank: usize,
    /// What is put in their place or, with none, in between. Without line ends.
    insert: &'static str,
}

/// Where text was put into a line, for finding the caller's own column again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shift {
    place: Place,
    width: u32,
}

impl Edits {
    /// Puts `text`, which has no line end, before the character at `at`.
    pub(super) fn insert(&mut self, at: usize, text: &'static str) {
        self.list.push(Edit { at, blank: 0, insert: text });
    }

    /// Blanks what lies between two byte offsets.
    pub(super) fn blank(&mut self, from: usize, to: usize) {
        self.list.push(Edit { at: from, blank: to - from, insert: "" });
    }

    /// The edited text, and the places of the insertions in it, in order.
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
            .map(|(at, width)| Shift { place: lines.place(&out, at), width })
            .collect();
        (out, shifts)
    }
}

/// The place in the unedited text of a place in the edited one. A place within an insertion is that
/// of what follows it.
pub(super) fn unshift(shifts: &[Shift], (line, column): Place) -> Place {
    let before = shifts.iter().filter(|shift| shift.place.0 == line && shift.place.1 < column);
    let moved = before.map(|shift| shift.width.min(column - shift.place.1)).sum::<u32>();
    (line, column - moved)
}
