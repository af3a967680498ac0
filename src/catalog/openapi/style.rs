//! Styles of parameters: those of OpenAPI, which are those of RFC 6570 and three more.
//!
//! Every value is encoded so that it stays within its own place: it can begin no other parameter,
//! segment or fragment.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

/// All but the unreserved characters of RFC 3986.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Characters to encode with `allowReserved`: the reserved ones stay, except those that would end
/// the value: `#`, `&`, `+` and `%`.
const ENCODED_BUT_RESERVED: &AsciiSet = &ENCODED
    .remove(b':')
    .remove(b'/')
    .remove(b'?')
    .remove(b'[')
    .remove(b']')
    .remove(b'@')
    .remove(b'!')
    .remove(b'$')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b',')
    .remove(b';')
    .remove(b'=');
/// The same in a path, where a question mark would begin the query, and some servers cut segments
/// at `;`.
const ENCODED_BUT_RESERVED_IN_PATH: &AsciiSet = &ENCODED_BUT_RESERVED.add(b'?').add(b';');
/// Deepest nesting of a `deepObject`; what is deeper is written as JSON.
const DEEP_MAX: usize = 8;

/// A way of writing a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// `a,b` in paths and headers.
    Simple,
    /// `.a.b` in paths.
    Label,
    /// `;name=a` in paths.
    Matrix,
    /// `name=a` in queries, cookies and forms.
    Form,
    /// `name=a%20b`.
    Space,
    /// `name=a|b`.
    Pipe,
    /// `name=a%09b`, of Swagger alone.
    Tab,
    /// `name[key]=a`.
    Deep,
}

/// A style, and whether each part of a list or object is a parameter of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spelling {
    pub(super) style: Style,
    pub(super) explode: bool,
    /// True if reserved characters stay as they are.
    pub(super) reserved: bool,
}

impl Style {
    /// The style of this name.
    pub(super) fn of(name: &str) -> Option<Self> {
        Some(match name {
            "simple" => Self::Simple,
            "label" => Self::Label,
            "matrix" => Self::Matrix,
            "form" => Self::Form,
            "spaceDelimited" => Self::Space,
            "pipeDelimited" => Self::Pipe,
            "tabDelimited" => Self::Tab,
            "deepObject" => Self::Deep,
            _ => return None,
        })
    }

    /// What stands between the parts of a list, encoded.
    fn delimiter(self) -> &'static str {
        match self {
            Self::Space => "%20",
            Self::Pipe => "%7C",
            Self::Tab => "%09",
            _ => ",",
        }
    }
}

/// A value's text, not encoded; what has parts is JSON.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// Percent-encoded, so that it is one value wherever it stands in an address.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

impl Spelling {
    fn value(self, value: &Value) -> String {
        let set = match self.style {
            _ if !self.reserved => ENCODED,
            Style::Simple | Style::Label | Style::Matrix => ENCODED_BUT_RESERVED_IN_PATH,
            _ => ENCODED_BUT_RESERVED,
        };
        utf8_percent_encode(&text(value), set).to_string()
    }

    /// `name=value` for a query, a cookie or a form, encoded; several, or none for nothing.
    pub(super) fn pairs(self, name: &str, value: &Value) -> Vec<String> {
        let key = encoded(name);
        if self.style == Style::Deep {
            let mut pairs = Vec::new();
            self.deep(&key, value, 0, &mut pairs);
            return pairs;
        }
        let pair = |value: String| format!("{key}={value}");
        let delimiter = self.style.delimiter();
        match value {
            Value::Null => Vec::new(),
            Value::Array(items) if self.explode => {
                non_null(items).map(|item| pair(self.value(item))).collect()
            }
            Value::Object(map) if self.explode => {
                let some = map.iter().filter(|(_, value)| !value.is_null());
                some.map(|(key, value)| format!("{}={}", encoded(key), self.value(value))).collect()
            }
            Value::Array(items) if non_null(items).next().is_none() => Vec::new(),
            Value::Object(map) if map.values().all(Value::is_null) => Vec::new(),
            other => vec![pair(self.parts(other).join(delimiter))],
        }
    }

    /// `name[a]=1&name[b][0]=2`.
    fn deep(self, key: &str, value: &Value, depth: usize, pairs: &mut Vec<String>) {
        match value {
            Value::Null => {}
            Value::Object(map) if depth < DEEP_MAX => {
                map.iter().for_each(|(inner, value)| {
                    self.deep(&format!("{key}%5B{}%5D", encoded(inner)), value, depth + 1, pairs)
                });
            }
            // Lists of plain values are told by `[]`, which every reader of this style takes; lists
            // of objects need their places.
            Value::Array(items) if depth < DEEP_MAX => {
                let plain = items.iter().all(|item| !item.is_object() && !item.is_array());
                items.iter().enumerate().for_each(|(at, item)| {
                    let place = if plain { String::new() } else { at.to_string() };
                    self.deep(&format!("{key}%5B{place}%5D"), item, depth + 1, pairs);
                });
            }
            other => pairs.push(format!("{key}={}", self.value(other))),
        }
    }

    /// Encoded text of a path variable.
    pub(super) fn in_path(self, name: &str, value: &Value) -> String {
        let parts = self.parts(value);
        let exploded = self.explode && (value.is_array() || value.is_object());
        match self.style {
            Style::Label if exploded => parts.iter().map(|part| format!(".{part}")).collect(),
            Style::Label => format!(".{}", parts.join(",")),
            Style::Matrix if exploded && value.is_object() => {
                parts.iter().map(|part| format!(";{part}")).collect()
            }
            Style::Matrix if exploded => {
                parts.iter().map(|part| format!(";{}={part}", encoded(name))).collect()
            }
            Style::Matrix => format!(";{}={}", encoded(name), parts.join(",")),
            _ => parts.join(self.style.delimiter()),
        }
    }

    /// Text of a header; not encoded.
    pub(super) fn in_header(self, value: &Value) -> String {
        match value {
            Value::Array(items) => {
                let delimiter = match self.style {
                    Style::Space => " ",
                    Style::Pipe => "|",
                    Style::Tab => "\t",
                    _ => ",",
                };
                non_null(items).map(text).collect::<Vec<_>>().join(delimiter)
            }
            Value::Object(map) => {
                let between = if self.explode { "=" } else { "," };
                let some = map.iter().filter(|(_, value)| !value.is_null());
                some.map(|(key, value)| format!("{key}{between}{}", text(value)))
                    .collect::<Vec<_>>()
                    .join(",")
            }
            other => text(other),
        }
    }

    /// The parts of a value, encoded: of an object `key=value` each, or keys and values in turn.
    fn parts(self, value: &Value) -> Vec<String> {
        match value {
            Value::Array(items) => non_null(items).map(|item| self.value(item)).collect(),
            Value::Object(map) => {
                let some = map.iter().filter(|(_, value)| !value.is_null());
                if self.explode {
                    some.map(|(key, value)| format!("{}={}", encoded(key), self.value(value)))
                        .collect()
                } else {
                    some.flat_map(|(key, value)| [encoded(key), self.value(value)]).collect()
                }
            }
            other => vec![self.value(other)],
        }
    }
}

fn non_null(items: &[Value]) -> impl Iterator<Item = &Value> {
    items.iter().filter(|item| !item.is_null())
}

#[cfg(test)]
mod tests;
