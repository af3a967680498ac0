//! The shape of what a tool answers, learned from its answers where its upstream does not describe them.
//!
//! Shapes only: no value is kept, and no key that looks like a value. Everything about it is bounded: how much of an answer is
//! looked at, how many answers, how deep, how many keys. What was learned is a guess, and is told as one.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Value, json};

use super::paths;

/// Largest answer that is looked at, in bytes; some milliseconds.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// Answers of one tool that are looked at; after that its shape stays as it is.
const SAMPLES_MAX: u32 = 12;
/// Deepest nesting that is told.
const DEPTH_MAX: usize = 6;
/// Items of one list that are looked at.
const ITEMS_MAX: usize = 50;
/// Keys of one object that are told; an object with more is taken for a map.
const KEYS_MAX: usize = 64;
/// Keys of a whole shape.
const ALL_KEYS_MAX: usize = 400;
/// Longest key that is told, in bytes.
const KEY_BYTES_MAX: usize = 48;
/// Words with hyphens between them in such a key.
const KEY_WORDS_MAX: usize = 4;
/// Objects with at least so many keys, all of whose values are objects of one shape, are taken for a map.
const ALIKE_MIN: usize = 3;

/// What was seen at one place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Shape {
    null: bool,
    boolean: bool,
    integer: bool,
    number: bool,
    string: bool,
    /// Something that is nested too deep to be told.
    other: bool,
    list: Option<Box<Shape>>,
    object: Option<Box<ObjectShape>>,
}

/// What was seen of objects at one place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct ObjectShape {
    /// By key, with whether every object had it.
    fields: BTreeMap<String, (Shape, bool)>,
    /// Set once the keys look like values: what stands under any of them.
    map: Option<Shape>,
}

/// What is known of one tool's answers.
#[derive(Default)]
pub(super) struct Observed {
    samples: AtomicU32,
    // A plain mutex: held while two shapes are merged.
    shape: Mutex<Option<Shape>>,
    /// The shape as a JSON Schema, made when it changes.
    schema: Mutex<Option<Arc<Value>>>,
}

impl fmt::Debug for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observed").field("samples", &self.samples).finish_non_exhaustive()
    }
}

impl Observed {
    /// Looks at one answer, unless enough were looked at.
    pub(super) fn note(&self, answer: &str) {
        if answer.len() > ANSWER_BYTES_MAX || self.samples.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_err() {
            return;
        }
        let mut keys_left = ALL_KEYS_MAX;
        let mut reader = serde_json::Deserializer::from_str(answer);
        // An answer that no reader follows to its end teaches nothing.
        let Ok(seen) = (Seen { depth: 0, keys_left: &mut keys_left }).deserialize(&mut reader) else { return };
        let mut shape = self.shape.lock().unwrap_or_else(PoisonError::into_inner);
        let merged = match shape.take() {
            Some(known) => known.merged(seen),
            None => seen,
        };
        let schema = merged.schema();
        *shape = Some(merged);
        *self.schema.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(schema));
    }

    /// What was learned, as a JSON Schema; none before the first answer.
    pub(super) fn schema(&self) -> Option<Arc<Value>> {
        self.schema.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn next(samples: u32) -> Option<u32> {
    (samples < SAMPLES_MAX).then_some(samples + 1)
}

impl Shape {
    fn merged(mut self, other: Self) -> Self {
        self.null |= other.null;
        self.boolean |= other.boolean;
        self.integer |= other.integer;
        self.number |= other.number;
        self.string |= other.string;
        self.other |= other.other;
        self.list = both(self.list, other.list, Self::merged);
        self.object = both(self.object, other.object, ObjectShape::merged);
        self
    }

    /// JSON Schema; where nothing is known it allows everything.
    fn schema(&self) -> Value {
        if self.other {
            return json!({});
        }
        let mut options: Vec<Value> = Vec::new();
        if let Some(object) = &self.object {
            options.push(object.schema());
        }
        if let Some(item) = &self.list {
            options.push(json!({ "type": "array", "items": item.schema() }));
        }
        let number = if self.number { Some("number") } else { self.integer.then_some("integer") };
        let plain = [self.string.then_some("string"), number, self.boolean.then_some("boolean"), self.null.then_some("null")];
        options.extend(plain.into_iter().flatten().map(|name| json!({ "type": name })));
        match options.len() {
            // Only empty lists were seen here, or nothing.
            0 => json!({}),
            1 => options.remove(0),
            _ => json!({ "anyOf": options }),
        }
    }
}

fn both<T>(one: Option<Box<T>>, other: Option<Box<T>>, merge: impl FnOnce(T, T) -> T) -> Option<Box<T>> {
    match (one, other) {
        (Some(one), Some(other)) => Some(Box::new(merge(*one, *other))),
        (one, other) => one.or(other),
    }
}

impl ObjectShape {
    fn merged(mut self, other: Self) -> Self {
        if self.map.is_some() || other.map.is_some() {
            return self.into_map(other);
        }
        for (key, (_, always)) in &mut self.fields {
            *always &= other.fields.contains_key(key);
        }
        for (key, (shape, always)) in other.fields {
            match self.fields.remove(&key) {
                Some((known, was)) => self.fields.insert(key, (known.merged(shape), was && always)),
                None => self.fields.insert(key, (shape, false)),
            };
        }
        self.settled()
    }

    /// All that stands under any key of either, together.
    fn into_map(self, other: Self) -> Self {
        let under = |object: Self| object.map.into_iter().chain(object.fields.into_values().map(|(shape, _)| shape));
        let all = under(self).chain(under(other)).reduce(Shape::merged);
        Self { fields: BTreeMap::new(), map: Some(all.unwrap_or_default()) }
    }

    /// A map, where the keys look like values rather than names.
    fn settled(self) -> Self {
        let is_named = self.fields.keys().all(|key| is_name(key));
        let composite =
            |shape: &Shape| shape.object.as_ref().is_some_and(|object| !object.fields.is_empty() || object.map.is_some());
        let mut shapes = self.fields.values().map(|(shape, _)| shape);
        let first = shapes.next().filter(|first| composite(first));
        let are_alike = self.fields.len() >= ALIKE_MIN && first.is_some_and(|first| shapes.all(|shape| shape == first));
        if self.map.is_none() && is_named && !are_alike && self.fields.len() <= KEYS_MAX {
            return self;
        }
        self.into_map(Self::default())
    }

    fn schema(&self) -> Value {
        if let Some(map) = &self.map {
            return json!({ "type": "object", "additionalProperties": map.schema() });
        }
        let properties: serde_json::Map<String, Value> =
            self.fields.iter().map(|(key, (shape, _))| (key.clone(), shape.schema())).collect();
        let required: Vec<&String> = self.fields.iter().filter(|(_, (_, always))| *always).map(|(key, _)| key).collect();
        json!({ "type": "object", "properties": properties, "required": required })
    }
}

/// Whether a key is the name of a field, as far as one can tell: a short identifier of few words that is neither a number, nor
/// random, nor an address.
fn is_name(key: &str) -> bool {
    let letters = key.chars().filter(|c| c.is_ascii_alphabetic()).count();
    let digits = key.chars().filter(char::is_ascii_digit).count();
    let is_hex = key.len() >= 12 && key.chars().all(|c| c.is_ascii_hexdigit() || c == '-' || c == '_');
    let spelled = key.replace('-', "_");
    let words = key.split(['-', ' ']).count();
    words <= KEY_WORDS_MAX
        && key.len() <= KEY_BYTES_MAX
        && key.is_ascii()
        && paths::is_identifier(&spelled)
        && digits <= 4
        && letters > digits
        && !is_hex
}

/// Reads one value and keeps its shape alone.
struct Seen<'a> {
    depth: usize,
    keys_left: &'a mut usize,
}

impl<'de> DeserializeSeed<'de> for Seen<'_> {
    type Value = Shape;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Shape, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seen<'_> {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Shape, E> {
        Ok(Shape { boolean: true, ..Shape::default() })
    }

    fn visit_i64<E>(self, _: i64) -> Result<Shape, E> {
        Ok(Shape { integer: true, ..Shape::default() })
    }

    fn visit_u64<E>(self, _: u64) -> Result<Shape, E> {
        Ok(Shape { integer: true, ..Shape::default() })
    }

    fn visit_f64<E>(self, _: f64) -> Result<Shape, E> {
        Ok(Shape { number: true, ..Shape::default() })
    }

    fn visit_str<E>(self, _: &str) -> Result<Shape, E> {
        Ok(Shape { string: true, ..Shape::default() })
    }

    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape { null: true, ..Shape::default() })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Shape, A::Error> {
        let mut all = Shape::default();
        if self.depth < DEPTH_MAX {
            for _ in 0..ITEMS_MAX {
                let Some(item) = items.next_element_seed(Seen { depth: self.depth + 1, keys_left: self.keys_left })? else { break };
                all = all.merged(item);
            }
        } else {
            all.other = true;
        }
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Shape { list: Some(Box::new(all)), ..Shape::default() })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Shape, A::Error> {
        let mut object = ObjectShape::default();
        if self.depth >= DEPTH_MAX {
            while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(Shape { other: true, ..Shape::default() });
        }
        while let Some(key) = entries.next_key::<String>()? {
            if object.fields.len() > KEYS_MAX || *self.keys_left == 0 {
                entries.next_value::<IgnoredAny>()?;
                // There is more than is told, whatever it is.
                object.map = Some(Shape { other: true, ..Shape::default() });
                continue;
            }
            *self.keys_left -= 1;
            let value = entries.next_value_seed(Seen { depth: self.depth + 1, keys_left: self.keys_left })?;
            object.fields.insert(key, (value, true));
        }
        Ok(Shape { object: Some(Box::new(object.settled())), ..Shape::default() })
    }
}

#[cfg(test)]
mod tests;
