//! An OpenAPI document as a JSON value: its version, and the targets of its references.

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::{read, swagger};
use crate::base::text::cut;

/// References that are followed in a row.
const REFERENCES_MAX: usize = 16;

/// Dialect of the schemas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// OpenAPI 3.0 and Swagger 2.0: beside a reference only words count.
    V30,
    /// OpenAPI 3.1 and later: JSON Schema 2020-12.
    V31,
}

/// A description.
pub(super) struct Document {
    root: Value,
    pub(super) dialect: Dialect,
}

/// Reason why a value is not an OpenAPI document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoDescription {
    /// A document without a version field.
    #[error("it has neither `openapi` nor `swagger`, so it is not an OpenAPI document")]
    Unmarked,
    /// Swagger 2.0 that becomes too much.
    #[error("written as OpenAPI 3 it holds more than {} values", read::NODES_MAX)]
    Large,
    /// A version that is not known.
    #[error("it is of version `{0}`; supported are OpenAPI 3.x and Swagger 2.0")]
    Version(String),
}

impl Document {
    /// Takes a value that was read; Swagger 2.0 is converted first.
    pub(super) fn new(root: Value) -> Result<Self, NoDescription> {
        let version = |key: &str| match root.get(key) {
            Some(Value::String(text)) => Some(cut(text, 20).to_owned()),
            // YAML makes a number of `swagger: 2.0`.
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => None,
        };
        match (version("openapi"), version("swagger")) {
            (Some(version), _) if version == "3" || version.starts_with("3.0") => {
                Ok(Self { root, dialect: Dialect::V30 })
            }
            (Some(version), _) if version.starts_with("3.") => {
                Ok(Self { root, dialect: Dialect::V31 })
            }
            (_, Some(version)) if version == "2" || version.starts_with("2.") => {
                let root = swagger::converted(root)
                    .filter(read::is_bounded)
                    .ok_or(NoDescription::Large)?;
                Ok(Self { root, dialect: Dialect::V30 })
            }
            (Some(version), _) | (None, Some(version)) => Err(NoDescription::Version(version)),
            (None, None) => Err(NoDescription::Unmarked),
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.root.get(key)
    }

    /// Value that a reference names within this document, never outside of it.
    pub(super) fn pointed(&self, reference: &str) -> Option<&Value> {
        let pointer = reference.strip_prefix('#')?;
        match self.root.pointer(pointer) {
            Some(value) => Some(value),
            None => self.root.pointer(&percent_decode_str(pointer).decode_utf8().ok()?),
        }
    }

    /// The object itself, or what its `$ref` leads to; none when that leads nowhere, outside, or
    /// round in circles.
    pub(super) fn resolved<'a>(&'a self, value: &'a Value) -> Option<&'a Map<String, Value>> {
        let mut value = value;
        for _ in 0..REFERENCES_MAX {
            match value.get("$ref") {
                Some(Value::String(reference)) => value = self.pointed(reference)?,
                _ => return value.as_object(),
            }
        }
        None
    }
}

/// The text at a key, unless it is blank.
pub(super) fn text<'a>(object: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    object.get(key).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty())
}
