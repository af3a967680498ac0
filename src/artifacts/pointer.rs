//! Finds the value at a JSON Pointer in a JSON text, without parsing the rest into values.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

/// Limits of a pointer: its bytes, and its steps.
const POINTER_BYTES_MAX: usize = 4 * 1024;
const STEPS_MAX: usize = 100;

/// Parses a pointer of RFC 6901 into its keys.
pub(super) fn steps(pointer: &str) -> Result<Vec<String>, String> {
    if pointer.len() > POINTER_BYTES_MAX {
        return Err(format!(
            "`pointer` is {} bytes; the limit is {POINTER_BYTES_MAX}",
            pointer.len()
        ));
    }
    if pointer.is_empty() {
        return Ok(Vec::new());
    }
    let Some(rest) = pointer.strip_prefix('/') else {
        return Err(
            "`pointer` must be empty or begin with `/`, such as \"/items/0/name\"".to_owned()
        );
    };
    let steps: Vec<String> =
        rest.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
    if steps.len() > STEPS_MAX {
        return Err(format!("`pointer` has {} steps; the limit is {STEPS_MAX}", steps.len()));
    }
    Ok(steps)
}

/// The value at the pointer, as it is written; none where there is none.
pub(super) fn find<'t>(
    text: &'t str,
    steps: &[String],
) -> Result<Option<&'t RawValue>, serde_json::Error> {
    let mut from = serde_json::Deserializer::from_str(text);
    At(steps).deserialize(&mut from)
}

struct At<'p>(&'p [String]);

impl<'de> DeserializeSeed<'de> for At<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        match self.0.is_empty() {
            true => <&RawValue>::deserialize(from).map(Some),
            false => from.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for At<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(key) = members.next_key::<std::borrow::Cow<'de, str>>()? {
            if self.0.first().is_some_and(|step| *step == key) {
                // Of a repeated key the last one counts, as everywhere.
                found = members.next_value_seed(At(&self.0[1..]))?;
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        // `01` is not an index.
        let wanted = self
            .0
            .first()
            .and_then(|step| step.parse::<usize>().ok().filter(|index| index.to_string() == *step));
        let (mut found, mut index) = (None, 0);
        loop {
            if Some(index) == wanted {
                match items.next_element_seed(At(&self.0[1..]))? {
                    Some(value) => found = value,
                    None => return Ok(found),
                }
            } else if items.next_element::<IgnoredAny>()?.is_none() {
                return Ok(found);
            }
            index += 1;
        }
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}
