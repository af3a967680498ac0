//! What an agent reads of an error: the lines around the place with a marker, a stack of its own
//! functions, the way out.

use std::fmt::Write as _;

use super::{
    BRACKETS_MAX, Fault, LINKS_MAX, SCRIPT_NAME, hint,
    nesting::TooDeep,
    text::{Lines, Place},
};
use crate::model::{ErrorCode, TaskError};

/// Lines shown before and after the one with the error.
const CONTEXT_LINES: u32 = 1;
/// Characters of a line that are shown; a longer one is cut around the place.
const LINE_CHARS_MAX: usize = 160;

/// The error of a text that cannot run.
pub(super) fn syntax_error(source: &str, lines: &Lines, fault: Fault) -> TaskError {
    let place = lines.place(source, offset_in(source, lines, fault.at));
    TaskError {
        name: "SyntaxError".into(),
        message: capped(&fault.message, super::MESSAGE_BYTES_MAX),
        code: ErrorCode::SyntaxError.into(),
        line: Some(place.0),
        column: Some(place.1),
        frame: excerpt(source, lines, place),
        stack: None,
        hint: fault.hint.map(str::to_owned),
    }
}

/// A blanked line has as many UTF-16 units as its original but not as many bytes, so offsets go by
/// way of the place.
fn offset_in(source: &str, lines: &Lines, at: usize) -> usize {
    let program = super::fence::program(source);
    lines.offset(source, Lines::new(&program).place(&program, at))
}

/// The error of a text over a bound.
pub(super) fn limit_error(message: String) -> TaskError {
    TaskError {
        name: "LimitError".into(),
        message,
        code: ErrorCode::CodeLimit.into(),
        hint: Some(hint::SPLIT_UP.into()),
        ..TaskError::default()
    }
}

/// The error of a text that nests too deep.
pub(super) fn too_deep(source: &str, lines: &Lines, too_deep: TooDeep) -> TaskError {
    let (at, message) = match too_deep {
        TooDeep::Brackets(at) => {
            (at, format!("the code has more than {BRACKETS_MAX} open brackets here"))
        }
        TooDeep::Links(at) => {
            (at, format!("the code has more than {LINKS_MAX} operators in one statement here"))
        }
    };
    let place = lines.place(source, offset_in(source, lines, at));
    let frame = excerpt(source, lines, place);
    TaskError { line: Some(place.0), column: Some(place.1), frame, ..limit_error(message) }
}

/// The line of a place with its neighbours, numbered, and a marker under the column.
pub(super) fn excerpt(source: &str, lines: &Lines, (line, column): Place) -> Option<String> {
    lines.line(source, line)?;
    let first = line.saturating_sub(CONTEXT_LINES).max(1);
    let last = (line + CONTEXT_LINES).min(lines.count());
    let width = last.to_string().len();
    let mut out = String::new();
    for number in first..=last {
        let text = lines.line(source, number).unwrap_or_default();
        let (shown, before) = if number == line { window(text, column) } else { (head(text), 0) };
        let mark = if number == line { '>' } else { ' ' };
        let _ = writeln!(out, "{}", format!("{mark} {number:width$} | {shown}").trim_end());
        if number == line {
            // Tabs stay tabs and wide characters take two places, so that the marker stands under
            // its character.
            let pad: String = shown.chars().take(before).flat_map(padding).collect();
            let _ = writeln!(out, "  {:width$} | {pad}^", "");
        }
    }
    out.truncate(out.trim_end().len());
    Some(out)
}

fn padding(c: char) -> impl Iterator<Item = char> {
    let width = if c.len_utf16() == 2 { 2 } else { 1 };
    std::iter::repeat_n(if c == '\t' { '\t' } else { ' ' }, width)
}

fn head(text: &str) -> String {
    clipped(text.chars().collect(), 0)
}

/// The part of a line that holds the column, and how many characters of it stand before the column.
fn window(text: &str, column: u32) -> (String, usize) {
    let mut units = 1;
    let before = text
        .chars()
        .take_while(|c| {
            let here = units < column;
            units += c.len_utf16() as u32;
            here
        })
        .count();
    let start = if before < LINE_CHARS_MAX { 0 } else { before - LINE_CHARS_MAX / 2 };
    let lead = if start == 0 { 0 } else { 1 };
    (clipped(text.chars().collect(), start), before - start + lead)
}

fn clipped(chars: Vec<char>, start: usize) -> String {
    let end = (start + LINE_CHARS_MAX).min(chars.len());
    let (left, right) =
        (if start > 0 { "…" } else { "" }, if end < chars.len() { "…" } else { "" });
    format!("{left}{}{right}", chars[start..end].iter().collect::<String>())
}

/// The stack as V8 would print it, with the agent's own places; none when no frame is the agent's.
pub(super) fn stack_text(name: &str, message: &str, frames: &[(&str, Place)]) -> Option<String> {
    if frames.is_empty() {
        return None;
    }
    let mut out = format!("{}: {}", capped(name, 256), capped(message, 1024));
    for (function, (line, column)) in frames {
        let _ = match capped(function, 256) {
            function if function.is_empty() => {
                write!(out, "\n    at {SCRIPT_NAME}:{line}:{column}")
            }
            function => write!(out, "\n    at {function} ({SCRIPT_NAME}:{line}:{column})"),
        };
    }
    Some(out)
}

/// At most so many bytes, and a mark where something is missing.
pub(super) fn capped(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let kept = text.floor_char_boundary(bytes_max.saturating_sub('…'.len_utf8()));
    format!("{}…", &text[..kept])
}
