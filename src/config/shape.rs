//! JSON Schema of the configuration, generated from [`super::keys`], and what follows from it:
//! names, environment variables, allowed values, and parsing of strings.

use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::{keys::Keys, toml_json::value_to_json};
use crate::base::text::quoted;

/// JSON Schema of the configuration, or of a part of it.
#[derive(Debug, Clone)]
pub struct Shape {
    schema: Value,
}

impl Shape {
    /// Generates the schema of [`Keys`].
    pub fn new() -> Self {
        let settings =
            SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
        Self { schema: settings.into_generator().into_root_schema_for::<Keys>().to_value() }
    }

    /// Returns the JSON Schema.
    pub fn schema(&self) -> &Value {
        &self.schema
    }

    /// Returns the shape at a path. Any name, such as `*`, selects the entries of a table.
    pub(super) fn at(&self, path: &[String]) -> Option<Self> {
        let mut node = &self.schema;
        for key in path {
            node = match node.get("properties").and_then(|properties| properties.get(key)) {
                Some(inner) => inner,
                None => node.get("additionalProperties").filter(|inner| inner.is_object())?,
            };
        }
        Some(Self { schema: node.clone() })
    }

    /// Returns the keys in the order of declaration; empty if this is not a table of fixed keys.
    pub(super) fn keys(&self) -> Vec<String> {
        self.schema
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flat_map(|keys| keys.keys().cloned())
            .collect()
    }

    /// Returns the description of the key.
    pub(super) fn description(&self) -> String {
        self.schema["description"]
            .as_str()
            .unwrap_or_default()
            .lines()
            .map(str::trim)
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// Describes the allowed values: `an integer from 1 to 600000`.
    pub(super) fn allowed(&self) -> String {
        let node = &self.schema;
        let choices = choices(node);
        if !choices.is_empty() {
            return choices
                .iter()
                .map(|choice| format!("\"{choice}\""))
                .collect::<Vec<_>>()
                .join(" or ");
        }
        match node["type"].as_str() {
            Some("integer") => match (node["minimum"].as_u64(), node["maximum"].as_u64()) {
                (Some(least), Some(most)) => format!("an integer from {least} to {most}"),
                _ => "an integer".into(),
            },
            Some("boolean") => "true or false".into(),
            Some("string") => "a string".into(),
            Some("array") => "a list of strings".into(),
            Some("object") if node.get("properties").is_some() => {
                format!("a table with {}", quoted(self.keys()))
            }
            Some("object") => "a table".into(),
            _ if node.get("anyOf").is_some() => "a string, or `{ env = \"NAME\" }`; in `auth` and \
                `env` also `{ file = \"PATH\" }`, `{ keychain = \"SERVICE/ACCOUNT\" }` or `{ \
                secret = \"NAME\" }`"
                .into(),
            _ if node.get("oneOf").is_some() => {
                "`{ bearer = SECRET }`, `{ basic = { user = \"NAME\", password = SECRET } }`, `{ \
                api_key = { header = \"NAME\", value = SECRET } }` \
                 or `{ oauth = {} }`, where SECRET is such as `{ env = \"NAME\" }`"
                    .into()
            }
            _ => "something else".into(),
        }
    }

    /// Returns the environment variables of all keys, except those of tables with free names.
    pub(super) fn variables(&self) -> BTreeMap<String, Vec<String>> {
        let sections = self.keys().into_iter().map(|section| vec![section]);
        sections
            .flat_map(|section| {
                let keys = self.at(&section).map(|shape| shape.keys()).unwrap_or_default();
                keys.into_iter().map(move |key| [section.clone(), vec![key]].concat())
            })
            .map(|path| (variable(&path), path))
            .collect()
    }

    /// Returns true if an empty string is a value of the key: the empty list.
    pub(super) fn may_be_empty(&self, path: &[String]) -> bool {
        self.at(path).is_some_and(|shape| shape.schema["type"] == "array")
    }

    /// Parses a string as a value of the key's type. A string that does not parse is returned as it
    /// is, and the check reports it.
    pub(super) fn parse(&self, path: &[String], text: &str) -> Value {
        let toml = || text.parse::<toml_edit::Value>().ok().map(|value| value_to_json(&value));
        let kind = self.at(path).and_then(|shape| shape.schema["type"].as_str().map(str::to_owned));
        match kind.as_deref() {
            Some("integer") => text.trim().parse::<i64>().map(Value::from).ok(),
            Some("boolean") => match text.trim() {
                "true" | "1" => Some(true.into()),
                "false" | "0" => Some(false.into()),
                _ => None,
            },
            Some("array") if text.trim_start().starts_with('[') => toml(),
            Some("array") => {
                Some(text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect())
            }
            Some("string") => None,
            _ => toml(),
        }
        .unwrap_or_else(|| text.into())
    }
}

impl Default for Shape {
    fn default() -> Self {
        Self::new()
    }
}

/// Returns the environment variable of a key.
pub(super) fn variable(path: &[String]) -> String {
    format!("AIRLOCK_{}", path.join("_").to_uppercase().replace('-', "_"))
}

fn choices(node: &Value) -> Vec<String> {
    let listed = node["enum"].as_array().into_iter().flatten();
    let described =
        node["oneOf"].as_array().into_iter().flatten().filter_map(|choice| choice.get("const"));
    listed.chain(described).filter_map(Value::as_str).map(str::to_owned).collect()
}
