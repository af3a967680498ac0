//! Media types: which are JSON, which are text, which are bytes.

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
    /// Of a media type with or without parameters. A wildcard is what its beginning says, else
    /// bytes.
    pub(super) fn of(kind: &str) -> Self {
        let kind = essence(kind);
        let (top, sub) = kind.split_once('/').unwrap_or((&kind, ""));
        match (top, sub) {
            (_, "json" | "x-json" | "problem+json") => Self::Json,
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
