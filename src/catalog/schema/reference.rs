//! Local references of a JSON Schema: `#/$defs/Name`.

use serde_json::Value;

/// References that are followed in a row.
const REFERENCES_MAX: usize = 16;

/// Follows local references; none when one leads nowhere, outside, or round in circles.
pub(in crate::catalog) fn resolved<'a>(schema: &'a Value, root: &'a Value) -> Option<&'a Value> {
    let mut schema = schema;
    for _ in 0..REFERENCES_MAX {
        let Some(reference) = schema.get("$ref").and_then(Value::as_str) else {
            return Some(schema);
        };
        schema = pointed(reference, root)?;
    }
    None
}

/// Value that a local reference points to.
pub(in crate::catalog) fn pointed<'a>(reference: &str, root: &'a Value) -> Option<&'a Value> {
    reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer))
}
