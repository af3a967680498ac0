//! Finds in a text that is no JSON whether it was meant as an answer, and to which request.

/// Bytes at the end of a text that are searched for an id where none is found from the beginning.
const END_BYTES: usize = 256;

/// The request that a text answers, as far as it can be found; none where it is no answer. Looks at
/// each byte once.
///
/// Only an `id` of the outermost object counts: one that stands before what may be broken, or,
/// since braces and quotes after that may be wrong, the last thing before the final brace.
pub(super) fn answer(text: &str) -> Option<Option<i64>> {
    let text = text.trim();
    if !text.starts_with('{') {
        return None;
    }
    let bytes = text.as_bytes();
    let (mut depth, mut at) = (0usize, 0);
    let (mut id, mut is_version, mut is_answer) = (None, false, false);
    let mut ends_in_string = false;
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
                let Some(end) = end_of_string(bytes, at + 1) else {
                    ends_in_string = true;
                    break;
                };
                if is_key_next && depth == 1 {
                    is_key_next = false;
                    let value = text.get(end..).unwrap_or_default().trim_start();
                    let value = value.strip_prefix(':').map(str::trim_start);
                    match (text.get(at..end), value) {
                        (Some("\"method\""), Some(_)) => return None,
                        (Some("\"jsonrpc\""), Some(_)) => is_version = true,
                        (Some("\"result\"" | "\"error\""), Some(_)) => is_answer = true,
                        (Some("\"id\""), Some(value)) if !is_answer => {
                            id = id.or_else(|| number_at(value).map(|(id, _)| id));
                        }
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
    // Where a text breaks off, its last brace is not the outermost one.
    let is_closed = depth == 0 || ends_in_string;
    (is_version && is_answer).then(|| id.or_else(|| id_at_end(end).filter(|_| is_closed)))
}

/// The `id` that is the last member before the final brace.
fn id_at_end(end: &str) -> Option<i64> {
    let (_, after) = end.rsplit_once(r#""id""#)?;
    let (id, rest) = number_at(after.trim_start().strip_prefix(':')?)?;
    (rest.trim() == "}").then_some(id)
}

/// The position after the end of a string that begins before `at`; none where it has no end.
fn end_of_string(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// The number at the beginning of a text, which may stand in quotes, and what follows it.
fn number_at(text: &str) -> Option<(i64, &str)> {
    let text = text.trim_start();
    let quoted = text.strip_prefix('"');
    let text = quoted.unwrap_or(text);
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let rest = match quoted {
        Some(_) => text[end..].strip_prefix('"')?,
        None => &text[end..],
    };
    Some((text[..end].parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::answer;

    #[test]
    fn the_id_before_what_is_broken_counts() {
        for text in [
            r#"{"jsonrpc":"2.0","id":7,"result":{"a":"#,
            r#"{"jsonrpc":"2.0","id":"7","error":{"id":5},"id":5"#,
            r#"{ "id" : 7 , "jsonrpc":"2.0","result":[{"id":5}"#,
        ] {
            assert_eq!(answer(text), Some(Some(7)), "{text}");
        }
    }

    #[test]
    fn an_id_after_it_counts_only_before_the_final_brace() {
        for text in [
            r#"{"jsonrpc":"2.0","result":{"a":nope},"id":7}"#,
            r#"{"jsonrpc":"2.0","result":{"a":"he said "hi""}, "id" : "7" } "#,
            r#"{"jsonrpc":"2.0","result":{"a":"one " quote"},"id":7}"#,
            r#"{"jsonrpc":"2.0","result":{"a":1}},"id":7}"#,
        ] {
            assert_eq!(answer(text), Some(Some(7)), "{text}");
        }
    }

    #[test]
    fn the_id_of_another_object_is_no_requests() {
        for text in [
            r#"{"jsonrpc":"2.0","result":{"user":{"name":nope,"id":7}}}"#,
            r#"{"jsonrpc":"2.0","result":{"items":[{"a":1,"id":7}"#,
            r#"{"jsonrpc":"2.0","result":{"a":nope,"id":7}"#,
            r#"{"jsonrpc":"2.0","result":{"a":"x" y","id":7}}"#,
            r#"{"jsonrpc":"2.0","result":{"a":nope},"id":7,"more":1}"#,
            r#"{"jsonrpc":"2.0","result":{"a":nope,"id":7}]"#,
        ] {
            assert_eq!(answer(text), Some(None), "{text}");
        }
    }
}
