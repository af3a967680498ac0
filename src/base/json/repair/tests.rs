use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// The value that a text means once it is repaired, and the repairs in words.
fn meant(text: &[u8]) -> (Value, String) {
    let repaired = repaired(text).unwrap().expect("something is repaired");
    let value = serde_json::from_str(&repaired.text)
        .unwrap_or_else(|error| panic!("{error}: {}", repaired.text));
    (value, repaired.changes.to_string())
}

#[test]
fn what_services_write_is_read_and_each_repair_is_counted() {
    for (text, value, told) in [
        (&br#"["cut \ud83d"]"#[..], json!(["cut \u{FFFD}"]), "1 halves of characters"),
        (br#"["\uDE00 x", "\ud83d\u0041"]"#, json!(["\u{FFFD} x", "\u{FFFD}A"]), "2 halves"),
        (br#"{"\ud83d": 1}"#, json!({"\u{FFFD}": 1}), "1 halves"),
        (
            b"[NaN, -Infinity, Infinity, nan, -inf, +Infinity, undefined]",
            Value::from(vec![Value::Null; 7]),
            "7 val",
        ),
        (b"[1e400, -1E999, 1.5]", json!([null, null, 1.5]), "2 values"),
        (b"[None, True, False]", json!([null, true, false]), "3 words of Python"),
        (b"{\"a\": [1, 2, ], \n}", json!({"a": [1, 2]}), "2 trailing commas"),
        (b"\"a\tb\nc\x01\"", json!("a\tb\nc\u{1}"), "3 control characters"),
        (br#""C:\dir\x41\u12 \'""#, json!("C:\\dir\\x41\\u12 \\'"), "4 backslashes"),
        (b"\"caf\xe9 \xff\"", json!("caf\u{FFFD} \u{FFFD}"), "2 sequences of bytes"),
        (b"\xEF\xBB\xBF{}", json!({}), ""),
    ] {
        let (found, changes) = meant(text);
        assert_eq!(found, value, "{}", String::from_utf8_lossy(text));
        assert!(changes.starts_with(told), "{changes}");
    }
    let digits = format!("[{}]", "9".repeat(400));
    assert_eq!(meant(digits.as_bytes()).0, json!([null]));
}

#[test]
fn what_looks_alike_within_a_string_or_is_valid_stays() {
    for text in [
        r#"["NaN, Infinity, ]", "1e400", "\\ud83d", "\ud83d\ude00", "a,]"]"#,
        "[1e308, -0, 0.1E-400, 123456789012345678901234567890]",
        "[null, true, false]",
        "",
        "no JSON at all",
    ] {
        assert_eq!(repaired(text.as_bytes()), Ok(None), "{text}");
    }
}

#[test]
fn a_text_that_needs_too_many_repairs_is_refused() {
    let enough = format!("[{}1]", "NaN,".repeat(CHANGES_MAX));
    assert!(repaired(enough.as_bytes()).is_ok());
    for piece in ["NaN,", "1,],", "\"\\ud83d\",", "\"\\x\",", "\"\u{1}\","] {
        let text = format!("[{}1]", piece.repeat(CHANGES_MAX + 1));
        assert_eq!(repaired(text.as_bytes()), Err(TooBroken), "{piece}");
    }
    assert_eq!(repaired(&vec![0xff; CHANGES_MAX + 1]), Err(TooBroken));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
        "[\\\\\"u0-9a-f,\\]}]*".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map(".*", inner, 0..6)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn valid_json_passes_unchanged(value in any_json()) {
        prop_assert_eq!(repaired(value.to_string().as_bytes()), Ok(None));
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        prop_assert_eq!(repaired(pretty.as_bytes()), Ok(None));
    }

    #[test]
    fn any_bytes_are_borne(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = repaired(&bytes);
    }

    #[test]
    fn anything_between_quotes_becomes_a_string(text in "[^\"]*") {
        // An odd number of backslashes at the end would escape the quote.
        let text = format!("\"{}\"", text.trim_end_matches('\\'));
        let whole = repaired(text.as_bytes()).unwrap().map_or(text, |repaired| repaired.text);
        prop_assert!(serde_json::from_str::<String>(&whole).is_ok(), "{}", whole);
    }
}
