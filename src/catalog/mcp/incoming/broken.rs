//! Finds in a text that is no JSON whether it was meant as an answer, and to which request.

/// Bytes at the end of a text that are searched for an id where none is found from the beginning.
const END_BYTES: usize = 256;

/// The request that a text answers, as far as it can be found; none where it is no answer. Looks at
/// each byte once.
pub(super) fn answer(text: &str) -> Option<Option<i64>> {
    let text = text.trim();
    if !text.starts_with('{') {
        return None;
    }
    let bytes = text.as_bytes();
    let (mut depth, mut at) = (0usize, 0);
    let (mut id, mut is_version, mut is_answer) = (None, false, false);
    // The strings of the outermost object that stand where a key does.
    let mut is_key_next = false;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'{' | b'[' => {
                depth += 1;
                is_key_next = depth == 1;
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' => is_key_next = depth == 1,
            b'"' => {
                let end = end_of_string(bytes, at + 1);
                if is_key_next && depth == 1 {
                    is_key_next = false;
                    let value = text.get(end..).unwrap_or_default().trim_start();
                    let value = value.strip_prefix(':').map(str::trim_start);
                    match (text.get(at..end), value) {
                        (Some("\"method\""), Some(_)) => return None,
                        (Some("\"jsonrpc\""), Some(_)) => is_version = true,
                        (Some("\"result\"" | "\"error\""), Some(_)) => is_answer = true,
                        (Some("\"id\""), Some(value)) => id = id.or_else(|| number_at(value)),
                        _ => {}
                    }
                }
                at = end;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    let end = &text[text.ceil_char_boundary(text.len().saturating_sub(END_BYTES))..];
    let is_version = is_version || end.contains(r#""jsonrpc":"2.0""#);
    (is_version && is_answer).then(|| id.or_else(|| number_at(end.rsplit_once(r#""id":"#)?.1)))
}

/// The position after the end of a string that begins before `at`.
fn end_of_string(bytes: &[u8], mut at: usize) -> usize {
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The number at the beginning of a text, which may stand in quotes.
fn number_at(text: &str) -> Option<i64> {
    let text = text.trim_start();
    let text = text.strip_prefix('"').unwrap_or(text);
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}
