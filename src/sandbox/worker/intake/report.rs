//! Formats errors for an agent: the lines around the position with a marker, a stack of the agent's
//! functions, a hint.

use std::fmt::Write as _;

use super::{
    fence, hint,
    nesting::{BRACKETS_MAX, OPERATORS_MAX, TooDeep},
    parse::Fault,
    text::{Lines, Position},
};
use crate::model::{ErrorCode, TaskError};

/// Name of the agent's program in stack traces.
pub const SCRIPT_NAME: &str = "agent.ts";
/// Bytes of an error's message that are kept.
pub const MESSAGE_BYTES_MAX: usize = 8 * 1024;

/// Number of lines shown before and after the one with the error.
const CONTEXT_LINES: u32 = 1;
/// Number of characters of a line that are shown. A longer line is cut around the position.
const LINE_CHARS_MAX: usize = 160;

/// Creates the error of a program with a syntax error.
pub(super) fn syntax_error(source: &str, lines: &Lines, fault: Fault) -> TaskError {
    let position = lines.position(source, offset_in(source, lines, fault.at));
    TaskError {
        name: "SyntaxError".into(),
        message: capped(&fault.message, MESSAGE_BYTES_MAX),
        code: ErrorCode::SyntaxError.into(),
        line: Some(position.0),
        column: Some(position.1),
        frame: excerpt(source, lines, position),
        stack: None,
        hint: fault.hint.map(str::to_owned),
    }
}

/// Converts an offset in the program to one in the source. A blanked line has as many UTF-16 units
/// as the original but not as many bytes, so the conversion goes through the position.
fn offset_in(source: &str, lines: &Lines, at: usize) -> usize {
    let program = fence::program(source);
    lines.offset(source, Lines::new(&program).position(&program, at))
}

/// Creates the error of a program over a limit.
pub(super) fn limit_error(message: String) -> TaskError {
    TaskError {
        name: "LimitError".into(),
        message,
        code: ErrorCode::CodeLimit.into(),
        hint: Some(hint::SPLIT_UP.into()),
        ..TaskError::default()
    }
}

/// Creates the error of a program that nests too deep.
pub(super) fn too_deep(source: &str, lines: &Lines, too_deep: TooDeep) -> TaskError {
    let (at, message) = match too_deep {
        TooDeep::Brackets(at) => {
            (at, format!("the code has more than {BRACKETS_MAX} open brackets here"))
        }
        TooDeep::Operators(at) => {
            (at, format!("the code has more than {OPERATORS_MAX} operators in one statement here"))
        }
    };
    let position = lines.position(source, offset_in(source, lines, at));
    let frame = excerpt(source, lines, position);
    TaskError { line: Some(position.0), column: Some(position.1), frame, ..limit_error(message) }
}

/// Returns the line of a position with its neighbours, numbered, and a marker under the column.
pub(super) fn excerpt(source: &str, lines: &Lines, (line, column): Position) -> Option<String> {
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
            // Tabs stay tabs and wide characters take two columns, so the marker is under its
            // character.
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

/// Returns the part of a line around the column, and the number of its characters before the
/// column.
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

/// Formats a stack as V8 does, with positions of the agent's source. Returns `None` without frames.
pub(super) fn stack_text(name: &str, message: &str, frames: &[(&str, Position)]) -> Option<String> {
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

/// Truncates a string to a number of bytes, with an ellipsis at the end if it was longer.
pub(super) fn capped(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let kept = text.floor_char_boundary(bytes_max.saturating_sub('…'.len_utf8()));
    format!("{}…", &text[..kept])
}
