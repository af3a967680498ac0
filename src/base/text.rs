//! Truncates strings at character boundaries.

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
