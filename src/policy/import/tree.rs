//! Parses the source into a tree whose parts know their positions. Must not know any dialect.
//!
//! The parser is that of our own files, with the same bounds on size, depth, aliases and values.
//! JSON is a subset of YAML.

use serde_json::{Number, Value};

use crate::policy::file::tree::{ParseError, Positions, escape_token, parse};

/// Position in the source, from 1; the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

/// Part of the source.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) at: Position,
    pub(super) content: Content,
}

/// Value of a part.
#[derive(Debug, Clone)]
pub(super) enum Content {
    Null,
    Bool(bool),
    Number(Number),
    String(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// Entry of a mapping.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) at: Position,
    pub(super) value: Node,
}

/// Parses a text.
///
/// # Errors
/// The first problem of a text that is neither YAML nor JSON.
pub(super) fn read(text: &str) -> Result<Node, ParseError> {
    let tree = parse(text)?;
    Ok(Node::of(tree.root, &mut String::new(), &tree.positions))
}

impl Node {
    /// Converts a value recursively; the parser bounds its depth.
    fn of(value: Value, pointer: &mut String, positions: &Positions) -> Self {
        let (line, column) = positions.find(pointer);
        let at = Position { line, column };
        let length = pointer.len();
        let mut child = |key: &str, value: Value| {
            pointer.push('/');
            pointer.push_str(&escape_token(key));
            let node = Self::of(value, pointer, positions);
            pointer.truncate(length);
            node
        };
        let content = match value {
            Value::Null => Content::Null,
            Value::Bool(value) => Content::Bool(value),
            Value::Number(value) => Content::Number(value),
            Value::String(value) => Content::String(value),
            Value::Array(items) => Content::List(
                items
                    .into_iter()
                    .enumerate()
                    .map(|(index, item)| child(&index.to_string(), item))
                    .collect(),
            ),
            Value::Object(members) => {
                let entry = |(key, value): (String, Value)| {
                    let value = child(&key, value);
                    // The position of a member is that of its key.
                    Entry { at: value.at, value, key }
                };
                Content::Map(members.into_iter().map(entry).collect())
            }
        };
        Self { at, content }
    }

    /// Returns the type with an article, for messages: `a list`.
    pub(super) fn type_name(&self) -> &'static str {
        match self.content {
            Content::Null => "nothing",
            Content::Bool(_) => "a boolean",
            Content::Number(_) => "a number",
            Content::String(_) => "a string",
            Content::List(_) => "a list",
            Content::Map(_) => "a mapping",
        }
    }

    /// Converts to a value without positions.
    pub(super) fn to_value(&self) -> Value {
        match &self.content {
            Content::Null => Value::Null,
            Content::Bool(value) => Value::Bool(*value),
            Content::Number(value) => Value::Number(value.clone()),
            Content::String(value) => Value::String(value.clone()),
            Content::List(items) => items.iter().map(Self::to_value).collect(),
            Content::Map(entries) => Value::Object(
                entries.iter().map(|entry| (entry.key.clone(), entry.value.to_value())).collect(),
            ),
        }
    }

    /// Returns the value of a key, if this is a mapping that has it.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        match &self.content {
            Content::Map(entries) => {
                entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
            }
            _ => None,
        }
    }
}
