//! Parses a document, JSON or YAML, bounded in bytes, nodes and depth while it is read, not
//! afterwards.

use std::{cell::Cell, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::{
    base::{
        json::repair,
        text::{NotText, cut, decoded},
    },
    catalog::upstream::import_job::CancelToken,
};

/// Keys of a path item that are operations.
pub(super) const METHODS: [&str; 8] =
    ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
/// Largest description, in bytes.
pub(super) const DOCUMENT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Values of all kinds that one description may hold; the largest public ones have about a million.
pub(super) const NODES_MAX: usize = 3_000_000;
/// Returns true if a value holds no more values than a description may.
pub(super) fn is_bounded(value: &Value) -> bool {
    fn count(value: &Value, left: &mut usize) -> Option<()> {
        *left = left.checked_sub(1)?;
        match value {
            Value::Array(items) => items.iter().try_for_each(|item| count(item, left)),
            Value::Object(map) => map.values().try_for_each(|item| count(item, left)),
            _ => Some(()),
        }
    }
    count(value, &mut { NODES_MAX }).is_some()
}

/// Deepest nesting of a description.
pub(super) const DEPTH_MAX: usize = 100;
/// Anchors and their uses in YAML; a description repeats itself by `$ref`.
const ALIASES_MAX: usize = 50_000;

/// Reason why a text cannot be read as an OpenAPI document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    /// Too many bytes.
    #[error("it is {0} bytes; the limit is {DOCUMENT_BYTES_MAX}")]
    Size(usize),
    /// Not UTF-8.
    #[error("{0}")]
    Encoding(NotText),
    /// Neither JSON nor YAML, or beyond a bound.
    #[error("it is not {format}: {reason}")]
    Syntax {
        /// Format that it was parsed as.
        format: &'static str,
        /// Position and cause, at most 300 bytes.
        reason: String,
    },
    /// Something else than an object.
    #[error("it is not an object but {0}")]
    Kind(&'static str),
}

/// The description as an object. Takes up to seconds for tens of megabytes; call it where that
/// blocks nobody.
pub(super) fn parse(bytes: &[u8], stop: &CancelToken) -> Result<Value, Unreadable> {
    if bytes.len() > DOCUMENT_BYTES_MAX {
        return Err(Unreadable::Size(bytes.len()));
    }
    let text = decoded(bytes).map_err(Unreadable::Encoding)?;
    let nodes_left = Cell::new(NODES_MAX);
    let node = Node { nodes_left: &nodes_left, depth: 0, stop };
    // YAML that begins like JSON is flow style, which hardly anybody writes a description in.
    let value =
        if text.trim_start().starts_with('{') { json(text, node) } else { yaml(text, node) }?;
    match value {
        Value::Object(_) => Ok(value),
        Value::Null => Err(Unreadable::Kind("empty")),
        Value::Array(_) => Err(Unreadable::Kind("a list")),
        _ => Err(Unreadable::Kind("a single value")),
    }
}

/// Reads JSON; where it is not quite JSON, once more as it was meant.
fn json(text: &str, node: Node<'_>) -> Result<Value, Unreadable> {
    let nodes_left = node.nodes_left.get();
    strict(text, node).or_else(|error| match repair::repaired(text.as_bytes()) {
        Ok(Some(repaired)) => {
            node.nodes_left.set(nodes_left);
            // What is still wrong is told as it stands in the document.
            strict(&repaired.text, node).map_err(|_| error)
        }
        _ => Err(error),
    })
}

fn strict(text: &str, node: Node<'_>) -> Result<Value, Unreadable> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read =
        node.deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    read.map_err(|error| syntax("JSON", &error))
}

fn yaml(text: &str, node: Node<'_>) -> Result<Value, Unreadable> {
    let mut budget = serde_saphyr::Options::default().budget.unwrap_or_default();
    budget.max_events = NODES_MAX * 2;
    budget.max_nodes = NODES_MAX;
    budget.max_depth = DEPTH_MAX;
    budget.max_total_scalar_bytes = DOCUMENT_BYTES_MAX;
    budget.max_documents = 1;
    budget.max_anchors = ALIASES_MAX;
    budget.max_aliases = ALIASES_MAX;
    let options = serde_saphyr::options! {
        budget: Some(budget),
        duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::LastWins,
        // `no` is the code of a country, `on` a key.
        strict_booleans: true,
        with_snippet: false,
    };
    serde_saphyr::with_deserializer_from_str_with_options(text, options, |deserializer| {
        node.deserialize(deserializer)
    })
    .map_err(|error| syntax("YAML", &error))
}

fn syntax(format: &'static str, error: &dyn fmt::Display) -> Unreadable {
    let reason = error.to_string();
    Unreadable::Syntax {
        format,
        reason: cut(reason.lines().next().unwrap_or_default(), 300).to_owned(),
    }
}

/// Reads one value and what is in it, as long as there are nodes left.
#[derive(Clone, Copy)]
struct Node<'a> {
    nodes_left: &'a Cell<usize>,
    depth: usize,
    stop: &'a CancelToken,
}

impl Node<'_> {
    fn inner(self) -> Self {
        Self { depth: self.depth + 1, ..self }
    }

    fn count<E: serde::de::Error>(self) -> Result<(), E> {
        if self.depth > DEPTH_MAX {
            return Err(E::custom(format_args!("it is nested more than {DEPTH_MAX} deep")));
        }
        let left = self.nodes_left.get().checked_sub(1);
        if left.is_some_and(|left| left.is_multiple_of(4_096)) {
            self.stop.check().map_err(E::custom)?;
        }
        self.nodes_left.set(
            left.ok_or_else(|| E::custom(format_args!("it holds more than {NODES_MAX} values")))?,
        );
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.count::<D::Error>()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut out = Vec::new();
        while let Some(item) = items.next_element_seed(self.inner())? {
            out.push(item);
        }
        Ok(Value::Array(out))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut out = Map::new();
        // As a text even where YAML would make a number of it: `200:` is a status.
        while let Some(key) = entries.next_key::<String>()? {
            if key == "$serde_json::private::RawValue" || key == "$serde_json::private::Number" {
                return Err(A::Error::custom("a key has a name that is not allowed"));
            }
            out.insert(key, entries.next_value_seed(self.inner())?);
        }
        Ok(Value::Object(out))
    }
}

#[cfg(test)]
mod tests;
