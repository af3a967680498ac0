use serde_json::json;

use super::*;

#[test]
fn a_schema_is_its_text_and_parsed_once_while_it_is_looked_at() {
    let value = json!({
        "type": "object", "description": "a \"{\" in a text", "properties": {"b": {}, "a": {}}
    });
    let schema = Schema::new(&value).unwrap();
    assert_eq!(schema.text(), value.to_string());
    assert_eq!(serde_json::to_value(&schema).unwrap(), value);
    let held = schema.value();
    assert_eq!(*held, value);
    assert!(Arc::ptr_eq(&held, &schema.clone().value()));
}

#[test]
fn what_stays_parsed_is_bounded() {
    let text = "x".repeat(RECENT_BYTES_MAX / 4);
    let schemas: Vec<Schema> = (0..8)
        .map(|number| Schema::new(&json!({ "description": text, "n": number })).unwrap())
        .collect();
    for (number, schema) in schemas.iter().enumerate() {
        assert_eq!(schema.value()["n"], number);
    }
    let recent = RECENT.lock();
    assert!(recent.bytes <= RECENT_BYTES_MAX);
    assert_eq!(recent.bytes, recent.parsed.iter().map(|(bytes, _)| bytes).sum::<usize>());
    drop(recent);
    // The first ones are gone, unless somebody holds them.
    assert!(schemas[0].0.parsed.lock().upgrade().is_none());
    assert_eq!(schemas[0].value()["n"], 0);
}

#[test]
fn a_schema_that_a_parser_would_refuse_is_not_taken() {
    let nested = |levels: usize| (1..levels).fold(json!({}), |inner, _| json!({ "items": inner }));
    assert!(Schema::new(&nested(DEPTH_MAX)).is_some());
    assert!(Schema::new(&nested(DEPTH_MAX + 1)).is_none());
    assert!(Schema::new(&json!({"const": "[".repeat(1_000) + "\\\""})).is_some());
    let broken = RawValue::from_string("[".repeat(500) + &"]".repeat(500)).unwrap();
    assert_eq!(*Schema::of_text(broken).value(), json!({}));
}
