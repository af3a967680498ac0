//! The arguments of a call, read so strictly that policy and upstream cannot understand them
//! differently.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};

use super::ARGS_BYTES_MAX;
use crate::model::{handle_id, has_handle};

/// Arguments, with their size.
#[derive(Debug)]
pub(super) struct Args {
    /// An object.
    pub value: Value,
    /// Bytes of the text.
    pub bytes: usize,
    /// Whether kept answers stand in them, which nothing here can see into.
    pub veiled: bool,
}

impl Args {
    /// Refuses to read where a kept answer stands: at these keys, on the way to them, or within
    /// what is there. `presence` only asks whether something is there, which a kept answer always
    /// is.
    pub(super) fn seen<'k>(
        &self,
        keys: impl IntoIterator<Item = &'k str>,
        presence: bool,
    ) -> Result<(), String> {
        if !self.veiled {
            return Ok(());
        }
        let (mut value, mut path) = (&self.value, "args".to_owned());
        for key in keys {
            if handle_id(value).is_some() {
                return Err(format!("`{path}` is an artifact, which policy cannot see into"));
            }
            path = format!("{path}.{key}");
            match value.as_object().and_then(|members| members.get(key)) {
                Some(inner) => value = inner,
                None => return Ok(()),
            }
        }
        match !presence && has_handle(value) {
            true => Err(format!("`{path}` is or holds an artifact, which policy cannot see into")),
            false => Ok(()),
        }
    }
}

/// Reads arguments: an object or `null`, at most [`ARGS_BYTES_MAX`] bytes, nested at most 127 deep,
/// no key twice, every number finite.
pub(super) fn parse(text: &str) -> Result<Args, String> {
    if text.len() > ARGS_BYTES_MAX {
        return Err(format!(
            "the arguments have {} bytes, policy decides about at most {ARGS_BYTES_MAX}",
            text.len()
        ));
    }
    match json(text)? {
        Value::Null => {
            Ok(Args { value: Value::Object(Map::new()), bytes: text.len(), veiled: false })
        }
        value @ Value::Object(_) => {
            Ok(Args { veiled: has_handle(&value), value, bytes: text.len() })
        }
        _ => Err("the arguments are no object".into()),
    }
}

/// Reads JSON in which no key stands twice. The error holds no values.
pub(super) fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map(|Strict(value)| value).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => "a key stands twice in one object".into(),
        _ => format!("no valid JSON at column {}", error.column()),
    })
}

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
                return Err(A::Error::custom("twice"));
            }
            let Strict(value) = members.next_value()?;
            map.insert(key, value);
        }
        Ok(map.into())
    }
}

/// The keys that a schema requires of the object, as far as it says so at its top.
pub(super) fn required(schema: &Value) -> impl Iterator<Item = &str> {
    schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}
