//! Marks of properties in a schema that is still to be read.

use serde_json::Value;

/// Deepest nesting that is read; what is deeper stays as it is.
pub(super) const DEPTH_MAX: usize = 120;

/// Marks, in a schema that is still to be read here, a property that stands only in what goes the
/// other way, or that a caller does not give; its value says so in words.
pub(in crate::catalog) const ABSENT: &str = "$absent";
/// Marks a property that need not be given, because it has a default that is not told.
pub(in crate::catalog) const OPTIONAL: &str = "$optional";

/// The schema without marked properties, and otherwise to the letter.
pub(super) fn unmarked(schema: &Value, depth: usize) -> Value {
    match schema {
        _ if depth > DEPTH_MAX => schema.clone(),
        Value::Array(items) => items.iter().map(|item| unmarked(item, depth + 1)).collect(),
        Value::Object(map) => map
            .iter()
            .filter(|(key, value)| {
                !matches!(key.as_str(), ABSENT | OPTIONAL) && value.get(ABSENT).is_none()
            })
            .map(|(key, value)| (key.clone(), unmarked(value, depth + 1)))
            .collect(),
        plain => plain.clone(),
    }
}
