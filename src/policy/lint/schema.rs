//! Looks up arguments in a JSON Schema and generates arguments that satisfy it. Must not know
//! policies.

use serde_json::{Map, Value, json};

/// Most references that are followed in a row.
const HOPS_MAX: usize = 16;
/// Deepest nesting of a sample.
const SAMPLE_DEPTH_MAX: usize = 8;

/// Status of an argument in a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ArgumentStatus {
    /// Present in every call.
    Required,
    /// Optional.
    Optional,
    /// Not determined by the schema.
    Unspecified,
    /// Not an argument; the known ones at this level.
    Missing(Vec<String>),
}

/// Returns the status of the argument at these keys.
pub(super) fn argument_status(root: &Value, path: &[String]) -> ArgumentStatus {
    status_within(root, root, path, 0)
}

fn status_within(root: &Value, schema: &Value, path: &[String], hops: usize) -> ArgumentStatus {
    let Some((key, rest)) = path.split_first() else { return ArgumentStatus::Required };
    if hops > HOPS_MAX {
        return ArgumentStatus::Unspecified;
    }
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        let target = target.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        return target.map_or(ArgumentStatus::Unspecified, |target| {
            status_within(root, target, path, hops + 1)
        });
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    if let Some(property) = properties.and_then(|properties| properties.get(key)) {
        let required = schema
            .get("required")
            .and_then(Value::as_array)
            .is_some_and(|names| names.iter().any(|name| name == key));
        let below = status_within(root, property, rest, hops + 1);
        return if below == ArgumentStatus::Required && !required {
            ArgumentStatus::Optional
        } else {
            below
        };
    }
    let branches = |keyword: &str| {
        schema.get(keyword).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    };
    let within = |part: &Value| status_within(root, part, path, hops + 1);
    let both = branches("allOf").iter().map(within);
    // An argument that one branch requires may be absent from another.
    let either = branches("anyOf").iter().chain(branches("oneOf")).map(within);
    let either = either.map(|status| match status {
        ArgumentStatus::Required => ArgumentStatus::Optional,
        other => other,
    });
    let statuses: Vec<ArgumentStatus> = both.chain(either).collect();
    if let Some(best) =
        [ArgumentStatus::Required, ArgumentStatus::Optional, ArgumentStatus::Unspecified]
            .into_iter()
            .find(|known| statuses.contains(known))
    {
        return best;
    }
    let open = schema.get("patternProperties").is_some()
        || schema.get("additionalProperties").is_some_and(|more| *more != Value::Bool(false));
    match (properties, schema.get("type")) {
        _ if open => ArgumentStatus::Unspecified,
        _ if !statuses.is_empty() => {
            let elsewhere = statuses.into_iter().flat_map(|status| match status {
                ArgumentStatus::Missing(names) => names,
                _ => vec![],
            });
            ArgumentStatus::Missing(
                properties.into_iter().flat_map(Map::keys).cloned().chain(elsewhere).collect(),
            )
        }
        (Some(properties), _) if !properties.is_empty() => {
            ArgumentStatus::Missing(properties.keys().cloned().collect())
        }
        // Only objects have members.
        (None, Some(Value::String(kind))) if kind != "object" => ArgumentStatus::Missing(vec![]),
        _ => ArgumentStatus::Unspecified,
    }
}

/// Generates arguments that the schema probably accepts: only the required ones, or all.
pub(super) fn sample(root: &Value, everything: bool) -> Value {
    match sample_of(root, root, everything, 0) {
        object @ Value::Object(_) => object,
        _ => json!({}),
    }
}

fn sample_of(root: &Value, schema: &Value, everything: bool, depth: usize) -> Value {
    if depth > SAMPLE_DEPTH_MAX {
        return Value::Null;
    }
    let within = |schema: &Value| sample_of(root, schema, everything, depth + 1);
    for keyword in ["const", "default"] {
        if let Some(value) = schema.get(keyword).filter(|value| !value.is_null()) {
            return value.clone();
        }
    }
    for keyword in ["enum", "examples"] {
        if let Some(value) = schema
            .get(keyword)
            .and_then(Value::as_array)
            .and_then(|values| values.iter().find(|value| !value.is_null()))
        {
            return value.clone();
        }
    }
    if let Some(target) =
        schema.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix('#'))
    {
        return root.pointer(target).map_or(Value::Null, within);
    }
    if let Some(first) =
        ["anyOf", "oneOf"].iter().find_map(|keyword| schema.get(*keyword)?.as_array()?.first())
    {
        return within(first);
    }
    let number = |fallback: f64| schema.get("minimum").and_then(Value::as_f64).unwrap_or(fallback);
    match type_of(schema) {
        Some("string") => "text".into(),
        Some("integer") => json!(number(1.0) as i64),
        Some("number") => json!(number(1.5)),
        Some("boolean") => true.into(),
        Some("array") => {
            schema.get("items").map_or_else(|| json!([]), |items| json!([within(items)]))
        }
        Some("null") => Value::Null,
        _ => Value::Object(members(root, schema, everything, depth)),
    }
}

fn type_of(schema: &Value) -> Option<&str> {
    match schema.get("type")? {
        Value::String(kind) => Some(kind),
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null"),
        _ => None,
    }
}

fn members(root: &Value, schema: &Value, everything: bool, depth: usize) -> Map<String, Value> {
    let required =
        schema.get("required").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let mut members: Map<String, Value> = properties
        .filter(|(key, _)| everything || required.iter().any(|name| name == key.as_str()))
        .map(|(key, property)| (key.clone(), sample_of(root, property, everything, depth + 1)))
        .collect();
    for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
        if let Value::Object(more) = sample_of(root, part, everything, depth + 1) {
            members.extend(more);
        }
    }
    members
}
