use serde::Deserialize;
use serde_json::json;

use super::*;

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
struct Wanted {
    code: String,
    wait_ms: Option<u64>,
}

fn schema() -> JsonObject {
    let schema = json!({
        "type": "object",
        "properties": {
            "code": {"type": "string", "minLength": 1, "maxLength": 5},
            "waitMs": {"type": "integer", "minimum": 0, "maximum": 10},
        },
        "required": ["code"],
    });
    schema.as_object().unwrap().clone()
}

fn check(given: Value) -> Result<Wanted, String> {
    read("t", &schema(), given.as_object().cloned()).map_err(|error| error.message)
}

#[test]
fn good_arguments_are_read() {
    let wanted = |wait_ms| Ok(Wanted { code: "x".to_owned(), wait_ms });
    assert_eq!(check(json!({"code": "x"})), wanted(None));
    assert_eq!(check(json!({"code": "x", "waitMs": null})), wanted(None));
    assert_eq!(check(json!({"code": "x", "waitMs": 10.0})), wanted(Some(10)));
    assert!(check(json!({"code": "äöü€x"})).is_ok(), "characters count, not bytes");
}

#[test]
fn bad_arguments_are_explained() {
    for (given, expected) in [
        (json!({}), "`code` is missing: expected a string of 1 to 5 characters"),
        (json!({"code": null}), "`code` is missing: expected a string of 1 to 5 characters"),
        (
            json!({"code": ""}),
            "argument `code` of `t` is an empty string: expected a string of 1 to 5 characters",
        ),
        (
            json!({"code": true}),
            "argument `code` of `t` is `true`: expected a string of 1 to 5 characters",
        ),
        (
            json!({"code": "123456"}),
            "argument `code` of `t` is the string `\"123456\"`: expected a string of 1 to 5 \
            characters",
        ),
        (
            json!({"code": "x", "waitMs": 11}),
            "argument `waitMs` of `t` is `11`: expected an integer of 0 to 10",
        ),
        (
            json!({"code": "x", "waitMs": -1}),
            "argument `waitMs` of `t` is `-1`: expected an integer of 0 to 10",
        ),
        (
            json!({"code": "x", "waitMs": 1e300}),
            "argument `waitMs` of `t` is `1e+300`: expected an integer of 0 to 10",
        ),
        (json!({"code": "x", "waitMS": 1}), "`t` has no argument `waitMS`; did you mean `waitMs`?"),
        (json!({"code": "x", "zzz": 1}), "`t` has no argument `zzz`"),
    ] {
        assert_eq!(check(given.clone()).unwrap_err(), expected, "{given}");
    }
}

#[test]
fn a_long_value_is_counted_and_not_repeated() {
    let message = check(json!({"code": "secret".repeat(100)})).unwrap_err();
    assert_eq!(
        message,
        "argument `code` of `t` is a string of 600 characters: expected a string of 1 to 5 \
        characters"
    );
}
