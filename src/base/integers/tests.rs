use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

#[test]
fn integers_beyond_the_exact_range_become_strings() {
    for (json, expected) in [
        (r#"{"id":7310448219005560003}"#, r#"{"id":"7310448219005560003"}"#),
        (r#"{"id":-9007199254740992}"#, r#"{"id":"-9007199254740992"}"#),
        ("9007199254740992", r#""9007199254740992""#),
        ("[9007199254740993, 1]", r#"["9007199254740993", 1]"#),
        (r#"[123456789012345678901234567890]"#, r#"["123456789012345678901234567890"]"#),
        (r#"{"a":1e999,"b":-1E+400}"#, r#"{"a":"1e999","b":"-1E+400"}"#),
        (
            r#"{"a\"1":"\\","b":7310448219005560003,"c":[7310448219005560004]}"#,
            r#"{"a\"1":"\\","b":"7310448219005560003","c":["7310448219005560004"]}"#,
        ),
    ] {
        assert_eq!(quote_unsafe(json), expected, "{json}");
    }
}

#[test]
fn everything_else_stays_as_it_is() {
    for json in [
        "",
        "9007199254740991",
        "-9007199254740991",
        "0.12345678901234567890",
        "12345678901234567.5",
        "7.310448219005560003e18",
        "1e300",
        r#""7310448219005560003""#,
        r#"{"7310448219005560003":"a \" 7310448219005560003"}"#,
        r#"["\\\"7310448219005560003"]"#,
        "0000000000000000000",
        r#"{"open": "7310448219005560003"#,
    ] {
        assert_eq!(quote_unsafe(json), json);
    }
}

#[test]
fn a_string_of_digits_is_the_integer_that_64_bits_hold() {
    assert_eq!(unsafe_integer("7310448219005560003"), Some(7_310_448_219_005_560_003_u64.into()));
    assert_eq!(unsafe_integer("18446744073709551615"), Some(u64::MAX.into()));
    assert_eq!(unsafe_integer("-9223372036854775808"), Some(i64::MIN.into()));
    for text in [
        "18446744073709551616",
        "-9223372036854775809",
        "9007199254740991",
        "5",
        "",
        "-",
        "0000000000000000000000",
        "7310448219005560003.0",
        "+7310448219005560003",
        " 7310448219005560003",
    ] {
        assert_eq!(unsafe_integer(text), None, "{text}");
    }
}

#[test]
fn a_whole_number_may_be_rounded_where_numbers_are_not_exact() {
    for value in [json!(9007199254740992.0), json!(7.3e18), json!(-1e20)] {
        assert!(is_rounded(&value), "{value}");
    }
    for value in [json!(9007199254740991_u64), json!(u64::MAX), json!(1.5), json!("9e18")] {
        assert!(!is_rounded(&value), "{value}");
    }
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (-20_i64..20).prop_map(|near| Value::from(near + (1 << 53))),
        "[0-9]{14,20}".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("[a-z0-9\"]{0,18}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// The value that a program should see.
fn exact(value: Value) -> Value {
    match unsafe_digits(&value) {
        Some(digits) => digits.into(),
        None => match value {
            Value::Array(items) => items.into_iter().map(exact).collect(),
            Value::Object(map) => map.into_iter().map(|(key, item)| (key, exact(item))).collect(),
            other => other,
        },
    }
}

proptest! {
    #[test]
    fn the_text_differs_in_these_integers_only(value in values(), pretty in any::<bool>()) {
        let text = match pretty {
            true => serde_json::to_string_pretty(&value).unwrap(),
            false => value.to_string(),
        };
        let quoted = quote_unsafe(&text);
        prop_assert_eq!(serde_json::from_str::<Value>(&quoted).unwrap(), exact(value));
    }

    #[test]
    fn any_text_is_taken(text in any::<String>()) {
        let _ = quote_unsafe(&text);
    }
}
