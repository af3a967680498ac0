//! Infers the type of a tool's result from its responses, for upstreams that do not describe it.
//!
//! Shapes only: no value is kept, and no key that looks like a value. What was learned from the
//! answers to one workspace is told to that workspace alone. Everything about it is bounded: how
//! much of an answer is looked at, how many answers, how deep, how many keys, for how many
//! workspaces. What was learned is a guess, and is told as one.

use std::{collections::BTreeMap, fmt, sync::Arc};

use parking_lot::{Mutex, MutexGuard};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Value, json};

use crate::catalog::path;

/// Largest answer that is looked at, in bytes; some milliseconds.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// Answers of one tool to one workspace that are looked at; after that its shape stays as it is.
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
/// Objects with at least so many keys, all of whose values are objects of one shape, are taken for
/// a map.
const ALIKE_MIN: usize = 3;
/// Objects with at least so many keys, all of whose values are plain and of one type, may be counts
/// by name as well as records: their keys are told once two objects had them.
const PLAIN_MIN: usize = 3;
/// Workspaces whose answers are learned from, for each tool; then the one that was learned from
/// first is forgotten.
const WORKSPACES_MAX: usize = 16;

/// Values observed at one place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct TypeShape {
    null: bool,
    boolean: bool,
    integer: bool,
    number: bool,
    string: bool,
    /// Something that is nested too deep to be told.
    other: bool,
    list: Option<Box<TypeShape>>,
    object: Option<Box<ObjectShape>>,
}

/// Objects observed at one place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct ObjectShape {
    /// By key, with how many objects had it.
    fields: BTreeMap<String, (TypeShape, u32)>,
    /// Number of objects.
    seen: u32,
    /// Set once the keys look like values: what stands under any of them.
    map: Option<TypeShape>,
}

/// Schema inferred from the responses of one tool, by workspace.
#[derive(Default)]
pub(in crate::catalog) struct InferredSchema {
    // A plain mutex: held while two shapes are merged. The latest workspace is the last.
    learned: Mutex<Vec<Learned>>,
}

/// Schema inferred from the responses to one workspace.
#[derive(Default)]
struct Learned {
    workspace: Box<str>,
    samples: u32,
    shape: Option<TypeShape>,
    /// The shape as a JSON Schema, made when it changes.
    schema: Option<Arc<Value>>,
}

impl fmt::Debug for InferredSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InferredSchema")
            .field("workspaces", &self.learned().len())
            .finish_non_exhaustive()
    }
}

impl InferredSchema {
    /// Looks at one answer to this workspace, unless enough were looked at.
    pub(in crate::catalog) fn note(&self, workspace: &str, answer: &str) {
        if answer.len() > ANSWER_BYTES_MAX || !self.takes_one_more(workspace) {
            return;
        }
        let mut keys_left = ALL_KEYS_MAX;
        let mut reader = serde_json::Deserializer::from_str(answer);
        // An answer that no reader follows to its end teaches nothing.
        let Ok(seen) =
            (ShapeVisitor { depth: 0, keys_left: &mut keys_left }).deserialize(&mut reader)
        else {
            return;
        };
        let mut all = self.learned();
        // Forgotten meanwhile, it begins anew with the next answer.
        let Some(known) = all.iter_mut().find(|known| *known.workspace == *workspace) else {
            return;
        };
        let merged = match known.shape.take() {
            Some(shape) => shape.merged(seen),
            None => seen,
        };
        known.schema = Some(Arc::new(merged.schema()));
        known.shape = Some(merged);
    }

    fn takes_one_more(&self, workspace: &str) -> bool {
        let mut all = self.learned();
        if let Some(known) = all.iter_mut().find(|known| *known.workspace == *workspace) {
            known.samples += u32::from(known.samples <= SAMPLES_MAX);
            return known.samples <= SAMPLES_MAX;
        }
        if all.len() >= WORKSPACES_MAX {
            all.remove(0);
        }
        all.push(Learned { workspace: workspace.into(), samples: 1, ..Learned::default() });
        true
    }

    /// JSON Schema inferred from the responses to this workspace; none before the first.
    pub(in crate::catalog) fn schema(&self, workspace: &str) -> Option<Arc<Value>> {
        self.learned().iter().find(|known| *known.workspace == *workspace)?.schema.clone()
    }

    fn learned(&self) -> MutexGuard<'_, Vec<Learned>> {
        self.learned.lock()
    }
}

impl TypeShape {
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

    /// Returns true if it has the same types and keys at the same places.
    fn is_like(&self, other: &Self) -> bool {
        let flags = |shape: &Self| {
            [shape.null, shape.boolean, shape.integer, shape.number, shape.string, shape.other]
        };
        flags(self) == flags(other)
            && alike(self.list.as_deref(), other.list.as_deref(), Self::is_like)
            && alike(self.object.as_deref(), other.object.as_deref(), ObjectShape::is_like)
    }

    /// Its one plain type, with or without null; none where it is anything else.
    fn plain(&self) -> Option<Plain> {
        if self.list.is_some() || self.object.is_some() || self.other {
            return None;
        }
        match (self.boolean, self.integer || self.number, self.string) {
            (false, false, false) => Some(Plain::Null),
            (true, false, false) => Some(Plain::Boolean),
            (false, true, false) => Some(Plain::Number),
            (false, false, true) => Some(Plain::String),
            _ => None,
        }
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
        let plain = [
            self.string.then_some("string"),
            number,
            self.boolean.then_some("boolean"),
            self.null.then_some("null"),
        ];
        options.extend(plain.into_iter().flatten().map(|name| json!({ "type": name })));
        match options.len() {
            // Only empty lists were seen here, or nothing.
            0 => json!({}),
            1 => options.remove(0),
            _ => json!({ "anyOf": options }),
        }
    }
}

/// The types that have no parts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Plain {
    Null,
    Boolean,
    Number,
    String,
}

fn alike<T>(one: Option<&T>, other: Option<&T>, is_like: impl FnOnce(&T, &T) -> bool) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => is_like(one, other),
        (None, None) => true,
        _ => false,
    }
}

fn both<T>(
    one: Option<Box<T>>,
    other: Option<Box<T>>,
    merge: impl FnOnce(T, T) -> T,
) -> Option<Box<T>> {
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
        self.seen = self.seen.saturating_add(other.seen);
        for (key, (shape, count)) in other.fields {
            let (known, before) = self.fields.remove(&key).unwrap_or_default();
            self.fields.insert(key, (known.merged(shape), before.saturating_add(count)));
        }
        self.settled()
    }

    /// All that stands under any key of either, together.
    fn into_map(self, other: Self) -> Self {
        let under = |object: Self| {
            object.map.into_iter().chain(object.fields.into_values().map(|(shape, _)| shape))
        };
        let all = under(self).chain(under(other)).reduce(TypeShape::merged);
        Self { map: Some(all.unwrap_or_default()), ..Self::default() }
    }

    /// A map, where the keys look like values rather than names.
    fn settled(self) -> Self {
        let is_named = self.fields.keys().all(|key| is_name(key));
        let composite = |shape: &TypeShape| {
            shape
                .object
                .as_ref()
                .is_some_and(|object| !object.fields.is_empty() || object.map.is_some())
        };
        let mut shapes = self.fields.values().map(|(shape, _)| shape);
        let first = shapes.next().filter(|first| composite(first));
        let are_alike = self.fields.len() >= ALIKE_MIN
            && first.is_some_and(|first| shapes.all(|shape| shape.is_like(first)));
        if self.map.is_none()
            && is_named
            && !are_alike
            && !self.is_table()
            && self.fields.len() <= KEYS_MAX
        {
            return self;
        }
        self.into_map(Self::default())
    }

    fn schema(&self) -> Value {
        if let Some(map) = &self.map {
            return json!({ "type": "object", "additionalProperties": map.schema() });
        }
        // So many plain values of one type may be counts by name: what only one object had is not
        // told.
        let count_min = if self.fields.len() >= PLAIN_MIN && self.is_plain() { 2 } else { 1 };
        if self.seen < count_min {
            let all = self
                .fields
                .values()
                .map(|(shape, _)| shape.clone())
                .reduce(TypeShape::merged)
                .unwrap_or_default();
            return json!({ "type": "object", "additionalProperties": all.schema() });
        }
        let frequent = self.fields.iter().filter(|(_, (_, count))| *count >= count_min);
        let properties: serde_json::Map<String, Value> =
            frequent.map(|(key, (shape, _))| (key.clone(), shape.schema())).collect();
        let required: Vec<&String> = self.always().map(|(key, _)| key).collect();
        json!({ "type": "object", "properties": properties, "required": required })
    }

    /// Fields that every object had.
    fn always(&self) -> impl Iterator<Item = (&String, &(TypeShape, u32))> {
        self.fields.iter().filter(|(_, (_, count))| *count == self.seen)
    }

    /// Returns true if all values are plain and of one type.
    fn is_plain(&self) -> bool {
        let kinds = || self.fields.values().map(|(shape, _)| shape.plain());
        let first = kinds().flatten().find(|kind| *kind != Plain::Null);
        kinds().all(|kind| kind.is_some_and(|kind| kind == Plain::Null || Some(kind) == first))
    }

    /// Returns true if the keys are values: what stands under them is alike, and from one object to
    /// the next they are other ones.
    fn is_table(&self) -> bool {
        let (all, always) = (self.fields.len(), self.always().count());
        let differ = all >= 2 && always == 0 || all >= PLAIN_MIN && always * 3 < all * 2;
        self.seen >= 2 && differ && self.is_plain()
    }

    fn is_like(&self, other: &Self) -> bool {
        let fields = || self.fields.iter().zip(&other.fields);
        self.fields.len() == other.fields.len()
            && fields()
                .all(|((key, (shape, _)), (known, (like, _)))| key == known && shape.is_like(like))
            && alike(self.map.as_ref(), other.map.as_ref(), TypeShape::is_like)
    }
}

/// Returns true if a key is the name of a field, as far as one can tell: a short identifier of few
/// words that is neither a number, nor random, nor an address.
fn is_name(key: &str) -> bool {
    let letters = key.chars().filter(|c| c.is_ascii_alphabetic()).count();
    let digits = key.chars().filter(char::is_ascii_digit).count();
    let is_hex =
        key.len() >= 12 && key.chars().all(|c| c.is_ascii_hexdigit() || c == '-' || c == '_');
    let spelled = key.replace('-', "_");
    let words = key.split(['-', ' ']).count();
    words <= KEY_WORDS_MAX
        && key.len() <= KEY_BYTES_MAX
        && key.is_ascii()
        && path::is_identifier(&spelled)
        && digits <= 4
        && letters > digits
        && !is_hex
}

/// Reads one value and keeps its shape alone.
struct ShapeVisitor<'a> {
    depth: usize,
    keys_left: &'a mut usize,
}

impl<'de> DeserializeSeed<'de> for ShapeVisitor<'_> {
    type Value = TypeShape;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<TypeShape, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ShapeVisitor<'_> {
    type Value = TypeShape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<TypeShape, E> {
        Ok(TypeShape { boolean: true, ..TypeShape::default() })
    }

    fn visit_i64<E>(self, _: i64) -> Result<TypeShape, E> {
        Ok(TypeShape { integer: true, ..TypeShape::default() })
    }

    fn visit_u64<E>(self, _: u64) -> Result<TypeShape, E> {
        Ok(TypeShape { integer: true, ..TypeShape::default() })
    }

    fn visit_f64<E>(self, _: f64) -> Result<TypeShape, E> {
        Ok(TypeShape { number: true, ..TypeShape::default() })
    }

    fn visit_str<E>(self, _: &str) -> Result<TypeShape, E> {
        Ok(TypeShape { string: true, ..TypeShape::default() })
    }

    fn visit_unit<E>(self) -> Result<TypeShape, E> {
        Ok(TypeShape { null: true, ..TypeShape::default() })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<TypeShape, A::Error> {
        let mut all = TypeShape::default();
        if self.depth < DEPTH_MAX {
            for _ in 0..ITEMS_MAX {
                let Some(item) = items.next_element_seed(ShapeVisitor {
                    depth: self.depth + 1,
                    keys_left: self.keys_left,
                })?
                else {
                    break;
                };
                all = all.merged(item);
            }
        } else {
            all.other = true;
        }
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(TypeShape { list: Some(Box::new(all)), ..TypeShape::default() })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<TypeShape, A::Error> {
        let mut object = ObjectShape { seen: 1, ..ObjectShape::default() };
        if self.depth >= DEPTH_MAX {
            while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(TypeShape { other: true, ..TypeShape::default() });
        }
        while let Some(key) = entries.next_key::<String>()? {
            if object.fields.len() > KEYS_MAX || *self.keys_left == 0 {
                entries.next_value::<IgnoredAny>()?;
                // There is more than is told, whatever it is.
                object.map = Some(TypeShape { other: true, ..TypeShape::default() });
                continue;
            }
            *self.keys_left -= 1;
            let value = entries.next_value_seed(ShapeVisitor {
                depth: self.depth + 1,
                keys_left: self.keys_left,
            })?;
            object.fields.insert(key, (value, 1));
        }
        Ok(TypeShape { object: Some(Box::new(object.settled())), ..TypeShape::default() })
    }
}

#[cfg(test)]
mod tests;
