//! Text of strangers, made visible: what a person approves must be what stands there, to the character.
//!
//! Control characters, those that turn the direction of writing, and those that nobody sees are written as their code points and
//! marked; letters that no script has together with the others of their word are marked; everything else stays.

use maud::{Markup, html};
use serde_json::Value;
use unicode_security::mixed_script::AugmentedScriptSet;

/// How a character is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Plain,
    /// Written as its code point.
    Hidden,
    /// It looks like a letter of another script.
    Strange,
}

/// Characters of a text that are shown at once; longer ones unfold.
const SHORT_CHARS: usize = 300;
/// Entries of a list or an object that are shown at once; further ones unfold.
const ENTRIES_SHOWN: usize = 20;

/// The text, with everything invisible made visible. Line ends and tabs stay where `lines`.
pub(super) fn visible(text: &str, lines: bool) -> Markup {
    let mut pieces: Vec<(Look, String)> = vec![];
    let mut show = |look: Look, shown: &str| match pieces.last_mut() {
        Some((same, piece)) if *same == look => piece.push_str(shown),
        _ => pieces.push((look, shown.to_owned())),
    };
    for word in words(text) {
        let is_mixed = !word.is_ascii() && AugmentedScriptSet::for_str(word).is_empty();
        for c in word.chars() {
            let shown = c.encode_utf8(&mut [0; 4]).to_owned();
            match c {
                '\n' | '\t' if lines => show(Look::Plain, &shown),
                c if is_hidden(c) => show(Look::Hidden, &format!("\\u{{{:x}}}", u32::from(c))),
                c if is_mixed && is_strange(c, word) => show(Look::Strange, &shown),
                _ => show(Look::Plain, &shown),
            }
        }
    }
    html! {
        @for (look, piece) in &pieces {
            @match look {
                Look::Plain => (piece),
                Look::Hidden => span.hidden title="a character that cannot be seen" { (piece) },
                Look::Strange => mark.strange title={ "letters of another script than the rest of the word: " (code_points(piece)) } { (piece) },
            }
        }
    }
}

/// The text in order, in words and what stands between them.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let is_word = rest.chars().next()?.is_alphanumeric();
        let end = rest.find(|c: char| c.is_alphanumeric() != is_word).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        rest = after;
        Some(word)
    })
}

/// Whether a letter of a word of several scripts is the strange one: in a word with letters of English each that is none, else each.
fn is_strange(c: char, word: &str) -> bool {
    c.is_alphabetic()
        && !c.is_ascii()
        && (!word.contains(|c: char| c.is_ascii_alphabetic()) || AugmentedScriptSet::for_str(&format!("a{c}")).is_empty())
}

fn code_points(text: &str) -> String {
    text.chars().map(|c| format!("U+{:04X}", u32::from(c))).collect::<Vec<_>>().join(" ")
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
        Value::Object(entries) if !entries.is_empty() => {
            let entry = |(key, value): (&String, &Value)| {
                html! { bdi.key dir="ltr" { (visible(&Value::from(key.as_str()).to_string(), false)) } ": " (node(value, depth + 1)) }
            };
            html! { "{\n" (entries_of(entries.iter().map(entry).collect(), &inside)) (end) "}" }
        }
        Value::Array(items) if !items.is_empty() => {
            let items = items.iter().map(|item| node(item, depth + 1)).collect();
            html! { "[\n" (entries_of(items, &inside)) (end) "]" }
        }
        Value::String(text) => string(text),
        other => html! { (other.to_string()) },
    }
}

/// Entries, one a line; where there are many the rest unfolds.
fn entries_of(entries: Vec<Markup>, inside: &str) -> Markup {
    let count = entries.len();
    let line = |(index, entry): (usize, &Markup)| html! { (inside) (entry) @if index + 1 < count { "," } "\n" };
    let mut lines: Vec<Markup> = entries.iter().enumerate().map(line).collect();
    let more = lines.split_off(count.min(ENTRIES_SHOWN));
    html! {
        @for line in &lines { (line) }
        @if !more.is_empty() {
            details.more { summary { (inside) "… " (more.len()) " more of " (count) } @for line in &more { (line) } }
        }
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
