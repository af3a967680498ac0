//! JSON Schemas of what the host functions return, for `tools.describe` and hints.

use serde_json::{Value, json};

fn string() -> Value {
    json!({ "type": "string" })
}

fn integer() -> Value {
    json!({ "type": "integer" })
}

fn boolean() -> Value {
    json!({ "type": "boolean" })
}

fn any_object() -> Value {
    json!({ "type": "object" })
}

fn or_null(kind: &str) -> Value {
    json!({ "type": [kind, "null"] })
}

fn array(items: &Value) -> Value {
    json!({ "type": "array", "items": items })
}

/// An object with these fields, all of them required but the `optional` ones.
fn object(fields: Value, optional: &[&str]) -> Value {
    let names = fields.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
    let required: Vec<&str> = names.filter(|name| !optional.contains(name)).collect();
    json!({ "type": "object", "required": required, "properties": fields })
}

fn approval() -> Value {
    json!({ "enum": ["auto", "required"] })
}

fn found() -> Value {
    let fields = json!({
        "path": string(), "source": string(), "hint": string(), "description": string(),
        "approval": approval(), "score": { "type": "number" }, "unavailable": string(),
        "inputSchema": any_object(), "outputSchema": any_object(),
    });
    object(fields, &["unavailable", "inputSchema", "outputSchema"])
}

pub(super) fn discover() -> Value {
    let fields = json!({
        "bestPath": or_null("string"), "results": array(&found()), "total": integer(),
        "note": string(),
    });
    object(fields, &["note"])
}

pub(super) fn namespaces() -> Value {
    let fields = json!({
        "namespace": string(), "toolCount": integer(), "samplePaths": array(&string()),
        "unavailable": string(),
    });
    let namespace = object(fields, &["unavailable"]);
    object(json!({ "namespaces": array(&namespace), "total": integer() }), &[])
}

pub(super) fn tools() -> Value {
    let fields = json!({
        "results": array(&found()), "total": integer(), "nextCursor": or_null("string"),
    });
    object(fields, &[])
}

pub(super) fn describe() -> Value {
    let fields = json!({
        "path": string(), "description": string(), "typescript": string(),
        "inputSchema": any_object(), "outputSchema": or_null("object"), "approval": approval(),
        "unavailable": string(),
    });
    object(fields, &["unavailable"])
}

fn lines() -> Value {
    let fields = json!({
        "line": integer(), "offset": integer(), "text": string(), "cut": boolean(),
    });
    array(&object(fields, &["cut"]))
}

pub(super) fn read_artifact() -> Value {
    let fields = json!({
        "text": string(), "offset": integer(), "nextOffset": or_null("integer"),
        "totalBytes": integer(),
    });
    object(fields, &[])
}

pub(super) fn artifact_lines() -> Value {
    let fields = json!({
        "lines": lines(), "nextFrom": or_null("integer"), "totalLines": integer(),
    });
    object(fields, &[])
}

pub(super) fn search_artifact() -> Value {
    let fields = json!({
        "matches": lines(), "nextOffset": or_null("integer"), "totalLines": integer(),
    });
    object(fields, &[])
}

pub(super) fn artifact_json() -> Value {
    json!({})
}

pub(super) fn list_artifacts() -> Value {
    let fields = json!({ "artifacts": array(&any_object()), "nextCursor": or_null("string") });
    object(fields, &[])
}

pub(super) fn remove_artifact() -> Value {
    object(json!({ "removed": boolean() }), &[])
}
