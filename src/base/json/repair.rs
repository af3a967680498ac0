//! Repairs text that is nearly JSON, as many services write it: halves of surrogate pairs, numbers
//! that JSON does not have, trailing commas and the like. Text that `serde_json` reads as values
//! passes unchanged. What is repaired must be told, because it is not what the service meant.

use std::{borrow::Cow, fmt};

/// Most repairs of one text. A text that needs more is refused, so that the result is at most half
/// a megabyte longer than the text.
const CHANGES_MAX: usize = 100_000;
/// Digits from which a number may be too large for a double: the largest has 309.
const DIGITS_MIN: usize = 309;

/// A repaired text. Whether it is JSON now is for the parser to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repaired {
    /// The text, with everything that was not repaired as it was.
    pub text: String,
    /// The repairs.
    pub changes: Changes,
}

/// Numbers of repairs, by their kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Changes {
    /// Sequences of bytes that are no UTF-8; each is U+FFFD now.
    bytes: usize,
    /// Escapes that are half of a surrogate pair; each is U+FFFD now.
    halves: usize,
    /// `NaN`, `Infinity`, `undefined` and numbers that no double holds; each is null now.
    numbers: usize,
    /// `None`, `True` and `False`, which are null, true and false now.
    words: usize,
    /// Commas before the end of a list or an object, which are gone.
    commas: usize,
    /// Control characters in strings, which are escaped now.
    controls: usize,
    /// Backslashes that begin no escape, which are escaped now.
    backslashes: usize,
}

impl Changes {
    fn count(&self) -> usize {
        let Self { bytes, halves, numbers, words, commas, controls, backslashes } = self;
        bytes + halves + numbers + words + commas + controls + backslashes
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [
            (self.bytes, "sequences of bytes that are no UTF-8 became U+FFFD"),
            (self.halves, "halves of characters (lone surrogates) became U+FFFD"),
            (self.numbers, "values that JSON does not have (such as NaN) became null"),
            (self.words, "words of Python (None, True, False) became those of JSON"),
            (self.commas, "trailing commas were dropped"),
            (self.controls, "control characters were escaped"),
            (self.backslashes, "backslashes that begin no escape were escaped"),
        ];
        let told = all.iter().filter(|(count, _)| *count > 0);
        for (at, (count, what)) in told.enumerate() {
            let separator = if at == 0 { "" } else { ", " };
            write!(f, "{separator}{count} {what}")?;
        }
        Ok(())
    }
}

/// The text needs more repairs than are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it needs more than {CHANGES_MAX} repairs to be JSON")]
pub struct TooBroken;

/// Repairs a text that is meant as JSON, and may begin with a byte order mark. Returns none if
/// there is nothing to repair, which does not mean that the text is JSON. Takes one pass.
pub fn repaired(text: &[u8]) -> Result<Option<Repaired>, TooBroken> {
    let unmarked = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    let (decoded, bytes) = match std::str::from_utf8(unmarked) {
        Ok(decoded) => (Cow::Borrowed(decoded), 0),
        Err(_) => {
            let invalid = |chunk: &std::str::Utf8Chunk<'_>| !chunk.invalid().is_empty();
            let bytes = unmarked.utf8_chunks().filter(invalid).take(CHANGES_MAX + 1).count();
            if bytes > CHANGES_MAX {
                return Err(TooBroken);
            }
            (String::from_utf8_lossy(unmarked), bytes)
        }
    };
    let mut pass = Pass::new(&decoded);
    pass.changes.bytes = bytes;
    pass.run()?;
    if pass.changes.count() == 0 && unmarked.len() == text.len() {
        return Ok(None);
    }
    let changes = pass.changes;
    Ok(Some(Repaired { text: pass.finish(), changes }))
}

/// One pass over a text. Everything before `copied` stands in `out`.
struct Pass<'t> {
    text: &'t str,
    bytes: &'t [u8],
    out: String,
    copied: usize,
    changes: Changes,
}

impl<'t> Pass<'t> {
    fn new(text: &'t str) -> Self {
        let changes = Changes::default();
        Self { text, bytes: text.as_bytes(), out: String::new(), copied: 0, changes }
    }

    fn run(&mut self) -> Result<(), TooBroken> {
        let mut at = 0;
        while let Some(byte) = self.bytes.get(at) {
            at = match byte {
                b'"' => self.string(at + 1)?,
                b',' => self.comma(at),
                b'+' | b'-' | b'.' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                    self.word(at)
                }
                _ => at + 1,
            };
            if self.changes.count() > CHANGES_MAX {
                return Err(TooBroken);
            }
        }
        Ok(())
    }

    fn finish(mut self) -> String {
        self.out.push_str(&self.text[self.copied..]);
        self.out
    }

    /// Puts `instead` in the place of the bytes from `from` to `to`, which are whole characters.
    fn replace(&mut self, from: usize, to: usize, instead: &str) {
        self.out.push_str(&self.text[self.copied..from]);
        self.out.push_str(instead);
        self.copied = to;
    }

    /// Passes a comma; one that ends a list or an object is dropped.
    fn comma(&mut self, at: usize) -> usize {
        let is_space = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        let next = self.bytes[at + 1..].iter().find(|byte| !is_space(byte));
        if matches!(next, Some(b']' | b'}')) {
            self.replace(at, at + 1, "");
            self.changes.commas += 1;
        }
        at + 1
    }

    /// Passes a number or a word outside of strings; returns its end.
    fn word(&mut self, at: usize) -> usize {
        let in_word =
            |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.' | b'_');
        let length = self.bytes[at..].iter().take_while(|byte| in_word(byte)).count();
        let end = at + length;
        let word = &self.text[at..end];
        match word {
            "true" | "false" | "null" => return end,
            "None" | "True" | "False" => {
                let instead = match word {
                    "None" => "null",
                    "True" => "true",
                    _ => "false",
                };
                self.replace(at, end, instead);
                self.changes.words += 1;
                return end;
            }
            _ => {}
        }
        let unsigned = word.strip_prefix(['+', '-']).unwrap_or(word);
        let is_missing =
            ["nan", "inf", "infinity"].iter().any(|name| unsigned.eq_ignore_ascii_case(name))
                || word == "undefined";
        let is_exponential = || unsigned.contains(['e', 'E']) || length >= DIGITS_MIN;
        let is_beyond = || {
            unsigned.starts_with(|first: char| first.is_ascii_digit())
                && is_exponential()
                && word.parse::<f64>().is_ok_and(f64::is_infinite)
        };
        if is_missing || is_beyond() {
            self.replace(at, end, "null");
            self.changes.numbers += 1;
        }
        end
    }

    /// Passes the rest of a string, which begins at `at`; returns the position after its end.
    fn string(&mut self, mut at: usize) -> Result<usize, TooBroken> {
        loop {
            let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
            let Some(ahead) = self.bytes[at..].iter().position(special) else {
                return Ok(self.bytes.len());
            };
            at += ahead;
            at = match self.bytes[at] {
                b'"' => return Ok(at + 1),
                b'\\' => self.escape(at),
                control => {
                    self.replace(at, at + 1, &format!("\\u{control:04x}"));
                    self.changes.controls += 1;
                    at + 1
                }
            };
            if self.changes.count() > CHANGES_MAX {
                return Err(TooBroken);
            }
        }
    }

    /// Passes an escape, whose backslash is at `at`; returns its end.
    fn escape(&mut self, at: usize) -> usize {
        match self.bytes.get(at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => return at + 2,
            Some(b'u') => match (self.unit(at), self.unit(at + 6)) {
                (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => return at + 12,
                (Some(0xD800..=0xDFFF), _) => {
                    self.replace(at, at + 6, "\u{FFFD}");
                    self.changes.halves += 1;
                    return at + 6;
                }
                (Some(_), _) => return at + 6,
                (None, _) => {}
            },
            _ => {}
        }
        self.replace(at, at + 1, "\\\\");
        self.changes.backslashes += 1;
        at + 1
    }

    /// The UTF-16 unit that an escape at this position names.
    fn unit(&self, at: usize) -> Option<u16> {
        let digits = self.bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
        let is_hex = digits.iter().all(u8::is_ascii_hexdigit);
        u16::from_str_radix(std::str::from_utf8(digits).ok().filter(|_| is_hex)?, 16).ok()
    }
}

#[cfg(test)]
mod tests;
