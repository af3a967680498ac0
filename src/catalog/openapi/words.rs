//! Descriptions as plain text: some descriptions are written in HTML.

use std::borrow::Cow;

use crate::base::text::cut;

/// Elements that are taken off; everything else in angle brackets is text, such as `<id>`.
const ELEMENTS: [&str; 50] = [
    "a",
    "abbr",
    "b",
    "blockquote",
    "br",
    "caption",
    "center",
    "cite",
    "code",
    "dd",
    "div",
    "dl",
    "dt",
    "em",
    "font",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "img",
    "kbd",
    "li",
    "note",
    "ol",
    "p",
    "pre",
    "s",
    "samp",
    "section",
    "small",
    "span",
    "strong",
    "sub",
    "sup",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
    "tt",
    "u",
    "ul",
    "var",
    "wbr",
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
/// Longest tag or comment, in bytes; what is longer is text.
const TAG_BYTES_MAX: usize = 1_000;
/// Longest text that is read, in bytes.
const TEXT_BYTES_MAX: usize = 64 * 1024;
/// Words of a link that do not say where it leads.
const LINK_WORDS: [&str; 7] = ["", "click here", "here", "link", "more", "this", "this link"];
const ENTITIES: [(&str, &str); 24] = [
    ("amp", "&"),
    ("apos", "'"),
    ("bull", "•"),
    ("copy", "©"),
    ("deg", "°"),
    ("euro", "€"),
    ("ge", "≥"),
    ("gt", ">"),
    ("hellip", "…"),
    ("laquo", "«"),
    ("ldquo", "“"),
    ("le", "≤"),
    ("lsquo", "‘"),
    ("lt", "<"),
    ("mdash", "—"),
    ("middot", "·"),
    ("nbsp", " "),
    ("ndash", "–"),
    ("quot", "\""),
    ("raquo", "»"),
    ("rarr", "→"),
    ("rdquo", "”"),
    ("rsquo", "’"),
    ("times", "×"),
];

/// The text without HTML: lists and paragraphs become lines, a link its words, and its address
/// where the words say nothing of it. Markdown stays as it is, code in it too.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    let text = cut(text, TEXT_BYTES_MAX);
    let has_tag = text.match_indices('<').any(|(at, _)| skipped(&text[at..]).is_some());
    if !has_tag && !text.match_indices('&').any(|(at, _)| entity(&text[at..]).is_some()) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    // Where the words of the open link begin, and its address.
    let mut link: Option<(usize, &str)> = None;
    let mut rest = text;
    while let Some(at) = rest.find(['<', '&', '`']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(bytes) = code(rest) {
            out.push_str(&rest[..bytes]);
            rest = &rest[bytes..];
        } else if let Some((tag, bytes)) = skipped(rest) {
            if let Some(tag) = tag {
                tag.write(&mut out, &mut link);
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
    if !has_tag {
        return Cow::Owned(out);
    }
    let lines: Vec<&str> = out.lines().map(str::trim_end).collect();
    Cow::Owned(lines.join("\n").trim().to_owned())
}

/// A tag: its element in lower case, and what it says.
struct Tag<'t> {
    name: String,
    is_end: bool,
    address: Option<&'t str>,
}

impl<'t> Tag<'t> {
    fn write(&self, out: &mut String, link: &mut Option<(usize, &'t str)>) {
        if LINES.contains(&self.name.as_str()) && !out.is_empty() && !out.ends_with('\n') {
            out.truncate(out.trim_end_matches(' ').len());
            out.push('\n');
        }
        match (self.name.as_str(), self.is_end) {
            ("li", false) => out.push_str("- "),
            ("td" | "th", false) if !out.ends_with(['\n', ' ']) && !out.is_empty() => out.push(' '),
            ("a", false) => *link = self.address.map(|address| (out.len(), address)),
            ("a", true) => {
                let Some((from, address)) = link.take() else { return };
                let words = out.get(from..).unwrap_or_default().trim().to_lowercase();
                if LINK_WORDS.contains(&words.as_str()) {
                    let after = if words.is_empty() { "" } else { " " };
                    out.push_str(&format!("{after}({address})"));
                }
            }
            _ => {}
        }
    }
}

/// A tag or a comment that a text begins with, and its length; none if it begins with neither.
fn skipped(text: &str) -> Option<(Option<Tag<'_>>, usize)> {
    if let Some(inner) = text.strip_prefix("<!--") {
        let end = cut(inner, TAG_BYTES_MAX).find("-->")?;
        return Some((None, end + 7));
    }
    let inner = text.strip_prefix('<')?;
    let (inner, is_end) = match inner.strip_prefix('/') {
        Some(inner) => (inner, true),
        None => (inner, false),
    };
    let length = inner.bytes().take(12).take_while(u8::is_ascii_alphanumeric).count();
    let name = inner[..length].to_ascii_lowercase();
    let follows = inner[length..].chars().next()?;
    let is_tag = follows.is_ascii_whitespace() || matches!(follows, '/' | '>');
    if !is_tag || !ELEMENTS.contains(&name.as_str()) {
        return None;
    }
    let end = inner.bytes().take(TAG_BYTES_MAX).position(|byte| matches!(byte, b'>' | b'<'))?;
    if inner.as_bytes()[end] == b'<' {
        return None;
    }
    let address = if name == "a" { address(&inner[length..end]) } else { None };
    Some((Some(Tag { name, is_end, address }), text.len() - inner.len() + end + 1))
}

/// The address among the attributes of a link.
fn address(attributes: &str) -> Option<&str> {
    let at = attributes.to_ascii_lowercase().find("href")?;
    let value = attributes[at + 4..].trim_start().strip_prefix('=')?.trim_start();
    let value = match value.chars().next()? {
        quote @ ('"' | '\'') => value[1..].split(quote).next()?,
        _ => value.split(char::is_whitespace).next()?,
    };
    Some(value.trim()).filter(|value| value.contains("://"))
}

/// The length of the code in backticks that a text begins with, on one line or between fences.
fn code(text: &str) -> Option<usize> {
    let ticks = text.bytes().take_while(|byte| *byte == b'`').count();
    if ticks == 0 {
        return None;
    }
    let behind = &text[ticks..];
    let end = behind.find(&text[..ticks])?;
    (ticks >= 3 || !behind[..end].contains('\n')).then_some(ticks + end + ticks)
}

/// The character of an entity that a text begins with, and the length of the entity.
fn entity(text: &str) -> Option<(char, usize)> {
    let end = text.bytes().take(12).position(|byte| byte == b';')?;
    let name = text.strip_prefix('&')?.get(..end.checked_sub(1)?)?;
    let known = || {
        let (_, text) = ENTITIES.iter().find(|(known, _)| *known == name)?;
        text.chars().next()
    };
    let by_number = || {
        let number = name.strip_prefix('#')?;
        let code = match number.strip_prefix(['x', 'X']) {
            Some(digits) => u32::from_str_radix(digits, 16).ok()?,
            None => number.parse().ok()?,
        };
        char::from_u32(code).filter(|c| !c.is_control())
    };
    Some((known().or_else(by_number)?, end + 1))
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
            ("a < b &amp; c &mdash; d", "a < b & c — d"),
            ("<p", "<p"),
            ("See <a href='https://x.example/a'>here</a>.", "See here (https://x.example/a)."),
            ("<a href=\"https://x.example\"></a>", "(https://x.example)"),
            ("<a name=top>Top</a> <a href=#x>here</a>", "Top here"),
            (
                "Use `<br>` and `&lt;` <!-- not this --> in <b>Markdown</b>",
                "Use `<br>` and `&lt;`  in Markdown",
            ),
            ("```html\n<p>code</p>\n```\n<p>text</p>", "```html\n<p>code</p>\n```\ntext"),
            ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"),
            ("- *one*\n  - <i>two</i>", "- *one*\n  - two"),
            ("<p <p <p", "<p <p <p"),
            ("<script>x</script>", "<script>x</script>"),
        ] {
            assert_eq!(plain(written), text, "{written}");
        }
        assert!(matches!(plain("**bold** `<id>`"), Cow::Borrowed(_)));
    }
}
