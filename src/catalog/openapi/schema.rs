//! Schemas of a document as self-contained JSON Schema 2020-12: references inlined where they are
//! small, kept under `$defs` where they are large or recursive, and within the requested level of
//! detail.
//!
//! Only keywords that are known, of the kind that they should be, are kept: one wrong keyword would
//! make the whole schema useless for checking.

mod keywords;

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
};

use serde_json::{Map, Value, json};

use super::document::{Dialect, Document};
use crate::{
    base::text::cut,
    catalog::schema::{
        checker::compile,
        dialect::{is_nullable, nullable},
        lenient::OPTIONAL,
    },
};

/// Values of a referenced schema up to which it is inlined, everything that it references included.
const INLINE_NODES_MAX: usize = 24;
/// Deepest nesting of a schema, references that were put in place included; beyond it anything
/// goes.
const DEPTH_MAX: usize = 48;
/// Different patterns of one description that are tried; from then on patterns are dropped.
const PATTERNS_MAX: usize = 2_000;
/// Patterns that one schema is expected to have: each may take a share of what they may take
/// together.
const PATTERNS_TOGETHER: usize = 64;
/// Longest pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 1_000;
/// References of one schema that is too large which are looked at for whether they are so alone.
const BLAMED_MAX: usize = 8;
/// Longest example or default, in bytes of JSON.
const EXAMPLE_BYTES_MAX: usize = 300;
/// Values of an enumeration; a longer one says only what type they have.
const OPTIONS_MAX: usize = 1_000;

/// Direction of a value: read-only properties are not part of requests, write-only ones not of
/// responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Direction {
    /// To the service.
    Request,
    /// From the service.
    ToolResponse,
}

/// Level of detail of a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Detail {
    /// Longest description at one place, in bytes; 0 leaves them out.
    pub(super) words: usize,
    /// True if examples, defaults, formats and limits are kept.
    pub(super) limits: bool,
    /// References in a row that are told; beyond it anything goes.
    pub(super) references: usize,
    /// Bytes of JSON, roughly.
    pub(super) bytes_max: usize,
}

/// A schema needs more than its [`Detail::bytes_max`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLarge;

/// The schemas of one description.
pub(super) struct Schemas<'d> {
    pub(super) document: &'d Document,
    /// Number of values of each referenced schema, at most one more than are inlined.
    weights: RefCell<HashMap<&'d str, usize>>,
    /// True if a pattern can be used.
    patterns: RefCell<HashMap<&'d str, bool>>,
    /// References that lead nowhere, counted each time they are met.
    lost: Cell<usize>,
    /// Whether a referenced schema is too large by itself, so that thousands of operations with one
    /// large schema do not each compute it.
    too_large: RefCell<HashMap<SchemaKey<'d>, bool>>,
}

/// A reference as it is told: which way, in which detail, and after how many references.
type SchemaKey<'d> = (&'d str, Direction, Detail, usize);

impl<'d> Schemas<'d> {
    pub(super) fn new(document: &'d Document) -> Self {
        Self {
            document,
            weights: RefCell::default(),
            patterns: RefCell::default(),
            lost: Cell::new(0),
            too_large: RefCell::default(),
        }
    }

    /// References that lead nowhere or out of the document, so far.
    pub(super) fn lost(&self) -> usize {
        self.lost.get()
    }

    /// Number of values of a referenced schema. Cycles and long chains of references weigh too much
    /// to be inlined.
    fn weight(&self, reference: &'d str, depth: usize) -> usize {
        if let Some(weight) = self.weights.borrow().get(reference) {
            return *weight;
        }
        // Who comes here again meanwhile goes in a circle.
        self.weights.borrow_mut().insert(reference, INLINE_NODES_MAX + 1);
        let mut left = INLINE_NODES_MAX;
        let fits = self.document.pointed(reference).is_some_and(|target| {
            depth <= DEPTH_MAX && self.weigh(target, &mut left, depth).is_some()
        });
        let weight = if fits { INLINE_NODES_MAX - left } else { INLINE_NODES_MAX + 1 };
        self.weights.borrow_mut().insert(reference, weight);
        weight
    }

    fn weigh(&self, schema: &'d Value, left: &mut usize, depth: usize) -> Option<()> {
        *left = left.checked_sub(1)?;
        if depth > DEPTH_MAX {
            return None;
        }
        match schema {
            Value::Array(items) => {
                items.iter().try_for_each(|item| self.weigh(item, left, depth + 1))
            }
            Value::Object(map) => {
                map.iter().try_for_each(|(key, value)| match (key.as_str(), value) {
                    ("$ref", Value::String(reference)) => {
                        *left = left.checked_sub(self.weight(reference, depth + 1))?;
                        Some(())
                    }
                    (
                        "description" | "title" | "example" | "examples" | "externalDocs" | "xml",
                        _,
                    ) => Some(()),
                    _ => self.weigh(value, left, depth + 1),
                })
            }
            _ => Some(()),
        }
    }

    /// Returns true if the engine that checks arguments takes the pattern.
    fn takes_pattern(&self, pattern: &'d str) -> bool {
        if pattern.len() > PATTERN_BYTES_MAX {
            return false;
        }
        if let Some(known) = self.patterns.borrow().get(pattern) {
            return *known;
        }
        if self.patterns.borrow().len() >= PATTERNS_MAX {
            return false;
        }
        // As in a schema that has as many patterns as it may: what is taken here is taken there.
        let built = compile(&json!({"pattern": pattern}), PATTERNS_TOGETHER);
        self.patterns.borrow_mut().insert(pattern, built.is_ok());
        built.is_ok()
    }
}

/// Builds one self-contained schema from one or more schemas of the document.
pub(super) struct Builder<'s, 'd> {
    pub(super) schemas: &'s Schemas<'d>,
    direction: Direction,
    detail: Detail,
    bytes_left: usize,
    /// Schemas kept under `$defs`: the reference, its name, and the number of references on the
    /// path to it.
    kept: Vec<(&'d str, String, usize)>,
    names: HashMap<&'d str, usize>,
    taken: HashMap<String, usize>,
    /// True if something was left out for its depth or its many references.
    pub(super) is_cut: bool,
    /// The first references that were met, with the number of those before them.
    met: Vec<(&'d str, usize)>,
}

impl<'s, 'd> Builder<'s, 'd> {
    pub(super) fn new(schemas: &'s Schemas<'d>, direction: Direction, detail: Detail) -> Self {
        let (names, taken) = (HashMap::new(), HashMap::new());
        Self {
            schemas,
            direction,
            detail,
            bytes_left: detail.bytes_max,
            kept: Vec::new(),
            names,
            taken,
            is_cut: false,
            met: Vec::new(),
        }
    }

    /// Fails fast if the referenced schema is already known to exceed the limit by itself.
    fn heed(&mut self, reference: &'d str, references: usize) -> Result<(), TooLarge> {
        if self.schemas.too_large.borrow().get(&(
            reference,
            self.direction,
            self.detail,
            references,
        )) == Some(&true)
        {
            return Err(TooLarge);
        }
        if self.met.len() < BLAMED_MAX {
            self.met.push((reference, references));
        }
        Ok(())
    }

    /// After it was too large: finds out which of the references that it met are so alone, each
    /// once for the whole description.
    pub(super) fn blame(self) {
        for (reference, references) in self.met {
            let key = (reference, self.direction, self.detail, references);
            if self.schemas.too_large.borrow().contains_key(&key) {
                continue;
            }
            let mut alone = Builder::new(self.schemas, self.direction, self.detail);
            let target = self.schemas.document.pointed(reference).unwrap_or(&Value::Bool(true));
            let made = alone.schema(target, 1, references).and_then(|_| alone.definitions());
            self.schemas.too_large.borrow_mut().insert(key, made.is_err());
        }
    }

    /// Takes so many bytes of what the schema may have.
    pub(super) fn spend(&mut self, bytes: usize) -> Result<(), TooLarge> {
        self.bytes_left = self.bytes_left.checked_sub(bytes).ok_or(TooLarge)?;
        Ok(())
    }

    /// A schema at the top, or of one parameter: what it refers to is always put in its place.
    pub(super) fn top(&mut self, schema: &'d Value) -> Result<Value, TooLarge> {
        match schema.get("$ref").and_then(Value::as_str) {
            Some(reference) if self.schemas.document.pointed(reference).is_some() => {
                self.heed(reference, 0)?;
                self.placed(reference, schema, 0, 0)
            }
            _ => self.schema(schema, 0, 0),
        }
    }

    /// The schemas kept so far, and those that they reference in turn.
    pub(super) fn definitions(&mut self) -> Result<Map<String, Value>, TooLarge> {
        let mut out = Map::new();
        let mut next = 0;
        // Every reference is kept once, so this ends.
        while let Some((reference, name, references)) = self.kept.get(next).cloned() {
            next += 1;
            let target = self.schemas.document.pointed(reference).unwrap_or(&Value::Bool(true));
            self.spend(name.len() + 4)?;
            let schema = self.schema(target, 1, references)?;
            out.insert(name, schema);
        }
        Ok(out)
    }

    pub(super) fn schema(
        &mut self,
        schema: &'d Value,
        depth: usize,
        references: usize,
    ) -> Result<Value, TooLarge> {
        self.spend(4)?;
        let map = match schema {
            Value::Bool(_) => return Ok(schema.clone()),
            Value::Object(map) if depth <= DEPTH_MAX => map,
            _ => {
                self.is_cut = true;
                return Ok(Value::Object(Map::new()));
            }
        };
        match map.get("$ref") {
            Some(Value::String(reference)) => self.reference(reference, schema, depth, references),
            _ => self.keywords(map, depth, references),
        }
    }

    fn reference(
        &mut self,
        reference: &'d str,
        holder: &'d Value,
        depth: usize,
        references: usize,
    ) -> Result<Value, TooLarge> {
        if self.schemas.document.pointed(reference).is_none() {
            self.schemas.lost.set(self.schemas.lost.get() + 1);
            return Ok(Value::Object(Map::new()));
        }
        if references >= self.detail.references {
            self.is_cut = true;
            return Ok(Value::Object(Map::new()));
        }
        if self.schemas.weight(reference, 0) <= INLINE_NODES_MAX {
            return self.placed(reference, holder, depth, references);
        }
        if references == 0 {
            self.heed(reference, 1)?;
        }
        let name = self.name_of(reference, references + 1);
        let mut out = Map::new();
        out.insert("$ref".to_owned(), format!("#/$defs/{name}").into());
        self.spend(name.len() + 20)?;
        self.beside(holder, out, depth, references)
    }

    /// Puts the referenced schema in the place of the reference.
    fn placed(
        &mut self,
        reference: &'d str,
        holder: &'d Value,
        depth: usize,
        references: usize,
    ) -> Result<Value, TooLarge> {
        let target = self.schemas.document.pointed(reference).unwrap_or(&Value::Bool(true));
        match self.schema(target, depth + 1, references)? {
            Value::Object(out) => self.beside(holder, out, depth, references),
            plain => Ok(plain),
        }
    }

    /// Keywords beside a reference: in 3.1 they count; in 3.0 only descriptions do, as tools read
    /// it.
    fn beside(
        &mut self,
        holder: &'d Value,
        mut out: Map<String, Value>,
        depth: usize,
        references: usize,
    ) -> Result<Value, TooLarge> {
        let Some(holder) = holder.as_object().filter(|holder| holder.len() > 1) else {
            return Ok(Value::Object(out));
        };
        let is_word = |key: &str| {
            matches!(
                key,
                "description" | "title" | "deprecated" | "readOnly" | "writeOnly" | "default"
            )
        };
        if let Some(Value::String(words)) =
            holder.get("description").filter(|_| self.detail.words > 0)
        {
            self.spend(words.len().min(self.detail.words))?;
            out.insert("description".to_owned(), cut(words, self.detail.words).into());
        }
        if self.direction == Direction::Request && holder.contains_key("default") {
            self.spend(OPTIONAL.len() + 8)?;
            out.insert(OPTIONAL.to_owned(), Value::Bool(true));
        }
        let says_more = holder.keys().any(|key| {
            !is_word(key) && !matches!(key.as_str(), "$ref" | "nullable") && !key.starts_with("x-")
        });
        let mut value = Value::Object(out);
        if says_more && self.schemas.document.dialect == Dialect::V31 {
            let rest = self.keywords(holder, depth + 1, references)?;
            if rest.as_object().is_some_and(|rest| !rest.is_empty()) {
                value = json!({"allOf": [value, rest]});
            }
        }
        if is_nullable(holder) {
            value = nullable(value);
        }
        Ok(value)
    }

    /// The name under `$defs`: the last part of the reference, numbered where several end alike.
    fn name_of(&mut self, reference: &'d str, references: usize) -> String {
        if let Some(at) = self.names.get(reference) {
            return self.kept[*at].1.clone();
        }
        let last = reference.rsplit('/').next().unwrap_or_default();
        let clean: String = last
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
            .take(60)
            .collect();
        let clean = if clean.is_empty() { "Schema".to_owned() } else { clean };
        let name = match self.taken.get(&clean).copied() {
            None => clean.clone(),
            // A dash keeps it apart from names that end with a number of their own.
            Some(n) => (n..)
                .map(|n| format!("{clean}-{n}"))
                .find(|name| !self.taken.contains_key(name))
                .unwrap_or_default(),
        };
        *self.taken.entry(clean).or_insert(1) += 1;
        self.taken.entry(name.clone()).or_insert(2);
        self.names.insert(reference, self.kept.len());
        self.kept.push((reference, name.clone(), references));
        name
    }
}

#[cfg(test)]
mod tests;
