//! The text of a policy file as a tree with places: YAML, of which JSON is a part.

use std::{collections::HashMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};
use serde_saphyr::{DuplicateKeyPolicy, Spanned};

/// Largest text of a policy file, in bytes.
pub const FILE_BYTES_MAX: usize = 1024 * 1024;
/// Deepest nesting of a policy file.
const DEPTH_MAX: usize = 64;
/// Most values of a policy file, those that aliases repeat included.
const VALUES_MAX: usize = 250_000;
/// Most aliases of a policy file.
const ALIASES_MAX: usize = 1000;

/// A tree and where its parts stand.
#[derive(Debug)]
pub(in crate::policy) struct Tree {
    pub root: Value,
    pub places: Places,
}

/// Line and column, from 1, of every value and of every key, by JSON Pointer.
#[derive(Debug, Default)]
pub(crate) struct Places(HashMap<String, (usize, usize)>);

impl Places {
    /// The place of a pointer, or of the nearest thing around it.
    pub(crate) fn find(&self, pointer: &str) -> (usize, usize) {
        let mut rest = pointer;
        loop {
            if let Some(place) = self.0.get(rest) {
                return *place;
            }
            match rest.rfind('/') {
                Some(at) => rest = &rest[..at],
                None => return (1, 1),
            }
        }
    }
}

/// One step of a JSON Pointer, escaped.
pub(crate) fn step(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// Why a text is no tree.
#[derive(Debug)]
pub(in crate::policy) struct Unreadable {
    pub line: usize,
    pub column: usize,
    pub message: String,
    pub hint: Option<&'static str>,
}

/// Reads a text, bounded in size, depth, aliases and values; a key that stands twice is an error.
pub(in crate::policy) fn parse(text: &str) -> Result<Tree, Unreadable> {
    let nowhere = |message, hint| Unreadable { line: 0, column: 0, message, hint };
    if text.len() > FILE_BYTES_MAX {
        let message = format!("the file has {} bytes, allowed are {FILE_BYTES_MAX}", text.len());
        return Err(nowhere(message, Some("split it into several files")));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.lines().all(|line| line.trim_start().starts_with('#') || line.trim().is_empty()) {
        return Ok(Tree { root: Value::Object(Map::new()), places: Places::default() });
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
        serde_saphyr::from_str_with_options(text, options).map_err(|error| unreadable(&error))?;
    let mut places = Places::default();
    let mut pointer = String::new();
    let root = place(root, &mut pointer, &mut places);
    Ok(Tree { root, places })
}

fn unreadable(error: &serde_saphyr::Error) -> Unreadable {
    let (line, column) =
        error.location().map_or((0, 0), |at| (at.line() as usize, at.column() as usize));
    let text = error.without_snippet().to_string();
    // The place is told apart from the message.
    let text = text.lines().next().unwrap_or_default();
    let text = text.split(" at line ").next().unwrap_or(text);
    let text = text.strip_prefix(&format!("error: line {line} column {column}: ")).unwrap_or(text);
    let message =
        format!("the file cannot be read: {}", text[..text.floor_char_boundary(300)].trim());
    Unreadable { line, column, message, hint: None }
}

/// A value whose parts know where they stand.
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
        f.write_str("a text, a number, a truth value, a list or a mapping")
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

/// Takes the places out of a tree. Its depth is bounded by the reader.
fn place(node: Spanned<Node>, pointer: &mut String, places: &mut Places) -> Value {
    let at =
        |location: serde_saphyr::Location| (location.line() as usize, location.column() as usize);
    places.0.entry(pointer.clone()).or_insert_with(|| at(node.referenced));
    let length = pointer.len();
    match node.value {
        Node::Scalar(value) => value,
        Node::List(items) => {
            let mut list = Vec::with_capacity(items.len());
            for (index, item) in items.into_iter().enumerate() {
                pointer.push_str(&format!("/{index}"));
                list.push(place(item, pointer, places));
                pointer.truncate(length);
            }
            Value::Array(list)
        }
        Node::Map(members) => {
            let mut map = Map::new();
            for (key, value) in members {
                pointer.push('/');
                pointer.push_str(&step(&key.value));
                // A member stands where its key stands.
                places.0.insert(pointer.clone(), at(key.referenced));
                map.insert(key.value, place(value, pointer, places));
                pointer.truncate(length);
            }
            Value::Object(map)
        }
    }
}
