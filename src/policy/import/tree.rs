//! Foreign text as a tree whose parts know where they stand. Must not know any dialect.
//!
//! Read as our own files are, with the same bounds on size, depth, aliases and values: JSON is a
//! part of YAML.

use serde_json::{Number, Value};

use crate::policy::file::text::{Places, Unreadable, parse, step};

/// Where something stands: line and column, from 1, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct At {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// A part of the text.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) at: At,
    pub(super) content: Content,
}

/// What a part holds.
#[derive(Debug, Clone)]
pub(super) enum Content {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One key of a mapping and its value.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) at: At,
    pub(super) value: Node,
}

/// Reads a file. Its first problem, if it is neither YAML nor JSON.
pub(super) fn read(text: &str) -> Result<Node, Unreadable> {
    let tree = parse(text)?;
    Ok(Node::of(tree.root, &mut String::new(), &tree.places))
}

impl Node {
    /// The depth is bounded by the reader.
    fn of(value: Value, pointer: &mut String, places: &Places) -> Self {
        let (line, column) = places.find(pointer);
        let at = At { line, column };
        let length = pointer.len();
        let mut below = |key: &str, value: Value| {
            pointer.push('/');
            pointer.push_str(&step(key));
            let node = Self::of(value, pointer, places);
            pointer.truncate(length);
            node
        };
        let content = match value {
            Value::Null => Content::Null,
            Value::Bool(value) => Content::Bool(value),
            Value::Number(value) => Content::Number(value),
            Value::String(value) => Content::Text(value),
            Value::Array(items) => Content::List(
                items
                    .into_iter()
                    .enumerate()
                    .map(|(index, item)| below(&index.to_string(), item))
                    .collect(),
            ),
            Value::Object(members) => {
                let entry = |(key, value): (String, Value)| {
                    let value = below(&key, value);
                    // A member stands where its key stands.
                    Entry { at: value.at, value, key }
                };
                Content::Map(members.into_iter().map(entry).collect())
            }
        };
        Self { at, content }
    }

    /// What it is, for an error: `a list`.
    pub(super) fn kind(&self) -> &'static str {
        match self.content {
            Content::Null => "nothing",
            Content::Bool(_) => "a boolean",
            Content::Number(_) => "a number",
            Content::Text(_) => "a text",
            Content::List(_) => "a list",
            Content::Map(_) => "a mapping",
        }
    }

    /// Without the places.
    pub(super) fn to_value(&self) -> Value {
        match &self.content {
            Content::Null => Value::Null,
            Content::Bool(value) => Value::Bool(*value),
            Content::Number(value) => Value::Number(value.clone()),
            Content::Text(value) => Value::String(value.clone()),
            Content::List(items) => items.iter().map(Self::to_value).collect(),
            Content::Map(entries) => Value::Object(
                entries.iter().map(|entry| (entry.key.clone(), entry.value.to_value())).collect(),
            ),
        }
    }

    /// The value under a key, where this is a mapping that has it.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        match &self.content {
            Content::Map(entries) => {
                entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
            }
            _ => None,
        }
    }
}
