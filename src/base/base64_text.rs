//! Base64 as services write it: in either alphabet, with or without padding and line breaks.

use std::borrow::Cow;

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Returns the text in the standard alphabet and without white space; its padding stays as it is.
/// None if it is empty or no base64.
pub fn normalized(text: &str) -> Option<Cow<'_, str>> {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let end = text.trim_end_matches('=').len();
    let is_padding = |padding: usize| padding <= 2;
    if end > 0 && text.as_bytes()[..end].iter().all(is_plain) {
        return is_padding(text.len() - end).then_some(Cow::Borrowed(text));
    }
    let written = |c: char| match c {
        '-' => '+',
        '_' => '/',
        c => c,
    };
    let plain: String = text.chars().filter(|c| !c.is_ascii_whitespace()).map(written).collect();
    let end = plain.trim_end_matches('=').len();
    let is_base64 = end > 0 && plain.as_bytes()[..end].iter().all(is_plain);
    (is_base64 && is_padding(plain.len() - end)).then_some(Cow::Owned(plain))
}

/// Returns the bytes of a text; none if it is no base64, or ends within a byte. An empty text has
/// no bytes.
pub fn bytes(text: &str) -> Option<Vec<u8>> {
    if text.is_empty() {
        return Some(vec![]);
    }
    let text = normalized(text)?;
    let is_whole = text.trim_end_matches('=').len() % 4 != 1;
    is_whole.then(|| decoded(&text))
}

/// Returns the bytes that a [`normalized`] text, or a piece of one that begins at a
/// multiple of four characters, stands for. One character too many at its end stands for nothing.
pub fn decoded(text: &str) -> Vec<u8> {
    // Text of another alphabet stands for nothing either; a normalized one has no such.
    LENIENT.decode(whole(text)).unwrap_or_default()
}

/// Returns the number of bytes that [`decoded`] gives.
pub fn decoded_bytes(text: &str) -> u64 {
    whole(text).len() as u64 * 3 / 4
}

/// The text without its padding, and without a character that no byte begins in.
fn whole(text: &str) -> &str {
    let text = text.trim_end_matches('=');
    &text[..text.len() - usize::from(text.len() % 4 == 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_base64_is_read_and_a_standard_one_stays_as_it_is() {
        for (text, plain, bytes) in [
            ("aGk=", "aGk=", "hi".as_bytes()),
            ("aGk", "aGk", b"hi"),
            ("aG\r\nk =", "aGk=", b"hi"),
            ("_-8", "/+8", &[0xff, 0xef]),
            ("aGkhA", "aGkhA", b"hi!"),
        ] {
            let found = normalized(text).expect(text);
            assert_eq!(found, plain);
            assert_eq!(decoded(&found), bytes, "{text}");
            assert_eq!(decoded_bytes(&found), bytes.len() as u64, "{text}");
        }
        assert_eq!(bytes("_-8"), Some(vec![0xff, 0xef]));
        assert_eq!(bytes(""), Some(vec![]));
        assert_eq!(bytes("aGkhA"), None, "it ends within a byte");
    }

    #[test]
    fn other_texts_are_no_base64() {
        for text in ["", "=", "a=b", "aGk===", "data:image/png;base64,aGk=", "ä", "a.b", "{}"] {
            assert_eq!(normalized(text), None, "{text}");
            assert!(text.is_empty() || bytes(text).is_none(), "{text}");
        }
    }
}
