//! Finds a key that an object in a JSON text has twice. Readers disagree about which of the two
//! values counts, so such a text is refused where somebody decides about it.

use std::{borrow::Cow, collections::HashSet, fmt};

use serde::{
    Deserializer,
    de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor},
};

/// Longest key that an error repeats, in bytes, and longest place.
const KEY_BYTES_MAX: usize = 80;
const PLACE_BYTES_MAX: usize = 200;
/// Keys of an object that are compared one by one; those of a larger one are hashed.
const COMPARED_MAX: usize = 16;

/// A key that an object has twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DuplicateKey {
    key: String,
    /// Keys and positions from the object outwards.
    place: Vec<String>,
}

impl fmt::Display for DuplicateKey {
    /// `the key "a" twice in "params.arguments"`, or `… in the outermost object`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the key {:?} twice in ", super::text::cut(&self.key, KEY_BYTES_MAX))?;
        let mut place = String::new();
        for step in self.place.iter().rev() {
            if !place.is_empty() && !step.starts_with('[') {
                place.push('.');
            }
            place.push_str(step);
        }
        match place.as_str() {
            "" => f.write_str("the outermost object"),
            place => write!(f, "{:?}", super::text::cut(place, PLACE_BYTES_MAX)),
        }
    }
}

/// Returns the first key that an object in the text has twice; none if there is no such key, or
/// the text is not JSON.
pub fn duplicate_key(json: &[u8]) -> Option<DuplicateKey> {
    let mut found = None;
    let mut reader = serde_json::Deserializer::from_slice(json);
    // What is no JSON is reported by whoever reads it.
    let _ = Unique(&mut found).deserialize(&mut reader);
    found
}

/// Reads a JSON value, and notes the first key that is there twice.
struct Unique<'f>(&'f mut Option<DuplicateKey>);

impl Unique<'_> {
    /// Adds the step to the way to a doubled key.
    fn lead(&mut self, step: impl FnOnce() -> String) {
        if let Some(found) = self.0 {
            found.place.push(step());
        }
    }
}

impl<'de> DeserializeSeed<'de> for Unique<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        let mut at = 0;
        loop {
            match items.next_element_seed(Unique(self.0)) {
                Ok(Some(())) => at += 1,
                Ok(None) => return Ok(()),
                Err(error) => {
                    self.lead(|| format!("[{at}]"));
                    return Err(error);
                }
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        let mut keys = Keys::default();
        while let Some(key) = members.next_key_seed(Key)? {
            if !keys.insert(key.clone()) {
                *self.0 = Some(DuplicateKey { key: key.into_owned(), place: Vec::new() });
                return Err(A::Error::custom("a key is there twice"));
            }
            if let Err(error) = members.next_value_seed(Unique(self.0)) {
                self.lead(|| key.into_owned());
                return Err(error);
            }
        }
        Ok(())
    }
}

/// The keys of one object.
#[derive(Default)]
struct Keys<'de> {
    few: Vec<Cow<'de, str>>,
    many: HashSet<Cow<'de, str>>,
}

impl<'de> Keys<'de> {
    /// Returns false if the key is there already.
    fn insert(&mut self, key: Cow<'de, str>) -> bool {
        if self.few.len() < COMPARED_MAX {
            let is_new = !self.few.contains(&key);
            self.few.push(key);
            return is_new;
        }
        !self.few.contains(&key) && self.many.insert(key)
    }
}

/// A key, borrowed from the text where it has no escapes.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::duplicate_key;

    #[test]
    fn a_doubled_key_is_found_at_any_depth_and_in_any_spelling_and_its_place_is_told() {
        let wide: Vec<String> = (0..40).map(|n| format!("\"k{n}\": {n}")).collect();
        let wide = format!(r#"{{"w": {{{}, "k7": 0}}}}"#, wide.join(", "));
        let late = wide.replace("\"k7\": 0", "\"k30\": 0");
        for (json, told) in [
            (r#"{"a": 1, "a": 2}"#, r#"the key "a" twice in the outermost object"#),
            (r#"{"a": 1, "\u0061": 1}"#, r#"the key "a" twice in the outermost object"#),
            (
                r#"[{"x": {"b": 1, "c": [{"d": 1, "d": {}}]}}]"#,
                r#"the key "d" twice in "[0].x.c[0]""#,
            ),
            (r#"{"p": {"": 1, "": 2}}"#, r#"the key "" twice in "p""#),
            (r#"{"p": [{}, {"a at line 1": 1, "a at line 1": 2}]}"#, r#" twice in "p[1]""#),
            (wide.as_str(), r#"the key "k7" twice in "w""#),
            (late.as_str(), r#"the key "k30" twice in "w""#),
        ] {
            let found = duplicate_key(json.as_bytes()).expect(json).to_string();
            assert!(found.ends_with(told), "{json}: {found}");
        }
        let long = format!(r#"{{"{0}": {{"{0}": 1, "{0}": 2}}}}"#, "k".repeat(5_000));
        let found = duplicate_key(long.as_bytes()).expect("it is there").to_string();
        assert!(found.len() < 320, "{found}");
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
