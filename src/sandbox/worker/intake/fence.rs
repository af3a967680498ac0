//! Removes what surrounds a program: a byte order mark, a Markdown fence, a `#!` line. Line numbers
//! do not change.

use super::text::{Lines, blank};

/// Number of characters that a fence needs.
const FENCE_CHARS_MIN: usize = 3;

/// Strips a byte order mark, which no editor shows and no column counts.
pub(super) fn without_bom(code: &str) -> &str {
    code.strip_prefix('\u{feff}').unwrap_or(code)
}

/// Returns the program in `source` with all other lines blank. If the first line opens a Markdown
/// fence, the program is its content.
pub(super) fn program(source: &str) -> String {
    let lines = Lines::new(source);
    let mut out = source.to_owned();
    let filled: Vec<u32> = (1..=lines.count())
        .filter(|line| lines.line(source, *line).is_some_and(|text| !text.trim().is_empty()))
        .collect();
    let text =
        |line: Option<&u32>| line.and_then(|line| lines.line(source, *line)).unwrap_or_default();
    let mut first = filled.first();
    if let Some(mark) = opening(text(first)) {
        blank_line(&mut out, &lines, source, first);
        if filled.len() > 1 && closes(text(filled.last()), mark) {
            blank_line(&mut out, &lines, source, filled.last());
        }
        first = filled.get(1);
    }
    if text(first).starts_with("#!") {
        blank_line(&mut out, &lines, source, first);
    }
    out
}

fn blank_line(out: &mut String, lines: &Lines, source: &str, line: Option<&u32>) {
    let Some(line) = line else { return };
    let start = Lines::new(out).offset(out, (*line, 1));
    let old = lines.line(source, *line).unwrap_or_default();
    out.replace_range(start..start + old.len(), &blank(old));
}

/// Returns the fence that a line opens: three or more backticks or tildes, optionally with an info
/// string.
fn opening(line: &str) -> Option<&str> {
    let line = line.trim();
    let mark = line.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let width = line.chars().take_while(|c| *c == mark).count();
    (width >= FENCE_CHARS_MIN && !line[width..].contains('`')).then(|| &line[..width])
}

fn closes(line: &str, opened: &str) -> bool {
    let line = line.trim();
    line.len() >= opened.len() && line.chars().all(|c| opened.starts_with(c))
}
