//! What a JSON Schema of arguments says about one of them, and arguments that satisfy it. Must not
//! know policies.

use serde_json::{Map, Value, json};

/// References that are followed in a row.
const HOPS_MAX: usize = 16;
/// How deep a sample nests.
const SAMPLE_DEPTH_MAX: usize = 8;

/// What a schema says about an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// It is there in every call.
    Required,
    /// It may be there.
    Optional,
    /// The schema does not say.
    Nothing,
    /// There is no such argument; these are, beside it.
    Missing(Vec<String>),
}

/// What a schema says about the argument at these keys.
pub(super) fn look(root: &Value, path: &[String]) -> Said {
    look_within(root, root, path, 0)
}

fn look_within(root: &Value, schema: &Value, path: &[String], hops: usize) -> Said {
    let Some((key, rest)) = path.split_first() else { return Said::Required };
    if hops > HOPS_MAX {
        return Said::Nothing;
    }
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        let target = target.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        return target.map_or(Said::Nothing, |target| look_within(root, target, path, hops + 1));
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    if let Some(property) = properties.and_then(|properties| properties.get(key)) {
        let required = schema
            .get("required")
            .and_then(Value::as_array)
            .is_some_and(|names| names.iter().any(|name| name == key));
        let below = look_within(root, property, rest, hops + 1);
        return if below == Said::Required && !required { Said::Optional } else { below };
    }
    let branches = |word: &str| {
        schema.get(word).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    };
    let within = |part: &Value| look_within(root, part, path, hops + 1);
    let both = branches("allOf").iter().map(within);
    // Another branch may go without what one requires.
    let either = branches("anyOf").iter().chain(branches("oneOf")).map(within);
    let either = either.map(|said| if said == Said::Required { Said::Optional } else { said });
    let said: Vec<Said> = both.chain(either).collect();
    if let Some(best) = [Said::Required, Said::Optional, Said::Nothing]
        .into_iter()
        .find(|known| said.contains(known))
    {
        return best;
    }
    let open = schema.get("patternProperties").is_some()
        || schema.get("additionalProperties").is_some_and(|more| *more != Value::Bool(false));
    match (properties, schema.get("type")) {
        _ if open => Said::Nothing,
        _ if !said.is_empty() => {
            let elsewhere = said.into_iter().flat_map(|said| match said {
                Said::Missing(names) => names,
                _ => vec![],
            });
            Said::Missing(
                properties.into_iter().flat_map(Map::keys).cloned().chain(elsewhere).collect(),
            )
        }
        (Some(properties), _) if !properties.is_empty() => {
            Said::Missing(properties.keys().cloned().collect())
        }
        // What is no object has no members.
        (None, Some(Value::String(kind))) if kind != "object" => Said::Missing(vec![]),
        _ => Said::Nothing,
    }
}

/// Arguments that the schema may accept: only what is required, or everything.
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
    for word in ["const", "default"] {
        if let Some(value) = schema.get(word).filter(|value| !value.is_null()) {
            return value.clone();
        }
    }
    for word in ["enum", "examples"] {
        if let Some(value) = schema
            .get(word)
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
        ["anyOf", "oneOf"].iter().find_map(|word| schema.get(*word)?.as_array()?.first())
    {
        return within(first);
    }
    let number = |fallback: f64| schema.get("minimum").and_then(Value::as_f64).unwrap_or(fallback);
    match kind(schema) {
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

fn kind(schema: &Value) -> Option<&str> {
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
