//! Schemas that no value fits: found where that is certain, and replaced by what anything fits.

use std::{
    borrow::Cow,
    cell::{Cell, RefCell},
};

use serde_json::{Map, Value, json};

use crate::catalog::schema::reference::pointed;

/// Schemas that are looked at to judge one, and to judge all of a round; of what is not seen by
/// then it is not said.
const LOOKS_MAX: usize = 500;
const LOOKS_OF_ALL_MAX: usize = 50_000;
/// Values of an enumeration that count as one schema.
const OPTIONS_OF_LOOK: usize = 16;
/// References of one value, and of those around it, that are followed.
const OPEN_MAX: usize = 64;
/// Schemas within each other, and in all, that are judged.
const DEPTH_MAX: usize = 60;
const JUDGED_MAX: usize = 20_000;
/// Rounds in which schemas are replaced: what stands around one may fit nothing besides.
const ROUNDS_MAX: usize = 8;

/// The types of JSON Schema, with numbers that are no integers apart.
const NULL: u8 = 1;
const BOOLEAN: u8 = 2;
const OBJECT: u8 = 4;
const ARRAY: u8 = 8;
const STRING: u8 = 16;
const INTEGER: u8 = 32;
const FRACTION: u8 = 64;
const ANY: u8 = 127;

/// Replaces what no value fits; returns its places, as an argument's: `body.count`.
pub(super) fn filled(schema: &mut Value) -> Vec<String> {
    let mut places = Vec::new();
    for _ in 0..ROUNDS_MAX {
        let mut found = Finder {
            root: schema,
            left: JUDGED_MAX,
            looks_left: LOOKS_OF_ALL_MAX,
            place: Vec::new(),
            found: Vec::new(),
        };
        found.look(schema, 0);
        let found = found.found;
        if found.is_empty() {
            break;
        }
        for pointer in found {
            if let Some(place) = schema.pointer_mut(&pointer) {
                let description = place.get("description").cloned();
                // The arguments themselves are always an object.
                *place = if pointer.is_empty() { json!({"type": "object"}) } else { json!({}) };
                if let Some(description) = description {
                    place["description"] = description;
                }
                places.push(argument(&pointer));
            }
        }
    }
    places.dedup();
    places
}

/// `/properties/body/properties/count` as `body.count`.
fn argument(pointer: &str) -> String {
    let mut names: Vec<String> = Vec::new();
    let mut segments = pointer.split('/').skip(1);
    while let Some(segment) = segments.next() {
        match segment {
            "properties" | "$defs" | "definitions" => {
                let name = segments.next().unwrap_or_default();
                names.push(name.replace("~1", "/").replace("~0", "~"));
            }
            "items" => {
                let last = names.pop().unwrap_or_default();
                names.push(format!("{last}[]"));
            }
            _ => {}
        }
    }
    if names.is_empty() { "all arguments".to_owned() } else { names.join(".") }
}

/// Finds the innermost schemas that no value fits.
struct Finder<'a> {
    root: &'a Value,
    left: usize,
    looks_left: usize,
    /// The way to the present schema.
    place: Vec<Cow<'a, str>>,
    found: Vec<String>,
}

impl<'a> Finder<'a> {
    /// Returns true if a schema in it was found.
    fn look(&mut self, schema: &'a Value, depth: usize) -> bool {
        let Some(map) = schema.as_object().filter(|_| depth <= DEPTH_MAX && self.left > 0) else {
            return false;
        };
        self.left -= 1;
        let mut within = false;
        // What is referred to goes first: it is replaced before what refers to it is judged.
        let is_shared = |key: &str| matches!(key, "$defs" | "definitions");
        let shared = map.iter().filter(|(key, _)| is_shared(key));
        let own = map.iter().filter(|(key, _)| !is_shared(key));
        for (key, value) in shared.chain(own) {
            if within && depth == 0 && !is_shared(key) {
                return true;
            }
            self.place.push(key.into());
            within |= self.look_at(key, value, depth);
            self.place.pop();
        }
        if within || !may_be_empty(map) {
            return within;
        }
        let looks = LOOKS_MAX.min(self.looks_left);
        let judge = Judge { root: self.root, left: Cell::new(looks), open: RefCell::default() };
        let is_empty = judge.is_empty(&[schema]);
        self.looks_left -= looks - judge.left.get();
        if is_empty {
            self.found.push(self.pointer());
        }
        is_empty
    }

    fn look_at(&mut self, key: &'a str, value: &'a Value, depth: usize) -> bool {
        let mut within = false;
        match (key, value) {
            ("properties" | "$defs" | "definitions" | "patternProperties", fields) => {
                for (name, field) in fields.as_object().into_iter().flatten() {
                    self.place.push(name.into());
                    within |= self.look(field, depth + 1);
                    self.place.pop();
                }
            }
            ("allOf" | "anyOf" | "oneOf" | "prefixItems", Value::Array(parts)) => {
                for (nth, part) in parts.iter().enumerate() {
                    self.place.push(nth.to_string().into());
                    within |= self.look_into(part, key, depth);
                    self.place.pop();
                }
            }
            ("items" | "additionalProperties", Value::Object(_)) => {
                within |= self.look(value, depth + 1);
            }
            _ => {}
        }
        within
    }

    /// Of several forms one that nothing fits does no harm.
    fn look_into(&mut self, part: &'a Value, key: &str, depth: usize) -> bool {
        let before = self.found.len();
        let within = self.look(part, depth + 1);
        let is_form = matches!(key, "anyOf" | "oneOf");
        if is_form && self.found.len() == before + 1 && self.found[before] == self.pointer() {
            self.found.truncate(before);
            return false;
        }
        within
    }

    /// The way to the present schema as a JSON Pointer.
    fn pointer(&self) -> String {
        let escaped = self.place.iter().map(|name| name.replace('~', "~0").replace('/', "~1"));
        escaped.fold(String::new(), |pointer, name| format!("{pointer}/{name}"))
    }
}

/// Returns true if a schema has anything by which it might admit nothing. What it refers to is
/// judged there.
fn may_be_empty(map: &Map<String, Value>) -> bool {
    map.keys().any(|key| {
        matches!(
            key.as_str(),
            "allOf"
                | "anyOf"
                | "oneOf"
                | "enum"
                | "const"
                | "required"
                | "not"
                | "minimum"
                | "exclusiveMinimum"
                | "minLength"
                | "minItems"
                | "minProperties"
        )
    })
}

/// Judges one schema. Says that it admits nothing only if that is certain.
struct Judge<'a> {
    root: &'a Value,
    left: Cell<usize>,
    /// References that are being judged: a value would have to hold itself.
    open: RefCell<Vec<&'a str>>,
}

impl<'a> Judge<'a> {
    /// Returns true if no value fits all of these schemas.
    fn is_empty(&self, schemas: &[&'a Value]) -> bool {
        let outside = self.open.borrow().len();
        let mut all: Vec<&'a Map<String, Value>> = Vec::new();
        let is_empty =
            self.gather(schemas, outside, &mut all) || self.are_contradictory(&all, outside);
        self.open.borrow_mut().truncate(outside);
        is_empty && self.left.get() > 0
    }

    /// Takes so many looks; false, from then on, when there are not so many left.
    fn spend(&self, looks: usize) -> bool {
        let left = self.left.get().checked_sub(looks);
        self.left.set(left.unwrap_or_default());
        left.is_some()
    }

    /// The schemas with all that hold for the same value; true if one of them admits nothing. The
    /// first `outside` references are those of values around it.
    fn gather(
        &self,
        schemas: &[&'a Value],
        outside: usize,
        all: &mut Vec<&'a Map<String, Value>>,
    ) -> bool {
        for schema in schemas {
            if !self.spend(1) {
                return false;
            }
            let map = match schema {
                Value::Bool(false) => return true,
                Value::Object(map) => map,
                _ => continue,
            };
            let denies = |denied: &Value| {
                *denied == Value::Bool(true) || denied.as_object().is_some_and(Map::is_empty)
            };
            if map.get("not").is_some_and(denies) {
                return true;
            }
            if let Some(reference) = map.get("$ref").and_then(Value::as_str) {
                let known = self.open.borrow().iter().position(|open| *open == reference);
                if known.is_none() && self.open.borrow().len() == OPEN_MAX {
                    self.left.set(0);
                    return false;
                }
                match (known, pointed(reference, self.root)) {
                    (Some(known), _) if known < outside => return true,
                    (None, Some(target)) => {
                        self.open.borrow_mut().push(reference);
                        if self.gather(&[target], outside, all) {
                            return true;
                        }
                    }
                    _ => {}
                }
            }
            all.push(map);
            let parts = map.get("allOf").and_then(Value::as_array).into_iter().flatten();
            if self.gather(&parts.collect::<Vec<_>>(), outside, all) {
                return true;
            }
        }
        false
    }

    fn are_contradictory(&self, all: &[&'a Map<String, Value>], outside: usize) -> bool {
        let mut kinds = all.iter().fold(ANY, |kinds, map| kinds & kinds_of(map.get("type")));
        let listed = all.iter().filter_map(|map| map.get("enum")?.as_array()).map(Vec::len);
        if !self.spend(listed.sum::<usize>() / OPTIONS_OF_LOOK) {
            return false;
        }
        if let Some(options) = options(all) {
            return !options.iter().any(|option| kinds & kind_of(option) != 0);
        }
        if kinds == ANY && all.iter().any(|map| map.contains_key("properties")) {
            kinds = OBJECT;
        }
        if kinds == 0 {
            return true;
        }
        let is_only = |few: u8| kinds & !few == 0;
        let exceeds = |least: &[&str], most: &[&str]| {
            let bound = |keys: &[&str], best: fn(f64, f64) -> f64| {
                let all = all.iter().flat_map(|map| keys.iter().filter_map(|key| map.get(*key)));
                all.filter_map(Value::as_f64).reduce(best)
            };
            bound(least, f64::max).zip(bound(most, f64::min)).is_some_and(|(a, b)| a > b)
        };
        is_only(STRING) && exceeds(&["minLength"], &["maxLength"])
            || is_only(INTEGER | FRACTION)
                && exceeds(&["minimum", "exclusiveMinimum"], &["maximum", "exclusiveMaximum"])
            || is_only(ARRAY) && (exceeds(&["minItems"], &["maxItems"]) || self.lacks_items(all))
            || is_only(OBJECT)
                && (exceeds(&["minProperties"], &["maxProperties"]) || self.lacks_fields(all))
            || self.fits_no_form(all, outside)
    }

    /// Returns true if there must be items, and no value can be one.
    fn lacks_items(&self, all: &[&'a Map<String, Value>]) -> bool {
        let needs = all
            .iter()
            .any(|map| map.get("minItems").and_then(Value::as_u64).is_some_and(|least| least > 0));
        let has_places = all.iter().any(|map| map.contains_key("prefixItems"));
        let items: Vec<&Value> = all.iter().filter_map(|map| map.get("items")).collect();
        needs && !has_places && !items.is_empty() && self.is_empty(&items)
    }

    /// Returns true if a field must be given that must not be, or that no value fits.
    fn lacks_fields(&self, all: &[&'a Map<String, Value>]) -> bool {
        let required = all.iter().filter_map(|map| map.get("required")?.as_array()).flatten();
        required.filter_map(Value::as_str).any(|name| {
            if !self.spend(1) {
                return false;
            }
            let of = |map: &&'a Map<String, Value>| map.get("properties")?.get(name);
            let fields: Vec<&Value> = all.iter().filter_map(of).collect();
            let forbids = |map: &&Map<String, Value>| {
                map.get("additionalProperties") == Some(&Value::Bool(false))
                    && !map.contains_key("patternProperties")
                    && map.get("properties").is_none_or(|fields| fields.get(name).is_none())
            };
            all.iter().any(forbids) || !fields.is_empty() && self.is_empty(&fields)
        })
    }

    /// Returns true if there are forms of which none fits.
    fn fits_no_form(&self, all: &[&'a Map<String, Value>], outside: usize) -> bool {
        let forms = all
            .iter()
            .flat_map(|map| ["anyOf", "oneOf"].iter().filter_map(|key| map.get(*key)?.as_array()));
        forms.filter(|forms| !forms.is_empty()).any(|forms| {
            forms.iter().all(|form| {
                let opened = self.open.borrow().len();
                let mut whole: Vec<&Map<String, Value>> = Vec::new();
                let mut is_empty = self.gather(&[form], outside, &mut whole);
                if !is_empty {
                    // The forms of the whole itself are not asked again.
                    let kinds = all
                        .iter()
                        .chain(&whole)
                        .fold(ANY, |kinds, map| kinds & kinds_of(map.get("type")));
                    is_empty = kinds == 0 || self.are_contradictory(&whole, outside);
                }
                self.open.borrow_mut().truncate(opened);
                is_empty
            })
        })
    }
}

/// Values of which one must be taken, where some are listed.
fn options<'a>(all: &[&'a Map<String, Value>]) -> Option<Vec<&'a Value>> {
    let mut options: Option<Vec<&Value>> = None;
    for map in all {
        let constant = map.get("const").map(|constant| vec![constant]);
        let listed = map.get("enum").and_then(Value::as_array).map(|all| all.iter().collect());
        for few in constant.into_iter().chain(listed) {
            options = Some(match options {
                None => few,
                Some(options) => {
                    options.into_iter().filter(|option| few.contains(option)).collect()
                }
            });
        }
    }
    options
}

fn kinds_of(kind: Option<&Value>) -> u8 {
    let named = |name: &str| match name {
        "null" => NULL,
        "boolean" => BOOLEAN,
        "object" => OBJECT,
        "array" => ARRAY,
        "string" => STRING,
        "integer" => INTEGER,
        "number" => INTEGER | FRACTION,
        _ => ANY,
    };
    match kind {
        Some(Value::String(name)) => named(name),
        Some(Value::Array(names)) => {
            names.iter().filter_map(Value::as_str).fold(0, |kinds, name| kinds | named(name))
        }
        _ => ANY,
    }
}

fn kind_of(value: &Value) -> u8 {
    match value {
        Value::Null => NULL,
        Value::Bool(_) => BOOLEAN,
        Value::Object(_) => OBJECT,
        Value::Array(_) => ARRAY,
        Value::String(_) => STRING,
        // `1.0` is an integer too.
        Value::Number(number) if number.as_f64().is_some_and(|n| n.fract() == 0.0) => INTEGER,
        Value::Number(_) => FRACTION,
    }
}
