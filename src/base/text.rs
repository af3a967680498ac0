//! Shortens texts at character boundaries.

/// The head of a text, at most `bytes_max` bytes, cut between characters.
pub fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

/// The head of a text, at most `chars_max` characters, with a note of how many were cut.
pub fn clip(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        None => text.to_owned(),
        Some((end, _)) => {
            format!("{}... [{} chars more]", &text[..end], text[end..].chars().count())
        }
    }
}

/// Cuts a text to `bytes_max` bytes, and marks with `…` that it did; the mark comes on top.
pub fn ellipsized(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        text.truncate(text.floor_char_boundary(bytes_max));
        text.push('…');
    }
    text
}
