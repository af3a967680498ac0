//! Text of strangers, made visible: what a person approves must be what stands there, to the character.
//!
//! Control characters, those that turn the direction of writing, and those that nobody sees are written as their code points and
//! marked; everything else stays.

use maud::{Markup, html};
use serde_json::Value;

/// Characters of a text that are shown at once; longer ones unfold.
const SHORT_CHARS: usize = 300;

/// The text, with everything invisible made visible. Line ends and tabs stay where `lines`.
pub(super) fn visible(text: &str, lines: bool) -> Markup {
    let mut pieces: Vec<(bool, String)> = vec![];
    for c in text.chars() {
        let hidden = is_hidden(c) && !(lines && matches!(c, '\n' | '\t'));
        let shown = if hidden { format!("\\u{{{:x}}}", u32::from(c)) } else { c.to_string() };
        match pieces.last_mut() {
            Some((same, piece)) if *same == hidden => piece.push_str(&shown),
            _ => pieces.push((hidden, shown)),
        }
    }
    html! {
        @for (hidden, piece) in &pieces {
            @if *hidden { span.hidden title="a character that cannot be seen" { (piece) } } @else { (piece) }
        }
    }
}

/// Whether a person would not see the character, or it would change how others are seen.
pub(super) fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(u32::from(c),
            // Spaces that are no plain space, and those without a width.
            0xa0 | 0x1680 | 0x2000..=0x200f | 0x202f | 0x205f | 0x3000 | 0xfeff | 0x180e
            // Directions, joiners, separators, and what else formats.
            | 0xad | 0x34f | 0x61c | 0x600..=0x605 | 0x6dd | 0x70f | 0x890..=0x891 | 0x8e2
            | 0x2028..=0x202e | 0x2060..=0x206f | 0x2800 | 0x115f..=0x1160 | 0x17b4..=0x17b5 | 0x180b..=0x180f
            | 0x3164 | 0xffa0 | 0xfe00..=0xfe0f | 0xfff0..=0xfffb | 0x110bd | 0x110cd | 0x13430..=0x1345f
            | 0x1bca0..=0x1bca3 | 0x1d159 | 0x1d173..=0x1d17a | 0xe0000..=0xe0fff
            // For private use: what they look like is anybody's choice.
            | 0xe000..=0xf8ff | 0xf0000..=0x10ffff)
}

/// A JSON value, indented; long texts unfold.
pub(super) fn value(value: &Value) -> Markup {
    html! { pre.json { (node(value, 0)) } }
}

fn node(value: &Value, depth: usize) -> Markup {
    let inside = "  ".repeat(depth + 1);
    let end = "  ".repeat(depth);
    match value {
        Value::Object(entries) if !entries.is_empty() => html! {
            "{\n"
            @for (index, (key, value)) in entries.iter().enumerate() {
                (inside) bdi.key dir="ltr" { (visible(&Value::from(key.as_str()).to_string(), false)) } ": " (node(value, depth + 1))
                @if index + 1 < entries.len() { "," } "\n"
            }
            (end) "}"
        },
        Value::Array(items) if !items.is_empty() => html! {
            "[\n"
            @for (index, item) in items.iter().enumerate() {
                (inside) (node(item, depth + 1)) @if index + 1 < items.len() { "," } "\n"
            }
            (end) "]"
        },
        Value::String(text) => string(text),
        other => html! { (other.to_string()) },
    }
}

fn string(text: &str) -> Markup {
    let count = text.chars().count();
    if count <= SHORT_CHARS {
        // Set apart: letters that are written from the right would turn round what stands between two of them, keys and numbers too.
        return html! { bdi dir="ltr" { (visible(&Value::from(text).to_string(), false)) } };
    }
    html! {
        details.long {
            summary { "a text of " (count) " characters" }
            div.text { (visible(text, true)) }
        }
    }
}

#[cfg(test)]
#[path = "visible/tests.rs"]
mod tests;
