//! Parses the text of a policy file into a tree whose values know their positions. The text is YAML
//! or JSON, which is a subset of YAML.

use std::{collections::HashMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};
use serde_saphyr::{DuplicateKeyPolicy, Spanned};

/// Largest policy file, in bytes.
pub const FILE_BYTES_MAX: usize = 1024 * 1024;
/// Deepest nesting of a policy file.
const DEPTH_MAX: usize = 64;
/// Most values of a policy file, including those that aliases repeat.
const VALUES_MAX: usize = 250_000;
/// Most aliases of a policy file.
const ALIASES_MAX: usize = 1000;

/// Tree with the positions of its values.
#[derive(Debug)]
pub(in crate::policy) struct Tree {
    pub root: Value,
    pub positions: Positions,
}

/// Line and column, from 1, of every value and every key, by JSON Pointer.
#[derive(Debug, Default)]
pub(in crate::policy) struct Positions(HashMap<String, (usize, usize)>);

impl Positions {
    /// Returns the position of a pointer, or of its nearest known ancestor.
    pub(in crate::policy) fn find(&self, pointer: &str) -> (usize, usize) {
        let mut rest = pointer;
        loop {
            if let Some(position) = self.0.get(rest) {
                return *position;
            }
            match rest.rfind('/') {
                Some(slash) => rest = &rest[..slash],
                None => return (1, 1),
            }
        }
    }
}

/// Escapes a key as a reference token of a JSON Pointer.
pub(in crate::policy) fn escape_token(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// Error of a text that is neither YAML nor JSON, or exceeds a bound.
#[derive(Debug)]
pub(in crate::policy) struct ParseError {
    pub line: usize,
    pub column: usize,
    pub message: String,
    pub hint: Option<&'static str>,
}

/// Parses a text, bounded in size, depth, aliases and values. A duplicate key is an error.
pub(in crate::policy) fn parse(text: &str) -> Result<Tree, ParseError> {
    let without_position = |message, hint| ParseError { line: 0, column: 0, message, hint };
    if text.len() > FILE_BYTES_MAX {
        let message = format!("the file is {} bytes; the limit is {FILE_BYTES_MAX}", text.len());
        return Err(without_position(message, Some("split it into several files")));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.lines().all(|line| line.trim_start().starts_with('#') || line.trim().is_empty()) {
        // An editor empties a file before it writes it: nothing must not pass for "no rules".
        let hint = "a file without rules is `version: \"1\"`";
        return Err(without_position("the file is empty".to_owned(), Some(hint)));
    }
    let budget = serde_saphyr::budget! {
        max_depth: DEPTH_MAX,
        flow_nesting_limit: DEPTH_MAX,
        max_nodes: VALUES_MAX,
        max_events: VALUES_MAX * 2,
        max_aliases: ALIASES_MAX,
        max_anchors: ALIASES_MAX,
        max_documents: 1,
        max_merge_keys: ALIASES_MAX,
        max_total_scalar_bytes: 4 * FILE_BYTES_MAX,
    };
    let options = serde_saphyr::options! {
        budget: budget,
        duplicate_keys: DuplicateKeyPolicy::Error,
        strict_booleans: true,
        with_snippet: false,
        reject_unsupported_tags: true,
        non_finite_float_policy: serde_saphyr::options::NonFiniteFloatPolicy::Reject,
    };
    let root: Spanned<Node> =
        serde_saphyr::from_str_with_options(text, options).map_err(|error| parse_error(&error))?;
    let mut positions = Positions::default();
    let mut pointer = String::new();
    let root = strip_positions(root, &mut pointer, &mut positions);
    Ok(Tree { root, positions })
}

fn parse_error(error: &serde_saphyr::Error) -> ParseError {
    let (line, column) =
        error.location().map_or((0, 0), |at| (at.line() as usize, at.column() as usize));
    let text = error.without_snippet().to_string();
    // The position is reported apart from the message.
    let text = text.lines().next().unwrap_or_default();
    let text = text.split(" at line ").next().unwrap_or(text);
    let text = text.strip_prefix(&format!("error: line {line} column {column}: ")).unwrap_or(text);
    let message =
        format!("the file cannot be read: {}", text[..text.floor_char_boundary(300)].trim());
    ParseError { line, column, message, hint: None }
}

/// Value whose parts carry their positions.
enum Node {
    Scalar(Value),
    List(Vec<Spanned<Node>>),
    Map(Vec<(Spanned<String>, Spanned<Node>)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, a number, a boolean, a list or a mapping")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Node, E> {
        Number::from_f64(value)
            .map(|number| Node::Scalar(number.into()))
            .ok_or_else(|| E::custom("a number is not finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_string<E>(self, value: String) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Node, A::Error> {
        let mut map = Vec::new();
        while let Some(member) = members.next_entry()? {
            map.push(member);
        }
        Ok(Node::Map(map))
    }
}

/// Moves the positions of a tree into `positions`. The parser bounds its depth.
fn strip_positions(node: Spanned<Node>, pointer: &mut String, positions: &mut Positions) -> Value {
    let at =
        |location: serde_saphyr::Location| (location.line() as usize, location.column() as usize);
    positions.0.entry(pointer.clone()).or_insert_with(|| at(node.referenced));
    let length = pointer.len();
    match node.value {
        Node::Scalar(value) => value,
        Node::List(items) => {
            let mut list = Vec::with_capacity(items.len());
            for (index, item) in items.into_iter().enumerate() {
                pointer.push_str(&format!("/{index}"));
                list.push(strip_positions(item, pointer, positions));
                pointer.truncate(length);
            }
            Value::Array(list)
        }
        Node::Map(members) => {
            let mut map = Map::new();
            for (key, value) in members {
                pointer.push('/');
                pointer.push_str(&escape_token(&key.value));
                // The position of a member is that of its key.
                positions.0.insert(pointer.clone(), at(key.referenced));
                map.insert(key.value, strip_positions(value, pointer, positions));
                pointer.truncate(length);
            }
            Value::Object(map)
        }
    }
}
