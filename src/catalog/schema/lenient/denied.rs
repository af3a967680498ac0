//! Schemas that a value must not fit. What relaxing lets such a schema admit more, the whole admits
//! less: so it holds as it is written, down to what it refers to, or not at all.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Map, Value};

use super::marks::{DEPTH_MAX, unmarked};
use crate::{base::json::encoded_bytes, catalog::schema::reference::pointed};

/// Where copies of what such schemas refer to are kept; nothing in it is read otherwise than to the
/// letter.
pub(super) const AS_WRITTEN: &str = "$asWritten";
/// Copies of one schema, and bytes of JSON that they take together.
const COPIES_MAX: usize = 64;
const COPIES_BYTES_MAX: usize = 64 * 1024;

/// Keywords whose values are schemas by name.
const NAMED: [&str; 5] =
    ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"];
/// Keywords that hold values, and no schemas.
const VALUES: [&str; 5] = ["const", "enum", "default", "examples", AS_WRITTEN];
/// Keywords of schemas that nothing relaxes.
const PLAIN: [&str; 11] = [
    "type",
    "const",
    "enum",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "pattern",
    "format",
    "title",
    "description",
];

/// A denied schema that cannot be kept as it is written.
struct Unkept;

/// Returns true if a schema has a keyword that denies what fits another schema.
pub(super) fn has_denied(schema: &Value, depth: usize) -> bool {
    match schema {
        _ if depth > DEPTH_MAX => false,
        Value::Array(items) => items.iter().any(|item| has_denied(item, depth + 1)),
        Value::Object(map) => map.iter().any(|(key, value)| {
            matches!(key.as_str(), "not" | "if" | "maxContains") || has_denied(value, depth + 1)
        }),
        _ => false,
    }
}

/// Makes the denied schemas in a schema that was relaxed say what `original` says.
pub(super) fn settle(schema: &mut Value, original: &Value, is_large: bool) {
    let mut settler = Settler {
        original,
        names: BTreeMap::new(),
        ahead: VecDeque::new(),
        copies: Map::new(),
        bytes_left: if is_large { 0 } else { COPIES_BYTES_MAX },
    };
    settler.walk(schema, 0);
    let Settler { copies, .. } = settler;
    if let (Value::Object(map), false) = (schema, copies.is_empty()) {
        map.insert(AS_WRITTEN.to_owned(), Value::Object(copies));
    }
}

struct Settler<'a> {
    original: &'a Value,
    /// Names of copies, by reference.
    names: BTreeMap<String, String>,
    /// References whose copies are still to be made, with the names of these.
    ahead: VecDeque<(String, String)>,
    copies: Map<String, Value>,
    bytes_left: usize,
}

impl Settler<'_> {
    fn walk(&mut self, schema: &mut Value, depth: usize) {
        let Value::Object(map) = schema else { return };
        if depth > DEPTH_MAX {
            return;
        }
        if let Some(mut denied) = map.shift_remove("not")
            && self.keep(&mut denied).is_ok()
        {
            map.insert("not".to_owned(), denied);
        }
        if let Some(mut condition) = map.shift_remove("if") {
            if self.keep(&mut condition).is_ok() {
                map.insert("if".to_owned(), condition);
            } else {
                // Which of the two holds is not known.
                map.shift_remove("then");
                map.shift_remove("else");
            }
        }
        if map.contains_key("maxContains") && !map.get("contains").is_none_or(is_plain) {
            map.shift_remove("maxContains");
        }
        for (key, value) in map.iter_mut() {
            match (key.as_str(), value) {
                ("not" | "if", _) => {}
                (key, _) if VALUES.contains(&key) => {}
                (key, Value::Object(schemas)) if NAMED.contains(&key) => {
                    schemas.values_mut().for_each(|schema| self.walk(schema, depth + 1));
                }
                (_, Value::Array(schemas)) => {
                    schemas.iter_mut().for_each(|schema| self.walk(schema, depth + 1));
                }
                (_, schema) => self.walk(schema, depth + 1),
            }
        }
    }

    /// Lets a denied schema refer to copies; all that it leads to, or it is not kept.
    fn keep(&mut self, denied: &mut Value) -> Result<(), Unkept> {
        let before = self.names.clone();
        let kept = self.copied(denied);
        if kept.is_err() {
            self.ahead.clear();
            self.copies.retain(|name, _| before.values().any(|known| known == name));
            self.names = before;
        }
        kept
    }

    fn copied(&mut self, denied: &mut Value) -> Result<(), Unkept> {
        self.refer(denied, 0)?;
        while let Some((reference, name)) = self.ahead.pop_front() {
            let target = pointed(&reference, self.original).ok_or(Unkept)?;
            self.bytes_left = self.bytes_left.checked_sub(encoded_bytes(target)).ok_or(Unkept)?;
            let mut copy = unmarked(target, 0);
            self.refer(&mut copy, 0)?;
            self.copies.insert(name, copy);
        }
        Ok(())
    }

    fn refer(&mut self, schema: &mut Value, depth: usize) -> Result<(), Unkept> {
        if depth > DEPTH_MAX {
            return Err(Unkept);
        }
        match schema {
            Value::Array(items) => {
                items.iter_mut().try_for_each(|item| self.refer(item, depth + 1))
            }
            Value::Object(map) => map.iter_mut().try_for_each(|(key, value)| match value {
                Value::String(reference) if key == "$ref" => {
                    *reference = self.copy_of(reference)?;
                    Ok(())
                }
                // These are names, whatever they are.
                Value::Object(schemas) if NAMED.contains(&key.as_str()) => {
                    schemas.values_mut().try_for_each(|schema| self.refer(schema, depth + 2))
                }
                _ if VALUES.contains(&key.as_str()) => Ok(()),
                value => self.refer(value, depth + 1),
            }),
            _ => Ok(()),
        }
    }

    fn copy_of(&mut self, reference: &str) -> Result<String, Unkept> {
        let name = match self.names.get(reference) {
            Some(name) => name.clone(),
            None if self.names.len() >= COPIES_MAX => return Err(Unkept),
            None => {
                pointed(reference, self.original).ok_or(Unkept)?;
                let name = (self.names.len() + 1).to_string();
                self.names.insert(reference.to_owned(), name.clone());
                self.ahead.push_back((reference.to_owned(), name.clone()));
                name
            }
        };
        Ok(format!("#/{AS_WRITTEN}/{name}"))
    }
}

fn is_plain(schema: &Value) -> bool {
    schema.as_object().is_none_or(|map| map.keys().all(|key| PLAIN.contains(&key.as_str())))
}
