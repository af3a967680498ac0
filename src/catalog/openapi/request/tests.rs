use serde_json::json;

use super::*;
use crate::catalog::openapi::import::tests::zoo;

fn sent(name: &str, args: Value) -> Result<(ServiceRequest, bool), String> {
    let zoo = zoo();
    let Value::Object(args) = args else { panic!("arguments are an object") };
    request(&zoo.plans[name], args)
}

fn url(name: &str, args: Value) -> String {
    sent(name, args).unwrap().0.url.to_string().replace("https://eu.zoo.example/v1", "")
}

fn body(name: &str, args: Value) -> (String, String) {
    match sent(name, args).unwrap().0.body {
        ServiceBody::Bytes { content_type, bytes } => {
            (content_type, String::from_utf8(bytes.to_vec()).unwrap())
        }
        ServiceBody::None => ("none".to_owned(), String::new()),
        ServiceBody::Multipart(parts) => {
            let part = |part: &Field| {
                let text = String::from_utf8_lossy(&part.bytes).into_owned();
                format!("{} {:?} {:?} {text}", part.name, part.file_name, part.content_type)
            };
            ("multipart".to_owned(), parts.iter().map(part).collect::<Vec<_>>().join("\n"))
        }
    }
}

#[test]
fn parameters_stand_where_the_description_wants_them() {
    let args = json!({"filter": {
        "kind": "cat", "age": {"min": 1}
    }, "ids": [1, 2], "tags": ["a b", "c&d"], "where": {"x": [1]},
        "fields": "a/b?c&d", "session": "s;1", "theme": "dark", "X-Trace": "me",
        "$response": true});
    let (request, with_response) = sent("animals.list", args).unwrap();
    assert!(with_response);
    assert_eq!(
        request.url.as_str(),
        "https://eu.zoo.example/v1/animals?filter%5Bkind%5D=cat&filter%5Bage%5D%5Bmin%5D=1&ids=1%7C2&tags=a%20b&tags=c%26d\
         &where=%7B%22x%22%3A%5B1%5D%7D&fields=a/b?c%26d"
    );
    assert_eq!(request.headers["cookie"], "session=s%3B1; theme=dark");
    assert_eq!(request.headers["x-trace"], "me");
    assert_eq!(request.headers["accept"], "application/json, */*;q=0.1");
    assert!(request.idempotent);
    assert_eq!(
        url("grid.getByPath", json!({"cell": [1, 2], "path": "x"})),
        "/grid/;cell=1;cell=2/.x"
    );
    let (request, _) =
        sent("grid.getByPath", json!({"cell": [1], "path": "x", "X-Flags": {"a": 1, "b": true}}))
            .unwrap();
    assert_eq!(request.headers["x-flags"], "a=1,b=true");
    assert_eq!(
        url("animals.get", json!({"id": "ü/é", "query_id": 7})),
        "/animals/%C3%BC%2F%C3%A9?id=7"
    );
    // Nothing is sent of what was not given.
    assert_eq!(url("animals.list", json!({"filter": null, "tags": []})), "/animals");
}

#[test]
fn nothing_leaves_the_path() {
    for (id, expected) in [
        ("../secret", "field `id` holds a segment `.` or `..`, which may not stand in a path"),
        ("..", "field `id` holds a segment `.` or `..`, which may not stand in a path"),
        ("a/../../b", "field `id` holds a segment `.` or `..`, which may not stand in a path"),
        ("a\\..", "field `id` holds a segment `.` or `..`, which may not stand in a path"),
        (".", "field `id` holds a segment `.` or `..`, which may not stand in a path"),
        ("", "field `id` is empty; it is part of the path"),
    ] {
        assert_eq!(
            sent("animals.get", json!({"id": id})).map(|_| ()).unwrap_err(),
            expected,
            "{id}"
        );
    }
    assert_eq!(
        sent("animals.get", json!({"id": null})).map(|_| ()).unwrap_err(),
        "field `id` is missing; it is part of the path"
    );
    for (id, expected) in [
        ("a?admin=1#x", "/animals/a%3Fadmin%3D1%23x"),
        ("%2e%2e", "/animals/%252e%252e"),
        ("//evil.example", "/animals/%2F%2Fevil.example"),
        ("...", "/animals/..."),
        ("a\r\nHost: x", "/animals/a%0D%0AHost%3A%20x"),
    ] {
        assert_eq!(url("animals.get", json!({"id": id})), expected);
    }
    let long = "x".repeat(URL_BYTES_MAX);
    let error = sent("animals.get", json!({"id": long})).map(|_| ()).unwrap_err();
    assert!(error.contains("the limit is 16384"), "{error}");
    let error =
        sent("animals.list", json!({"X-Trace": "a\r\nHost: evil"})).map(|_| ()).unwrap_err();
    assert_eq!(error, "field `X-Trace` holds characters that no header may hold");
    let error = sent("elsewhere.get", json!({})).map(|_| ()).unwrap_err();
    assert!(
        error.starts_with(
            "`GET /elsewhere` is at another origin, `https://other.example/`; to call it, add an upstream with the same `spec`"
        ),
        "{error}"
    );
}

#[test]
fn a_body_is_written_in_the_form_that_is_wanted() {
    let json = |text: &str| ("application/json".to_owned(), text.to_owned());
    assert_eq!(
        body("animals.create", json!({"body": {"kind": "cat", "name": "T"}})),
        json(r#"{"kind":"cat","name":"T"}"#)
    );
    assert_eq!(body("animals.putNode", json!({"id": "a"})).0, "none");
    let form = json!({"body": {
        "q": "a b&c", "sort": ["x", "y"], "range": {"from": 1}, "raw": {"k": 1}, "none": null,
        "many": [1, 2]
    }});
    assert_eq!(
        body("search.post", form),
        (
            "application/x-www-form-urlencoded".to_owned(),
            "q=a%20b%26c&sort=x,y&range%5Bfrom%5D=1&raw=%7B%22k%22%3A1%7D&many=1&many=2".to_owned()
        )
    );
    let parts = json!({"id": "a", ";size": "s", "body": {"caption": "hi", "tags": ["a", "b"], "facts": {"born": null},
        "photos": [{"base64": "aGk=", "type": "image/png", "name": "a.png"}, {"text": "t"}],
        "contract": {"base64": "aGk", "type": "Uint8Array"}}});
    let (kind, text) = body("animals.addPhotos", parts);
    assert_eq!(kind, "multipart");
    insta::assert_snapshot!(text, @r#"
    caption None None hi
    tags None None a
    tags None None b
    facts None Some("application/json") {"born":null}
    photos Some("a.png") Some("image/png") hi
    photos Some("photos") Some("application/octet-stream") t
    contract Some("contract") Some("application/pdf") hi
    "#);
    assert_eq!(
        body("upload.put", json!({"body": {"base64": "aGk=", "type": "image/webp"}})),
        ("image/webp".to_owned(), "hi".to_owned())
    );
    // URL-safe, broken into lines, without padding: all of it is base64.
    assert_eq!(body("upload.put", json!({"body": {"base64": "Pz8_\r\nPg"}})).1, "???>");
    assert_eq!(body("upload.put", json!({"body": {"base64": ""}})).1, "");
    assert_eq!(
        body("upload.put", json!({"body": "hi"})),
        ("application/octet-stream".to_owned(), "hi".to_owned())
    );
}

#[test]
fn a_file_that_is_none_is_told() {
    for (file, expected) in [
        (json!(7), "field `body` must be a file: { base64, name, type } or { text, name, type }"),
        (json!({}), "field `body` must have either `base64` or `text`"),
        (json!({"base64": "a", "text": "b"}), "field `body` must have either `base64` or `text`"),
        (json!({"base64": "!!"}), "field `body.base64` is not base64"),
        (
            json!({"text": "a", "type": "a/b\r\nx: y"}),
            r#"field `body.type` is "a/b\r\nx: y", which is not a media type such as `image/png`"#,
        ),
        (
            json!({"text": "a", "name": "a\nb"}),
            "field `body.name` is longer than 255 bytes or holds control characters",
        ),
        (
            json!({"base64": "aGk=", "truncated": true}),
            "field `body` is the head of a larger answer (`truncated`), which is not the file",
        ),
    ] {
        assert_eq!(sent("upload.put", json!({"body": file})).map(|_| ()).unwrap_err(), expected);
    }
    let many: JsonObject = (0..=FIELDS_MAX).map(|n| (n.to_string(), Value::Null)).collect();
    let error = sent("search.post", json!({"body": many})).map(|_| ()).unwrap_err();
    assert_eq!(error, "field `body` has 1001 fields; the limit is 1000");
}
