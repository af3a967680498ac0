//! The tools' names, schemas and annotations: what `tools/list` shows, in an order that never
//! changes.
//!
//! The argument schemas come from the service's own types; the bounds of the contract are laid over
//! them here.

use std::sync::Arc;

use rmcp::model::{MetaObject, Tool, ToolAnnotations};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Value, json};

use super::{McpOptions, RESULT_BYTES_MAX, describe};
use crate::{
    base::json::unwrap_descriptions,
    model::{JsonObject, Logs, TaskError, TaskStatus, Usage},
    service::{
        Execute, NamespaceCount, PendingApproval, ResultPage, TaskCancel, TaskGet, TaskList,
    },
};

/// Characters a client may show of one answer: the text cap with some room.
const CLIENT_CHARS: u64 = 40_000;

/// The four tools. `namespaces` goes into the description of `execute`.
pub(super) fn tools(options: &McpOptions, namespaces: &[NamespaceCount]) -> Vec<Tool> {
    vec![
        tool(
            "execute",
            "Run TypeScript",
            describe::execute(namespaces),
            inputs::<Execute>(&execute_bounds(options)),
            task_output(false),
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
            task_output(true),
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
            list_output(),
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
            task_output(false),
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

/// Where no runtime is there the call is told so; an empty list of choices would be a schema that
/// nothing fits.
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

/// What `execute`, `task_get` and `task_cancel` answer.
fn task_output(record: bool) -> JsonObject {
    let mut properties = json!({
        "taskId": {"type": "string", "description": "Names the task; give it to task_get or \
            task_cancel."},
        "status": {"type": "string", "enum": statuses()},
        "runtimeId": {"type": "string"},
        "exitCode": {"type": ["integer", "null"], "description": "0 completed, 1 failed, 124 \
            timed out, 126 denied, 130 cancelled, 137 out of memory; null before the end."},
        "result": {"description": "The value that the code returned, as JSON; null before the end \
            or where `truncated` is set."},
        "workspaceId": {"type": "string"},
        "accountId": {"type": "string"},
        "sessionId": {"type": ["string", "null"]},
        "error": output_of::<TaskError>(),
        "logs": output_of::<Logs>(),
        "warnings": {"type": "array", "items": {"type": "string"}},
        "usage": output_of::<Usage>(),
        "truncated": {"type": "object", "description": "The result is larger than 1 MiB.", "properties": {
            "totalBytes": {"type": "integer"}, "next": {"type": "string", "description": "How to \
                read it."}}, "required": ["totalBytes", "next"]},
        "approvals": {"type": "array", "items": output_of::<PendingApproval>(), "description": "What a person must agree to before the task goes on."},
        "resultPage": output_of::<ResultPage>(),
        "next": {"type": "string", "description": "What to do about a task that goes on."},
    });
    if record {
        let more = json!({
            "code": {"type": "string"},
            "timeoutMs": {"type": "integer"},
            "metadata": {"type": ["object", "null"]},
            "clientId": {"type": "string"},
            "createdAt": {"type": "string"},
            "startedAt": {"type": ["string", "null"]},
            "completedAt": {"type": ["string", "null"]},
        });
        extend(&mut properties, more);
    }
    object(
        &properties,
        &[
            "taskId",
            "status",
            "runtimeId",
            "exitCode",
            "result",
            "workspaceId",
            "accountId",
            "sessionId",
            "usage",
        ],
    )
}

fn list_output() -> JsonObject {
    let entry = object(
        &json!({
            "taskId": {"type": "string"},
            "status": {"type": "string", "enum": statuses()},
            "runtimeId": {"type": "string"},
            "exitCode": {"type": ["integer", "null"]},
            "sessionId": {"type": ["string", "null"]},
            "metadata": {"type": ["object", "null"]},
            "clientId": {"type": "string"},
            "createdAt": {"type": "string"},
            "startedAt": {"type": ["string", "null"]},
            "completedAt": {"type": ["string", "null"]},
            "resultBytes": {"type": ["integer", "null"]},
            "error": {"type": "object"},
            "usage": output_of::<Usage>(),
        }),
        &["taskId", "status", "runtimeId", "exitCode", "createdAt"],
    );
    object(
        &json!({
            "tasks": {"type": "array", "items": entry, "description": "Newest first."},
            "nextCursor": {"type": "string", "description": "Where the next page begins; absent \
                at the end."},
        }),
        &["tasks"],
    )
}

fn object(properties: &Value, required: &[&str]) -> JsonObject {
    let whole = json!({"type": "object", "properties": properties, "required": required});
    whole.as_object().expect("just made").clone()
}

fn extend(properties: &mut Value, more: Value) {
    if let (Value::Object(all), Value::Object(more)) = (properties, more) {
        all.extend(more);
    }
}

fn output_of<T: JsonSchema>() -> Value {
    let mut schema = generate::<T>(SchemaSettings::draft2020_12().for_serialize());
    for key in ["$schema", "title"] {
        schema.remove(key);
    }
    let mut schema = Value::Object(schema);
    slim(&mut schema);
    schema
}

/// With every definition in its place: some clients follow no `$ref`.
fn generate<T: JsonSchema>(settings: SchemaSettings) -> JsonObject {
    let settings = settings.with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    unwrap_descriptions(&mut schema);
    schema.as_object().expect("the schema of a struct is an object").clone()
}

/// Keeps the types alone: models pay for every word of a schema, and strict validators refuse
/// formats like `uint64`.
fn slim(schema: &mut Value) {
    let Value::Object(entries) = schema else { return };
    for key in ["format", "description", "minimum", "default"] {
        entries.remove(key);
    }
    // The variants of an enum, each with its own words.
    if let Some(Value::Array(variants)) = entries.remove("oneOf") {
        entries.insert(
            "enum".into(),
            variants.iter().map(|variant| variant["const"].clone()).collect(),
        );
    }
    entries.get_mut("items").map(slim);
    if let Some(Value::Object(properties)) = entries.get_mut("properties") {
        properties.values_mut().for_each(slim);
    }
}

fn statuses() -> Vec<&'static str> {
    TaskStatus::ALL.iter().map(|status| status.as_str()).collect()
}

#[cfg(test)]
mod tests;
