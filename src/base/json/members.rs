//! Reads single members of a JSON object as the text that they are, so that numbers keep every
//! digit and nothing large becomes a tree.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The members of these names, in their order; none where there is no such member. Of members with
/// one name the last counts, as in JavaScript. Fails if the text is not one JSON object.
pub fn members<'t, const N: usize>(
    json: &'t str,
    names: [&str; N],
) -> Result<[Option<&'t RawValue>; N], serde_json::Error> {
    let mut parser = serde_json::Deserializer::from_str(json);
    let found = Members(names).deserialize(&mut parser)?;
    parser.end()?;
    Ok(found)
}

/// The same; a member that is null counts as missing.
pub fn present_members<'t, const N: usize>(
    json: &'t str,
    names: [&str; N],
) -> Result<[Option<&'t RawValue>; N], serde_json::Error> {
    members(json, names).map(|found| found.map(|member| member.filter(|raw| raw.get() != "null")))
}

/// Returns true for an object or a list that has nothing in it.
pub fn is_empty(json: &RawValue) -> bool {
    let inside = json.get().strip_prefix(['{', '[']);
    inside.and_then(|text| text.strip_suffix(['}', ']'])).is_some_and(|text| text.trim().is_empty())
}

/// A text, a number or a boolean as text, with the digits that it is written with; else none.
pub fn scalar(json: &RawValue) -> Option<String> {
    match json.get().as_bytes().first()? {
        b'"' => serde_json::from_str(json.get()).ok(),
        b'{' | b'[' | b'n' => None,
        _ => Some(json.get().to_owned()),
    }
}

struct Members<'n, const N: usize>([&'n str; N]);

impl<'de, const N: usize> DeserializeSeed<'de> for Members<'_, N> {
    type Value = [Option<&'de RawValue>; N];

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, const N: usize> Visitor<'de> for Members<'_, N> {
    type Value = [Option<&'de RawValue>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = [None; N];
        while let Some(at) = map.next_key_seed(Position(&self.0))? {
            match at {
                Some(at) => found[at] = Some(map.next_value()?),
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(found)
    }
}

/// The position of a key among the names.
struct Position<'n, 's>(&'n [&'s str]);

impl<'de> DeserializeSeed<'de> for Position<'_, '_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Position<'_, '_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|name| *name == key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_come_as_they_are_written_and_the_last_of_one_name_counts() {
        let json = r#" {"a": 1.10, "x": [1e400], "b": null, "a": 12345678901234567890,
            "\u0063": "\ud83d"} "#;
        let [a, b, c, d] = members(json, ["a", "b", "c", "d"]).unwrap();
        let text = |raw: Option<&RawValue>| raw.map(|raw| raw.get().to_owned());
        assert_eq!(text(a).as_deref(), Some("12345678901234567890"));
        assert_eq!(text(b).as_deref(), Some("null"));
        assert_eq!(text(c).as_deref(), Some(r#""\ud83d""#));
        assert!(d.is_none());
        assert!(present_members(json, ["b"]).unwrap()[0].is_none());
    }

    #[test]
    fn scalars_are_texts_as_they_are_written() {
        let scalar = |json: &str| scalar(&RawValue::from_string(json.to_owned()).unwrap());
        for (json, text) in
            [("\"a\\nb\"", "a\nb"), ("1.10", "1.10"), ("1e400", "1e400"), ("true", "true")]
        {
            assert_eq!(scalar(json).as_deref(), Some(text));
        }
        for json in ["null", "{}", "[]", r#""\ud83d""#] {
            assert_eq!(scalar(json), None, "{json}");
        }
    }

    #[test]
    fn only_objects_and_lists_without_anything_in_them_are_empty() {
        let is_empty = |json: &str| is_empty(&RawValue::from_string(json.to_owned()).unwrap());
        assert!(["{}", "[]", "{ }", "[\n]"].into_iter().all(is_empty));
        assert!(!["null", "\"\"", "0", "[{}]", "{\"a\":{}}"].into_iter().any(is_empty));
    }

    #[test]
    fn what_is_no_object_has_no_members() {
        for json in ["", "1", "[]", "null", "{", "{} {}", "{\"a\": }"] {
            assert!(members(json, ["a"]).is_err(), "{json}");
        }
    }
}
