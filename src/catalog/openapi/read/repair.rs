//! Reads JSON as lenient writers mean it: half of a surrogate pair in a text, a number that is too
//! large, `NaN`, a comma before the end.

/// The text with what strict JSON refuses replaced; none where there is nothing of the kind.
pub(super) fn repaired(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    let (mut at, mut kept) = (0, 0);
    while at < bytes.len() {
        let (end, instead) = match bytes[at] {
            b'"' => {
                at = string(text, at, &mut kept, &mut out);
                continue;
            }
            b',' => (at + 1, ends_after(bytes, at + 1).then_some("")),
            b'-' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'+' => word(text, at),
            _ => (at + 1, None),
        };
        if let Some(instead) = instead {
            out.push_str(&text[kept..at]);
            out.push_str(instead);
            kept = end;
        }
        at = end;
    }
    if kept == 0 {
        return None;
    }
    out.push_str(&text[kept..]);
    Some(out)
}

/// Goes through a text that begins at `start`; returns where it ends.
fn string(text: &str, start: usize, kept: &mut usize, out: &mut String) -> usize {
    let bytes = text.as_bytes();
    let unit = |at: usize| {
        let digits = text.get(at + 2..at + 6).filter(|_| bytes[at..].starts_with(b"\\u"))?;
        u16::from_str_radix(digits, 16).ok()
    };
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => return at + 1,
            b'\\' => match unit(at) {
                Some(0xD800..=0xDBFF) if matches!(unit(at + 6), Some(0xDC00..=0xDFFF)) => at += 12,
                Some(0xD800..=0xDFFF) => {
                    out.push_str(&text[*kept..at]);
                    out.push('\u{fffd}');
                    at += 6;
                    *kept = at;
                }
                _ => at += 2,
            },
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Where a number or a word ends, and what is written instead of it.
fn word(text: &str, start: usize) -> (usize, Option<&'static str>) {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let length = text[start..].find(|c| !is_part(c)).unwrap_or(text.len() - start);
    let word = &text[start..start + length];
    let is_finite = || word.parse::<f64>().is_ok_and(f64::is_finite);
    let instead = match word.trim_start_matches(['-', '+']) {
        "NaN" | "nan" | "Infinity" | "inf" | "Inf" | "undefined" => Some("null"),
        number if number.starts_with(|c: char| c.is_ascii_digit()) && !is_finite() => Some("null"),
        _ => None,
    };
    (start + length, instead)
}

/// Returns true if a list or an object ends here.
fn ends_after(bytes: &[u8], at: usize) -> bool {
    let next = bytes[at..].iter().find(|byte| !byte.is_ascii_whitespace());
    matches!(next, Some(b'}' | b']'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lenient_writers_write_is_read_as_it_was_meant() {
        for (written, meant) in [
            (r#"{"a": "half \ud83d"}"#, "{\"a\": \"half \u{fffd}\"}"),
            (
                r#"{"a": "\ude00 \ud83d\ud83d\ude00"}"#,
                "{\"a\": \"\u{fffd} \u{fffd}\\ud83d\\ude00\"}",
            ),
            (r#"{"a": 1e400, "b": [-1E999, 2]}"#, r#"{"a": null, "b": [null, 2]}"#),
            (r#"[NaN, -Infinity, Infinity]"#, "[null, null, null]"),
            ("{\"a\": [1, 2,], }", "{\"a\": [1, 2] }"),
        ] {
            assert_eq!(repaired(written).as_deref(), Some(meant), "{written}");
        }
        // What stands within a text is a text.
        for same in
            [r#"{"a": "1e400, NaN, ] \" ,]"}"#, r#"[1.5e3, true, null, "\ud83d\ude00"]"#, "\"", ""]
        {
            assert_eq!(repaired(same), None, "{same}");
        }
    }
}
