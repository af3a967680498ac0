//! Nothing of a document is lost without being named.

use std::time::Duration;

use serde_json::{Value, json};

use crate::catalog::{
    openapi::{
        import::{Imported, import},
        servers::Setting,
    },
    upstream::import_job::CancelToken,
};

fn read(document: &Value) -> Imported {
    let stop = CancelToken::after(Duration::from_secs(60));
    import(document.to_string().as_bytes(), &Setting::default(), &stop).unwrap()
}

fn names_of(imported: &Imported) -> Vec<&str> {
    imported.tools.iter().map(|tool| tool.name.as_str()).collect()
}

fn note(document: &Value) -> String {
    read(document).note.unwrap_or_default()
}

fn swagger(paths: Value) -> Value {
    json!({"swagger": "2.0", "host": "h.example", "schemes": ["https"], "paths": paths})
}

fn openapi(paths: Value) -> Value {
    json!({"openapi": "3.0.3", "servers": [{"url": "https://h.example"}], "paths": paths})
}

#[test]
fn what_is_no_operation_is_named_whatever_the_version() {
    let paths = json!({
        "/fine": {"get": {"responses": {}}},
        "/list": [],
        "/text": "GET",
        "/outside": {"$ref": "other.json#/paths/x"},
        "/odd": {"get": {"responses": {}}, "post": "later", "put": null},
    });
    for document in [swagger(paths.clone()), openapi(paths)] {
        let imported = read(&document);
        assert_eq!(names_of(&imported), ["fine.get", "odd.get"]);
        let note = imported.note.unwrap();
        assert!(
            note.contains("operations left out: 5, the first `/list`: it is not an object"),
            "{note}"
        );
    }
}

#[test]
fn operations_beside_a_reference_of_their_path_are_there() {
    let paths = json!({
        "/a": {"get": {"operationId": "getA", "responses": {}}},
        "/b": {"$ref": "#/paths/~1a", "post": {"operationId": "postB", "responses": {}}},
        "/c": {"$ref": "elsewhere.yaml", "put": {"operationId": "putC", "responses": {}}},
    });
    let document = openapi(paths);
    assert_eq!(read(&document).tools.len(), 4);
    let note = note(&document);
    assert!(note.contains("operations left out: 1, the first `/c`: its `$ref` leads"), "{note}");
}

#[test]
fn headers_that_are_not_a_callers_are_named_except_those_that_the_specification_ignores() {
    let header = |name: &str| json!({"name": name, "in": "header", "type": "string"});
    let document = |headers: &[&str]| {
        let parameters: Vec<Value> = headers.iter().map(|name| header(name)).collect();
        swagger(json!({"/x": {"put": {"operationId": "x", "parameters": parameters}}}))
    };
    assert_eq!(note(&document(&["Accept", "content-type", "Authorization", "X-Mine"])), "");
    for name in ["Referer", "X-HTTP-Method-Override", "X-Forwarded-For", "Sec-Fetch-Mode", "a b"] {
        let note = note(&document(&["X-Mine", name]));
        let start = format!("parameters left out: 1, the first `PUT /x`: header `{name}` ");
        assert!(note.contains(&start), "{note}");
    }
    // Bytes that are compressed already are said to be so by whoever has them.
    let imported = read(&document(&["Content-Encoding", "X-Mine"]));
    let properties = &imported.tools[0].input_schema["properties"];
    assert!(properties.get("Content-Encoding").is_some(), "{properties}");
    assert_eq!(imported.note, None);
}

#[test]
fn a_parameter_of_the_path_that_the_path_does_not_have_is_named() {
    let document = openapi(json!({"/users/{user_id}": {"get": {"parameters": [
        {"name": "userId", "in": "path", "required": true, "schema": {"type": "integer"}},
        {"name": "page", "in": "query", "schema": {"type": "integer"}},
    ]}}}));
    let imported = read(&document);
    let properties = &imported.tools[0].input_schema["properties"];
    let names: Vec<_> = properties.as_object().unwrap().keys().collect();
    assert_eq!(names, ["page", "user_id", "$response"]);
    assert!(imported.note.unwrap().contains(
        "parameters left out: 1, the first `GET /users/{user_id}`: parameter `userId` is in \
             `path`, but its path has no `{userId}`"
    ));
}
