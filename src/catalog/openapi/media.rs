//! Media types: which are JSON, which are text, which are bytes; and in which characters a text is
//! written.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_16BE, UTF_16LE};

/// Encoding of a body by its media type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Media {
    /// A JSON value.
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// `multipart/form-data`.
    Multipart,
    /// JSON values, one on each line.
    Lines,
    /// Server-sent events.
    Events,
    /// A text.
    Text,
    /// Bytes.
    Binary,
}

impl Media {
    /// Encoding for a media type with or without parameters. A wildcard has that of its type, else
    /// bytes.
    pub(super) fn of(kind: &str) -> Self {
        let kind = essence(kind);
        let (top, sub) = kind.split_once('/').unwrap_or((&kind, ""));
        match (top, sub) {
            (_, "json" | "x-json" | "problem+json") | ("json", "") => Self::Json,
            (
                _,
                "json-seq" | "x-ndjson" | "ndjson" | "jsonl" | "x-jsonl" | "jsonlines"
                | "json-lines" | "x-jsonlines" | "stream+json",
            ) => Self::Lines,
            (_, sub) if sub.ends_with("+json") => Self::Json,
            ("application", "x-www-form-urlencoded") => Self::Form,
            ("multipart", "form-data") => Self::Multipart,
            ("text", "event-stream") => Self::Events,
            ("text", _) => Self::Text,
            (
                "application",
                "xml" | "yaml" | "x-yaml" | "javascript" | "graphql" | "sql" | "toml" | "xhtml+xml",
            ) => Self::Text,
            (_, sub) if sub.ends_with("+xml") || sub.ends_with("+yaml") => Self::Text,
            _ => Self::Binary,
        }
    }
}

/// The type without its parameters, in lower case.
pub(super) fn essence(kind: &str) -> String {
    kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// A text in the characters that its media type names or its first bytes show, or the name of
/// characters that are not known. UTF-8 is taken for what it is, whatever is named: many services
/// name a default.
pub(super) fn decoded<'b>(body: &'b [u8], kind: &str) -> Result<Cow<'b, str>, String> {
    let label = charset(kind);
    let named = label.as_deref().map(|label| Encoding::for_label(label.as_bytes()));
    let is_wide = |encoding: &Encoding| encoding == UTF_16LE || encoding == UTF_16BE;
    let encoding = match (Encoding::for_bom(body), named) {
        (Some((marked, _)), _) => marked,
        (None, Some(Some(named))) if is_wide(named) => match std::str::from_utf8(body) {
            Ok(text) if !body.contains(&0) => return Ok(text.into()),
            _ => wide(body).unwrap_or(named),
        },
        (None, named) => match (std::str::from_utf8(body), wide(body), named) {
            (Ok(text), None, _) => return Ok(text.into()),
            (_, Some(wide), _) => wide,
            (Err(_), None, Some(Some(named))) => named,
            (Err(_), None, Some(None)) => return Err(label.unwrap_or_default()),
            (Err(_), None, None) => encoding_rs::UTF_8,
        },
    };
    Ok(encoding.decode_with_bom_removal(body).0)
}

/// Characters of two bytes, as the zeros show that a text in them has, which begins with a letter
/// of ASCII; such a text may be valid UTF-8.
fn wide(body: &[u8]) -> Option<&'static Encoding> {
    match body {
        [0, first, 0, second, ..] if *first != 0 && *second != 0 => Some(UTF_16BE),
        [first, 0, second, 0, ..] if *first != 0 && *second != 0 => Some(UTF_16LE),
        _ => None,
    }
}

/// The parameter `charset` of a media type.
fn charset(kind: &str) -> Option<String> {
    let named = kind.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches(['"', '\'']))
    })?;
    Some(named.chars().filter(|c| !c.is_control()).take(40).collect())
}

/// Returns true if it can stand in a header as a media type, wildcards excluded.
pub(super) fn is_concrete(kind: &str) -> bool {
    let allowed = |c: char| c.is_ascii_graphic() || c == ' ';
    let parts = essence(kind);
    kind.len() <= 200
        && kind.chars().all(allowed)
        && parts.split_once('/').is_some_and(|(top, sub)| {
            let is_token = |text: &str| {
                !text.is_empty()
                    && text.chars().all(|c| {
                        c.is_ascii_alphanumeric()
                            || matches!(c, '.' | '+' | '-' | '_' | '!' | '#' | '$' | '&' | '^')
                    })
            };
            is_token(top) && is_token(sub)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_in_its_characters() {
        let wide = |text: &str, big: bool| -> Vec<u8> {
            let units = text.encode_utf16();
            units
                .flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() })
                .collect()
        };
        let marked = [vec![0xfe, 0xff], wide("gr\u{fc}n", true)].concat();
        for (kind, body, text) in [
            ("text/plain; charset=ISO-8859-1", b"gr\xfcn".to_vec(), "gr\u{fc}n"),
            ("application/json;charset=\"windows-1252\"", b"\x80 5".to_vec(), "\u{20ac} 5"),
            ("text/csv; charset=Shift_JIS", vec![0x83, 0x65, 0x83, 0x58], "\u{30c6}\u{30b9}"),
            ("text/plain; header=x; charset=koi8-r", vec![0xc1, 0xc2], "\u{430}\u{431}"),
            // What is named is a default.
            ("text/plain; charset=iso-8859-1", "gr\u{fc}n".into(), "gr\u{fc}n"),
            ("text/plain; charset=utf-16", "plain".into(), "plain"),
            ("text/plain; charset=utf-16", wide("gr\u{fc}n", true), "gr\u{fc}n"),
            ("text/plain; charset=utf-16le", wide("gr\u{fc}n", false), "gr\u{fc}n"),
            ("application/json", wide("{\"a\":1}", false), "{\"a\":1}"),
            ("application/json", marked, "gr\u{fc}n"),
            ("text/plain", b"\xef\xbb\xbfx".to_vec(), "x"),
            ("text/plain", b"gr\xfcn".to_vec(), "gr\u{fffd}n"),
            ("text/plain; charset=unheard", b"plain".to_vec(), "plain"),
            ("text/plain", Vec::new(), ""),
        ] {
            assert_eq!(decoded(&body, kind).unwrap(), text, "{kind} {body:?}");
        }
        assert_eq!(decoded(b"gr\xfcn", "text/plain; charset=utf-7"), Err("utf-7".to_owned()));
    }

    #[test]
    fn a_type_is_read_by_what_it_is_made_of() {
        for (kind, media) in [
            ("application/json; charset=utf-8", Media::Json),
            ("Application/VND.github+JSON", Media::Json),
            ("text/json", Media::Json),
            ("application/x-ndjson", Media::Lines),
            ("application/stream+json", Media::Lines),
            ("text/event-stream", Media::Events),
            ("application/x-www-form-urlencoded", Media::Form),
            ("multipart/form-data; boundary=x", Media::Multipart),
            ("multipart/mixed", Media::Binary),
            ("text/markdown", Media::Text),
            ("application/soap+xml", Media::Text),
            ("image/svg+xml", Media::Text),
            ("image/png", Media::Binary),
            ("*/*", Media::Binary),
            ("json", Media::Json),
            ("", Media::Binary),
        ] {
            assert_eq!(Media::of(kind), media, "{kind}");
        }
        assert!(
            is_concrete("application/vnd.x+json; v=1")
                && !is_concrete("*/*")
                && !is_concrete("a/b\r\nx: y")
                && !is_concrete("json")
        );
    }
}
