//! Writes a policy file as YAML that a person can read and change. Must not know any dialect.
//!
//! A file is a JSON value whose keys keep their order, with comments that stand above keys. Only
//! what needs quotes has them: a text is written plainly where no reader of YAML, old or new, takes
//! it for anything but that text.

use std::fmt::Write as _;

use serde_json::Value;

/// Lines of a value that still stands on one line have at most so many characters.
const FLOW_WIDTH: usize = 100;

/// The value as a YAML document. `comments` gives the lines that stand above a key, by its JSON
/// Pointer.
pub fn yaml(value: &Value, comments: &dyn Fn(&str) -> Vec<String>) -> String {
    let mut page = Page { text: String::new(), comments };
    page.block(value, 0, &mut String::new());
    page.text
}

struct Page<'a> {
    text: String,
    comments: &'a dyn Fn(&str) -> Vec<String>,
}

impl Page<'_> {
    fn block(&mut self, value: &Value, indent: usize, pointer: &mut String) {
        match value {
            Value::Object(map) if !map.is_empty() => {
                for (at, (key, value)) in map.iter().enumerate() {
                    // The first key of a list's item stands behind its dash.
                    let behind_a_dash = at == 0 && self.text.ends_with("- ");
                    let length = pointer.len();
                    // Infallible: writing to a String.
                    let _ = write!(pointer, "/{}", key.replace('~', "~0").replace('/', "~1"));
                    if !behind_a_dash {
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

    /// What stands behind `key:`.
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

/// Whether it holds nothing that holds something itself.
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

/// On one line.
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

/// A text, plain where that is safe, else in double quotes: a JSON string is a YAML string.
fn scalar(text: &str) -> String {
    let begins = text.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    let plain =
        text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | ' ' | '/'));
    let word = text.to_ascii_lowercase();
    let taken = matches!(
        word.as_str(),
        "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n" | "inf" | "nan"
    );
    if begins && plain && !taken && !text.ends_with(' ') && text.len() <= FLOW_WIDTH {
        return text.to_owned();
    }
    let quoted = serde_json::to_string(text).expect("a text can be written as JSON");
    // Characters that move the cursor or turn the line are shown by their number.
    quoted.chars().fold(String::new(), |mut shown, c| {
        if c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}') {
            let _ = write!(shown, "\\u{:04x}", c as u32);
        } else {
            shown.push(c);
        }
        shown
    })
}

#[cfg(test)]
mod tests;
