//! Prepares untrusted text for a person who must judge it: marks invisible characters and letters
//! that look like others (UTS 39).

use unicode_security::mixed_script::AugmentedScriptSet;

/// Presentation of a piece of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marking {
    /// Plain text.
    Plain,
    /// Character that is invisible or changes how others are displayed. The piece already contains
    /// its code point instead.
    Invisible,
    /// Letters of another script than the rest of their word, which may be mistaken for it.
    MixedScript,
}

/// Splits a text into pieces. Line breaks and tabs are plain if `lines` is set.
pub fn pieces(text: &str, lines: bool) -> Vec<(Marking, String)> {
    let mut pieces: Vec<(Marking, String)> = vec![];
    let mut push = |marking: Marking, part: &str| match pieces.last_mut() {
        Some((last, piece)) if *last == marking => piece.push_str(part),
        _ => pieces.push((marking, part.to_owned())),
    };
    for word in words(text) {
        let is_mixed = !word.is_ascii() && AugmentedScriptSet::for_str(word).is_empty();
        for c in word.chars() {
            let mut bytes = [0; 4];
            match c {
                '\n' | '\t' if lines => push(Marking::Plain, c.encode_utf8(&mut bytes)),
                c if is_invisible(c) => push(Marking::Invisible, &code(c)),
                c if is_mixed && is_foreign_letter(c, word) => {
                    push(Marking::MixedScript, c.encode_utf8(&mut bytes))
                }
                c => push(Marking::Plain, c.encode_utf8(&mut bytes)),
            }
        }
    }
    pieces
}

/// Returns the text with invisible characters and look-alike letters written as code points, for
/// output without markup.
pub fn escaped(text: &str) -> String {
    pieces(text, true).into_iter().map(escape).collect()
}

/// Returns the same as one line: line breaks and tabs are code points too.
pub fn escaped_line(text: &str) -> String {
    pieces(text, false).into_iter().map(escape).collect()
}

fn escape((marking, piece): (Marking, String)) -> String {
    match marking {
        Marking::MixedScript => piece.chars().map(code).collect(),
        Marking::Plain | Marking::Invisible => piece,
    }
}

/// Formats a character as its code point: `\u{202e}`.
fn code(c: char) -> String {
    format!("\\u{{{:x}}}", u32::from(c))
}

/// Splits a text into words and the separators between them.
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

/// Returns true if a letter is foreign in a word of several scripts: every non-Latin letter if the
/// word contains ASCII letters, otherwise every letter.
fn is_foreign_letter(c: char, word: &str) -> bool {
    c.is_alphabetic()
        && !c.is_ascii()
        && (!word.contains(|c: char| c.is_ascii_alphabetic())
            || AugmentedScriptSet::for_str(&format!("a{c}")).is_empty())
}

/// Returns true if the character is invisible or changes how others are displayed.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(u32::from(c),
            // Spaces other than U+0020, including those of zero width.
            0xa0 | 0x1680 | 0x2000..=0x200f | 0x202f | 0x205f | 0x3000 | 0xfeff | 0x180e
            // Direction marks, joiners, separators and other format characters.
            | 0xad | 0x34f | 0x61c | 0x600..=0x605 | 0x6dd | 0x70f | 0x890..=0x891 | 0x8e2
            | 0x2028..=0x202e | 0x2060..=0x206f | 0x2800 | 0x115f..=0x1160 | 0x17b4..=0x17b5
            | 0x180b..=0x180f | 0x3164 | 0xffa0 | 0xfe00..=0xfe0f | 0xfff0..=0xfffb | 0x110bd
            | 0x110cd | 0x13430..=0x1345f
            | 0x1bca0..=0x1bca3 | 0x1d159 | 0x1d173..=0x1d17a | 0xe0000..=0xe0fff
            // Private use: their appearance depends on the font.
            | 0xe000..=0xf8ff | 0xf0000..=0x10ffff)
}

#[cfg(test)]
#[path = "confusables/tests.rs"]
mod tests;
