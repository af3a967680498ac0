//! Untrusted text prepared for a person who decides by it: invisible characters and letters that
//! look like others (UTS 39).

use unicode_security::mixed_script::AugmentedScriptSet;

/// How a piece of text has to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// As it is.
    Plain,
    /// Nobody would see it, or it would change how others are seen: written as its code point
    /// already.
    Hidden,
    /// Letters of another script than the rest of their word, which may be taken for its own.
    Strange,
}

/// The text in pieces. Line ends and tabs are plain where `lines`.
pub fn pieces(text: &str, lines: bool) -> Vec<(Look, String)> {
    let mut pieces: Vec<(Look, String)> = vec![];
    let mut show = |look: Look, shown: &str| match pieces.last_mut() {
        Some((same, piece)) if *same == look => piece.push_str(shown),
        _ => pieces.push((look, shown.to_owned())),
    };
    for word in words(text) {
        let is_mixed = !word.is_ascii() && AugmentedScriptSet::for_str(word).is_empty();
        for c in word.chars() {
            let mut bytes = [0; 4];
            match c {
                '\n' | '\t' if lines => show(Look::Plain, c.encode_utf8(&mut bytes)),
                c if is_hidden(c) => show(Look::Hidden, &code(c)),
                c if is_mixed && is_strange(c, word) => {
                    show(Look::Strange, c.encode_utf8(&mut bytes))
                }
                c => show(Look::Plain, c.encode_utf8(&mut bytes)),
            }
        }
    }
    pieces
}

/// The text with what cannot be seen, and letters that only look like others of their word, written
/// as code points: for where nothing can be marked.
pub fn spelled(text: &str) -> String {
    let told = |(look, piece): (Look, String)| match look {
        Look::Strange => piece.chars().map(code).collect(),
        Look::Plain | Look::Hidden => piece,
    };
    pieces(text, true).into_iter().map(told).collect()
}

/// A character by its code point: `\u{202e}`.
fn code(c: char) -> String {
    format!("\\u{{{:x}}}", u32::from(c))
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

/// Whether a letter of a word of several scripts is the strange one: in a word with letters of
/// English each that is none, else each.
fn is_strange(c: char, word: &str) -> bool {
    c.is_alphabetic()
        && !c.is_ascii()
        && (!word.contains(|c: char| c.is_ascii_alphabetic())
            || AugmentedScriptSet::for_str(&format!("a{c}")).is_empty())
}

/// Whether a person would not see the character, or it would change how others are seen.
fn is_hidden(c: char) -> bool {
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

#[cfg(test)]
#[path = "confusables/tests.rs"]
mod tests;
