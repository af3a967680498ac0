//! Renders untrusted text so that every character is visible: a person must see exactly the call
//! that is approved.
//!
//! Invisible characters are written as code points and marked; letters that only look like others
//! of their word are marked; everything else stays.

use maud::{Markup, html};
use serde_json::Value;

use crate::base::{
    confusables::{Marking, pieces},
    json::written::Written,
};

/// Characters of a text that are shown at once; the rest of longer ones unfolds.
const SHORT_CHARS: usize = 300;
/// Entries of a list or an object that are shown at once; further ones unfold.
const ENTRIES_SHOWN: usize = 20;

/// The text, with everything invisible made visible. Line ends and tabs stay where `lines`.
pub(super) fn visible(text: &str, lines: bool) -> Markup {
    html! { @for piece in &pieces(text, lines) { (shown(piece)) } }
}

fn shown((marking, piece): &(Marking, String)) -> Markup {
    html! {
        @match marking {
            Marking::Plain => (piece),
            Marking::Invisible => {
                span.hidden title="a character that cannot be seen" { (piece) }
            }
            Marking::MixedScript => {
                mark.strange title={
                    "letters of another script than the rest of the word: "
                    (code_points(piece))
                } { (piece) }
            }
        }
    }
}

fn code_points(text: &str) -> String {
    text.chars().map(|c| format!("U+{:04X}", u32::from(c))).collect::<Vec<_>>().join(" ")
}

/// A message in which names stand in backticks.
pub(super) fn prose(text: &str) -> Markup {
    let parts: Vec<_> = text.split('`').collect();
    // A backtick without its second is a character like others.
    let is_paired = parts.len() % 2 == 1;
    html! {
        @if is_paired {
            @for (index, part) in parts.iter().enumerate() {
                @if index % 2 == 1 { code { (visible(part, false)) } }
                @else { (visible(part, true)) }
            }
        } @else { (visible(text, true)) }
    }
}

/// The head of a text in one line, with `…` where something is left out.
pub(super) fn brief(text: &str, chars_max: usize) -> Markup {
    let (head, rest) = split(pieces(text, false), chars_max);
    html! {
        @for piece in &head { (shown(piece)) }
        @if !rest.is_empty() { "…" }
    }
}

/// Text in pieces, each with what marks it.
type Marked = Vec<(Marking, String)>;

/// Splits marked text after so many characters: what is marked stays marked, also where the word
/// that it stands in is divided.
fn split(pieces: Marked, chars_max: usize) -> (Marked, Marked) {
    let (mut head, mut rest, mut left) = (vec![], vec![], chars_max);
    for (marking, piece) in pieces {
        let count = piece.chars().count();
        if !rest.is_empty() || left == 0 {
            rest.push((marking, piece));
        } else if count <= left {
            left -= count;
            head.push((marking, piece));
        } else if marking == Marking::Invisible {
            // Code points are not divided.
            rest.push((marking, piece));
        } else {
            let end = piece.char_indices().nth(left).map_or(piece.len(), |(end, _)| end);
            let (first, second) = piece.split_at(end);
            head.push((marking, first.to_owned()));
            rest.push((marking, second.to_owned()));
        }
    }
    (head, rest)
}

/// A JSON value, indented; of long texts and lists the rest unfolds.
pub(super) fn value(value: &Written) -> Markup {
    html! { pre.json { (node(value, 0)) } }
}

fn node(value: &Written, depth: usize) -> Markup {
    let inside = "  ".repeat(depth + 1);
    let end = "  ".repeat(depth);
    match value {
        Written::Object(members) if !members.is_empty() => {
            let entry = |(key, value): &(String, Written)| {
                let name = Value::from(key.as_str()).to_string();
                html! {
                    bdi.key dir="ltr" { (visible(&name, false)) } ": " (node(value, depth + 1))
                }
            };
            html! { "{\n" (entries_of(members.iter().map(entry).collect(), &inside)) (end) "}" }
        }
        Written::List(items) if !items.is_empty() => {
            let items = items.iter().map(|item| node(item, depth + 1)).collect();
            html! { "[\n" (entries_of(items, &inside)) (end) "]" }
        }
        Written::Text(text) => string(text),
        other => html! { bdi dir="ltr" { (visible(&other.indented(), false)) } },
    }
}

/// Entries, one a line; where there are many the rest unfolds.
fn entries_of(entries: Vec<Markup>, inside: &str) -> Markup {
    let count = entries.len();
    let line = |(index, entry): (usize, &Markup)| {
        html! { (inside) (entry) @if index + 1 < count { "," } "\n" }
    };
    let mut lines: Vec<Markup> = entries.iter().enumerate().map(line).collect();
    let more = lines.split_off(count.min(ENTRIES_SHOWN));
    html! {
        @for line in &lines { (line) }
        @if !more.is_empty() {
            details.more {
                summary { (inside) "… " (more.len()) " more of " (count) }
                @for line in &more { (line) }
            }
        }
    }
}

fn string(text: &str) -> Markup {
    let count = text.chars().count();
    if count <= SHORT_CHARS {
        // Set apart: letters that are written from the right would turn round what stands between
        // two of them, keys and numbers too.
        return html! { bdi dir="ltr" { (visible(&Value::from(text).to_string(), false)) } };
    }
    let (head, rest) = split(pieces(text, true), SHORT_CHARS);
    html! {
        div.long {
            span.size { "a string of " (count) " characters" }
            @for piece in &head { (shown(piece)) }
            @if !rest.is_empty() {
                details.more {
                    summary { "… the rest" }
                    @for piece in &rest { (shown(piece)) }
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "visible/tests.rs"]
mod tests;
