//! Descriptions as plain text: some descriptions are written in HTML.

use std::borrow::Cow;

/// Elements that are taken off; everything else in angle brackets is text, such as `<id>`.
const ELEMENTS: [&str; 42] = [
    "a",
    "abbr",
    "b",
    "blockquote",
    "br",
    "caption",
    "code",
    "dd",
    "div",
    "dl",
    "dt",
    "em",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "img",
    "li",
    "note",
    "ol",
    "p",
    "pre",
    "s",
    "small",
    "span",
    "strong",
    "sub",
    "sup",
    "table",
    "tbody",
    "td",
    "th",
    "thead",
    "tr",
    "tt",
    "u",
    "ul",
    "var",
];
/// Elements that begin a new line.
const LINES: [&str; 20] = [
    "blockquote",
    "br",
    "dd",
    "div",
    "dl",
    "dt",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "li",
    "ol",
    "p",
    "pre",
    "table",
    "tr",
    "ul",
];
/// Longest tag, in bytes; what is longer is text.
const TAG_BYTES_MAX: usize = 1_000;
const ENTITIES: [(&str, char); 8] = [
    ("amp", '&'),
    ("apos", '\''),
    ("gt", '>'),
    ("hellip", '…'),
    ("lt", '<'),
    ("mdash", '—'),
    ("nbsp", ' '),
    ("quot", '"'),
];

/// The text without HTML. A text without any of its elements stays as it is.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    if !text.match_indices('<').any(|(at, _)| tag(&text[at..]).is_some()) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['<', '&']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some((name, bytes)) = tag(rest) {
            if LINES.contains(&name.as_str()) && !out.is_empty() && !out.ends_with('\n') {
                out.push('\n');
            }
            if name == "li" && !rest.starts_with("</") {
                out.push_str("- ");
            }
            rest = &rest[bytes..];
        } else if let Some((c, bytes)) = entity(rest) {
            out.push(c);
            rest = &rest[bytes..];
        } else {
            out.push_str(&rest[..1]);
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    let lines: Vec<&str> = out.lines().map(str::trim).collect();
    Cow::Owned(lines.join("\n").trim().to_owned())
}

/// The element of a tag that a text begins with, in lower case, and the length of the tag.
fn tag(text: &str) -> Option<(String, usize)> {
    let end = text.bytes().take(TAG_BYTES_MAX).position(|byte| byte == b'>')?;
    let inner = text.get(1..end)?.trim_start_matches('/');
    let length = inner.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(inner.len());
    let name = inner[..length].to_ascii_lowercase();
    let follows = inner[length..].chars().next();
    let is_tag = follows.is_none_or(|c| c.is_ascii_whitespace() || c == '/');
    (is_tag && ELEMENTS.contains(&name.as_str())).then_some((name, end + 1))
}

/// The character of an entity that a text begins with, and the length of the entity.
fn entity(text: &str) -> Option<(char, usize)> {
    let end = text.bytes().take(12).position(|byte| byte == b';')?;
    let name = text.get(1..end)?;
    let known = ENTITIES.iter().find(|(known, _)| *known == name).map(|(_, c)| *c);
    let by_number = || {
        let number = name.strip_prefix('#')?;
        let code = match number.strip_prefix(['x', 'X']) {
            Some(digits) => u32::from_str_radix(digits, 16).ok()?,
            None => number.parse().ok()?,
        };
        char::from_u32(code).filter(|c| !c.is_control())
    };
    Some((known.or_else(by_number)?, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_becomes_text_and_text_stays_as_it_is() {
        for (written, text) in [
            (
                "<p>Retrieves the details.</p><p>Of <b>one</b>.</p>",
                "Retrieves the details.\nOf one.",
            ),
            (
                "See <a href=\"https://x\">the docs</a> &amp; more<br/>Here",
                "See the docs & more\nHere",
            ),
            ("<UL><LI>one</LI><li class=x>two</li></UL>", "- one\n- two"),
            ("<code>a &lt; b</code> &#39;q&#x27; &unknown; &", "a < b 'q' &unknown; &"),
            ("Returns <id> of Map<String, A>", "Returns <id> of Map<String, A>"),
            ("a < b &amp; c", "a < b &amp; c"),
            ("<p", "<p"),
            ("<script>x</script>", "<script>x</script>"),
        ] {
            assert_eq!(plain(written), text, "{written}");
        }
        assert!(matches!(plain("**bold** `<id>`"), Cow::Borrowed(_)));
    }
}
