//! The tools' names, schemas and annotations, as `tools/list` gives them, in an order that never
//! changes.
//!
//! The schemas come from the service's own types; the bounds of the contract are added to those of
//! arguments here.

use std::sync::Arc;

use rmcp::model::{MetaObject, Tool, ToolAnnotations};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Value, json};

use super::{
    answer::Structured,
    describe,
    options::{McpOptions, RESULT_BYTES_MAX},
};
use crate::{
    base::json::unwrap_descriptions,
    model::{JsonObject, TaskStatus},
    service::{
        Execute, TaskCancel, TaskGet, TaskList,
        view::{Namespace, TaskOutcome, TaskPage, TaskRecord},
    },
};

/// Characters a client may show of one answer: the text cap with some room.
const CLIENT_CHARS: u64 = 40_000;
/// Properties of answers whose description a model needs.
const DESCRIBED: [&str; 8] =
    ["taskId", "exitCode", "result", "truncated", "approvals", "next", "tasks", "nextCursor"];

/// The four tools. `namespaces` goes into the description of `execute`.
pub(super) fn tools(options: &McpOptions, namespaces: &[Namespace]) -> Vec<Tool> {
    vec![
        tool(
            "execute",
            "Run TypeScript",
            describe::execute(namespaces),
            inputs::<Execute>(&execute_bounds(options)),
            output::<Structured<TaskOutcome>>(),
            ToolAnnotations::new()
                .read_only(false)
                .destructive(true)
                .idempotent(false)
                .open_world(true),
        ),
        tool(
            "task_get",
            "Read a task",
            describe::TASK_GET.to_owned(),
            inputs::<TaskGet>(&[
                ("waitMs", json!({"minimum": 0, "maximum": 50_000, "default": 0})),
                ("resultOffset", json!({"minimum": 0})),
                ("resultLimit", json!({"minimum": 1, "maximum": RESULT_BYTES_MAX})),
            ]),
            output::<Structured<TaskRecord>>(),
            ToolAnnotations::new()
                .read_only(true)
                .destructive(false)
                .idempotent(true)
                .open_world(false),
        ),
        tool(
            "task_list",
            "List tasks",
            describe::TASK_LIST.to_owned(),
            inputs::<TaskList>(&[
                ("status", json!({"enum": statuses()})),
                ("limit", json!({"minimum": 1, "maximum": 200, "default": 50})),
            ]),
            output::<TaskPage>(),
            ToolAnnotations::new()
                .read_only(true)
                .destructive(false)
                .idempotent(true)
                .open_world(false),
        ),
        tool(
            "task_cancel",
            "Stop a task",
            describe::TASK_CANCEL.to_owned(),
            inputs::<TaskCancel>(&[]),
            output::<TaskOutcome>(),
            ToolAnnotations::new()
                .read_only(false)
                .destructive(true)
                .idempotent(true)
                .open_world(false),
        ),
    ]
}

fn tool(
    name: &'static str,
    title: &str,
    description: String,
    input: JsonObject,
    output: JsonObject,
    hints: ToolAnnotations,
) -> Tool {
    let meta =
        JsonObject::from_iter([("anthropic/maxResultSizeChars".to_owned(), CLIENT_CHARS.into())]);
    let mut hints = hints;
    hints.title = Some(title.to_owned());
    Tool::new(name, description, Arc::new(input))
        .with_title(title)
        .with_raw_output_schema(Arc::new(output))
        .with_annotations(hints)
        .with_meta(MetaObject(meta))
}

fn execute_bounds(options: &McpOptions) -> [(&'static str, Value); 7] {
    [
        ("code", json!({"minLength": 1, "maxLength": options.code_bytes_max})),
        ("timeoutMs", json!({"minimum": 1, "maximum": 600_000, "default": options.timeout_ms})),
        ("runtimeId", runtimes(options)),
        ("sessionId", json!({"minLength": 1, "maxLength": 128})),
        ("waitForResult", json!({"default": true})),
        ("resultTimeoutMs", json!({"minimum": 100, "maximum": 900_000})),
        ("idempotencyKey", json!({"minLength": 1, "maxLength": 128})),
    ]
}

/// The choice of runtimes. Where there is none no list is given, because nothing would fit an empty
/// one; the call says so.
fn runtimes(options: &McpOptions) -> Value {
    match options.runtimes.contains(&options.runtime_id) {
        true => json!({"enum": options.runtimes, "default": options.runtime_id}),
        false => json!({"default": options.runtime_id}),
    }
}

/// The schema of a request type: flat, without null for what may be left out, with `bounds` laid
/// over its properties.
fn inputs<T: JsonSchema>(bounds: &[(&str, Value)]) -> JsonObject {
    let mut schema = generate::<T>(SchemaSettings::draft2020_12().for_deserialize());
    for key in ["$schema", "title", "description"] {
        schema.remove(key);
    }
    schema.insert("additionalProperties".into(), false.into());
    let properties = schema
        .get_mut("properties")
        .and_then(Value::as_object_mut)
        .expect("a request type has properties");
    for property in properties.values_mut().filter_map(Value::as_object_mut) {
        simplify(property);
    }
    for (name, extra) in bounds {
        let property = properties
            .get_mut(*name)
            .and_then(Value::as_object_mut)
            .expect("a bound names a property");
        property.extend(extra.as_object().expect("bounds are objects").clone());
    }
    schema
}

/// Makes one property plain: `["integer", "null"]` becomes `integer`, `anyOf [X, null]` becomes X,
/// number formats go.
fn simplify(property: &mut JsonObject) {
    if let Some(Value::Array(types)) = property.get("type") {
        let plain = types.iter().find(|kind| *kind != "null").cloned();
        plain.map(|kind| property.insert("type".into(), kind));
    }
    if let Some(Value::Array(choices)) = property.remove("anyOf")
        && let Some(Value::Object(choice)) =
            choices.into_iter().find(|choice| choice["type"] != "null")
    {
        let described = property.remove("description");
        property.extend(choice);
        property.remove("oneOf");
        property.remove("enum");
        property.insert("type".into(), "string".into());
        described.map(|text| property.insert("description".into(), text));
    }
    for key in ["format", "minimum", "default"] {
        property.remove(key);
    }
}

/// The schema of an answer type: its types, and the descriptions of [`DESCRIBED`] properties.
fn output<T: JsonSchema>() -> JsonObject {
    let mut schema = generate::<T>(SchemaSettings::draft2020_12().for_serialize());
    let described: Vec<(&str, Value)> = DESCRIBED
        .into_iter()
        .filter_map(|name| {
            let description = schema.get("properties")?.get(name)?.get("description")?;
            Some((name, description.clone()))
        })
        .collect();
    slim(&mut schema);
    for key in ["$schema", "title"] {
        schema.remove(key);
    }
    for (name, description) in described {
        let property = schema.get_mut("properties").and_then(|all| all.get_mut(name));
        let property = property.and_then(Value::as_object_mut).expect("it was there before");
        property.insert("description".into(), description);
    }
    schema
}

/// The schema of a type with every definition inlined, because some clients follow no `$ref`.
fn generate<T: JsonSchema>(settings: SchemaSettings) -> JsonObject {
    let settings = settings.with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    unwrap_descriptions(&mut schema);
    schema.as_object().expect("the schema of a struct is an object").clone()
}

/// Keeps the types alone: models pay for every word of a schema, and strict validators refuse
/// formats like `uint64`. A property that may be absent is never null.
fn slim(schema: &mut JsonObject) {
    for key in ["format", "description", "minimum", "default", "additionalProperties"] {
        schema.remove(key);
    }
    // The variants of an enum, each with a description of its own.
    if let Some(Value::Array(variants)) = schema.remove("oneOf") {
        schema.insert("type".into(), "string".into());
        schema.insert(
            "enum".into(),
            variants.iter().map(|variant| variant["const"].clone()).collect(),
        );
    }
    if let Some(Value::Object(items)) = schema.get_mut("items") {
        slim(items);
    }
    let required = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let Some(Value::Object(properties)) = schema.get_mut("properties") else { return };
    for (name, property) in properties {
        let Value::Object(property) = property else { continue };
        if !required.iter().any(|required| required == name.as_str()) {
            without_null(property);
        }
        slim(property);
    }
}

/// Removes null from the types of a property.
fn without_null(property: &mut JsonObject) {
    if let Some(Value::Array(types)) = property.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            property.insert("type".into(), only);
        }
    }
    if let Some(Value::Array(choices)) = property.remove("anyOf")
        && let Some(Value::Object(choice)) =
            choices.into_iter().find(|choice| choice["type"] != "null")
    {
        property.extend(choice);
    }
}

fn statuses() -> Vec<&'static str> {
    TaskStatus::ALL.iter().map(|status| status.as_str()).collect()
}

#[cfg(test)]
mod tests;
