//! Files within forms, in all the ways that descriptions say that a field takes them.

use serde_json::{Value, json};

use super::meaning::{Echo, operation};

/// Forms by the name of the operation, each with a field `doc` of this schema.
async fn forms() -> Echo {
    let bytes = json!({"type": "string", "format": "binary"});
    let list = json!({"type": "array", "items": bytes});
    let paths: serde_json::Map<String, Value> = [
        // As FastAPI writes an upload that may be left out.
        ("optional", json!({"anyOf": [bytes, {"type": "null"}], "title": "Doc"})),
        ("optionalList", json!({"anyOf": [list, {"type": "null"}]})),
        ("listOfOptional", json!({"type": "array", "items": {"anyOf": [bytes, {"type": "null"}]}})),
        ("oneOrMany", json!({"oneOf": [{"$ref": "#/components/schemas/File"}, list]})),
        (
            "narrowed",
            json!({"allOf": [{"$ref": "#/components/schemas/File"}], "description": "A page."}),
        ),
        (
            "deep",
            json!({"nullable": true, "allOf": [{"oneOf": [{"$ref": "#/components/schemas/File"}]}]}),
        ),
        ("ofType", json!({"type": "file"})),
        ("ofFormat", json!({"type": "string", "format": "file"})),
        ("either", json!({"anyOf": [bytes, {"type": "string", "format": "uri"}]})),
        ("plain", json!({"anyOf": [{"type": "string", "format": "byte"}, {"type": "null"}]})),
    ]
    .into_iter()
    .map(|(name, field)| {
        let schema = json!({"type": "object", "properties": {"doc": field}});
        let body = json!({"requestBody": {"content": {"multipart/form-data": {"schema": schema}}}});
        (format!("/{name}"), json!({"post": operation(name, body)}))
    })
    .collect();
    Echo::of(paths.into(), json!({"File": bytes})).await
}

const AS_FILE: &str = "name=\"doc\"; filename=\"a.txt\"\r\nContent-Type: text/csv\r\n\r\nab\r\n";

#[tokio::test]
async fn a_file_is_given_where_it_is_one_of_several_forms() {
    let echo = forms().await;
    let file = json!({"base64": "YWI=", "name": "a.txt", "type": "text/csv"});
    let parts = |text: &str| text.matches("Content-Disposition").count();
    for name in ["optional", "oneOrMany", "narrowed", "deep", "ofType", "ofFormat", "either"] {
        let (_, kind, text) = echo.seen(name, json!({"body": {"doc": file}})).await;
        assert!(kind.starts_with("multipart/form-data"), "{name}: {kind}");
        assert!(text.contains(AS_FILE) && parts(&text) == 1, "{name}: {text}");
    }
    for name in ["optionalList", "listOfOptional", "oneOrMany"] {
        let files = json!([file, {"text": "c", "name": "b"}]);
        let (_, _, text) = echo.seen(name, json!({"body": {"doc": files}})).await;
        assert!(text.contains(AS_FILE) && text.contains("filename=\"b\""), "{name}: {text}");
        assert_eq!(parts(&text), 2, "{name}: {text}");
    }
    for name in ["optional", "optionalList", "deep"] {
        let (_, _, text) = echo.seen(name, json!({"body": {"doc": null}})).await;
        assert_eq!(parts(&text), 0, "{name}: {text}");
    }
    let (_, _, text) = echo.seen("narrowed", json!({"body": {"doc": "only a text"}})).await;
    assert!(text.contains("filename=\"doc\""), "{text}");
    // A text is the other form.
    let (_, _, text) = echo.seen("either", json!({"body": {"doc": "https://x.example/y"}})).await;
    assert!(!text.contains("filename") && text.contains("\r\n\r\nhttps://x.example/y"), "{text}");
    // What is no file takes none.
    let message = echo.refused("plain", json!({"body": {"doc": file}})).await;
    assert!(message.contains("`body.doc` must be string"), "{message}");
    let described = echo.described("narrowed").await;
    assert!(described.contains("A page.") && described.contains("base64"), "{described}");
}
