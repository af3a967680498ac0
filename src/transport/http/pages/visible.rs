//! Renders untrusted text so that every character is visible: a person must see exactly the call
//! that is approved.
//!
//! Invisible characters are written as code points and marked; letters that only look like others
//! of their word are marked; everything else stays.

use maud::{Markup, html};
use serde_json::Value;

use crate::base::confusables::{Marking, pieces};

/// Characters of a text that are shown at once; longer ones unfold.
const SHORT_CHARS: usize = 300;
/// Entries of a list or an object that are shown at once; further ones unfold.
const ENTRIES_SHOWN: usize = 20;

/// The text, with everything invisible made visible. Line ends and tabs stay where `lines`.
pub(super) fn visible(text: &str, lines: bool) -> Markup {
    html! {
        @for (marking, piece) in &pieces(text, lines) {
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
}

fn code_points(text: &str) -> String {
    text.chars().map(|c| format!("U+{:04X}", u32::from(c))).collect::<Vec<_>>().join(" ")
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
                let name = Value::from(key.as_str()).to_string();
                html! {
                    bdi.key dir="ltr" { (visible(&name, false)) } ": " (node(value, depth + 1))
                }
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
    html! {
        details.long {
            summary { "a string of " (count) " characters" }
            div.text { (visible(text, true)) }
        }
    }
}

#[cfg(test)]
#[path = "visible/tests.rs"]
mod tests;
