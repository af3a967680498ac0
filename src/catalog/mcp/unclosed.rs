//! Tells whether a line is the beginning of a message that goes on in the next lines, as indented
//! JSON does.

use super::incoming::{Incoming, WORDS_BYTES_MAX};

/// The lines so far of something that is not closed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Unclosed {
    /// Bytes of these lines.
    pub(super) bytes: usize,
    /// Braces and brackets that are open.
    depth: usize,
}

impl Unclosed {
    /// The lines with one more, which all of `text` is now; none where they are closed, or break
    /// off within a string, which no writer of indented JSON does.
    pub(super) fn with(self, text: &[u8]) -> Option<Self> {
        let begin = match self.bytes {
            0 => text.iter().take(WORDS_BYTES_MAX).position(|byte| *byte == b'{')?,
            bytes => bytes,
        };
        let (mut depth, mut in_string, mut is_escaped) = (self.depth, false, false);
        for byte in &text[begin..] {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' if in_string => is_escaped = true,
                b'"' => in_string = !in_string,
                b'{' | b'[' if !in_string => depth += 1,
                b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        (depth > 0 && !in_string).then_some(Self { bytes: text.len(), depth })
    }

    /// Returns true if the next line cannot belong to the lines before it: it is a message by
    /// itself, or begins one while they do not look like one.
    pub(super) fn is_ended_by(self, lines: &[u8], next: &[u8]) -> bool {
        if !next.starts_with(b"{") {
            return false;
        }
        let head = String::from_utf8_lossy(&lines[..lines.len().min(2 * WORDS_BYTES_MAX)]);
        !head.contains("\"jsonrpc\"") || Incoming::is_message(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Vec<bool> {
        let (mut text, mut open) = (Vec::new(), Unclosed::default());
        let mut step = |line: &&str| {
            text.extend_from_slice(line.as_bytes());
            text.push(b'\n');
            let next = open.with(&text);
            open = next.unwrap_or_default();
            next.is_some()
        };
        lines.iter().map(&mut step).collect()
    }

    #[test]
    fn lines_are_open_until_the_last_brace_is_closed() {
        let indented = ["{", r#"  "jsonrpc": "2.0","#, r#"  "result": {"a": "}{\\\""},"#, "}"];
        assert_eq!(read(&indented), [true, true, true, false]);
        assert_eq!(read(&["INFO {", r#""a": [1,"#, "2]}"]), [true, true, false]);
        assert_eq!(read(&[r#"{"a": {"b": 1}}"#]), [false]);
        assert_eq!(read(&["words"]), [false]);
        assert_eq!(read(&[r#"{"jsonrpc":"2.0","id":7,"result":{"text":"cut"#]), [false]);
    }

    #[test]
    fn a_message_of_its_own_is_no_part_of_the_lines_before_it() {
        let whole = br#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
        let open = Unclosed::default();
        assert!(open.is_ended_by(b"{ \"port\": 3000,\n", whole));
        assert!(open.is_ended_by(b"{\n", b"{\n"));
        assert!(open.is_ended_by(b"{\n\"jsonrpc\": \"2.0\",\n", whole));
        assert!(!open.is_ended_by(b"{\n\"jsonrpc\": \"2.0\",\n", b"{\n"));
        assert!(!open.is_ended_by(b"{\n", b"  {\n"));
    }
}
