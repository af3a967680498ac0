//! Swagger 2.0 written as OpenAPI 3.0. Only what is read afterwards is carried over.

mod references;

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
};

use serde_json::{Map, Value, json};

use super::read::{METHODS, NODES_MAX};
use crate::base::text::cut;

/// Keywords of a parameter or header that are part of its schema.
const SCHEMA_KEYWORDS: [&str; 19] = [
    "type",
    "format",
    "items",
    "default",
    "maximum",
    "exclusiveMaximum",
    "minimum",
    "exclusiveMinimum",
    "maxLength",
    "minLength",
    "pattern",
    "maxItems",
    "minItems",
    "uniqueItems",
    "enum",
    "multipleOf",
    "x-nullable",
    "properties",
    "additionalProperties",
];
/// Media types of one operation; each refers to the schema. One more than are taken, so that it is
/// told if there are more.
const MEDIA_MAX: usize = 9;
/// Longest description that is repeated for each of several operations, in bytes.
const WORDS_MAX: usize = 1_000;
/// Deepest nesting in which references are rewritten; the reader admits no more.
const DEPTH_MAX: usize = 110;

/// Converts a document to OpenAPI 3.0; none if the result would hold more values than a document
/// may. Parts that several operations or media types share are kept once under `components` and
/// referenced.
pub(super) fn converted(mut root: Value) -> Option<Value> {
    let unusual = references::unusual(&root);
    rewrite(&mut root, &unusual, 0);
    let aside = references::targets(&root, &unusual)?;
    let Value::Object(mut old) = root else { return Some(root) };
    let definitions = old.shift_remove("definitions");
    let old = old;
    let consumes = strings(old.get("consumes"));
    let produces = strings(old.get("produces"));
    let empty = Map::new();
    let shared = old.get("parameters").and_then(Value::as_object).unwrap_or(&empty);
    let shared = Shared { parameters: shared, aside: &aside };
    let pool = Pool::default();
    let paths = converted_paths(&old, shared, (&consumes, &produces), &pool)?;
    let mut components = components(&old, shared, (&consumes, &produces), &pool);
    if pool.is_full() {
        return None;
    }
    let pooled = pool.schemas.into_inner();
    if let Some(schemas) = components.get_mut("schemas").and_then(Value::as_object_mut) {
        schemas.extend(pooled);
        schemas.extend(aside.clone());
    }
    if let Some(Value::Object(definitions)) = definitions {
        match components.get_mut("schemas").and_then(Value::as_object_mut) {
            Some(schemas) => schemas.extend(definitions),
            None => drop(components.insert("schemas".to_owned(), Value::Object(definitions))),
        }
    }
    let mut new = json!({
        "openapi": "3.0.3", "servers": servers(&old), "paths": paths, "components": components
    });
    for key in ["info", "tags", "security"] {
        if let Some(value) = old.get(key) {
            new[key] = value.clone();
        }
    }
    Some(new)
}

/// The items of the paths; none if that becomes too much. What is not an item, or not an operation,
/// stays as it is, so that it is told.
fn converted_paths<'a>(
    old: &'a Map<String, Value>,
    shared: Shared<'a>,
    (consumes, produces): (&[String], &[String]),
    pool: &Pool<'a>,
) -> Option<Map<String, Value>> {
    let mut paths = Map::new();
    for (path, item) in old.get("paths").and_then(Value::as_object).into_iter().flatten() {
        let Some(item) = shared.target(item).as_object() else {
            paths.insert(path.clone(), item.clone());
            continue;
        };
        let mut new = Map::new();
        let common = parameters(item, shared);
        for method in METHODS {
            let Some(operation) = item.get(method) else { continue };
            let Some(operation) = operation.as_object() else {
                new.insert(method.to_owned(), operation.clone());
                continue;
            };
            let own = parameters(operation, shared);
            // What an operation says of a parameter of the same name and place goes before what its
            // path says.
            let inherited = common
                .iter()
                .filter(|one| !own.iter().any(|other| is_same(one.written, other.written)));
            let all: Vec<Parameter<'_>> = own.iter().chain(inherited).copied().collect();
            let media = |key: &str, default: &[String]| match strings(operation.get(key)) {
                own if own.is_empty() => default.to_vec(),
                own => own,
            };
            let media = (&media("consumes", consumes)[..], &media("produces", produces)[..]);
            let operation = converted_operation(operation, &all, media, (shared, pool));
            new.insert(method.to_owned(), operation);
            if pool.is_full() {
                return None;
            }
        }
        if let Some(reference) = item.get("$ref").filter(|_| new.is_empty()) {
            new.insert("$ref".to_owned(), reference.clone());
        }
        paths.insert(path.clone(), Value::Object(new));
    }
    Some(paths)
}

/// Schemas that stand within an operation, each kept once however many refer to it, and how much
/// may still be written.
#[derive(Default)]
struct Pool<'a> {
    schemas: RefCell<Map<String, Value>>,
    /// Names by the address of the shared value.
    names: RefCell<HashMap<*const Value, String>>,
    written: Cell<usize>,
    lifetime: std::marker::PhantomData<&'a Value>,
}

impl<'a> Pool<'a> {
    fn is_full(&self) -> bool {
        self.written.get() > NODES_MAX
    }

    fn spend(&self, values: usize) {
        self.written.set(self.written.get().saturating_add(values));
    }

    /// A reference to what `make` makes of what stands here. What is a reference or plain is no
    /// longer than one.
    fn shared(&self, here: &'a Value, make: impl FnOnce(&Value) -> Value) -> Value {
        self.spend(2);
        let is_small = |map: &Map<String, Value>| {
            map.len() <= 4 && map.values().all(|value| !value.is_array() && !value.is_object())
        };
        let is_short = |map: &Map<String, Value>| {
            map.values().all(|value| value.as_str().is_none_or(|text| text.len() <= 100))
        };
        if here.as_object().is_none_or(|map| is_small(map) && is_short(map)) {
            self.spend(4);
            return make(here);
        }
        let mut names = self.names.borrow_mut();
        let next = names.len();
        let name = names.entry(std::ptr::from_ref(here)).or_insert_with(|| {
            let name = format!("inline:{next}");
            self.schemas.borrow_mut().insert(name.clone(), make(here));
            name
        });
        json!({"$ref": format!("#/components/schemas/{name}")})
    }
}

/// What references of Swagger lead to.
#[derive(Clone, Copy)]
struct Shared<'a> {
    parameters: &'a Map<String, Value>,
    /// What unusual references lead to, by the name that they have now.
    aside: &'a Map<String, Value>,
}

impl<'a> Shared<'a> {
    /// The value, or what an unusual reference in its place leads to.
    fn target(self, value: &'a Value) -> &'a Value {
        let reference = value.get("$ref").and_then(Value::as_str);
        let name = reference.and_then(|reference| reference.strip_prefix("#/components/schemas/"));
        name.and_then(|name| self.aside.get(name)).unwrap_or(value)
    }
}

/// Parts that operations share by reference.
fn components<'a>(
    old: &'a Map<String, Value>,
    shared: Shared<'a>,
    (consumes, produces): (&[String], &[String]),
    pool: &Pool<'a>,
) -> Map<String, Value> {
    let (mut schemas, mut parameters, mut bodies) = (Map::new(), Map::new(), Map::new());
    for (name, parameter) in shared.parameters {
        match place(parameter) {
            "body" => drop(bodies.insert(name.clone(), converted_body(parameter, consumes, pool))),
            "formData" => drop(schemas.insert(field_name(name), schema_of(parameter))),
            _ => drop(parameters.insert(name.clone(), converted_parameter(parameter, pool))),
        }
    }
    let responses = old.get("responses").and_then(Value::as_object).into_iter().flatten();
    let responses: Map<String, Value> = responses
        .map(|(name, response)| {
            (name.clone(), converted_response(shared.target(response), produces, pool))
        })
        .collect();
    let parts = [
        ("schemas", schemas),
        ("parameters", parameters),
        ("requestBodies", bodies),
        ("responses", responses),
        ("securitySchemes", security_schemes(old)),
    ];
    parts.into_iter().map(|(key, part)| (key.to_owned(), Value::Object(part))).collect()
}

/// Name under which the schema of a shared form field is kept.
fn field_name(name: &str) -> String {
    format!("field:{name}")
}

fn place(parameter: &Value) -> &str {
    parameter.get("in").and_then(Value::as_str).unwrap_or_default()
}

fn strings(value: Option<&Value>) -> Vec<String> {
    value
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .take(MEDIA_MAX)
        .map(str::to_owned)
        .collect()
}

/// References lead to where things are in 3.0, and keywords have the names they have there.
fn rewrite(value: &mut Value, unusual: &HashMap<String, String>, depth: usize) {
    if depth > DEPTH_MAX {
        return;
    }
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| rewrite(item, unusual, depth + 1)),
        Value::Object(map) => {
            if let Some(Value::String(reference)) = map.get_mut("$ref") {
                if let Some(now) = unusual.get(reference) {
                    now.clone_into(reference);
                }
                for (old, new) in [
                    ("#/definitions/", "#/components/schemas/"),
                    ("#/responses/", "#/components/responses/"),
                ] {
                    if let Some(rest) = reference.strip_prefix(old) {
                        *reference = format!("{new}{rest}");
                    }
                }
            }
            if let Some(Value::String(property)) = map.get("discriminator") {
                let property = property.clone();
                map.insert("discriminator".to_owned(), json!({"propertyName": property}));
            }
            let is_nullable = |key: &&str| map.get(*key) == Some(&Value::Bool(true));
            if ["x-nullable", "x-isnullable", "x-is-nullable"].iter().any(is_nullable) {
                map.insert("nullable".to_owned(), Value::Bool(true));
            }
            map.values_mut().for_each(|item| rewrite(item, unusual, depth + 1));
        }
        _ => {}
    }
}

fn servers(old: &Map<String, Value>) -> Vec<Value> {
    let base = old.get("basePath").and_then(Value::as_str).unwrap_or("/");
    let Some(host) = old.get("host").and_then(Value::as_str) else {
        return vec![json!({"url": base})];
    };
    let schemes = strings(old.get("schemes"));
    let scheme =
        ["https", "http"].into_iter().find(|scheme| schemes.iter().any(|own| own == scheme));
    // Without a scheme it is that of the description's own address.
    let scheme = scheme.map_or_else(String::new, |scheme| format!("{scheme}:"));
    vec![json!({"url": format!("{scheme}//{host}{base}")})]
}

/// A parameter, and under which name it is shared if it is.
#[derive(Clone, Copy)]
struct Parameter<'a> {
    written: &'a Value,
    shared_as: Option<&'a str>,
}

fn parameters<'a>(holder: &'a Map<String, Value>, shared: Shared<'a>) -> Vec<Parameter<'a>> {
    let listed = holder.get("parameters").and_then(Value::as_array).into_iter().flatten();
    let resolved = |written: &'a Value| {
        let name = written
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|reference| reference.strip_prefix("#/parameters/"));
        let found = name.and_then(|name| Some((name, shared.parameters.get(name)?)));
        match found {
            Some((name, written)) => Parameter { written, shared_as: Some(name) },
            None => Parameter { written: shared.target(written), shared_as: None },
        }
    };
    listed.map(resolved).collect()
}

fn is_same(one: &Value, other: &Value) -> bool {
    let (place_of_one, place_of_other) = (place(one), place(other));
    place_of_one == place_of_other
        && (place_of_one == "body" || one.get("name") == other.get("name"))
}

fn converted_operation<'a>(
    old: &'a Map<String, Value>,
    parameters: &[Parameter<'a>],
    (consumes, produces): (&[String], &[String]),
    (shared, pool): (Shared<'a>, &Pool<'a>),
) -> Value {
    let mut new: Map<String, Value> =
        ["operationId", "tags", "summary", "description", "deprecated", "security"]
            .into_iter()
            .filter_map(|key| Some((key.to_owned(), old.get(key)?.clone())))
            .collect();
    let plain = parameters
        .iter()
        .filter(|parameter| !matches!(place(parameter.written), "body" | "formData"));
    let plain = plain.map(|parameter| match parameter.shared_as {
        Some(name) => json!({"$ref": format!("#/components/parameters/{name}")}),
        None => converted_parameter(parameter.written, pool),
    });
    new.insert("parameters".to_owned(), plain.collect());
    let fields: Vec<Parameter<'_>> = parameters
        .iter()
        .filter(|parameter| place(parameter.written) == "formData")
        .copied()
        .collect();
    if let Some(body) = parameters.iter().find(|parameter| place(parameter.written) == "body") {
        let body = match body.shared_as {
            Some(name) => json!({"$ref": format!("#/components/requestBodies/{name}")}),
            None => converted_body(body.written, consumes, pool),
        };
        new.insert("requestBody".to_owned(), body);
    } else if !fields.is_empty() {
        new.insert("requestBody".to_owned(), form(&fields, consumes, pool));
    }
    let responses = old.get("responses").and_then(Value::as_object).into_iter().flatten();
    let responses: Map<String, Value> = responses
        .map(|(status, response)| {
            (status.clone(), converted_response(shared.target(response), produces, pool))
        })
        .collect();
    new.insert("responses".to_owned(), Value::Object(responses));
    Value::Object(new)
}

fn converted_body<'a>(old: &'a Value, consumes: &[String], pool: &Pool<'a>) -> Value {
    let schema =
        old.get("schema").map_or_else(|| json!({}), |schema| pool.shared(schema, Value::clone));
    let is_required = old.get("required") == Some(&Value::Bool(true));
    let mut body = json!({"content": content(&schema, consumes, pool), "required": is_required});
    if let Some(description) = words(old) {
        body["description"] = description;
    }
    body
}

/// The description of something that several operations may have in common.
fn words(old: &Value) -> Option<Value> {
    old.get("description").and_then(Value::as_str).map(|words| cut(words, WORDS_MAX).into())
}

/// The schema under each media type; JSON where none is named.
fn content(schema: &Value, types: &[String], pool: &Pool<'_>) -> Map<String, Value> {
    let types = if types.is_empty() { &["application/json".to_owned()][..] } else { types };
    pool.spend(types.len() * 4 + 3);
    types.iter().map(|kind| (kind.clone(), json!({"schema": schema}))).collect()
}

fn schema_of(old: &Value) -> Value {
    let mut schema: Map<String, Value> = SCHEMA_KEYWORDS
        .iter()
        .filter_map(|key| Some(((*key).to_owned(), old.get(key)?.clone())))
        .collect();
    if schema.get("type").is_some_and(|kind| kind == "file") {
        schema.insert("type".to_owned(), "string".into());
        schema.insert("format".to_owned(), "binary".into());
    }
    if old.get("nullable") == Some(&Value::Bool(true)) {
        schema.insert("nullable".to_owned(), Value::Bool(true));
    }
    Value::Object(schema)
}

/// `style` and `explode` for a way of writing lists.
fn style_of(old: &Value, place: &str) -> Map<String, Value> {
    let format = old.get("collectionFormat").and_then(Value::as_str).unwrap_or("csv");
    let (style, explode) = match (place, format) {
        (_, "ssv") => ("spaceDelimited", false),
        (_, "tsv") => ("tabDelimited", false),
        (_, "pipes") => ("pipeDelimited", false),
        ("path" | "header", _) => ("simple", false),
        (_, "multi") => ("form", true),
        _ => ("form", false),
    };
    [("style".to_owned(), style.into()), ("explode".to_owned(), explode.into())]
        .into_iter()
        .collect()
}

fn converted_parameter<'a>(old: &'a Value, pool: &Pool<'a>) -> Value {
    if old.get("$ref").is_some() {
        return old.clone();
    }
    let place = old.get("in").and_then(Value::as_str).unwrap_or_default();
    let mut new = style_of(old, place);
    pool.spend(8);
    for key in ["name", "in", "required", "deprecated"] {
        if let Some(value) = old.get(key) {
            new.insert(key.to_owned(), value.clone());
        }
    }
    if let Some(description) = words(old) {
        new.insert("description".to_owned(), description);
    }
    new.insert("schema".to_owned(), pool.shared(old, schema_of));
    Value::Object(new)
}

fn form<'a>(fields: &[Parameter<'a>], consumes: &[String], pool: &Pool<'a>) -> Value {
    let has_file =
        fields.iter().any(|field| field.written.get("type").is_some_and(|kind| kind == "file"));
    let is_multipart = has_file || consumes.iter().any(|kind| kind.starts_with("multipart/"));
    let kind =
        if is_multipart { "multipart/form-data" } else { "application/x-www-form-urlencoded" };
    let (mut properties, mut encoding, mut required) = (Map::new(), Map::new(), Vec::new());
    for Parameter { written, shared_as } in fields {
        let Some(name) = written.get("name").and_then(Value::as_str) else { continue };
        let mut schema = match shared_as {
            Some(shared) => json!({"$ref": format!("#/components/schemas/{}", field_name(shared))}),
            None => pool.shared(written, schema_of),
        };
        pool.spend(6);
        if let Some(description) = words(written) {
            schema["description"] = description;
        }
        if written.get("required") == Some(&Value::Bool(true)) {
            required.push(Value::from(name));
        }
        encoding.insert(name.to_owned(), Value::Object(style_of(written, "formData")));
        properties.insert(name.to_owned(), schema);
    }
    let is_required = !required.is_empty();
    let schema = json!({"type": "object", "properties": properties, "required": required});
    json!({"required": is_required, "content": {kind: {"schema": schema, "encoding": encoding}}})
}

fn converted_response<'a>(old: &'a Value, produces: &[String], pool: &Pool<'a>) -> Value {
    if old.get("$ref").is_some() {
        return old.clone();
    }
    let mut new = Map::new();
    if let Some(description) = old.get("description") {
        new.insert("description".to_owned(), description.clone());
    }
    if let Some(schema) = old.get("schema") {
        let is_file = schema.get("type").is_some_and(|kind| kind == "file");
        let schema = if is_file {
            json!({"type": "string", "format": "binary"})
        } else {
            pool.shared(schema, Value::clone)
        };
        new.insert("content".to_owned(), Value::Object(content(&schema, produces, pool)));
    }
    Value::Object(new)
}

fn security_schemes(old: &Map<String, Value>) -> Map<String, Value> {
    let schemes = old.get("securityDefinitions").and_then(Value::as_object).into_iter().flatten();
    schemes
        .map(|(name, scheme)| {
            let scheme = match scheme.get("type").and_then(Value::as_str) {
                Some("basic") => json!({"type": "http", "scheme": "basic"}),
                _ => scheme.clone(),
            };
            (name.clone(), scheme)
        })
        .collect()
}

#[cfg(test)]
mod tests;
