//! One schema's keywords, each taken only if its value has the type that JSON Schema requires.

use serde_json::{Map, Value, json};

use super::{Builder, DEPTH_MAX, Direction, EXAMPLE_BYTES_MAX, OPTIONS_MAX, TooLarge};
use crate::{
    base::text::cut,
    catalog::{
        openapi::words::plain,
        schema::{
            dialect::{flag, is_nullable, nullable, of_literal},
            lenient::{ABSENT, OPTIONAL},
        },
    },
};

/// Says of a field that it is not part of requests.
const ONLY_IN_ANSWERS: &str = "Only in answers; need not be sent.";

/// The types of JSON Schema.
const TYPES: [&str; 7] = ["string", "number", "integer", "boolean", "array", "object", "null"];

/// Schemas within a denied one that are looked at, and references that must be kept to keep it.
const DENIED_PARTS_MAX: usize = 200;
const DENIED_REFERENCES_MIN: usize = 64;

impl<'d> Builder<'_, 'd> {
    /// The schema's own keywords, without a reference.
    pub(super) fn keywords(
        &mut self,
        map: &'d Map<String, Value>,
        depth: usize,
        references: usize,
    ) -> Result<Value, TooLarge> {
        let mut out = Map::new();
        if let Some(kind) = self.kind(map) {
            self.spend(16)?;
            out.insert("type".to_owned(), kind);
        }
        let unkept = self.unkept(map);
        for (key, value) in map.iter().filter(|(key, _)| !unkept.contains(&key.as_str())) {
            let new = match (key.as_str(), value) {
                ("properties", Value::Object(properties)) => {
                    Some(self.properties(properties, depth, references)?)
                }
                ("items", Value::Array(items)) if !items.is_empty() => {
                    let items = self.each(items, depth, references)?;
                    self.put(&mut out, "prefixItems", items)?;
                    None
                }
                (
                    "items"
                    | "additionalProperties"
                    | "not"
                    | "if"
                    | "then"
                    | "else"
                    | "contains"
                    | "propertyNames",
                    value,
                ) if value.is_object() || value.is_boolean() => {
                    Some(self.schema(value, depth + 1, references)?)
                }
                ("allOf" | "prefixItems", Value::Array(items)) if !items.is_empty() => {
                    Some(self.each(items, depth, references)?)
                }
                ("oneOf" | "anyOf", Value::Array(items)) if !items.is_empty() => {
                    Some(self.alternatives(map, items, depth, references)?)
                }
                ("patternProperties", Value::Object(properties)) => {
                    Some(self.patterns(properties, depth, references)?)
                }
                ("enum", Value::Array(options)) => self.options(map, options)?,
                ("description", Value::String(words))
                    if self.detail.words > 0 && !words.trim().is_empty() =>
                {
                    let words = plain(words.trim());
                    let words = cut(&words, self.detail.words);
                    self.spend(words.len())?;
                    Some(words.into())
                }
                _ => self.plain(key, value, map)?,
            };
            if let Some(new) = new {
                self.put(&mut out, key, new)?;
            }
        }
        if let Some(Value::Array(names)) = map.get("required") {
            self.required(names, &mut out)?;
        }
        self.examples(map, &mut out)?;
        // Thousands of small maps are kept: each no larger than it must be.
        let out = Value::Object(out.into_iter().collect());
        Ok(if is_nullable(map) { nullable(out) } else { out })
    }

    /// Keywords that deny what fits another schema, where that schema cannot be kept as it is
    /// written: what is left out of it, the whole would deny more.
    fn unkept(&self, map: &'d Map<String, Value>) -> &'static [&'static str] {
        let is_unkept = |key: &str| {
            map.get(key)
                .is_some_and(|denied| !self.is_kept_whole(denied, &mut { DENIED_PARTS_MAX }))
        };
        match (is_unkept("not"), is_unkept("if")) {
            (false, false) => &[],
            (true, false) => &["not"],
            (false, true) => &["if", "then", "else"],
            (true, true) => &["not", "if", "then", "else"],
        }
    }

    /// Returns true if nothing of a schema is left out here.
    fn is_kept_whole(&self, schema: &'d Value, left: &mut usize) -> bool {
        let Some(rest) = left.checked_sub(1) else { return false };
        *left = rest;
        let Value::Object(map) = schema else { return schema.is_boolean() };
        map.iter().all(|(key, value)| match (key.as_str(), value) {
            ("title" | "description" | "type" | "required" | "const", _) => true,
            (key, _) if key.starts_with("x-") => true,
            ("enum", Value::Array(options)) => options.len() <= OPTIONS_MAX,
            ("minimum" | "maximum" | "minLength" | "maxLength" | "minItems" | "maxItems", _) => {
                self.detail.limits
            }
            ("$ref", Value::String(reference)) => {
                let target = self.schemas.document.pointed(reference);
                self.detail.references >= DENIED_REFERENCES_MIN
                    && map.len() == 1
                    && target.is_some_and(|target| self.is_kept_whole(target, left))
            }
            ("properties", Value::Object(fields)) => {
                fields.values().all(|field| self.is_kept_whole(field, left))
            }
            ("allOf" | "anyOf", Value::Array(parts)) => {
                parts.iter().all(|part| self.is_kept_whole(part, left))
            }
            ("items" | "additionalProperties" | "not", inner) => self.is_kept_whole(inner, left),
            _ => false,
        })
    }

    /// Schemas of the fields whose names fit patterns.
    fn patterns(
        &mut self,
        properties: &'d Map<String, Value>,
        depth: usize,
        references: usize,
    ) -> Result<Value, TooLarge> {
        let mut kept = Map::new();
        for (pattern, schema) in properties {
            let pattern = of_literal(pattern);
            if let Some(pattern) = pattern.filter(|pattern| self.schemas.takes_pattern(pattern)) {
                self.spend(pattern.len() + 6)?;
                kept.insert(pattern.to_owned(), self.schema(schema, depth + 1, references)?);
            }
        }
        Ok(Value::Object(kept))
    }

    /// The names of `required`, those of fields that only the other way has included.
    fn required(
        &mut self,
        names: &'d [Value],
        out: &mut Map<String, Value>,
    ) -> Result<(), TooLarge> {
        let mut wanted: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
        wanted.sort_unstable();
        wanted.dedup();
        if wanted.is_empty() {
            return Ok(());
        }
        self.spend(wanted.iter().map(|name| name.len() + 3).sum())?;
        self.put(out, "required", wanted.into())
    }

    fn put(
        &mut self,
        out: &mut Map<String, Value>,
        key: &str,
        value: Value,
    ) -> Result<(), TooLarge> {
        self.spend(key.len() + 4)?;
        out.insert(key.to_owned(), value);
        Ok(())
    }

    /// The type, where it is one.
    fn kind(&self, map: &Map<String, Value>) -> Option<Value> {
        match map.get("type")? {
            Value::String(kind) if kind == "file" => Some("string".into()),
            Value::String(kind) if TYPES.contains(&kind.as_str()) => Some(kind.as_str().into()),
            Value::Array(kinds) => {
                let mut known: Vec<&str> = kinds
                    .iter()
                    .filter_map(Value::as_str)
                    .filter(|kind| TYPES.contains(kind))
                    .collect();
                let mut seen = Vec::new();
                known.retain(|kind| {
                    !seen.contains(kind) && {
                        seen.push(*kind);
                        true
                    }
                });
                (!known.is_empty() && known.len() == kinds.len()).then(|| known.into())
            }
            _ => None,
        }
    }

    fn properties(
        &mut self,
        properties: &'d Map<String, Value>,
        depth: usize,
        references: usize,
    ) -> Result<Value, TooLarge> {
        let mut out = Map::with_capacity(properties.len());
        for (name, schema) in properties {
            if self.is_of_the_other_way(schema) {
                // Another part of the whole may require it.
                self.spend(name.len() + 20)?;
                out.insert(name.clone(), json!({ ABSENT: ONLY_IN_ANSWERS }));
                continue;
            }
            self.spend(name.len() + 4)?;
            out.insert(name.clone(), self.schema(schema, depth + 1, references)?);
        }
        Ok(Value::Object(out))
    }

    /// Returns true if a property stands only in what goes the other way.
    fn is_of_the_other_way(&self, schema: &'d Value) -> bool {
        let mark = match self.direction {
            Direction::Request => "readOnly",
            Direction::ToolResponse => "writeOnly",
        };
        let own = schema.as_object().is_some_and(|map| flag(map, mark));
        own || schema.get("$ref").is_some()
            && self.schemas.document.resolved(schema).is_some_and(|map| flag(map, mark))
    }

    fn each(
        &mut self,
        items: &'d [Value],
        depth: usize,
        references: usize,
    ) -> Result<Value, TooLarge> {
        items.iter().map(|item| self.schema(item, depth + 1, references)).collect()
    }

    /// Alternatives; where the description says by which value they are told apart, that value is
    /// part of each.
    fn alternatives(
        &mut self,
        map: &'d Map<String, Value>,
        items: &'d [Value],
        depth: usize,
        references: usize,
    ) -> Result<Value, TooLarge> {
        let mut out = Vec::with_capacity(items.len());
        let discriminator = map.get("discriminator").and_then(Value::as_object);
        let property =
            discriminator.and_then(|discriminator| discriminator.get("propertyName")?.as_str());
        let mapping =
            discriminator.and_then(|discriminator| discriminator.get("mapping")?.as_object());
        for item in items {
            let schema = self.schema(item, depth + 1, references)?;
            let reference = item.get("$ref").and_then(Value::as_str);
            let constant = property.zip(mapping).zip(reference).and_then(
                |((property, mapping), reference)| {
                    let values: Vec<&str> = mapping
                        .iter()
                        .filter(|(_, target)| is_target(target, reference))
                        .map(|(value, _)| value.as_str())
                        .collect();
                    let says_itself = self.schemas.document.resolved(item).is_some_and(|target| {
                        let own = target
                            .get("properties")
                            .and_then(|properties| properties.get(property));
                        own.is_some_and(|own| {
                            own.get("const").is_some() || own.get("enum").is_some()
                        })
                    });
                    (!values.is_empty() && !says_itself).then_some((property, values))
                },
            );
            out.push(match constant {
                Some((property, values)) => {
                    self.spend(
                        60 + property.len() * 2
                            + values.iter().map(|value| value.len() + 3).sum::<usize>(),
                    )?;
                    let value = if let [only] = values[..] {
                        json!({"const": only})
                    } else {
                        json!({"enum": values})
                    };
                    json!({"allOf": [
                        schema,
                        {"type": "object", "properties": {property: value}, "required": [property]}
                    ]})
                }
                None => schema,
            });
        }
        Ok(Value::Array(out))
    }

    /// The allowed values. Whoever writes `enum: [1, 2]` beside `type: string` means the texts.
    fn options(
        &mut self,
        map: &Map<String, Value>,
        options: &'d [Value],
    ) -> Result<Option<Value>, TooLarge> {
        if options.is_empty() || options.len() > OPTIONS_MAX {
            return Ok(None);
        }
        self.spend(options.iter().map(|option| size(option) + 1).sum())?;
        let kind = self.kind(map);
        let of_kind = |option: &Value| meant(kind.as_ref(), option).unwrap_or(option.clone());
        Ok(Some(options.iter().map(of_kind).collect()))
    }

    /// Keywords that hold a plain value.
    fn plain(
        &mut self,
        key: &str,
        value: &'d Value,
        map: &'d Map<String, Value>,
    ) -> Result<Option<Value>, TooLarge> {
        let is_count = || value.as_u64().is_some();
        let limits = self.detail.limits;
        let keep = match key {
            "const" => size(value) <= EXAMPLE_BYTES_MAX * 4,
            "title" => limits && self.detail.words > 0 && value.is_string() && size(value) <= 200,
            "format" | "contentEncoding" | "contentMediaType" => {
                limits && value.is_string() && size(value) <= 100
            }
            "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties"
            | "maxProperties" | "minContains" | "maxContains" => limits && is_count(),
            "uniqueItems" => limits && value.is_boolean(),
            "multipleOf" => limits && value.as_f64().is_some_and(|step| step > 0.0),
            "pattern" => {
                let pattern = value.as_str().and_then(of_literal);
                let pattern =
                    pattern.filter(|pattern| limits && self.schemas.takes_pattern(pattern));
                if let Some(pattern) = pattern {
                    self.spend(pattern.len() + 2)?;
                }
                return Ok(pattern.map(Value::from));
            }
            "default" => limits && size(value) <= EXAMPLE_BYTES_MAX,
            "deprecated" => *value == Value::Bool(true),
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => {
                return self.limit(key, value, map);
            }
            _ => false,
        };
        if keep {
            self.spend(size(value))?;
        }
        Ok(keep.then(|| value.clone()))
    }

    /// A limit; in 3.0 a flag beside it makes it exclusive.
    fn limit(
        &mut self,
        key: &str,
        value: &'d Value,
        map: &'d Map<String, Value>,
    ) -> Result<Option<Value>, TooLarge> {
        if !self.detail.limits {
            return Ok(None);
        }
        self.spend(8)?;
        let is_exclusive = |flag_key: &str| flag(map, flag_key);
        Ok(match (key, value) {
            ("minimum", Value::Number(_)) if !is_exclusive("exclusiveMinimum") => {
                Some(value.clone())
            }
            ("maximum", Value::Number(_)) if !is_exclusive("exclusiveMaximum") => {
                Some(value.clone())
            }
            ("exclusiveMinimum", Value::Bool(true)) => {
                map.get("minimum").filter(|limit| limit.is_number()).cloned()
            }
            ("exclusiveMaximum", Value::Bool(true)) => {
                map.get("maximum").filter(|limit| limit.is_number()).cloned()
            }
            ("exclusiveMinimum" | "exclusiveMaximum", Value::Number(_)) => Some(value.clone()),
            _ => None,
        })
    }

    /// One short example, which helps to write the value and costs little; and that there is a
    /// default, where that is too long.
    fn examples(
        &mut self,
        map: &'d Map<String, Value>,
        out: &mut Map<String, Value>,
    ) -> Result<(), TooLarge> {
        let has_default = self.direction == Direction::Request && map.contains_key("default");
        if has_default && !out.contains_key("default") {
            self.put(out, OPTIONAL, true.into())?;
        }
        if !self.detail.limits
            || self.direction == Direction::ToolResponse
            || map.contains_key("enum")
        {
            return Ok(());
        }
        let listed = map.get("examples").and_then(|examples| examples.as_array()?.first());
        if let Some(example) = map
            .get("example")
            .or(listed)
            .filter(|example| !example.is_null() && size(example) <= EXAMPLE_BYTES_MAX)
        {
            self.spend(size(example) + 14)?;
            out.insert("examples".to_owned(), json!([example]));
        }
        Ok(())
    }
}

/// The value of this type that was meant by one of another type; none where it is of the type, or
/// there are several.
fn meant(kind: Option<&Value>, option: &Value) -> Option<Value> {
    let kind = match kind? {
        Value::String(kind) => kind.as_str(),
        Value::Array(kinds) => {
            let mut named = kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null");
            let (only, None) = (named.next()?, named.next()) else { return None };
            only
        }
        _ => return None,
    };
    match (kind, option) {
        ("string", Value::Number(_) | Value::Bool(_)) => Some(option.to_string().into()),
        ("integer" | "number" | "boolean", Value::String(text)) => {
            let read: Value = serde_json::from_str(text.trim()).ok()?;
            let fits = if kind == "boolean" { read.is_boolean() } else { read.is_number() };
            fits.then_some(read)
        }
        _ => None,
    }
}

/// Returns true if a mapping's target, a reference or the bare name of a schema, is what the
/// reference names.
fn is_target(target: &Value, reference: &str) -> bool {
    target.as_str().is_some_and(|target| {
        target == reference || reference.strip_prefix("#/components/schemas/") == Some(target)
    })
}

/// Roughly its bytes as JSON; what is nested too deep counts as large.
fn size(value: &Value) -> usize {
    fn of(value: &Value, depth: usize) -> usize {
        match value {
            Value::String(text) => text.len() + 2,
            Value::Array(_) | Value::Object(_) if depth > DEPTH_MAX => 1 << 20,
            Value::Array(items) => {
                2 + items.iter().map(|item| of(item, depth + 1) + 1).sum::<usize>()
            }
            Value::Object(map) => {
                2 + map.iter().map(|(key, item)| key.len() + 4 + of(item, depth + 1)).sum::<usize>()
            }
            _ => 6,
        }
    }
    of(value, 0)
}
