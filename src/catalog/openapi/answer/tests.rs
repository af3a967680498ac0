use bytes::Bytes;
use http::HeaderValue;

use super::*;
use crate::catalog::{
    openapi::import::tests::zoo,
    tool::{OfferedTool, Tool},
};

fn got(
    name: &str,
    (status, kind, body): (u16, &str, impl Into<Bytes>),
    with_response: bool,
) -> Result<Value, UpstreamError> {
    answered(name, (status, &[("content-type", kind)], body.into(), false), with_response)
}

fn answered(
    name: &str,
    (status, headers, body, truncated): (u16, &[(&'static str, &str)], Bytes, bool),
    with_response: bool,
) -> Result<Value, UpstreamError> {
    let mut zoo = zoo();
    let at = zoo.tools.iter().position(|tool| tool.name == name).unwrap();
    let offered: OfferedTool = zoo.tools.swap_remove(at);
    let tool = Tool::admit(&std::sync::Arc::from("zoo"), offered).unwrap();
    let headers = headers.iter().filter(|(_, value)| !value.is_empty());
    let headers = headers
        .map(|(name, value)| ((*name).parse().unwrap(), HeaderValue::from_str(value).unwrap()))
        .collect();
    let answer = ServiceAnswer {
        status: StatusCode::from_u16(status).unwrap(),
        headers,
        body,
        truncated,
        permit: None,
        moved_to: None,
    };
    value(&tool, &zoo.plans[name], answer, with_response)
        .map(|(json, _)| serde_json::from_str(json.get()).unwrap())
}

const LIST: &str = "animals.list";

#[test]
fn an_answer_is_the_value_it_holds() {
    for (status, kind, body, expected) in [
        (200, "application/json", r#" {"a": 1.50} "#, json!({"a": 1.50})),
        (201, "application/vnd.x+json; charset=utf-8", "[1]", json!([1])),
        (200, "application/json", "", Value::Null),
        (204, "application/json", "ignored", Value::Null),
        (304, "", "", Value::Null),
        (200, "text/plain", "1", json!("1")),
        (200, "text/plain", "{\"a\":1}", json!({"a": 1})),
        (200, "", "{\"a\":1}", json!({"a": 1})),
        (200, "", "plain", json!("plain")),
        (200, "image/png", "hi", json!({"type": "image/png", "base64": "aGk=", "bytes": 2})),
        (
            200,
            "application/x-ndjson",
            "{\"a\":1}\n\n2\nx\n",
            json!({"items": [{"a": 1}, 2, "x"], "truncated": false}),
        ),
        (
            200,
            "text/event-stream",
            ": hello\n\nevent: add\nid: 7\ndata: {\"a\":\ndata: 1}\n\ndata: [DONE]\r\n\r\nretry: \
            5\n\ndata: tail",
            json!({
                "items": [
                    {"event": "add", "id": "7", "data": {"a": 1}}, {"data": "[DONE]"},
                    {"data": "tail"}
                ],
                "truncated": false
            }),
        ),
    ] {
        assert_eq!(got(LIST, (status, kind, body), false), Ok(expected), "{kind} {body}");
    }
    let error = got(LIST, (200, "text/html", "<title>Sign in</title><p>here"), false).unwrap_err();
    assert_eq!(error.code, UpstreamErrorCode::BadAnswer);
    assert!(
        error.message.ends_with("answered with a page (`text/html`): \"Sign in here\""),
        "{}",
        error.message
    );
    assert_eq!(
        got(LIST, (200, "text/plain; charset=ISO-8859-1", vec![0xfc]), false),
        Ok(json!("ü"))
    );
    let big =
        serde_json::from_slice::<Value>(&Bytes::from_static(b"12345678901234567890.10")).unwrap();
    assert_eq!(got(LIST, (200, "application/json", "12345678901234567890.10"), false), Ok(big));
}

#[test]
fn what_is_nearly_json_is_repaired_and_other_characters_are_read() {
    let wide = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    for (kind, body, expected) in [
        ("application/json", b"{\"a\": NaN, \"b\": [1,]}".to_vec(), json!({"a": null, "b": [1]})),
        ("application/json", b" \r\n ".to_vec(), Value::Null),
        ("json", b"[1]".to_vec(), json!([1])),
        ("text/plain", b"{\"a\": -Infinity}".to_vec(), json!({"a": null})),
        ("application/json; charset=iso-8859-1", b"[\"gr\xfcn\"]".to_vec(), json!(["grün"])),
        ("application/json; charset=utf-16", wide("[\"grün\"]"), json!(["grün"])),
        ("application/json", wide("{\"a\": 1}"), json!({"a": 1})),
        ("text/csv; charset=utf-16le", wide("a,ü"), json!("a,ü")),
        (
            "application/x-ndjson; charset=latin1",
            b"[\"\xfc\"]\n".to_vec(),
            json!({"items": [["ü"]], "truncated": false}),
        ),
    ] {
        assert_eq!(got(LIST, (200, kind, body), false), Ok(expected), "{kind}");
    }
    let bytes = json!({"type": "image/png", "base64": "//4=", "bytes": 2});
    assert_eq!(got(LIST, (200, "image/png", vec![0xff, 0xfe]), false), Ok(bytes));
    let error = got(LIST, (422, "text/plain; charset=latin1", vec![0xfc]), false).unwrap_err();
    assert!(error.message.ends_with("Unprocessable Entity: ü"), "{}", error.message);
    let error = got(LIST, (200, "text/plain; charset=utf-7", vec![0xfc]), false).unwrap_err();
    assert!(error.message.contains("`utf-7`, which Airlock does not know"), "{}", error.message);
}

#[test]
fn an_answer_that_cannot_be_read_may_be_that_of_a_call_that_was_done() {
    let unknown = "it is not known whether the call took effect";
    for (kind, body) in [
        ("application/json", "{\"id\":"),
        ("application/json", "<h1>late</h1>"),
        ("text/html", "<h1>late</h1>"),
        ("application/xml", "<reply code=\"7\"/>"),
    ] {
        let of = |name: &str| got(name, (200, kind, body), false).unwrap_err().message;
        assert!(of("animals.create").contains(unknown), "{}", of("animals.create"));
        assert!(!of(LIST).contains(unknown), "{}", of(LIST));
    }
    let message = got(LIST, (200, "text/xml", "<reply code=\"7\"/>"), false).unwrap_err().message;
    assert!(message.contains("code="), "{message}");
}

#[test]
fn status_and_headers_come_along_when_asked_for() {
    let headers = [
        ("content-type", "application/json"),
        ("link", "<https://h/?page=2>; rel=\"next\""),
        ("x-many", "a"),
        ("x-many", "b"),
        ("set-cookie", "session=secret"),
    ];
    let answer = answered(LIST, (200, &headers, Bytes::from_static(b"[1]"), false), true).unwrap();
    assert_eq!(
        answer,
        json!({"status": 200, "headers": {
            "content-type": "application/json", "link": "<https://h/?page=2>; rel=\"next\"",
            "x-many": "a, b"
        },
            "body": [1]})
    );
}

#[test]
fn what_is_too_large_is_cut_where_that_can_be_told_and_refused_elsewhere() {
    let binary =
        got(LIST, (200, "application/zip", vec![0u8; BINARY_BYTES_MAX + 1]), false).unwrap();
    assert_eq!((&binary["bytes"], &binary["truncated"]), (&json!(BINARY_BYTES_MAX), &json!(true)));
    let many = "1\n".repeat(STREAM_ITEMS_MAX + 1);
    let lines = got(LIST, (200, "application/jsonl", many), false).unwrap();
    assert_eq!(
        (lines["items"].as_array().unwrap().len(), &lines["truncated"]),
        (STREAM_ITEMS_MAX, &json!(true))
    );
    let half = answered(
        LIST,
        (200, &[("content-type", "application/json")], Bytes::from_static(b"[1"), true),
        false,
    )
    .unwrap_err();
    assert_eq!(half.code, UpstreamErrorCode::AnswerTooLarge);
    let wrong = got(LIST, (200, "application/json", "<html>oops"), false).unwrap_err();
    assert_eq!(wrong.code, UpstreamErrorCode::BadAnswer);
    assert_eq!(
        wrong.message,
        "`zoo.animals.list` says that it answers with JSON, and does not: \"<html>oops\""
    );
}

#[test]
fn a_refusal_says_what_the_service_says_and_whether_to_try_again() {
    let error = |name: &str, status: u16, kind: &str, body: &'static str| {
        got(name, (status, kind, body), false).unwrap_err()
    };
    let invalid =
        error("animals.create", 422, "application/json", "{\n  \"message\": \"bad name\"\n}");
    assert_eq!(
        (invalid.code, invalid.status, invalid.retryable),
        (UpstreamErrorCode::ToolFailed, Some(422), false)
    );
    assert_eq!(
        invalid.message,
        "`zoo.animals.create` answered 422 Unprocessable Entity: {\"message\":\"bad name\"}"
    );
    let page = error(
        LIST,
        502,
        "text/html",
        "<html><style>p{}</style><body><h1>Bad\n gateway</h1><script>x</script></body>",
    );
    assert_eq!(page.message, "`zoo.animals.list` answered 502 Bad Gateway: Bad gateway");
    for (name, status, retryable) in [
        (LIST, 429, true),
        ("animals.create", 429, true),
        (LIST, 503, true),
        ("animals.create", 503, false),
        ("animals.putNode", 500, true),
        (LIST, 404, false),
        (LIST, 501, false),
    ] {
        assert_eq!(error(name, status, "", "").retryable, retryable, "{name} {status}");
    }
    let busy =
        answered(LIST, (429, &[("retry-after", "30")], Bytes::new(), false), false).unwrap_err();
    assert_eq!(
        busy.message,
        "`zoo.animals.list` answered 429 Too Many Requests (retry after 30 s)"
    );
    let unknown = error(LIST, 401, "text/plain", "who?");
    assert_eq!(
        unknown.message,
        "`zoo.animals.list` answered 401 Unauthorized: who? (it wants an API key in query \
        `api_key`; that is for the owner to \
         configure: `upstreams.zoo.auth`)"
    );
    let long: &'static str = Box::leak("x".repeat(10_000).into_boxed_str());
    assert!(error(LIST, 400, "text/plain", long).message.len() < 4_096);
}
