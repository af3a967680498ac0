use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::catalog::{
    discovery::signature,
    tool::{OfferedTool, Tool},
};

fn learned(answers: &[Value]) -> Value {
    let observed = InferredSchema::default();
    answers.iter().for_each(|answer| observed.note("w", &answer.to_string()));
    (*observed.schema("w").unwrap()).clone()
}

#[test]
fn what_two_answers_have_in_common_is_required_and_the_rest_is_not() {
    let schema = learned(&[
        json!({"id": 1, "name": "a", "note": null}),
        json!({"id": 2.5, "name": "b", "more": [true]}),
    ]);
    assert_eq!(
        schema,
        json!({"type": "object", "required": ["id", "name"], "properties": {
            "id": {"type": "number"}, "name": {"type": "string"}, "note": {"type": "null"},
            "more": {"type": "array", "items": {"type": "boolean"}},
        }})
    );
}

#[test]
fn items_of_a_list_are_merged_and_an_empty_list_tells_nothing_of_its_items() {
    let schema = learned(&[json!([{"a": 1}, {"a": "x", "b": null}])]);
    let item = &schema["items"];
    assert_eq!(item["required"], json!(["a"]));
    assert_eq!(
        item["properties"]["a"],
        json!({"anyOf": [{"type": "string"}, {"type": "integer"}]})
    );
    assert_eq!(learned(&[json!([])]), json!({"type": "array", "items": {}}));
}

#[test]
fn keys_that_look_like_values_become_a_record() {
    for keys in [
        vec!["42", "43"],
        vec!["9f8b0c1d2e3f4a5b", "x"],
        vec!["0190b2c8-1f3e-7c4a-9d2b-3e4f5a6b7c8d"],
        vec!["me@example.com"],
        vec!["https://a.example/b"],
        vec!["two words"],
        vec!["user12345"],
    ] {
        let answer: Value = keys
            .iter()
            .map(|key| ((*key).to_owned(), json!(1)))
            .collect::<serde_json::Map<_, _>>()
            .into();
        let schema = learned(&[answer]);
        assert_eq!(
            schema,
            json!({"type": "object", "additionalProperties": {"type": "integer"}}),
            "{keys:?}"
        );
    }
    // Names of people are no names of fields: everything under them is alike.
    let person = |age: u32| json!({"age": age});
    let schema = learned(&[json!({"alice": person(1), "bob": person(2), "carol": person(3)})]);
    assert_eq!(schema["additionalProperties"]["properties"]["age"], json!({"type": "integer"}));
    assert!(!schema.to_string().contains("alice"));
}

#[test]
fn names_that_are_data_stay_out_and_fields_of_records_stay_in() {
    let record = |value: Value| json!({"type": "object", "additionalProperties": value});
    let counts = json!({"alice_smith": 3, "bob_jones": 5, "payroll_2026_acme": 7});
    assert_eq!(learned(std::slice::from_ref(&counts)), record(json!({"type": "integer"})));
    for other in [
        json!({"carol": 1.5, "dave": null}),
        json!({"alice_smith": 3, "erin": 2}),
        json!({}),
        json!({"alice_smith": 4, "bob_jones": 5, "frank": 1, "grace": 2}),
    ] {
        let schema = learned(&[counts.clone(), other.clone()]);
        assert!(
            !schema.to_string().contains("alice") && schema.get("properties").is_none(),
            "{other}: {schema}"
        );
    }
    for [one, other] in [
        [json!({"alice": "x"}), json!({"bob": "y"})],
        [json!({"a": [{"alice": 1}, {"bob": 2}]}), json!({"a": []})],
    ] {
        assert!(!learned(&[one, other.clone()]).to_string().contains("bob"), "{other}");
    }
    // Once two had it, it is the name of a field; a name that only one of many had is none.
    let usage = json!({"total": 1, "used": 2, "free": 3});
    let schema = learned(&[usage.clone(), usage.clone()]);
    assert_eq!(schema["required"], json!(["free", "total", "used"]));
    let schema =
        learned(&[usage.clone(), usage, json!({"total": 1, "used": 2, "free": 3, "acme": 4})]);
    assert_eq!(
        schema["properties"].as_object().unwrap().keys().collect::<Vec<_>>(),
        ["free", "total", "used"]
    );
    // Rows of one answer are as good as two answers.
    let row = json!({"name": "a", "email": "b", "login": "c"});
    assert_eq!(
        learned(&[json!([row, row])])["items"]["required"],
        json!(["email", "login", "name"])
    );
    // A record of several types is told at once, as are one or two fields.
    let issue = json!({
        "id": 1, "title": "t", "locked": false, "user": {"id": 2, "login": "u"},
        "labels": [{"id": 3, "name": "n"}]
    });
    let schema = learned(&[issue]);
    assert_eq!(schema["required"], json!(["id", "labels", "locked", "title", "user"]));
    assert_eq!(schema["properties"]["user"]["required"], json!(["id", "login"]));
    assert_eq!(learned(&[json!({"x": 1, "y": 2})])["required"], json!(["x", "y"]));
}

#[test]
fn what_is_learned_from_one_workspace_is_told_to_no_other() {
    let offered = OfferedTool { name: "echo".to_owned(), ..OfferedTool::default() };
    let tool = Tool::admit(&Arc::from("up"), offered).unwrap();
    tool.observed.note("one", r#"{"planted_by_one": 1, "text": "x"}"#);
    assert!(signature::hint(&tool, "one").contains("planted_by_one"));
    for got in [signature::hint(&tool, "two").to_string(), signature::declaration(&tool, "two")] {
        assert!(!got.contains("planted") && got.contains("unknown"), "{got}");
    }
    tool.observed.note("two", r#"{"text": "x"}"#);
    assert_eq!(
        &*signature::hint(&tool, "two"),
        "tools.up.echo(): Promise</* observed */ { text: string }>"
    );
    assert!(signature::hint(&tool, "one").contains("planted_by_one"));
}

#[test]
fn the_latest_sixteen_workspaces_are_learned_from() {
    let observed = InferredSchema::default();
    (0..=WORKSPACES_MAX).for_each(|n| observed.note(&n.to_string(), "1"));
    assert_eq!(observed.learned().len(), WORKSPACES_MAX);
    assert!(observed.schema("0").is_none() && observed.schema("1").is_some());
}

#[test]
fn no_value_is_ever_in_what_was_learned() {
    let secret = "sk-live-very-secret-value";
    let schema = learned(&[json!({"token": secret, "list": [secret], "map": {secret: secret}})]);
    assert!(!schema.to_string().contains("secret-value"), "{schema}");
}

#[test]
fn answers_beyond_the_bounds_teach_nothing_more() {
    let observed = InferredSchema::default();
    for n in 0..SAMPLES_MAX {
        observed.note("w", &json!({ "a": n }).to_string());
    }
    observed.note("w", r#"{"late": 1}"#);
    observed.note("w", "not json");
    assert!(!observed.schema("w").unwrap().to_string().contains("late"));
    let large = InferredSchema::default();
    large.note("w", &json!("x".repeat(ANSWER_BYTES_MAX)).to_string());
    assert!(large.schema("w").is_none());
    let wide: Value = (0..2_000)
        .map(|n| {
            (
                format!(
                    "k{}",
                    char::from(b'a' + (n % 26) as u8).to_string().repeat(n / 26 % 40 + 1)
                ),
                json!(n),
            )
        })
        .collect::<serde_json::Map<_, _>>()
        .into();
    assert_eq!(learned(&[wide]), json!({"type": "object", "additionalProperties": {}}));
    let deep = (0..100).fold(json!(1), |inner, _| json!({ "a": inner }));
    assert!(learned(&[deep]).to_string().len() < 1_000);
}

#[test]
fn a_hint_and_a_declaration_tell_it_as_a_guess() {
    let offered = OfferedTool { name: "t".to_owned(), ..OfferedTool::default() };
    let tool = Tool::admit(&Arc::from("up"), offered).unwrap();
    assert_eq!(&*signature::hint(&tool, "w"), "tools.up.t(): Promise<unknown>");
    tool.observed.note("w", r#"{"items": [{"id": "a", "n": 1}]}"#);
    assert_eq!(
        &*signature::hint(&tool, "w"),
        "tools.up.t(): Promise</* observed */ { items: { id: string; n: number }[] }>"
    );
    let declaration = signature::declaration(&tool, "w");
    assert!(declaration.contains("observed") && declaration.contains("n: number"), "{declaration}");
    assert!(!declaration.contains("any"), "{declaration}");
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(8, 200, 12, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..12).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{1,3}|[0-9a-f]{1,16}|.{0,6}", inner, 0..12)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn every_answer_that_was_looked_at_fits_what_was_learned(answers in prop::collection::vec(json_value(), 1..6)) {
        let schema = learned(&answers);
        let validator = jsonschema::validator_for(&schema).unwrap();
        for answer in &answers {
            prop_assert!(validator.is_valid(answer), "{answer} does not fit {schema}");
        }
    }
}
