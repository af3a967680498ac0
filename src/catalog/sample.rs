//! Example arguments from a JSON Schema, written as code.

use serde_json::{Map, Value};

use super::{paths, types};

/// Deepest nesting that is filled in.
const DEPTH_MAX: usize = 5;

/// An object that the schema allows as far as can be told: what was given and fits is kept, what is required is filled in.
pub(super) fn arguments(schema: &Value, given: Option<&Value>) -> Value {
    value(schema, schema, given, DEPTH_MAX)
}

fn value(schema: &Value, root: &Value, given: Option<&Value>, depth: usize) -> Value {
    let Some(schema) = types::resolved(schema, root) else { return Value::Null };
    if depth == 0 {
        return Value::Null;
    }
    if let Some(constant) = schema.get("const") {
        return constant.clone();
    }
    if let Some(options) = schema.get("enum").and_then(Value::as_array) {
        let nearest = || {
            let given = given?.as_str()?;
            let scored = options.iter().filter_map(|option| Some((paths::slip(given, option.as_str()?)?, option)));
            scored.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, option)| option)
        };
        return given.filter(|given| options.contains(given)).or_else(nearest).or(options.first()).cloned().unwrap_or_default();
    }
    let first = ["anyOf", "oneOf"].iter().find_map(|name| schema.get(name)?.as_array()?.first());
    match (kind(schema), first) {
        (Some("object"), _) => object(schema, root, given.and_then(Value::as_object), depth),
        (None, Some(first)) => value(first, root, given, depth - 1),
        (Some(kind), _) => plain(kind, schema, root, given, depth),
        (None, None) => given.or_else(|| schema.get("default")).cloned().unwrap_or_else(|| Value::Object(Map::new())),
    }
}

fn kind(schema: &Value) -> Option<&str> {
    match schema.get("type") {
        Some(Value::String(name)) => Some(name),
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).find(|name| *name != "null"),
        _ if schema.get("properties").is_some() => Some("object"),
        _ => None,
    }
}

fn object(schema: &Value, root: &Value, given: Option<&Map<String, Value>>, depth: usize) -> Value {
    let mut out = Map::new();
    let properties = schema.get("properties").and_then(Value::as_object);
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let is_known = |name: &str| properties.is_some_and(|properties| properties.contains_key(name));
    for (name, schema) in properties.into_iter().flatten() {
        // What was given under a slip of the name was meant for it.
        let slip = || given?.iter().find(|(given, _)| !is_known(given) && paths::is_slip(given, name)).map(|(_, value)| value);
        let mine = given.and_then(|given| given.get(name)).or_else(slip);
        if mine.is_some() || required.contains(&name.as_str()) {
            out.insert(name.clone(), value(schema, root, mine, depth - 1));
        }
    }
    Value::Object(out)
}

fn plain(kind: &str, schema: &Value, root: &Value, given: Option<&Value>, depth: usize) -> Value {
    let fits = given.filter(|given| match kind {
        "string" => given.is_string(),
        "number" => given.is_number(),
        "integer" => given.is_i64() || given.is_u64(),
        "boolean" => given.is_boolean(),
        "array" => given.is_array(),
        _ => given.is_null(),
    });
    match fits {
        Some(Value::Array(items)) => {
            let each = schema.get("items").filter(|items| items.is_object());
            return each.map_or_else(
                || Value::Array(items.clone()),
                |schema| items.iter().map(|item| value(schema, root, Some(item), depth - 1)).collect(),
            );
        }
        Some(number @ Value::Number(_)) => return in_range(number, schema).clone(),
        Some(given) => return given.clone(),
        None => {}
    }
    let known = schema.get("default").filter(|default| !default.is_null());
    if let Some(known) = known.or_else(|| schema.get("examples")?.as_array()?.first()) {
        return known.clone();
    }
    match kind {
        "string" => Value::from("…"),
        "number" | "integer" => {
            schema.get("minimum").filter(|minimum| minimum.is_number()).cloned().unwrap_or_else(|| Value::from(1))
        }
        "boolean" => Value::from(true),
        "array" => schema
            .get("items")
            .map_or_else(|| Value::Array(Vec::new()), |items| Value::Array(vec![value(items, root, None, depth - 1)])),
        _ => Value::Null,
    }
}

/// The number, or the bound that it oversteps.
fn in_range<'a>(number: &'a Value, schema: &'a Value) -> &'a Value {
    let beyond = |name: &str, is_beyond: fn(&f64, &f64) -> bool| {
        schema
            .get(name)
            .filter(|bound| bound.as_f64().zip(number.as_f64()).is_some_and(|(bound, number)| is_beyond(&number, &bound)))
    };
    beyond("minimum", f64::lt).or_else(|| beyond("maximum", f64::gt)).unwrap_or(number)
}

/// A value as JavaScript writes it.
pub(super) fn literal(value: &Value) -> String {
    match value {
        Value::Object(map) if map.is_empty() => "{}".to_owned(),
        Value::Object(map) => {
            let fields = map.iter().map(|(name, value)| {
                let key = if paths::is_identifier(name) { name.clone() } else { Value::from(name.as_str()).to_string() };
                format!("{key}: {}", literal(value))
            });
            format!("{{ {} }}", fields.collect::<Vec<_>>().join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(literal).collect::<Vec<_>>().join(", ")),
        plain => plain.to_string(),
    }
}
