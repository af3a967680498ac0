use apollo_compiler::{ast::OperationType, parser::Parser};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::catalog::graphql::tools;

fn answer(types: Value) -> Vec<u8> {
    json!({"data": {"__schema": {"queryType": {"name": "Query"}, "types": types}}})
        .to_string()
        .into_bytes()
}

fn scalar(name: &str) -> Value {
    json!({"kind": "SCALAR", "name": name})
}

#[test]
fn every_question_is_graphql_and_asks_for_less_than_the_one_before() {
    let documents: Vec<String> = ASKINGS.iter().map(|asking| asking.document()).collect();
    for document in &documents {
        assert!(Parser::new().parse_ast(document, "question").is_ok(), "{document}");
    }
    assert!(documents.windows(2).all(|pair| pair[0].len() > pair[1].len()));
    assert!(documents[0].contains("isOneOf") && !documents[1].contains("isOneOf"));
    assert!(!documents[2].contains("inputFields(") && !documents[3].contains("isDeprecated"));
}

#[test]
fn types_are_read_with_their_lists_and_defaults() {
    let ty = json!({
        "kind": "NON_NULL",
        "ofType": {"kind": "LIST", "ofType": {"kind": "NON_NULL", "ofType": scalar("Int")}}
    });
    let types = json!([
        {"kind": "OBJECT", "name": "Query", "fields": [{"name": "a", "type": ty, "isDeprecated": true, "args": [
            {"name": "x", "type": {"kind": "ENUM", "name": "E"}, "defaultValue": "B"}]}]},
        {"kind": "ENUM", "name": "E", "enumValues": [{"name": "A"}, {"name": "B"}]},
        {"kind": "UNION", "name": "U", "possibleTypes": [{"name": "Z"}, {"name": "Query"}]},
        {"kind": "OBJECT", "name": "__Type", "fields": []},
        {"kind": "WHATEVER", "name": "New"},
    ]);
    let schema = read(&answer(types)).unwrap();
    let field = schema.field("Query", "a").unwrap();
    assert_eq!(
        (field.ty.to_string().as_str(), field.deprecated.as_deref()),
        ("[Int!]!", Some("no longer supported"))
    );
    assert_eq!(field.args[0].default.as_deref(), Some("B"));
    assert_eq!(schema.possible["U"], ["Query", "Z"].map(|name| Name::new(name).unwrap()));
    assert_eq!((schema.types.len(), schema.root(OperationType::Mutation)), (3, None));
}

#[test]
fn names_and_types_that_are_none_are_left_out() {
    let long = "n".repeat(101);
    let nested = (0..20).fold(scalar("Int"), |inner, _| json!({"kind": "LIST", "ofType": inner}));
    let double =
        json!({"kind": "NON_NULL", "ofType": {"kind": "NON_NULL", "ofType": scalar("Int")}});
    let fields: Vec<Value> = [
        ("good", scalar("Int")),
        ("b ad", scalar("Int")),
        ("", scalar("Int")),
        (long.as_str(), scalar("Int")),
    ]
    .into_iter()
    .chain([
        ("a}b", scalar("Int")),
        ("deep", nested),
        ("twice", double),
        ("void", json!({"kind": "LIST"})),
        ("odd", scalar("I nt")),
    ])
    .map(|(name, ty)| json!({"name": name, "type": ty}))
    .collect();
    let schema =
        read(&answer(json!([{"kind": "OBJECT", "name": "Query", "fields": fields}]))).unwrap();
    let names: Vec<&str> = schema.fields("Query").iter().map(|field| field.name.as_str()).collect();
    assert_eq!(names, ["good"]);
}

#[test]
fn what_holds_no_schema_is_told() {
    for (body, words) in [
        ("{}", "holds no schema"),
        ("nonsense", "is not a schema"),
        ("{\"data\": {\"__schema\": {}}}", "is not a schema"),
    ] {
        let error = read(body.as_bytes()).unwrap_err();
        assert!(error.contains(words), "{body}: {error}");
        assert!(!is_told(body.as_bytes()) || body.contains("__schema"));
    }
    let many: Vec<Value> = (0..=TYPES_MAX).map(|_| scalar("S")).collect();
    assert!(read(&answer(json!(many))).unwrap_err().contains("the limit is 50000"));
    let deep = format!("{{\"data\": {}", "{\"a\":".repeat(100_000));
    assert!(read(deep.as_bytes()).is_err());
}

fn told_type() -> impl Strategy<Value = Value> {
    let kind = prop::sample::select(vec![
        "OBJECT",
        "INTERFACE",
        "UNION",
        "ENUM",
        "INPUT_OBJECT",
        "SCALAR",
        "LIST",
        "NON_NULL",
        "?",
    ]);
    let name = prop::sample::select(vec![
        "Query", "Mutation", "A", "B", "C", "Int", "String", "__X", "", "bad name",
    ]);
    let leaf = (kind.clone(), prop::option::of(name.clone()))
        .prop_map(|(kind, name)| json!({"kind": kind, "name": name}));
    let reference = leaf.prop_recursive(4, 8, 1, move |inner| {
        (prop::sample::select(vec!["LIST", "NON_NULL", "OBJECT"]), inner)
            .prop_map(|(kind, inner)| json!({"kind": kind, "ofType": inner}))
    });
    let value = (name.clone(), reference.clone(), prop::option::of(".{0,8}"))
        .prop_map(|(name, ty, default)| json!({"name": name, "type": ty, "defaultValue": default}));
    let field = (name.clone(), reference, prop::collection::vec(value.clone(), 0..3))
        .prop_map(|(name, ty, args)| json!({"name": name, "type": ty, "args": args}));
    let named = name.clone().prop_map(|name| json!({ "name": name }));
    (
        kind,
        name,
        prop::collection::vec(field, 0..4),
        prop::collection::vec(value, 0..4),
        prop::collection::vec(named, 0..4),
    )
        .prop_map(|(kind, name, fields, inputs, names)| {
            json!({
                "kind": kind, "name": name, "fields": fields, "inputFields": inputs,
                "enumValues": names, "possibleTypes": names
            })
        })
}

proptest! {
    #[test]
    fn no_answer_makes_reading_panic(types in prop::collection::vec(told_type(), 0..10)) {
        let schema = read(&answer(json!(types))).unwrap();
        for tool in tools::offer(
            &schema,
            &crate::catalog::upstream::import_job::CancelToken::after(std::time::Duration::from_secs(60))
        ).unwrap().tools {
            let value = Value::Object(tool.input_schema);
            prop_assert!(jsonschema::validator_for(&value).is_ok(), "{}", value);
        }
    }
}
