//! Parses the arguments of a call so strictly that policy and upstream cannot interpret them
//! differently.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};

use crate::model::{handle_id, has_handle};

/// Largest arguments that policy evaluates, in bytes of JSON; a call with larger ones is denied.
pub const ARGS_BYTES_MAX: usize = 256 * 1024;

/// Parsed arguments.
#[derive(Debug)]
pub(super) struct Args {
    /// JSON object.
    pub value: Value,
    /// Size of the JSON, in bytes.
    pub bytes: usize,
    /// The arguments contain artifact handles, whose contents policy cannot read.
    pub has_artifacts: bool,
}

impl Args {
    /// Checks that policy can read the value at a path: no artifact is on the path, at its end or
    /// inside the value. With `presence_only`, an artifact at the end is fine, because it is
    /// present.
    pub(super) fn check_readable<'k>(
        &self,
        keys: impl IntoIterator<Item = &'k str>,
        presence_only: bool,
    ) -> Result<(), String> {
        if !self.has_artifacts {
            return Ok(());
        }
        let (mut value, mut path) = (&self.value, "args".to_owned());
        for key in keys {
            if handle_id(value).is_some() {
                return Err(format!("`{path}` is an artifact, which policy cannot read"));
            }
            path = format!("{path}.{key}");
            match value.as_object().and_then(|members| members.get(key)) {
                Some(inner) => value = inner,
                None => return Ok(()),
            }
        }
        match !presence_only && has_handle(value) {
            true => Err(format!("`{path}` is or contains an artifact, which policy cannot read")),
            false => Ok(()),
        }
    }
}

/// Parses arguments: an object or `null`, at most [`ARGS_BYTES_MAX`] bytes, at most 127 levels
/// deep, without duplicate keys, with finite numbers only.
pub(super) fn parse(text: &str) -> Result<Args, String> {
    if text.len() > ARGS_BYTES_MAX {
        return Err(format!(
            "the arguments are {} bytes; the limit is {ARGS_BYTES_MAX}",
            text.len()
        ));
    }
    match json(text)? {
        Value::Null => {
            Ok(Args { value: Value::Object(Map::new()), bytes: text.len(), has_artifacts: false })
        }
        value @ Value::Object(_) => {
            Ok(Args { has_artifacts: has_handle(&value), value, bytes: text.len() })
        }
        _ => Err("the arguments must be an object".into()),
    }
}

/// Parses JSON without duplicate keys. The error contains no values.
pub(super) fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map(|Strict(value)| value).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => "an object has a duplicate key".into(),
        _ => format!("invalid JSON at column {}", error.column()),
    })
}

/// JSON value without duplicate keys and non-finite numbers.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not finite"))
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

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            if map.contains_key(&key) {
                return Err(A::Error::custom("duplicate key"));
            }
            let Strict(value) = members.next_value()?;
            map.insert(key, value);
        }
        Ok(map.into())
    }
}

/// Returns the keys that a schema requires at its top level.
pub(super) fn required_keys(schema: &Value) -> impl Iterator<Item = &str> {
    schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

#[cfg(test)]
mod tests;
