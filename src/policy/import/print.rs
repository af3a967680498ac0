//! Formats a policy file as YAML for people to read and edit. Must not know any dialect.
//!
//! The input is a JSON value whose keys keep their order, plus comments above keys. Strings are
//! quoted only if needed: a plain string is one that every version of YAML reads as that string.

use std::fmt::Write as _;

use serde_json::Value;

/// Longest value that is written on one line, in characters.
const FLOW_WIDTH: usize = 100;

/// Formats a value as a YAML document. `comments` returns the comment lines above a key, by its
/// JSON Pointer.
pub fn yaml(value: &Value, comments: &dyn Fn(&str) -> Vec<String>) -> String {
    let mut writer = Writer { text: String::new(), comments };
    writer.block(value, 0, &mut String::new());
    writer.text
}

struct Writer<'a> {
    text: String,
    comments: &'a dyn Fn(&str) -> Vec<String>,
}

impl Writer<'_> {
    fn block(&mut self, value: &Value, indent: usize, pointer: &mut String) {
        match value {
            Value::Object(map) if !map.is_empty() => {
                for (at, (key, value)) in map.iter().enumerate() {
                    // The first key of a list item follows its dash on the same line.
                    let follows_dash = at == 0 && self.text.ends_with("- ");
                    let length = pointer.len();
                    // Writing to a `String` cannot fail.
                    let _ = write!(pointer, "/{}", key.replace('~', "~0").replace('/', "~1"));
                    if !follows_dash {
                        for line in (self.comments)(pointer) {
                            self.line(indent, &format!("# {line}"));
                        }
                        self.text.extend(std::iter::repeat_n(' ', indent));
                    }
                    self.text.push_str(&scalar(key));
                    self.text.push(':');
                    self.value(value, indent + 2, pointer);
                    pointer.truncate(length);
                }
            }
            Value::Array(list) if !list.is_empty() => {
                for (at, item) in list.iter().enumerate() {
                    let length = pointer.len();
                    let _ = write!(pointer, "/{at}");
                    for line in (self.comments)(pointer) {
                        self.line(indent, &format!("# {line}"));
                    }
                    self.text.extend(std::iter::repeat_n(' ', indent));
                    self.text.push_str("- ");
                    match item {
                        Value::Object(map) if !map.is_empty() && !fits(item) => {
                            self.block(item, indent + 2, pointer)
                        }
                        _ => {
                            let flow = flow(item);
                            self.text.push_str(&flow);
                            self.text.push('\n');
                        }
                    }
                    pointer.truncate(length);
                }
            }
            other => self.line(indent, &flow(other)),
        }
    }

    /// Writes the value after `key:`.
    fn value(&mut self, value: &Value, indent: usize, pointer: &mut String) {
        let nested = match value {
            Value::Object(map) => !map.is_empty() && (pointer == "/tools" || !fits(value)),
            Value::Array(list) => !list.is_empty() && !fits(value),
            _ => false,
        };
        if nested {
            self.text.push('\n');
            self.block(value, indent, pointer);
        } else {
            self.text.push(' ');
            self.text.push_str(&flow(value));
            self.text.push('\n');
        }
    }

    fn line(&mut self, indent: usize, text: &str) {
        self.text.extend(std::iter::repeat_n(' ', indent));
        self.text.push_str(text);
        self.text.push('\n');
    }
}

/// Returns true if the value contains no nested structure.
fn is_flat(value: &Value) -> bool {
    let is_leaf = |value: &Value| match value {
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.iter().all(|item| !item.is_object() && !item.is_array()),
        _ => true,
    };
    match value {
        Value::Object(map) => map.values().all(is_leaf),
        Value::Array(list) => list.iter().all(|item| !item.is_object() && !item.is_array()),
        _ => true,
    }
}

fn fits(value: &Value) -> bool {
    is_flat(value) && flow(value).chars().count() <= FLOW_WIDTH
}

/// Formats a value on one line.
fn flow(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        Value::Array(list) => format!("[{}]", list.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => {
            let entries: Vec<_> = map
                .iter()
                .map(|(key, value)| format!("{}: {}", scalar(key), flow(value)))
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
        other => other.to_string(),
    }
}

/// Formats a string: plain if that is safe, else in double quotes. A JSON string is a YAML string.
fn scalar(text: &str) -> String {
    let begins = text.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    let plain =
        text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | ' ' | '/'));
    let lower = text.to_ascii_lowercase();
    let reserved = matches!(
        lower.as_str(),
        "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n" | "inf" | "nan"
    );
    if begins && plain && !reserved && !text.ends_with(' ') && text.len() <= FLOW_WIDTH {
        return text.to_owned();
    }
    let quoted = serde_json::to_string(text).expect("a string can be written as JSON");
    // Control and direction characters are written as escapes.
    quoted.chars().fold(String::new(), |mut escaped, c| {
        if c.is_control() || matches!(
            c,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        ) {
            let _ = write!(escaped, "\\u{:04x}", c as u32);
        } else {
            escaped.push(c);
        }
        escaped
    })
}

#[cfg(test)]
mod tests;
