//! TypeScript from JSON Schema: the type of one schema, within a line or declared by name.
//!
//! Never `any`; where nothing is known, `unknown`. Schemas are the upstream's: depth, references
//! and size are bounded.

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, HashSet},
};

use serde_json::Value;

use super::{
    example,
    jsdoc::{comment, remarks},
    reference::{pointed, resolved},
};
use crate::catalog::path;

/// Fields that a hint tells of an object that is too large for it and has none that are required.
const HINT_FIELDS_MIN: usize = 3;
/// Deepest nesting that a declaration tells.
const DEPTH_MAX: usize = 24;
/// Schemas that are looked at for one declaration, references counted each time, and for a text
/// within a line.
const NODES_MAX: usize = 4_000;
const INLINE_NODES_MAX: usize = 600;
/// Constants and allowed values that are told in one text, in bytes; beyond it only their types
/// are.
const LITERAL_BYTES_MAX: usize = 64 * 1024;
/// Types that a schema allows at once, for a look at each; JSON Schema knows seven.
const TYPES_MAX: usize = 8;
/// Types that are gone through to see whether one is made of itself.
const BARE_MAX: usize = 200;

/// Values of an enumeration that a hint tells; beyond it only their type.
const HINT_OPTIONS_MAX: usize = 8;
/// Values of an enumeration that a declaration tells.
const OPTIONS_MAX: usize = 200;
/// Deepest nesting of a constant that is told as it is; beyond it only that it is an object or a
/// list.
const LITERAL_DEPTH_MAX: usize = 4;

/// The type of one part of a schema, short enough for a sentence.
pub(in crate::catalog) fn inline(schema: &Value, root: &Value) -> String {
    let written =
        |depth| Writer { marks_integers: true, ..Writer::inline(root, depth) }.of(schema, 0);
    [2, 1].into_iter().map(written).find(|text| text.len() <= 200).unwrap_or_else(|| written(0))
}

pub(in crate::catalog) fn argument_list(schema: &Value, text: impl FnOnce() -> String) -> String {
    let schema = resolved(schema, schema).unwrap_or(schema);
    let some =
        |name: &str| schema.get(name).and_then(Value::as_object).is_some_and(|map| !map.is_empty());
    let combined = ["anyOf", "oneOf", "allOf", "patternProperties"]
        .iter()
        .any(|name| schema.get(name).is_some());
    let open = schema
        .get("additionalProperties")
        .is_some_and(|rest| *rest == Value::Bool(true) || rest.is_object());
    let required =
        schema.get("required").and_then(Value::as_array).is_some_and(|names| !names.is_empty());
    if !some("properties") && !combined && !open && !required {
        return String::new();
    }
    let needed = combined || required;
    format!("args{}: {}", if needed { "" } else { "?" }, text())
}

/// Writes the types of one schema document.
pub(in crate::catalog) struct Writer<'a> {
    root: &'a Value,
    depth_max: usize,
    nodes_left: Cell<usize>,
    literal_bytes_left: Cell<usize>,
    /// Number of fields and lists around the current place: within none, a type may not refer to
    /// itself.
    wraps: Cell<usize>,
    /// True if only what is required is told of objects, and how much more there is.
    needed_only: bool,
    /// True if integers are told apart from other numbers, which no type of TypeScript does.
    marks_integers: bool,
    /// Named types: those declared for references, in the order in which they were met.
    names: Option<Names<'a>>,
}

struct Names<'a> {
    root: String,
    prefix: &'a str,
    /// Names that nothing else may have.
    taken: &'a RefCell<HashSet<String>>,
    /// References with their names.
    known: RefCell<Vec<(String, String)>>,
    /// The numbers that names which are wanted again have come to.
    numbers: RefCell<HashMap<String, usize>>,
    /// The type that is being written.
    present: RefCell<String>,
    /// Types that a type is made of, with no field or list between: a circle of these is no type.
    bare: RefCell<HashMap<String, Vec<String>>>,
}

impl<'a> Writer<'a> {
    pub(in crate::catalog) fn inline(root: &'a Value, depth_max: usize) -> Self {
        Self {
            root,
            depth_max,
            nodes_left: Cell::new(INLINE_NODES_MAX),
            literal_bytes_left: Cell::new(LITERAL_BYTES_MAX),
            wraps: Cell::new(0),
            needed_only: false,
            marks_integers: false,
            names: None,
        }
    }

    /// Tells only what is required of objects, if so.
    pub(in crate::catalog) fn needed_only(self, needed_only: bool) -> Self {
        Self { needed_only, ..self }
    }

    pub(in crate::catalog) fn declared(
        root: &'a Value,
        name: &str,
        prefix: &'a str,
        taken: &'a RefCell<HashSet<String>>,
    ) -> Self {
        let names = Names {
            root: name.to_owned(),
            prefix,
            taken,
            known: RefCell::default(),
            numbers: RefCell::default(),
            present: RefCell::new(name.to_owned()),
            bare: RefCell::default(),
        };
        Self {
            names: Some(names),
            nodes_left: Cell::new(NODES_MAX),
            ..Self::inline(root, DEPTH_MAX)
        }
    }

    /// The root's declaration, then those of everything it refers to.
    pub(in crate::catalog) fn all(&self) -> String {
        let Some(names) = &self.names else { return String::new() };
        let mut out = format!("type {} = {};\n", names.root, self.of(self.root, 0));
        let mut next = 0;
        loop {
            // Writing one declaration may meet further references.
            let Some((reference, name)) = names.known.borrow().get(next).cloned() else {
                return out;
            };
            next += 1;
            let target = pointed(&reference, self.root).unwrap_or(&Value::Null);
            *names.present.borrow_mut() = name.clone();
            out.push('\n');
            out.push_str(&comment(&remarks(target), 0));
            out.push_str(&format!("type {name} = {};\n", self.of(target, 0)));
        }
    }

    pub(in crate::catalog) fn of(&self, schema: &Value, depth: usize) -> String {
        let left = self.nodes_left.get();
        if left == 0 {
            return "unknown".to_owned();
        }
        self.nodes_left.set(left - 1);
        match schema {
            Value::Bool(false) => "never".to_owned(),
            Value::Object(map) if !map.is_empty() => self.of_object(schema, depth),
            _ => "unknown".to_owned(),
        }
    }

    fn of_object(&self, schema: &Value, depth: usize) -> String {
        let text = self.of_parts(schema, depth);
        let nullable = schema.get("nullable") == Some(&Value::Bool(true)) && text != "unknown";
        if nullable { union([text, "null".to_owned()].into_iter()) } else { text }
    }

    /// Everything that the schema demands at once.
    fn of_parts(&self, schema: &Value, depth: usize) -> String {
        if let Some(value) = schema.get("const") {
            return self.literal(value);
        }
        if let Some(options) = schema.get("enum").and_then(Value::as_array) {
            return self.of_enum(options);
        }
        let mut parts = Vec::new();
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            parts.push(self.of_reference(reference, depth));
        }
        if ["type", "properties", "items", "prefixItems", "patternProperties"]
            .iter()
            .any(|name| schema.get(name).is_some())
        {
            parts.push(self.of_typed(schema, depth));
        } else if schema.get("additionalProperties").is_some_and(Value::is_object) {
            parts.push(self.object(schema, depth));
        }
        if let Some(all) = schema.get("allOf").and_then(Value::as_array) {
            parts.extend(all.iter().map(|part| self.of(part, depth)));
        }
        for name in ["anyOf", "oneOf"] {
            // Alternatives that only say which fields are needed tell nothing that a type can.
            let trust = |option: &&Value| {
                option.as_object().is_none_or(|option| option.keys().any(|key| key != "required"))
            };
            if let Some(options) = schema.get(name).and_then(Value::as_array)
                && options.iter().any(|option| trust(&option))
            {
                parts.push(union(options.iter().map(|option| self.of(option, depth))));
            }
        }
        parts.retain(|part| part != "unknown");
        // A plain `object` beside its parts says nothing more.
        if parts.len() > 1 {
            parts.retain(|part| ![EMPTY_OBJECT, NO_FIELDS, "object"].contains(&part.as_str()));
        }
        dedup(&mut parts);
        match parts.as_slice() {
            [] => "unknown".to_owned(),
            [one] => one.clone(),
            several => several.iter().map(|part| grouped(part)).collect::<Vec<_>>().join(" & "),
        }
    }

    fn of_reference(&self, reference: &str, depth: usize) -> String {
        let Some(target) = pointed(reference, self.root) else { return "unknown".to_owned() };
        match &self.names {
            None if depth >= self.depth_max => "unknown".to_owned(),
            None => self.of(target, depth + 1),
            Some(names) => {
                let name = if reference == "#" { names.root.clone() } else { names.of(reference) };
                if self.wraps.get() == 0 && !names.may_stand_bare(&name) {
                    "unknown".to_owned()
                } else {
                    name
                }
            }
        }
    }

    /// Writes what stands within a field or a list.
    fn within(&self, schema: &Value, depth: usize) -> String {
        self.wraps.set(self.wraps.get() + 1);
        let text = self.of(schema, depth);
        self.wraps.set(self.wraps.get() - 1);
        text
    }

    fn literal(&self, value: &Value) -> String {
        let left = example::left_after(value, self.literal_bytes_left.get());
        self.literal_bytes_left.set(left.unwrap_or_default());
        match left {
            Some(_) => {
                literal_type(value, if self.names.is_some() { LITERAL_DEPTH_MAX } else { 1 })
            }
            None => kind_of(value).to_owned(),
        }
    }

    fn of_enum(&self, options: &[Value]) -> String {
        let max = if self.names.is_some() { OPTIONS_MAX } else { HINT_OPTIONS_MAX };
        if options.len() <= max {
            return union(options.iter().map(|option| self.literal(option)));
        }
        // A long one that is referred to from everywhere is gone through only so often.
        self.nodes_left.set(self.nodes_left.get().saturating_sub(options.len() / OPTIONS_MAX));
        let mut kinds: Vec<&str> = Vec::new();
        for kind in options.iter().map(kind_of) {
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        union(kinds.into_iter().map(str::to_owned))
    }

    fn of_typed(&self, schema: &Value, depth: usize) -> String {
        match schema.get("type") {
            Some(Value::Array(names)) => union(
                names
                    .iter()
                    .filter_map(Value::as_str)
                    .take(TYPES_MAX)
                    .map(|name| self.of_type(name, schema, depth)),
            ),
            Some(Value::String(name)) => self.of_type(name, schema, depth),
            _ if schema.get("properties").or_else(|| schema.get("patternProperties")).is_some() => {
                self.of_type("object", schema, depth)
            }
            _ => self.of_type("array", schema, depth),
        }
    }

    fn of_type(&self, name: &str, schema: &Value, depth: usize) -> String {
        match name {
            "string" => "string".to_owned(),
            "integer" if self.marks_integers => "integer".to_owned(),
            "number" | "integer" => "number".to_owned(),
            "boolean" => "boolean".to_owned(),
            "null" => "null".to_owned(),
            "array" => self.array(schema, depth),
            "object" => self.object(schema, depth),
            _ => "unknown".to_owned(),
        }
    }

    fn array(&self, schema: &Value, depth: usize) -> String {
        let items = schema.get("items");
        let tuple = schema.get("prefixItems").or(items).and_then(Value::as_array);
        if depth >= self.depth_max {
            return "unknown[]".to_owned();
        }
        let Some(places) = tuple else {
            let item =
                items.map_or_else(|| "unknown".to_owned(), |items| self.within(items, depth + 1));
            return format!("{}[]", grouped(&item));
        };
        let needed = schema.get("minItems").and_then(Value::as_u64).unwrap_or(places.len() as u64);
        let mut members: Vec<String> = (0u64..)
            .zip(places)
            .map(|(at, place)| {
                let place = self.within(place, depth + 1);
                if at < needed { place } else { format!("{}?", grouped(&place)) }
            })
            .collect();
        // What may follow the places: nothing is said in the old form by `additionalItems`, in the
        // new one by `items`.
        let rest =
            if schema.get("prefixItems").is_some() { items } else { schema.get("additionalItems") };
        if let Some(rest) = rest.filter(|rest| rest.is_object()) {
            members.push(format!("...{}[]", grouped(&self.within(rest, depth + 1))));
        }
        format!("[{}]", members.join(", "))
    }

    fn object(&self, schema: &Value, depth: usize) -> String {
        let properties = schema.get("properties").and_then(Value::as_object);
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let patterns = schema
            .get("patternProperties")
            .and_then(Value::as_object)
            .into_iter()
            .flat_map(|patterns| patterns.values());
        let rest = schema
            .get("additionalProperties")
            .filter(|rest| **rest != Value::Bool(false))
            .into_iter()
            .chain(patterns);
        let rest: Vec<&Value> = rest.collect();
        // Needed, and nothing more is said of it.
        let bare =
            |name: &&str| properties.is_none_or(|properties| !properties.contains_key(*name));
        let left = self.nodes_left.get();
        let bare: Vec<&str> = if depth < self.depth_max {
            required.iter().copied().filter(bare).take(left).collect()
        } else {
            Vec::new()
        };
        self.nodes_left.set(left.saturating_sub(bare.len()));
        if properties.is_none_or(serde_json::Map::is_empty) && bare.is_empty() {
            return match rest.is_empty() || depth >= self.depth_max {
                false => self.record(union(rest.iter().map(|rest| self.within(rest, depth + 1)))),
                true if schema.get("additionalProperties") == Some(&Value::Bool(false))
                    && rest.is_empty() =>
                {
                    NO_FIELDS.to_owned()
                }
                true => EMPTY_OBJECT.to_owned(),
            };
        }
        if depth >= self.depth_max {
            return "object".to_owned();
        }
        let (mut fields, left) = self.fields(properties, &required, depth);
        fields.extend(bare.iter().map(|name| (String::new(), format!("{}: unknown", key(name)))));
        if !rest.is_empty() {
            // Any narrower type would contradict the fields above it.
            fields.push((String::new(), "[key: string]: unknown".to_owned()));
        }
        if self.names.is_none() {
            let more = if left > 0 { format!(" /* and {left} more */") } else { String::new() };
            return format!(
                "{{ {}{more} }}",
                fields.into_iter().map(|(_, field)| field).collect::<Vec<_>>().join("; ")
            );
        }
        let indent = "  ".repeat(depth + 1);
        let lines: String = fields
            .into_iter()
            .map(|(remark, field)| format!("{remark}{indent}{field};\n"))
            .collect();
        format!("{{\n{lines}{}}}", "  ".repeat(depth))
    }

    /// The fields that are told, each with its remark, and how many are not.
    fn fields(
        &self,
        properties: Option<&serde_json::Map<String, Value>>,
        required: &[&str],
        depth: usize,
    ) -> (Vec<(String, String)>, usize) {
        let needed: HashSet<&str> = required.iter().copied().collect();
        let mut left = 0;
        let mut fields = Vec::new();
        for (at, (name, schema)) in properties.into_iter().flatten().enumerate() {
            let is_needed = needed.contains(name.as_str());
            let is_among_first = needed.is_empty() && at < HINT_FIELDS_MIN;
            if self.needed_only && !is_needed && !is_among_first {
                left += 1;
                continue;
            }
            let mark = if is_needed { "" } else { "?" };
            let remark = match self.names {
                Some(_) => comment(&remarks(schema), depth + 1),
                None => String::new(),
            };
            let field = format!("{}{mark}: {}", key(name), self.within(schema, depth + 1));
            fields.push((remark, field));
        }
        (fields, left)
    }

    /// An object of any fields. Where types are named it is written out, for only then may it hold
    /// itself.
    fn record(&self, value: String) -> String {
        if self.names.is_some() && value != "unknown" {
            format!("{{ [key: string]: {value} }}")
        } else {
            format!("Record<string, {value}>")
        }
    }
}

const EMPTY_OBJECT: &str = "Record<string, unknown>";
const NO_FIELDS: &str = "Record<string, never>";

impl Names<'_> {
    fn of(&self, reference: &str) -> String {
        let mut known = self.known.borrow_mut();
        if let Some((_, name)) = known.iter().find(|(known, _)| known == reference) {
            return name.clone();
        }
        let wanted =
            format!("{}{}", self.prefix, pascal(reference.rsplit('/').next().unwrap_or_default()));
        let mut taken = self.taken.borrow_mut();
        // Where many end alike, each goes on where the one before found a name.
        let mut numbers = self.numbers.borrow_mut();
        let number = numbers.entry(wanted.clone()).or_insert(1);
        let mut name = if *number == 1 { wanted.clone() } else { format!("{wanted}{number}") };
        while taken.contains(&name) {
            *number += 1;
            name = format!("{wanted}{number}");
        }
        taken.insert(name.clone());
        known.push((reference.to_owned(), name.clone()));
        name
    }

    /// Returns true if the present type may be made of `name` with nothing between them; if so it
    /// is remembered.
    fn may_stand_bare(&self, name: &str) -> bool {
        let present = self.present.borrow();
        let mut bare = self.bare.borrow_mut();
        let mut seen = HashSet::new();
        let mut ahead = vec![name.to_owned()];
        while let Some(next) = ahead.pop() {
            if next == *present || seen.len() >= BARE_MAX {
                return false;
            }
            if seen.insert(next.clone()) {
                ahead.extend(bare.get(&next).into_iter().flatten().cloned());
            }
        }
        bare.entry(present.clone()).or_default().push(name.to_owned());
        true
    }
}

/// The type of a value, without what is in it.
fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "string",
        Value::Number(_) => "number",
        Value::Bool(_) => "boolean",
        Value::Null => "null",
        _ => "unknown",
    }
}

fn literal_type(value: &Value, depth: usize) -> String {
    match value {
        Value::Object(_) if depth == 0 => "object".to_owned(),
        Value::Array(_) if depth == 0 => "unknown[]".to_owned(),
        Value::Object(map) if map.is_empty() => NO_FIELDS.to_owned(),
        Value::Object(map) => {
            let fields: Vec<String> = map
                .iter()
                .map(|(name, value)| format!("{}: {}", key(name), literal_type(value, depth - 1)))
                .collect();
            format!("{{ {} }}", fields.join("; "))
        }
        Value::Array(items) => {
            format!(
                "[{}]",
                items
                    .iter()
                    .map(|item| literal_type(item, depth - 1))
                    .collect::<Vec<_>>()
                    .join(", ")
            )
        }
        plain => plain.to_string(),
    }
}

fn union(parts: impl Iterator<Item = String>) -> String {
    let mut parts: Vec<String> = parts.collect();
    dedup(&mut parts);
    match parts.as_slice() {
        [] => "never".to_owned(),
        parts if parts.iter().any(|part| part == "unknown") => "unknown".to_owned(),
        parts => parts.join(" | "),
    }
}

fn dedup(parts: &mut Vec<String>) {
    let mut seen = HashSet::new();
    parts.retain(|part| seen.insert(part.clone()));
}

/// In parentheses where an operator follows or precedes.
fn grouped(text: &str) -> String {
    let bare = text.starts_with('{')
        && text.ends_with('}')
        && !text.contains("} & {")
        && !text.contains("} | {");
    if !bare && (text.contains(" | ") || text.contains(" & ")) {
        format!("({text})")
    } else {
        text.to_owned()
    }
}

pub(in crate::catalog) fn key(name: &str) -> String {
    if path::is_identifier(name) { name.to_owned() } else { Value::from(name).to_string() }
}

/// `get-sum` as `GetSum`; always an identifier.
pub(in crate::catalog) fn pascal(name: &str) -> String {
    let mut out = String::new();
    let mut upper = true;
    for c in name.chars() {
        if !c.is_ascii_alphanumeric() {
            upper = true;
        } else if std::mem::take(&mut upper) {
            out.extend(c.to_uppercase());
        } else {
            out.push(c);
        }
    }
    if out.starts_with(|c: char| c.is_ascii_alphabetic()) { out } else { format!("T{out}") }
}
