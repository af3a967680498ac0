//! Example arguments from a JSON Schema, written as code.

use serde_json::{Map, Value};

use super::{paths, types};

/// Items that are filled in where a list must have some.
const ITEMS_MAX: u64 = 8;
/// Longest text that is filled in, in characters.
const TEXT_CHARS_MAX: u64 = 64;
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
    let form = ["anyOf", "oneOf"].iter().find_map(|name| meant_form(schema.get(name)?.as_array()?, root, given));
    let parts = schema.get("allOf").and_then(Value::as_array);
    match (kind(schema), form) {
        (Some("object"), _) | (None, None) if parts.is_some() || kind(schema).is_some() => {
            let read = given.filter(|given| !given.is_object()).and_then(|given| meant(schema, given));
            let given = read.as_ref().or(given).and_then(Value::as_object);
            let mut whole = if kind(schema).is_some() { object(schema, root, given, depth) } else { Value::Object(Map::new()) };
            // An object that must also be of one of several forms, or of several at once.
            for part in parts.into_iter().flatten().chain(form) {
                let part = value(part, root, given.map(|given| Value::Object(given.clone())).as_ref(), depth - 1);
                if let (Value::Object(whole), Value::Object(part)) = (&mut whole, part) {
                    for (name, value) in part {
                        whole.entry(name).or_insert(value);
                    }
                }
            }
            whole
        }
        (None, Some(form)) => value(form, root, given, depth - 1),
        (Some(kind), _) => plain(kind, schema, root, given, depth),
        (None, None) => given.or_else(|| schema.get("default")).cloned().unwrap_or_else(|| Value::Object(Map::new())),
    }
}

/// Of several forms the one that what was given is most like, else the first.
fn meant_form<'a>(forms: &'a [Value], root: &'a Value, given: Option<&Value>) -> Option<&'a Value> {
    let likeness = |form: &Value| {
        let (Some(form), Some(given)) = (types::resolved(form, root), given) else { return 0 };
        let Some(fields) = given.as_object() else { return i32::from(kind(form).is_some_and(|kind| is_of(given, kind))) * 2 };
        let properties = form.get("properties").and_then(Value::as_object);
        let known = fields.iter().filter_map(|(name, value)| Some((properties?.get(name)?, value)));
        known
            .map(|(schema, value)| match schema.get("const") {
                Some(constant) if constant == value => 10,
                Some(_) => -10,
                None => 1,
            })
            .sum()
    };
    // The first of equals.
    forms.iter().rev().max_by_key(|form| likeness(form))
}

/// Whether a value is of a type of JSON Schema.
fn is_of(value: &Value, kind: &str) -> bool {
    match kind {
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => value.is_null(),
    }
}

/// What a value of the wrong type was most likely meant to be. Only ever suggested, never taken for it.
pub(super) fn meant(schema: &Value, given: &Value) -> Option<Value> {
    let kind = kind(schema)?;
    let read = || given.as_str().and_then(|text| serde_json::from_str::<Value>(text.trim()).ok());
    match kind {
        "string" if given.is_number() || given.is_boolean() => Some(Value::from(given.to_string())),
        "number" | "integer" | "boolean" | "object" => read().filter(|read| is_of(read, kind)),
        "array" => {
            let item = schema.get("items").and_then(self::kind);
            let single = || item.is_some_and(|item| is_of(given, item)).then(|| Value::Array(vec![given.clone()]));
            read().filter(Value::is_array).or_else(single)
        }
        _ => None,
    }
}

/// Whether a value of it is an object, as far as the schema says.
pub(super) fn is_object(schema: &Value) -> bool {
    kind(schema) == Some("object") || (kind(schema).is_none() && schema.get("properties").is_some())
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
    let wrong = given.filter(|given| !is_of(given, kind)).and_then(|given| meant(schema, given));
    let fits = given.filter(|given| is_of(given, kind)).or(wrong.as_ref());
    match fits {
        Some(Value::Array(items)) => {
            let each = schema.get("items").filter(|items| items.is_object());
            return each.map_or_else(
                || Value::Array(items.clone()),
                |schema| items.iter().map(|item| value(schema, root, Some(item), depth - 1)).collect(),
            );
        }
        Some(number @ Value::Number(_)) => return in_range(number, schema).clone(),
        Some(Value::String(text)) if !is_long_enough(text, schema) => {}
        Some(given) => return given.clone(),
        None => {}
    }
    let known = schema.get("default").filter(|default| !default.is_null());
    if let Some(known) = known.or_else(|| schema.get("examples")?.as_array()?.first()) {
        return known.clone();
    }
    match kind {
        "string" => Value::from(text(schema)),
        "number" | "integer" => {
            schema.get("minimum").filter(|minimum| minimum.is_number()).cloned().unwrap_or_else(|| Value::from(1))
        }
        "boolean" => Value::from(true),
        "array" => match schema.get("prefixItems").or_else(|| schema.get("items")) {
            Some(Value::Array(places)) => places.iter().map(|place| value(place, root, None, depth - 1)).collect(),
            Some(items) => {
                let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(1).clamp(1, ITEMS_MAX);
                (0..least).map(|_| value(items, root, None, depth - 1)).collect()
            }
            None => Value::Array(Vec::new()),
        },
        _ => Value::Null,
    }
}

fn is_long_enough(text: &str, schema: &Value) -> bool {
    schema.get("minLength").and_then(Value::as_u64).is_none_or(|least| text.chars().count() as u64 >= least)
}

/// A text in the format that is asked for, where that is a common one.
fn text(schema: &Value) -> String {
    let known = match schema.get("format").and_then(Value::as_str).unwrap_or_default() {
        "date-time" => "2026-01-31T12:00:00Z",
        "date" => "2026-01-31",
        "time" => "12:00:00Z",
        "email" => "name@example.com",
        "uri" | "url" => "https://example.com",
        "uuid" => "00000000-0000-4000-8000-000000000000",
        "ipv4" => "192.0.2.1",
        "hostname" => "example.com",
        _ => "…",
    };
    let least = schema.get("minLength").and_then(Value::as_u64).unwrap_or_default().min(TEXT_CHARS_MAX) as usize;
    let missing = least.saturating_sub(known.chars().count());
    format!("{known}{}", "…".repeat(missing))
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
