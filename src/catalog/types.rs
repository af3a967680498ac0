//! TypeScript from JSON Schema: one line for a hint, a whole declaration for a description.
//!
//! Never `any`; where nothing is known, `unknown`. Schemas are the upstream's: depth, references and size are bounded.

use std::{
    cell::{Cell, RefCell},
    collections::HashSet,
};

use serde_json::Value;

use super::{
    paths,
    tool::{Tool, cut},
};

/// Longest hint, in bytes; a longer one is told with less depth.
const HINT_BYTES_MAX: usize = 400;
/// Deepest nesting that a hint tells.
const HINT_DEPTH_MAX: usize = 4;
/// Deepest nesting that a declaration tells.
const DEPTH_MAX: usize = 24;
/// Schemas that are looked at for one text, references counted each time.
const NODES_MAX: usize = 4_000;
/// References that are followed in a row.
const REFERENCES_MAX: usize = 16;
/// Values of an enumeration that a hint tells; beyond it only their type.
const HINT_OPTIONS_MAX: usize = 8;
/// Values of an enumeration that a declaration tells.
const OPTIONS_MAX: usize = 200;
/// Longest comment at one place, in bytes.
const COMMENT_BYTES_MAX: usize = 1_000;

/// The call in one line: `tools.demo.add(args: { a: number; b: number }): Promise<{ sum: number }>`.
pub(super) fn hint(tool: &Tool) -> String {
    let call = paths::expression(&tool.path);
    let mut line = String::new();
    let observed = tool.observed.schema();
    // What a call needs is told before what it gives.
    let depths =
        (0..=HINT_DEPTH_MAX).rev().map(|depth| (HINT_DEPTH_MAX, depth)).chain((0..HINT_DEPTH_MAX).rev().map(|depth| (depth, 0)));
    for (args_depth, depth) in depths {
        let args = argument_list(&tool.input_schema, || Writer::inline(&tool.input_schema, args_depth).of(&tool.input_schema, 0));
        let result = match (&tool.output_schema, &observed) {
            (Some(schema), _) => Writer::inline(schema, depth).of(schema, 0),
            (None, Some(schema)) => format!("/* observed */ {}", Writer::inline(schema, depth).of(schema, 0)),
            (None, None) => "unknown".to_owned(),
        };
        line = format!("{call}({args}): Promise<{result}>");
        if line.len() <= HINT_BYTES_MAX {
            break;
        }
    }
    line
}

/// The type of one part of a schema, short enough for a sentence.
pub(super) fn inline(schema: &Value, root: &Value) -> String {
    for depth in [2, 1] {
        let text = Writer::inline(root, depth).of(schema, 0);
        if text.len() <= 200 {
            return text;
        }
    }
    Writer::inline(root, 0).of(schema, 0)
}

/// `tools` with this one function in it, and the types that it needs, as a TypeScript declaration.
pub(super) fn declaration(tool: &Tool) -> String {
    let base = pascal(&tool.name);
    let (args, result) = (format!("{base}Args"), format!("{base}Result"));
    let taken = RefCell::new(HashSet::from([args.clone(), result.clone(), "tools".to_owned()]));
    let mut out = "declare const tools: {\n".to_owned();
    let mut segments: Vec<&str> = tool.path.split('.').collect();
    let leaf = segments.pop().unwrap_or_default();
    for (level, segment) in segments.iter().enumerate() {
        out.push_str(&format!("{}{}: {{\n", "  ".repeat(level + 1), key(segment)));
    }
    let indent = segments.len() + 1;
    out.push_str(&comment(std::slice::from_ref(&tool.description), indent));
    let list = argument_list(&tool.input_schema, || args.clone());
    out.push_str(&format!("{}{}({list}): Promise<{result}>;\n", "  ".repeat(indent), key(leaf)));
    for level in (1..indent).rev() {
        out.push_str(&format!("{}}};\n", "  ".repeat(level)));
    }
    out.push_str("};\n");
    if !list.is_empty() {
        out.push('\n');
        out.push_str(&Writer::declared(&tool.input_schema, &args, &base, &taken).all());
    }
    out.push('\n');
    match (&tool.output_schema, tool.observed.schema()) {
        (Some(schema), _) => out.push_str(&Writer::declared(schema, &result, &base, &taken).all()),
        (None, Some(schema)) => {
            out.push_str("/* observed: learned from answers, not promised by the upstream */\n");
            out.push_str(&Writer::declared(&schema, &result, &base, &taken).all());
        }
        (None, None) => out.push_str(&format!("/** The upstream does not describe its result. */\ntype {result} = unknown;\n")),
    }
    out
}

fn argument_list(schema: &Value, text: impl FnOnce() -> String) -> String {
    let schema = resolved(schema, schema).unwrap_or(schema);
    let some = |name: &str| schema.get(name).and_then(Value::as_object).is_some_and(|map| !map.is_empty());
    let combined = ["anyOf", "oneOf", "allOf", "patternProperties"].iter().any(|name| schema.get(name).is_some());
    let open = some("additionalProperties") || schema.get("additionalProperties") == Some(&Value::Bool(true));
    if !some("properties") && !combined && !open {
        return String::new();
    }
    let needed = combined || schema.get("required").and_then(Value::as_array).is_some_and(|names| !names.is_empty());
    format!("args{}: {}", if needed { "" } else { "?" }, text())
}

/// Follows local references; none when one leads nowhere, outside, or round in circles.
pub(super) fn resolved<'a>(schema: &'a Value, root: &'a Value) -> Option<&'a Value> {
    let mut schema = schema;
    for _ in 0..REFERENCES_MAX {
        let Some(reference) = schema.get("$ref").and_then(Value::as_str) else { return Some(schema) };
        schema = pointed(reference, root)?;
    }
    None
}

fn pointed<'a>(reference: &str, root: &'a Value) -> Option<&'a Value> {
    reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer))
}

/// Writes the types of one schema document.
struct Writer<'a> {
    root: &'a Value,
    depth_max: usize,
    nodes_left: Cell<usize>,
    /// Where types are named: what is declared for references, in the order in which it was met.
    names: Option<Names<'a>>,
}

struct Names<'a> {
    root: String,
    prefix: &'a str,
    /// Names that nothing else may have.
    taken: &'a RefCell<HashSet<String>>,
    /// References with their names.
    known: RefCell<Vec<(String, String)>>,
}

impl<'a> Writer<'a> {
    fn inline(root: &'a Value, depth_max: usize) -> Self {
        Self { root, depth_max, nodes_left: Cell::new(NODES_MAX), names: None }
    }

    fn declared(root: &'a Value, name: &str, prefix: &'a str, taken: &'a RefCell<HashSet<String>>) -> Self {
        let names = Names { root: name.to_owned(), prefix, taken, known: RefCell::default() };
        Self { root, depth_max: DEPTH_MAX, nodes_left: Cell::new(NODES_MAX), names: Some(names) }
    }

    /// The root's declaration, then those of everything it refers to.
    fn all(&self) -> String {
        let Some(names) = &self.names else { return String::new() };
        let mut out = format!("type {} = {};\n", names.root, self.of(self.root, 0));
        let mut next = 0;
        loop {
            // Writing one declaration may meet further references.
            let Some((reference, name)) = names.known.borrow().get(next).cloned() else { return out };
            next += 1;
            let target = pointed(&reference, self.root).unwrap_or(&Value::Null);
            out.push('\n');
            out.push_str(&comment(&remarks(target), 0));
            out.push_str(&format!("type {name} = {};\n", self.of(target, 0)));
        }
    }

    fn of(&self, schema: &Value, depth: usize) -> String {
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
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            return self.of_reference(reference, depth);
        }
        if let Some(value) = schema.get("const") {
            return literal_type(value);
        }
        if let Some(options) = schema.get("enum").and_then(Value::as_array) {
            return self.of_enum(options);
        }
        let mut parts = Vec::new();
        if schema.get("type").is_some() || schema.get("properties").is_some() || schema.get("items").is_some() {
            parts.push(self.of_typed(schema, depth));
        }
        if let Some(all) = schema.get("allOf").and_then(Value::as_array) {
            parts.extend(all.iter().map(|part| self.of(part, depth)));
        }
        for name in ["anyOf", "oneOf"] {
            if let Some(options) = schema.get(name).and_then(Value::as_array) {
                parts.push(union(options.iter().map(|option| self.of(option, depth))));
            }
        }
        parts.retain(|part| part != "unknown");
        // A plain `object` beside its parts says nothing more.
        if parts.len() > 1 {
            parts.retain(|part| part != EMPTY_OBJECT && part != "object");
        }
        dedup(&mut parts);
        let text = match parts.as_slice() {
            [] => "unknown".to_owned(),
            [one] => one.clone(),
            several => several.iter().map(|part| grouped(part)).collect::<Vec<_>>().join(" & "),
        };
        if schema.get("nullable") == Some(&Value::Bool(true)) { union([text, "null".to_owned()].into_iter()) } else { text }
    }

    fn of_reference(&self, reference: &str, depth: usize) -> String {
        let Some(target) = pointed(reference, self.root) else { return "unknown".to_owned() };
        match &self.names {
            None if depth >= self.depth_max => "unknown".to_owned(),
            None => self.of(target, depth + 1),
            Some(names) if reference == "#" => names.root.clone(),
            Some(names) => names.of(reference),
        }
    }

    fn of_enum(&self, options: &[Value]) -> String {
        let max = if self.names.is_some() { OPTIONS_MAX } else { HINT_OPTIONS_MAX };
        if options.len() <= max {
            return union(options.iter().map(literal_type));
        }
        union(options.iter().map(|option| {
            match option {
                Value::String(_) => "string",
                Value::Number(_) => "number",
                Value::Bool(_) => "boolean",
                Value::Null => "null",
                _ => "unknown",
            }
            .to_owned()
        }))
    }

    fn of_typed(&self, schema: &Value, depth: usize) -> String {
        match schema.get("type") {
            Some(Value::Array(names)) => {
                union(names.iter().filter_map(Value::as_str).map(|name| self.of_type(name, schema, depth)))
            }
            Some(Value::String(name)) => self.of_type(name, schema, depth),
            _ if schema.get("properties").is_some() => self.of_type("object", schema, depth),
            _ => self.of_type("array", schema, depth),
        }
    }

    fn of_type(&self, name: &str, schema: &Value, depth: usize) -> String {
        match name {
            "string" => "string".to_owned(),
            "number" | "integer" => "number".to_owned(),
            "boolean" => "boolean".to_owned(),
            "null" => "null".to_owned(),
            "array" => self.array(schema, depth),
            "object" => self.object(schema, depth),
            _ => "unknown".to_owned(),
        }
    }

    fn array(&self, schema: &Value, depth: usize) -> String {
        let tuple = schema.get("prefixItems").or_else(|| schema.get("items")).and_then(Value::as_array);
        if depth >= self.depth_max {
            return "unknown[]".to_owned();
        }
        if let Some(items) = tuple {
            return format!("[{}]", items.iter().map(|item| self.of(item, depth + 1)).collect::<Vec<_>>().join(", "));
        }
        let item = schema.get("items").map_or_else(|| "unknown".to_owned(), |items| self.of(items, depth + 1));
        format!("{}[]", grouped(&item))
    }

    fn object(&self, schema: &Value, depth: usize) -> String {
        let properties = schema.get("properties").and_then(Value::as_object).filter(|properties| !properties.is_empty());
        let rest = schema.get("additionalProperties").filter(|rest| **rest != Value::Bool(false));
        let Some(properties) = properties else {
            return match rest {
                Some(rest) if depth < self.depth_max => format!("Record<string, {}>", self.of(rest, depth + 1)),
                _ => EMPTY_OBJECT.to_owned(),
            };
        };
        if depth >= self.depth_max {
            return "object".to_owned();
        }
        let required: HashSet<&str> =
            schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let mut fields: Vec<(String, String)> = properties
            .iter()
            .map(|(name, schema)| {
                let mark = if required.contains(name.as_str()) { "" } else { "?" };
                let remark = if self.names.is_some() { comment(&remarks(schema), depth + 1) } else { String::new() };
                (remark, format!("{}{mark}: {}", key(name), self.of(schema, depth + 1)))
            })
            .collect();
        if rest.is_some() {
            // Any narrower type would contradict the fields above it.
            fields.push((String::new(), "[key: string]: unknown".to_owned()));
        }
        if self.names.is_none() {
            return format!("{{ {} }}", fields.into_iter().map(|(_, field)| field).collect::<Vec<_>>().join("; "));
        }
        let indent = "  ".repeat(depth + 1);
        let lines: String = fields.into_iter().map(|(remark, field)| format!("{remark}{indent}{field};\n")).collect();
        format!("{{\n{lines}{}}}", "  ".repeat(depth))
    }
}

const EMPTY_OBJECT: &str = "Record<string, unknown>";

impl Names<'_> {
    fn of(&self, reference: &str) -> String {
        let mut known = self.known.borrow_mut();
        if let Some((_, name)) = known.iter().find(|(known, _)| known == reference) {
            return name.clone();
        }
        let wanted = format!("{}{}", self.prefix, pascal(reference.rsplit('/').next().unwrap_or_default()));
        let mut taken = self.taken.borrow_mut();
        let name = (1..).map(|n| if n == 1 { wanted.clone() } else { format!("{wanted}{n}") }).find(|name| !taken.contains(name));
        let name = name.unwrap_or(wanted);
        taken.insert(name.clone());
        known.push((reference.to_owned(), name.clone()));
        name
    }
}

fn literal_type(value: &Value) -> String {
    match value {
        Value::Object(_) => "object".to_owned(),
        Value::Array(_) => "unknown[]".to_owned(),
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
    let bare = text.starts_with('{') && text.ends_with('}') && !text.contains("} & {") && !text.contains("} | {");
    if !bare && (text.contains(" | ") || text.contains(" & ")) { format!("({text})") } else { text.to_owned() }
}

fn key(name: &str) -> String {
    if paths::is_identifier(name) { name.to_owned() } else { Value::from(name).to_string() }
}

/// `get-sum` as `GetSum`; always an identifier.
fn pascal(name: &str) -> String {
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

/// What a schema says beyond its type.
fn remarks(schema: &Value) -> Vec<String> {
    let mut out = Vec::new();
    if let Some(text) = schema.get("description").or_else(|| schema.get("title")).and_then(Value::as_str) {
        out.push(text.to_owned());
    }
    for (keyword, words) in [
        ("default", "Default"),
        ("minimum", "At least"),
        ("exclusiveMinimum", "More than"),
        ("maximum", "At most"),
        ("exclusiveMaximum", "Less than"),
        ("minLength", "Characters at least"),
        ("maxLength", "Characters at most"),
        ("minItems", "Items at least"),
        ("maxItems", "Items at most"),
        ("pattern", "Pattern"),
        ("format", "Format"),
    ] {
        if let Some(value) = schema.get(keyword) {
            let text = value.as_str().filter(|_| keyword != "default").map_or_else(|| value.to_string(), str::to_owned);
            out.push(format!("{words}: {}", cut(&text, 200)));
        }
    }
    if schema.get("type").and_then(Value::as_str) == Some("integer") {
        out.push("Integer".to_owned());
    }
    out
}

/// A doc comment of these sentences, or nothing. Whatever the upstream wrote, it ends where it should.
fn comment(sentences: &[String], level: usize) -> String {
    let indent = "  ".repeat(level);
    let text = sentences.join("\n").replace("*/", "*\\/");
    let text = cut(text.trim(), COMMENT_BYTES_MAX);
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.trim().is_empty()).collect();
    match lines.as_slice() {
        [] => String::new(),
        [line] => format!("{indent}/** {line} */\n"),
        lines => {
            let body: String = lines.iter().map(|line| format!("{indent} * {line}\n")).collect();
            format!("{indent}/**\n{body}{indent} */\n")
        }
    }
}

#[cfg(test)]
mod tests;
