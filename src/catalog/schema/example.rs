//! Example arguments from a JSON Schema, written as code.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::reference;
use crate::{
    base::{integers, suggest, text::cut},
    catalog::path,
};

/// Items that are filled in where a list must have some.
const ITEMS_MAX: u64 = 8;
/// Longest text that is filled in, in characters.
const TEXT_CHARS_MAX: u64 = 64;
/// Deepest nesting that is filled in.
const DEPTH_MAX: usize = 5;

/// Values that one example is made of; from then on there are none but `null`.
const NODES_MAX: usize = 500;
/// Bytes that are copied into one example, of what was given or stands in the schema; with more
/// there is no example.
const BYTES_MAX: usize = 8 * 1024;
/// Comparisons of what was given with what may have been meant, for one example.
const COMPARISONS_MAX: usize = 10_000;
/// Forms, or fields of what was given, that are compared at one place.
const COMPARED_MAX: usize = 64;

/// An object that the schema allows as far as can be told: what was given and fits is kept, what is
/// required is filled in. None where it would be long.
pub(in crate::catalog) fn arguments(schema: &Value, given: Option<&Value>) -> Option<Value> {
    let mut sample = Sample {
        root: schema,
        nodes_left: NODES_MAX,
        bytes_left: BYTES_MAX,
        comparisons_left: COMPARISONS_MAX,
    };
    let made = sample.value(schema, given, DEPTH_MAX);
    (sample.bytes_left > 0).then_some(made)
}

/// Makes one example.
struct Sample<'a> {
    root: &'a Value,
    nodes_left: usize,
    /// Bytes that may still be copied; none once something was too long.
    bytes_left: usize,
    comparisons_left: usize,
}

impl<'a> Sample<'a> {
    /// Takes so many values of what the example may have; says whether there is any left.
    fn spend(&mut self, nodes: usize) -> bool {
        self.nodes_left = self.nodes_left.saturating_sub(nodes);
        self.nodes_left > 0 && self.bytes_left > 0
    }

    /// Number of comparisons, of so many wanted, that the budget allows.
    fn compared(&mut self, wanted: usize) -> usize {
        let granted = wanted.min(COMPARED_MAX).min(self.comparisons_left);
        self.comparisons_left -= granted;
        granted
    }

    fn copied(&mut self, value: &Value) -> Value {
        let left = left_after(value, self.bytes_left);
        self.bytes_left = left.unwrap_or_default();
        left.map_or(Value::Null, |_| value.clone())
    }

    fn value(&mut self, schema: &'a Value, given: Option<&Value>, depth: usize) -> Value {
        let Some(schema) =
            reference::resolved(schema, self.root).filter(|_| depth > 0 && self.spend(1))
        else {
            return Value::Null;
        };
        if let Some(constant) = schema.get("const") {
            return self.copied(constant);
        }
        if let Some(options) = schema.get("enum").and_then(Value::as_array) {
            return self.option(options, given);
        }
        let forms = ["anyOf", "oneOf"].iter().find_map(|name| schema.get(name)?.as_array());
        let form = forms.and_then(|forms| self.meant_form(forms, given));
        let parts = schema.get("allOf").and_then(Value::as_array);
        match (kind(schema), form) {
            (Some("object"), _) | (None, None) if parts.is_some() || kind(schema).is_some() => {
                let read =
                    given.filter(|given| !given.is_object()).and_then(|given| meant(schema, given));
                let given = read.as_ref().or(given).filter(|given| given.is_object());
                let mut whole = if kind(schema).is_some() {
                    self.object(schema, given, depth)
                } else {
                    Value::Object(Map::new())
                };
                // An object that must also be of one of several forms, or of several at once.
                for part in parts.into_iter().flatten().chain(form) {
                    if self.nodes_left == 0 {
                        break;
                    }
                    let part = self.value(part, given, depth - 1);
                    if let (Value::Object(whole), Value::Object(part)) = (&mut whole, part) {
                        for (name, value) in part {
                            whole.entry(name).or_insert(value);
                        }
                    }
                }
                whole
            }
            (None, Some(form)) => self.value(form, given, depth - 1),
            (Some(kind), _) => self.plain(kind, schema, given, depth),
            (None, None) => match given.or_else(|| schema.get("default")) {
                Some(known) => self.copied(known),
                None => Value::Object(Map::new()),
            },
        }
    }

    /// The given value if it is allowed, else the most similar allowed one, else the first.
    fn option(&mut self, options: &[Value], given: Option<&Value>) -> Value {
        let among = &options[..given.map_or(0, |_| self.compared(options.len()))];
        let nearest = || {
            let given = given?.as_str()?;
            let scored = among.iter().filter_map(|option| {
                Some((suggest::typo_similarity(given, option.as_str()?)?, option))
            });
            scored.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, option)| option)
        };
        let chosen =
            given.filter(|given| among.contains(given)).or_else(nearest).or(options.first());
        chosen.map_or(Value::Null, |chosen| self.copied(chosen))
    }

    /// The form that the given value is most similar to, else the first.
    fn meant_form(&mut self, forms: &'a [Value], given: Option<&Value>) -> Option<&'a Value> {
        let Some(given) = given else { return forms.first() };
        let forms = &forms[..self.compared(forms.len()).max(usize::from(!forms.is_empty()))];
        let root = self.root;
        let likeness = |form: &Value| {
            let Some(form) = reference::resolved(form, root) else { return 0 };
            let Some(fields) = given.as_object() else {
                return i32::from(kind(form).is_some_and(|kind| is_of(given, kind))) * 2;
            };
            let properties = form.get("properties").and_then(Value::as_object);
            let known = fields
                .iter()
                .take(COMPARED_MAX)
                .filter_map(|(name, value)| Some((properties?.get(name)?, value)));
            known
                .map(|(schema, value)| match schema.get("const") {
                    Some(constant) if constant == value => 10,
                    Some(_) => -10,
                    None => 1,
                })
                .sum()
        };
        // The first of equals.
        forms.iter().rev().max_by_key(|form| likeness(form))
    }

    fn object(&mut self, schema: &'a Value, given: Option<&Value>, depth: usize) -> Value {
        let mut out = Map::new();
        let given = given.and_then(Value::as_object);
        let properties = schema.get("properties").and_then(Value::as_object);
        // One that has thousands of fields is not gone through as often as there may be values.
        self.spend(properties.map_or(0, Map::len) / COMPARED_MAX);
        let required: HashSet<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let is_known =
            |name: &str| properties.is_some_and(|properties| properties.contains_key(name));
        let unknown: Vec<(&String, &Value)> = given
            .into_iter()
            .flatten()
            .filter(|(name, _)| !is_known(name))
            .take(COMPARED_MAX)
            .collect();
        for (name, schema) in properties.into_iter().flatten() {
            if self.nodes_left == 0 {
                break;
            }
            // What was given under a slip of the name was meant for it.
            let mine = match given.and_then(|given| given.get(name)) {
                Some(mine) => Some(mine),
                None => {
                    let among = &unknown[..self.compared(unknown.len())];
                    among
                        .iter()
                        .find(|(given, _)| suggest::is_typo(given, name))
                        .map(|(_, value)| *value)
                }
            };
            if mine.is_some() || required.contains(name.as_str()) {
                out.insert(name.clone(), self.value(schema, mine, depth - 1));
            }
        }
        Value::Object(out)
    }

    fn plain(
        &mut self,
        kind: &str,
        schema: &'a Value,
        given: Option<&Value>,
        depth: usize,
    ) -> Value {
        let wrong =
            given.filter(|given| !is_of(given, kind)).and_then(|given| meant(schema, given));
        let fits = given.filter(|given| is_of(given, kind)).or(wrong.as_ref());
        match fits {
            Some(Value::Array(items)) => {
                let Some(schema) = schema.get("items").filter(|items| items.is_object()) else {
                    return fits.map_or(Value::Null, |items| self.copied(items));
                };
                return items
                    .iter()
                    .take(self.nodes_left)
                    .map(|item| self.value(schema, Some(item), depth - 1))
                    .collect();
            }
            Some(number @ Value::Number(_)) => return in_range(number, schema).clone(),
            Some(Value::String(text)) if !is_long_enough(text, schema) => {}
            Some(given) => return self.copied(given),
            None => {}
        }
        let known = schema.get("default").filter(|default| !default.is_null());
        if let Some(known) = known.or_else(|| schema.get("examples")?.as_array()?.first()) {
            return self.copied(known);
        }
        match kind {
            "string" => Value::from(text(schema)),
            "number" | "integer" => schema
                .get("minimum")
                .filter(|minimum| minimum.is_number())
                .cloned()
                .unwrap_or_else(|| Value::from(1)),
            "boolean" => Value::from(true),
            "array" => match schema.get("prefixItems").or_else(|| schema.get("items")) {
                Some(Value::Array(places)) => places
                    .iter()
                    .take(self.nodes_left)
                    .map(|place| self.value(place, None, depth - 1))
                    .collect(),
                Some(items) => {
                    let least = schema
                        .get("minItems")
                        .and_then(Value::as_u64)
                        .unwrap_or(1)
                        .clamp(1, ITEMS_MAX);
                    (0..least).map(|_| self.value(items, None, depth - 1)).collect()
                }
                None => Value::Array(Vec::new()),
            },
            _ => Value::Null,
        }
    }
}

/// Bytes left after a copy of the value, roughly; none if it does not fit.
pub(super) fn left_after(value: &Value, bytes_left: usize) -> Option<usize> {
    let left = bytes_left.checked_sub(8)?;
    match value {
        Value::String(text) => left.checked_sub(text.len()),
        Value::Array(items) => items.iter().try_fold(left, |left, item| left_after(item, left)),
        Value::Object(map) => map
            .iter()
            .try_fold(left, |left, (key, item)| left_after(item, left.checked_sub(key.len())?)),
        _ => Some(left),
    }
}

/// Returns true if a value is of a type of JSON Schema.
fn is_of(value: &Value, kind: &str) -> bool {
    match kind {
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => value.is_null(),
    }
}

/// Most probable intended value for one of the wrong type. Only ever suggested, never used.
pub(in crate::catalog) fn meant(schema: &Value, given: &Value) -> Option<Value> {
    let kind = kind(schema)?;
    let read = || given.as_str().and_then(|text| serde_json::from_str::<Value>(text.trim()).ok());
    match kind {
        "string" if given.is_number() || given.is_boolean() => Some(Value::from(given.to_string())),
        "number" | "integer" | "boolean" | "object" => read().filter(|read| is_of(read, kind)),
        "array" => {
            let item = schema.get("items").and_then(self::kind);
            let single = || {
                item.is_some_and(|item| is_of(given, item))
                    .then(|| Value::Array(vec![given.clone()]))
            };
            read().filter(Value::is_array).or_else(single)
        }
        _ => None,
    }
}

/// Returns true if a value of it is an object, as far as the schema says.
pub(in crate::catalog) fn is_object(schema: &Value) -> bool {
    kind(schema) == Some("object") || (kind(schema).is_none() && schema.get("properties").is_some())
}

fn kind(schema: &Value) -> Option<&str> {
    match schema.get("type") {
        Some(Value::String(name)) => Some(name),
        Some(Value::Array(names)) => {
            names.iter().filter_map(Value::as_str).find(|name| *name != "null")
        }
        _ if schema.get("properties").is_some() => Some("object"),
        _ => None,
    }
}

fn is_long_enough(text: &str, schema: &Value) -> bool {
    schema
        .get("minLength")
        .and_then(Value::as_u64)
        .is_none_or(|least| text.chars().count() as u64 >= least)
}

/// A text in the format that is asked for, where that is a common one.
fn text(schema: &Value) -> String {
    let known = match schema.get("format").and_then(Value::as_str).unwrap_or_default() {
        "date-time" => "2026-01-31T12:00:00Z",
        "date" => "2026-01-31",
        "time" => "12:00:00Z",
        "email" => "name@example.com",
        "uri" | "url" => "https://example.com",
        "uuid" => "00000000-0000-4000-8000-000000000000",
        "ipv4" => "192.0.2.1",
        "hostname" => "example.com",
        _ => "…",
    };
    let least =
        schema.get("minLength").and_then(Value::as_u64).unwrap_or_default().min(TEXT_CHARS_MAX)
            as usize;
    let missing = least.saturating_sub(known.chars().count());
    format!("{known}{}", "…".repeat(missing))
}

/// The number, or the bound that it oversteps.
fn in_range<'a>(number: &'a Value, schema: &'a Value) -> &'a Value {
    let beyond = |name: &str, is_beyond: fn(&f64, &f64) -> bool| {
        schema.get(name).filter(|bound| {
            bound
                .as_f64()
                .zip(number.as_f64())
                .is_some_and(|(bound, number)| is_beyond(&number, &bound))
        })
    };
    beyond("minimum", f64::lt).or_else(|| beyond("maximum", f64::gt)).unwrap_or(number)
}

/// A value as JavaScript writes it: whole where that takes fewer bytes than `bytes_max`, else so
/// many or some more.
pub(in crate::catalog) fn literal(value: &Value, bytes_max: usize) -> String {
    let mut out = String::new();
    write(value, bytes_max, &mut out);
    out
}

fn write(value: &Value, bytes_max: usize, out: &mut String) {
    match value {
        _ if out.len() >= bytes_max => {}
        Value::Object(map) if map.is_empty() => out.push_str("{}"),
        Value::Object(map) => {
            for (at, (name, value)) in map.iter().enumerate() {
                if out.len() >= bytes_max {
                    break;
                }
                out.push_str(if at == 0 { "{ " } else { ", " });
                match path::is_identifier(name) {
                    true => out.push_str(name),
                    false => out.push_str(&Value::from(name.as_str()).to_string()),
                }
                out.push_str(": ");
                write(value, bytes_max, out);
            }
            out.push_str(" }");
        }
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if out.len() >= bytes_max {
                    break;
                }
                out.push_str(if at == 0 { "" } else { ", " });
                write(item, bytes_max, out);
            }
            out.push(']');
        }
        // Cut between characters, and still longer than what is asked for.
        Value::String(text) => out.push_str(&Value::from(cut(text, bytes_max + 4)).to_string()),
        plain => {
            out.push_str(&plain.to_string());
            if integers::unsafe_digits(plain).is_some() {
                out.push('n');
            }
        }
    }
}
