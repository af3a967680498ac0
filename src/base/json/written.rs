//! JSON as it is written, for a person who must judge it: the order of the text, and each number
//! with every digit.

use std::fmt::{self, Write};

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::{Value, value::RawValue};

/// Nesting that is taken apart; what is deeper stays as its text.
const DEPTH_MAX: usize = 128;

/// A JSON value whose scalars are as they are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// An object, with its members in their order.
    Object(Vec<(String, Written)>),
    /// A list.
    List(Vec<Written>),
    /// A string.
    Text(String),
    /// A number, a boolean or null, as its text; and whatever cannot be taken apart.
    Other(String),
}

impl Written {
    /// Reads a JSON text.
    pub fn read(json: &RawValue) -> Self {
        Self::at(json, 0)
    }

    fn at(json: &RawValue, depth: usize) -> Self {
        let text = json.get();
        let read = match text.as_bytes().first() {
            _ if depth >= DEPTH_MAX => None,
            Some(b'{') => serde_json::Deserializer::from_str(text)
                .deserialize_map(Members)
                .ok()
                .map(|members| {
                    let member =
                        |(name, json): (String, &RawValue)| (name, Self::at(json, depth + 1));
                    Self::Object(members.into_iter().map(member).collect())
                }),
            Some(b'[') => serde_json::from_str::<Vec<&RawValue>>(text).ok().map(|items| {
                Self::List(items.into_iter().map(|item| Self::at(item, depth + 1)).collect())
            }),
            Some(b'"') => serde_json::from_str(text).ok().map(Self::Text),
            _ => None,
        };
        read.unwrap_or_else(|| Self::Other(text.to_owned()))
    }

    /// The value as indented JSON.
    pub fn indented(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, 0);
        out
    }

    fn write(&self, out: &mut String, depth: usize) {
        let inside = "  ".repeat(depth + 1);
        let end = "  ".repeat(depth);
        match self {
            Self::Object(members) if !members.is_empty() => {
                out.push_str("{\n");
                for (index, (name, value)) in members.iter().enumerate() {
                    let _ = write!(out, "{inside}{}: ", Value::from(name.as_str()));
                    value.write(out, depth + 1);
                    out.push_str(if index + 1 < members.len() { ",\n" } else { "\n" });
                }
                let _ = write!(out, "{end}}}");
            }
            Self::List(items) if !items.is_empty() => {
                out.push_str("[\n");
                for (index, item) in items.iter().enumerate() {
                    out.push_str(&inside);
                    item.write(out, depth + 1);
                    out.push_str(if index + 1 < items.len() { ",\n" } else { "\n" });
                }
                let _ = write!(out, "{end}]");
            }
            Self::Object(_) => out.push_str("{}"),
            Self::List(_) => out.push_str("[]"),
            Self::Text(text) => {
                let _ = write!(out, "{}", Value::from(text.as_str()));
            }
            Self::Other(text) => out.push_str(text),
        }
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = vec![];
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Written {
        Written::read(&RawValue::from_string(json.to_owned()).unwrap())
    }

    #[test]
    fn numbers_keep_every_digit_and_members_their_order() {
        let json = r#"{"z": 12345678901234567890123, "a": [1.50, -0, 1e400, true, null, [], {}],
            "t": "a\u202eb\n"}"#;
        let expected = "{\n  \"z\": 12345678901234567890123,\n  \"a\": [\n    1.50,\n    -0,\n    \
            1e400,\n    true,\n    null,\n    [],\n    {}\n  ],\n  \"t\": \"a\u{202e}b\\n\"\n}";
        assert_eq!(read(json).indented(), expected);
    }

    #[test]
    fn what_cannot_be_taken_apart_stays_as_its_text() {
        assert_eq!(read(r#""\ud83d""#), Written::Other(r#""\ud83d""#.into()));
        let deep = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
        let text = read(&deep).indented();
        assert!(text.contains(&format!("{}1{}", "[".repeat(4872), "]".repeat(4872))), "{text}");
    }
}
