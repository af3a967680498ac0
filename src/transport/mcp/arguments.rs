//! Parses a call's arguments into a request, or into an error that names the argument, its value
//! and the limit.
//!
//! Checks against the very schema that `tools/list` shows, so the two cannot differ. The schemas
//! are flat objects.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    base::suggest::nearest,
    model::{ErrorCode, JsonObject},
    service::ServiceError,
};

/// Characters of a value that an error repeats, at most.
const SHOWN_CHARS: usize = 60;

/// Parses the arguments of `tool`. Null counts as left out; a number without a fraction counts as
/// an integer.
pub(super) fn read<T: DeserializeOwned>(
    tool: &str,
    schema: &JsonObject,
    given: Option<JsonObject>,
) -> Result<T, ServiceError> {
    let properties = schema
        .get("properties")
        .and_then(Value::as_object)
        .expect("a tool's schema has properties");
    let mut arguments = JsonObject::new();
    for (name, value) in given.unwrap_or_default() {
        let Some(property) = properties.get(&name) else {
            return Err(unknown(tool, &name, properties));
        };
        if value.is_null() {
            continue;
        }
        let value = whole_number(value, property);
        check(tool, &name, &value, property)?;
        arguments.insert(name, value);
    }
    for name in schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        if !arguments.contains_key(name) {
            return Err(invalid(
                tool,
                format!("`{name}` is missing: expected {}", expected(&properties[name])),
                properties,
            ));
        }
    }
    serde_json::from_value(Value::Object(arguments)).map_err(|error| {
        invalid(tool, format!("the arguments cannot be read: {error}"), properties)
    })
}

fn check(tool: &str, name: &str, value: &Value, property: &Value) -> Result<(), ServiceError> {
    let fits = match property["type"].as_str() {
        Some("string") => value.is_string(),
        Some("integer") => value.is_u64() || value.is_i64(),
        Some("boolean") => value.is_boolean(),
        Some("object") => value.is_object(),
        _ => true,
    };
    let in_bounds = || {
        let number = value.as_f64();
        let length = value.as_str().map(|text| text.chars().count() as u64);
        let least = |key: &str| property.get(key).and_then(Value::as_u64);
        let allowed = property.get("enum").and_then(Value::as_array);
        number.is_none_or(|n| {
            least("minimum").is_none_or(|min| n >= min as f64)
                && least("maximum").is_none_or(|max| n <= max as f64)
        }) && length.is_none_or(|n| {
            least("minLength").is_none_or(|min| n >= min)
                && least("maxLength").is_none_or(|max| n <= max)
        }) && allowed.is_none_or(|all| all.contains(value))
    };
    if fits && in_bounds() {
        return Ok(());
    }
    Err(ServiceError::new(
        ErrorCode::InvalidArgument,
        format!(
            "argument `{name}` of `{tool}` is {}: expected {}",
            shown(value),
            expected(property)
        ),
    ))
}

fn unknown(tool: &str, name: &str, properties: &JsonObject) -> ServiceError {
    let shown_name: String = name.chars().take(SHOWN_CHARS).collect();
    let nearest = nearest(name, properties.keys().map(String::as_str));
    let guess = nearest.map(|known| format!("; did you mean `{known}`?")).unwrap_or_default();
    invalid(tool, format!("`{tool}` has no argument `{shown_name}`{guess}"), properties)
}

fn invalid(tool: &str, message: String, properties: &JsonObject) -> ServiceError {
    let names: Vec<_> = properties.keys().map(|name| format!("`{name}`")).collect();
    ServiceError::new(ErrorCode::InvalidArgument, message)
        .hint(format!("`{tool}` takes {}", names.join(", ")))
}

/// Describes what a property allows.
fn expected(property: &Value) -> String {
    if let Some(all) = property.get("enum").and_then(Value::as_array) {
        let names: Vec<_> =
            all.iter().filter_map(Value::as_str).map(|name| format!("`{name}`")).collect();
        return format!("one of {}", names.join(", "));
    }
    let kind = property["type"].as_str().unwrap_or("value");
    let article = if kind.starts_with(['i', 'o']) { "an" } else { "a" };
    let unit = if kind == "string" { " characters" } else { "" };
    let (low, high) =
        if kind == "string" { ("minLength", "maxLength") } else { ("minimum", "maximum") };
    match (property.get(low), property.get(high)) {
        (Some(low), Some(high)) => format!("{article} {kind} of {low} to {high}{unit}"),
        (Some(low), None) => format!("{article} {kind} of {low} or more{unit}"),
        (None, Some(high)) => format!("{article} {kind} of at most {high}{unit}"),
        (None, None) => format!("{article} {kind}"),
    }
}

fn shown(value: &Value) -> String {
    let kind = match value {
        Value::String(text) if text.is_empty() => return "an empty string".to_owned(),
        Value::String(text) if text.chars().count() > SHOWN_CHARS => {
            return format!("a string of {} characters", text.chars().count());
        }
        Value::String(_) => "the string",
        Value::Array(_) => return "an array".to_owned(),
        Value::Object(_) => return "an object".to_owned(),
        _ => "",
    };
    format!("{kind} `{value}`").trim_start().to_owned()
}

/// `5000.0` is the integer 5000, as JSON Schema says.
fn whole_number(value: Value, property: &Value) -> Value {
    match value.as_f64() {
        Some(number)
            if property["type"] == "integer"
                && value.is_f64()
                && number.fract() == 0.0
                && (0.0..9e15).contains(&number) =>
        {
            Value::from(number as u64)
        }
        _ => value,
    }
}

#[cfg(test)]
mod tests;
