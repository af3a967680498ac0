//! Reads the schema of arguments as its service means it, so that a call is refused beforehand only
//! where the service surely refuses it. Pure.
//!
//! To the letter, many published schemas admit less than their services take, or nothing at all:
//! each part of an `allOf` forbids the fields of the others, a field that only answers have is
//! required, a field with a default is required, two limits exclude each other. What is changed
//! here is the schema that types, examples and checks are made of; it only ever admits more.

mod denied;
mod empty;
mod group;
mod marks;

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use serde_json::{Map, Value, json};

pub(in crate::catalog) use self::marks::{ABSENT, OPTIONAL};
use self::{
    group::Group,
    marks::{DEPTH_MAX, unmarked},
};
use super::reference::pointed;
use crate::base::json::encoded_bytes;

/// Referenced schemas of one schema that are kept in a second form, for the parts that they are.
const VARIANTS_MAX: usize = 64;
/// Bytes of JSON that these take together, and of a schema that has any: it stays within what one
/// may have.
const VARIANTS_BYTES_MAX: usize = 64 * 1024;
const VARIED_BYTES_MAX: usize = 128 * 1024;
/// Lets the schema of arguments admit what its service means. Returns the places of arguments that
/// no value fits, such as `body.count`: from now on anything fits there, and the service judges.
pub(in crate::catalog) fn relax(schema: &mut Value) -> Vec<String> {
    let original = denied::has_denied(schema, 0).then(|| schema.clone());
    if may_differ(schema, 0) {
        *schema = rewritten(schema, true);
    }
    if let Some(original) = original {
        let is_large = encoded_bytes(&original) > VARIED_BYTES_MAX;
        denied::settle(schema, &original, is_large);
    }
    empty::filled(schema)
}

/// Takes what stands only in requests out of the schema of an answer.
pub(in crate::catalog) fn without_absent(schema: &mut Value) {
    if has_mark(schema, 0) {
        *schema = rewritten(schema, false);
    }
}

/// Returns true if anything in it may be read otherwise than to the letter.
fn may_differ(schema: &Value, depth: usize) -> bool {
    match schema {
        _ if depth > DEPTH_MAX => false,
        Value::Array(items) => items.iter().any(|item| may_differ(item, depth + 1)),
        Value::Object(map) => {
            let has_fields = map.contains_key("properties");
            map.iter().any(|(key, value)| match key.as_str() {
                "allOf" | "default" | ABSENT | OPTIONAL => true,
                // Forms, or what is referred to, beside fields.
                "anyOf" | "oneOf" | "$ref" if has_fields => true,
                _ => may_differ(value, depth + 1),
            })
        }
        _ => false,
    }
}

fn has_mark(schema: &Value, depth: usize) -> bool {
    match schema {
        _ if depth > DEPTH_MAX => false,
        Value::Array(items) => items.iter().any(|item| has_mark(item, depth + 1)),
        Value::Object(map) => map.iter().any(|(key, value)| {
            matches!(key.as_str(), ABSENT | OPTIONAL) || has_mark(value, depth + 1)
        }),
        _ => false,
    }
}

fn rewritten(schema: &Value, relaxes: bool) -> Value {
    let is_large = encoded_bytes(schema) > VARIED_BYTES_MAX;
    let mut rewriter = Rewriter {
        root: schema,
        relaxes,
        variants: BTreeMap::new(),
        ahead: Vec::new(),
        bytes_left: if is_large { 0 } else { VARIANTS_BYTES_MAX },
    };
    let mut out = rewriter.schema(schema, &Whole::default(), 0);
    let mut definitions = Map::new();
    while let Some((name, reference, whole)) = rewriter.ahead.pop() {
        let target = pointed(&reference, schema).unwrap_or(&Value::Bool(true));
        let variant = rewriter.schema(target, &whole, 1);
        definitions.insert(name, variant);
    }
    if let (Value::Object(out), false) = (&mut out, definitions.is_empty()) {
        let known = out.entry("$defs").or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(known) = known {
            known.extend(definitions);
        }
    }
    out
}

/// What a schema is a part of, as far as its parts depend on it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Whole {
    /// True if the whole says which fields there are, so that no part does.
    is_open: bool,
    /// Fields that need not be given, whatever a part says.
    optional: Rc<BTreeSet<String>>,
}

struct Rewriter<'a> {
    root: &'a Value,
    /// False if only what is marked is taken out.
    relaxes: bool,
    /// Names of second forms, by reference and what they are a part of.
    variants: BTreeMap<(String, Whole), String>,
    /// Second forms that are still to be made.
    ahead: Vec<(String, String, Whole)>,
    bytes_left: usize,
}

impl<'a> Rewriter<'a> {
    fn schema(&mut self, schema: &'a Value, whole: &Whole, depth: usize) -> Value {
        let Value::Object(map) = schema else { return schema.clone() };
        if depth > DEPTH_MAX {
            return schema.clone();
        }
        let group = Group::of(map, self.root, self.relaxes);
        let closes = self.relaxes && !whole.is_open && group.is_contradictory();
        let here = Whole {
            is_open: whole.is_open || closes,
            optional: match group.optional.is_subset(&whole.optional) {
                true => whole.optional.clone(),
                false => Rc::new(group.optional.union(&whole.optional).cloned().collect()),
            },
        };
        let mut out = Map::with_capacity(map.len());
        for (key, value) in map {
            let new = match (key.as_str(), value) {
                ("properties", Value::Object(fields)) => {
                    Some(self.fields(fields, self.relaxes && group.is_closed(), depth))
                }
                _ => self.keyword(key, value, &here, depth),
            };
            if let Some(new) = new {
                out.insert(key.clone(), new);
            }
        }
        if closes && group.is_closed() {
            out.insert("unevaluatedProperties".to_owned(), Value::Bool(false));
        }
        Value::Object(out)
    }

    /// The fields of an object. Where no others are allowed, those that only answers have may be
    /// given all the same: a service takes back what it answered, or judges it.
    fn fields(&mut self, fields: &'a Map<String, Value>, keeps_all: bool, depth: usize) -> Value {
        let mut out = Map::with_capacity(fields.len());
        for (name, field) in fields {
            match field.get(ABSENT) {
                None => {
                    out.insert(name.clone(), self.schema(field, &Whole::default(), depth + 1));
                }
                Some(why) if keeps_all => {
                    out.insert(name.clone(), json!({ "description": why }));
                }
                Some(_) => {}
            }
        }
        Value::Object(out)
    }

    fn keyword(
        &mut self,
        key: &str,
        value: &'a Value,
        here: &Whole,
        depth: usize,
    ) -> Option<Value> {
        let apart = Whole::default();
        Some(match (key, value) {
            (ABSENT | OPTIONAL, _) => return None,
            ("additionalProperties" | "unevaluatedProperties", Value::Bool(false))
                if here.is_open =>
            {
                return None;
            }
            ("required", Value::Array(names)) => {
                let is_kept =
                    |name: &&Value| name.as_str().is_none_or(|name| !here.optional.contains(name));
                let kept: Vec<Value> = names.iter().filter(is_kept).cloned().collect();
                if kept.is_empty() && !names.is_empty() {
                    return None;
                }
                kept.into()
            }
            // Parts of the same value.
            ("allOf" | "anyOf" | "oneOf", Value::Array(parts)) => {
                parts.iter().map(|part| self.schema(part, here, depth + 1)).collect()
            }
            ("then" | "else", part) => self.schema(part, here, depth + 1),
            ("$ref", Value::String(reference)) => self.reference(reference, here).into(),
            // Values within it.
            (
                "patternProperties" | "$defs" | "definitions" | "dependentSchemas",
                Value::Object(schemas),
            ) => {
                let schemas: Map<String, Value> = schemas
                    .iter()
                    .map(|(name, schema)| (name.clone(), self.schema(schema, &apart, depth + 1)))
                    .collect();
                Value::Object(schemas)
            }
            ("items" | "prefixItems", Value::Array(places)) => {
                places.iter().map(|place| self.schema(place, &apart, depth + 1)).collect()
            }
            (
                "items"
                | "contains"
                | "additionalItems"
                | "additionalProperties"
                | "unevaluatedProperties"
                | "unevaluatedItems",
                inner,
            ) => self.schema(inner, &apart, depth + 1),
            // What a denied schema admits more, the whole admits less.
            ("not" | "if" | "propertyNames", inner) => unmarked(inner, depth),
            _ => value.clone(),
        })
    }

    /// The reference, or one to a second form of what it leads to.
    fn reference(&mut self, reference: &str, here: &Whole) -> String {
        let same = || reference.to_owned();
        let target = pointed(reference, self.root).and_then(Value::as_object);
        let Some(target) = target.filter(|_| reference.starts_with("#/")) else { return same() };
        if !group::depends(target, self.root, here.is_open, &here.optional) {
            return same();
        }
        let key = (reference.to_owned(), here.clone());
        if let Some(name) = self.variants.get(&key) {
            return format!("#/$defs/{name}");
        }
        let left = self.bytes_left.checked_sub(encoded_bytes(target));
        let Some(left) = left.filter(|_| self.variants.len() < VARIANTS_MAX) else { return same() };
        self.bytes_left = left;
        let last = reference.rsplit('/').next().unwrap_or_default();
        let is_taken = |name: &String| {
            self.variants.values().any(|taken| taken == name)
                || self.root.get("$defs").is_some_and(|known| known.get(name).is_some())
        };
        let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let last: String = last.chars().filter(plain).take(60).collect();
        let numbered = (2..).map(|n| format!("{last}-part-{n}"));
        let name = std::iter::once(format!("{last}-part"))
            .chain(numbered)
            .find(|name| !is_taken(name))
            .unwrap_or_default();
        self.variants.insert(key, name.clone());
        self.ahead.push((name.clone(), reference.to_owned(), here.clone()));
        format!("#/$defs/{name}")
    }
}

/// The schema with `anyOf` for every `oneOf`: a value that fits two forms is taken by services that
/// look for one that fits, and the others judge it themselves.
pub(in crate::catalog) fn any_of_for_one_of(schema: &Value) -> Value {
    any_of(schema, refers_through_one_of(schema, 0), 0)
}

/// Where forms are kept that references lead through.
const FORMS: &str = "$forms";

fn any_of(schema: &Value, keeps_forms: bool, depth: usize) -> Value {
    match schema {
        _ if depth > DEPTH_MAX => schema.clone(),
        Value::Array(items) => {
            items.iter().map(|item| any_of(item, keeps_forms, depth + 1)).collect()
        }
        Value::Object(map) => {
            let has_forms = map.get("oneOf").is_some_and(Value::is_array);
            let mut out: Map<String, Value> = Map::with_capacity(map.len());
            for (key, value) in map {
                match (key.as_str(), value) {
                    ("oneOf", _) if has_forms => {}
                    // Values and what must not fit stay as they are.
                    ("const" | "enum" | "default" | "examples" | "not" | "if", _)
                    | (denied::AS_WRITTEN, _) => {
                        out.insert(key.clone(), value.clone());
                    }
                    ("$ref", Value::String(reference)) if keeps_forms => {
                        let reference = reference.replace("/oneOf/", &format!("/{FORMS}/"));
                        out.insert(key.clone(), reference.into());
                    }
                    // These are names, whatever they are.
                    ("properties" | "patternProperties" | "$defs" | "definitions", fields) => {
                        let fields = fields.as_object().into_iter().flatten();
                        let fields = fields.map(|(name, field)| {
                            (name.clone(), any_of(field, keeps_forms, depth + 2))
                        });
                        out.insert(key.clone(), Value::Object(fields.collect()));
                    }
                    _ => drop(out.insert(key.clone(), any_of(value, keeps_forms, depth + 1))),
                }
            }
            if let Some(forms) = map.get("oneOf").filter(|_| has_forms) {
                let forms = any_of(forms, keeps_forms, depth + 1);
                if keeps_forms {
                    out.insert(FORMS.to_owned(), forms.clone());
                }
                if !out.contains_key("anyOf") {
                    out.insert("anyOf".to_owned(), forms);
                } else if let Value::Array(parts) =
                    out.entry("allOf").or_insert_with(|| Value::Array(Vec::new()))
                {
                    parts.push(json!({ "anyOf": forms }));
                }
            }
            Value::Object(out)
        }
        plain => plain.clone(),
    }
}

fn refers_through_one_of(schema: &Value, depth: usize) -> bool {
    match schema {
        _ if depth > DEPTH_MAX => false,
        Value::Array(items) => items.iter().any(|item| refers_through_one_of(item, depth + 1)),
        Value::Object(map) => map.iter().any(|(key, value)| match value {
            Value::String(text) => key == "$ref" && text.contains("/oneOf/"),
            value => refers_through_one_of(value, depth + 1),
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
