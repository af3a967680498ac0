//! Truncates strings at character boundaries, lists names, and decodes text files.

use std::fmt::Display;

/// Bytes that are not the text of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotText {
    /// Encoded as UTF-16.
    #[error("it is encoded as UTF-16; save it as UTF-8")]
    Utf16,
    /// Neither UTF-8 nor UTF-16.
    #[error("it is not encoded as UTF-8")]
    Other,
}

/// Returns the text of a file without a byte order mark.
///
/// # Errors
/// If the bytes are not UTF-8. UTF-16 is recognised by its byte order mark, or by the zero bytes
/// among its first characters.
pub fn decoded(bytes: &[u8]) -> Result<&str, NotText> {
    let looks_like_utf16 = || {
        let head = &bytes[..bytes.len().min(64)];
        let zeros = |start: usize| head.iter().skip(start).step_by(2).all(|byte| *byte == 0);
        head.len() >= 4 && (zeros(0) || zeros(1))
    };
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) || looks_like_utf16() {
        return Err(NotText::Utf16);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| NotText::Other)?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// Returns names in backticks, with commas between them.
pub fn quoted(names: impl IntoIterator<Item = impl Display>) -> String {
    let quoted: Vec<_> = names.into_iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

/// Returns the longest prefix of at most `bytes_max` bytes that ends at a character boundary.
pub fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

/// Returns the head of a string, at most `chars_max` characters, with a note of how many were cut.
pub fn clip(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        None => text.to_owned(),
        Some((end, _)) => {
            format!("{}... [{} chars more]", &text[..end], text[end..].chars().count())
        }
    }
}

/// Truncates a string to `bytes_max` bytes and then appends `…`; a shorter string is unchanged.
pub fn ellipsized(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        text.truncate(text.floor_char_boundary(bytes_max));
        text.push('…');
    }
    text
}
