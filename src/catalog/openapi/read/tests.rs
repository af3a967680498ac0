use serde_json::json;

use super::*;

fn parse(bytes: &[u8]) -> Result<Value, Unreadable> {
    super::parse(bytes, &CancelToken::after(std::time::Duration::from_secs(60)))
}

#[test]
fn json_and_yaml_give_the_same_value() {
    let expected = json!({"openapi": "3.1.0", "responses": {"200": {"enum": ["no", "on", true]}}, "version": "1.10", "at": "2024-01-01",
        "n": [1, -2, 1.5, null]});
    assert_eq!(parse(expected.to_string().as_bytes()).unwrap(), expected);
    let yaml = "openapi: 3.1.0\nresponses:\n  200:\n    enum: [no, on, true]\nversion: \
        '1.10'\nat: 2024-01-01\nn: [1, -2, 1.5, null]\n";
    assert_eq!(parse(yaml.as_bytes()).unwrap(), expected);
    let anchored = "a: &x {b: 1}\nc: *x\nd:\n  <<: *x\n  e: |\n    two\n    lines\n";
    assert_eq!(
        parse(anchored.as_bytes()).unwrap(),
        json!({"a": {"b": 1}, "c": {"b": 1}, "d": {"b": 1, "e": "two\nlines\n"}})
    );
}

#[test]
fn what_is_no_description_is_told_with_the_place() {
    let got = |text: &str| parse(text.as_bytes()).unwrap_err().to_string();
    assert_eq!(got("{\"a\": 1,\n \"b\" 2}"), "it is not JSON: expected `:` at line 2 column 6");
    assert_eq!(got("- a\n- b\n"), "it is not an object but a list");
    assert_eq!(got("<html>no</html>"), "it is not an object but a single value");
    assert_eq!(got(""), "it is not an object but empty");
    assert!(got("a: [1\nb: }").starts_with("it is not YAML: "), "{}", got("a: [1\nb: }"));
    assert_eq!(parse(b"\xff\xfe{}").unwrap_err(), Unreadable::Encoding(NotText::Utf16));
    assert_eq!(parse(b"{\"a\": \"\xe9\"}").unwrap_err(), Unreadable::Encoding(NotText::Other));
}

#[test]
fn every_bound_holds_while_it_is_read() {
    let deep = format!("{}1{}", "{\"a\":".repeat(DEPTH_MAX + 1), "}".repeat(DEPTH_MAX + 1));
    assert!(parse(deep.as_bytes()).unwrap_err().to_string().contains("nested more than 100 deep"));
    let allowed = format!("{}1{}", "{\"a\":".repeat(DEPTH_MAX), "}".repeat(DEPTH_MAX));
    assert!(parse(allowed.as_bytes()).is_ok());
    let many = format!("{{\"a\":[{}1]}}", "1,".repeat(NODES_MAX));
    assert!(parse(many.as_bytes()).unwrap_err().to_string().contains("more than 3000000 values"));
    let large = vec![b' '; DOCUMENT_BYTES_MAX + 1];
    assert_eq!(parse(&large), Err(Unreadable::Size(DOCUMENT_BYTES_MAX + 1)));
    // Ten levels of ten uses each.
    let mut bomb = "a0: &a0 [1]\n".to_owned();
    for level in 1..10 {
        bomb.push_str(&format!(
            "a{level}: &a{level} [{}]\n",
            vec![format!("*a{}", level - 1); 10].join(", ")
        ));
    }
    assert!(parse(bomb.as_bytes()).is_err());
}

#[test]
fn a_long_text_is_not_read_on_when_the_time_is_up() {
    let long = format!("{{\"a\": [{}0]}}", "0,".repeat(10_000));
    let stopped = super::parse(long.as_bytes(), &CancelToken::after(std::time::Duration::ZERO));
    assert!(stopped.unwrap_err().to_string().contains("reading it takes longer than 60 seconds"));
}

#[test]
fn json_that_is_slightly_wrong_is_read_as_it_was_meant() {
    let text = r#"{"openapi": "3.0.0", "a": {"example": 1e400}, "b": ["half \ud83d", NaN,],}"#;
    assert_eq!(
        parse(text.as_bytes()).unwrap(),
        json!({"openapi": "3.0.0", "a": {"example": null}, "b": ["half \u{fffd}", null]})
    );
    // What is still wrong is told with its place in the document.
    let wrong = "{\"a\": 1e400,\n \"b\" 2}";
    let told = parse(wrong.as_bytes()).unwrap_err().to_string();
    assert!(told.contains("number out of range at line 1"), "{told}");
}
