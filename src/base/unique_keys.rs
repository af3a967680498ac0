//! Finds a key that an object in a JSON text has twice. Readers disagree about which of the two
//! values counts, so such a text is refused where somebody decides about it.

use std::{collections::HashSet, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};

/// Longest key that an error repeats, in bytes.
const KEY_BYTES_MAX: usize = 80;
/// Start of the message by which the error is told from others.
const MARK: &str = "the key ";

/// Returns the first key that an object in the text has twice, quoted and at most 80 bytes; none if
/// there is no such key, or the text is not JSON.
pub fn duplicate_key(json: &[u8]) -> Option<String> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let error = Unique::deserialize(&mut reader).err()?;
    let message = error.to_string();
    let key = message.strip_prefix(MARK)?;
    Some(key.rsplit_once(" at line ").map_or(key, |(key, _)| key).to_owned())
}

/// A JSON value without duplicate keys.
struct Unique;

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(Self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self, A::Error> {
        let mut keys = HashSet::new();
        while let Some(key) = members.next_key::<String>()? {
            if keys.contains(&key) {
                let shown = super::text::cut(&key, KEY_BYTES_MAX);
                return Err(A::Error::custom(format!("{MARK}{shown:?}")));
            }
            members.next_value::<Self>()?;
            keys.insert(key);
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::duplicate_key;

    #[test]
    fn a_doubled_key_is_found_at_any_depth_and_in_any_spelling() {
        for (json, key) in [
            (r#"{"a": 1, "a": 2}"#, r#""a""#),
            (r#"{"a": 1, "\u0061": 1}"#, r#""a""#),
            (r#"[{"x": {"b": 1, "c": [{"d": 1, "d": {}}]}}]"#, r#""d""#),
            (r#"{"": 1, "": 2}"#, r#""""#),
            (r#"{"a at line 1": 1, "a at line 1": 2}"#, r#""a at line 1""#),
        ] {
            assert_eq!(duplicate_key(json.as_bytes()).as_deref(), Some(key), "{json}");
        }
        let long = format!(r#"{{"{0}": 1, "{0}": 2}}"#, "k".repeat(5_000));
        assert!(duplicate_key(long.as_bytes()).is_some_and(|key| key.len() < 100));
    }

    #[test]
    fn nothing_is_found_in_other_texts() {
        for json in [
            "",
            "{",
            r#"{"a": 1, "A": 2, "b": {"a": 1}}"#,
            r#"[{"a": 1}, {"a": 2}]"#,
            r#""the key \"a\"""#,
            "[1, 1.5, -1, null, true, 1e400]",
        ] {
            assert_eq!(duplicate_key(json.as_bytes()), None, "{json}");
        }
    }
}
