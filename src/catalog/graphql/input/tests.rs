use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::catalog::{
    arguments,
    discovery::signature,
    graphql::{sdl, select, tools},
    tool::Tool,
};

fn tool(text: &str, name: &str) -> Tool {
    let offer = tools::offer(
        &sdl::read(text).unwrap(),
        &crate::catalog::upstream::import_job::CancelToken::after(std::time::Duration::from_secs(
            60,
        )),
    )
    .unwrap();
    let offered = offer.tools.into_iter().find(|tool| tool.name == name).unwrap();
    Tool::admit(&Arc::from("git"), offered).unwrap()
}

#[test]
fn arguments_are_told_by_their_types() {
    let text = r#"
        enum Big { A B C D E F G H I J K L M }
        enum Small { X Y }
        scalar JSON
        "Where to look."
        input Where { and: [Where!]  big: Big!  small: Small = Y  at: JSON  n: Float = 1.5 }
        type Query { find(where: Where, must: Where!, ids: [ID!]! = [], big: Big, flag: Boolean = true, "How many." first: Int! = 10): Int }
    "#;
    let schema = tool(text, "query.find").input_schema.value();
    let properties = &schema["properties"];
    assert_eq!(properties["must"], json!({"$ref": "#/$defs/Where"}));
    assert_eq!(properties["where"], json!({"$ref": "#/$defs/WhereOrNull"}));
    assert_eq!(
        properties["ids"],
        json!({"type": "array", "items": {"type": ["string", "integer"]}, "default": []})
    );
    assert_eq!(properties["big"], json!({"$ref": "#/$defs/BigOrNull"}));
    assert_eq!(properties["flag"], json!({"type": ["boolean", "null"], "default": true}));
    assert_eq!(
        properties["first"],
        json!({"type": "integer", "default": 10, "description": "How many."})
    );
    assert_eq!(schema["required"], json!(["must"]));
    assert_eq!(schema["additionalProperties"], json!(false));
    let definition = &schema["$defs"]["Where"];
    assert_eq!(definition["type"], "object");
    assert_eq!(definition["description"], "Where to look.");
    assert_eq!(definition["required"], json!(["big"]));
    assert_eq!(
        definition["properties"]["and"],
        json!({"type": ["array", "null"], "items": {"$ref": "#/$defs/Where"}})
    );
    assert_eq!(
        definition["properties"]["small"],
        json!({"enum": ["X", "Y", null], "default": "Y"})
    );
    assert_eq!(definition["properties"]["at"], json!({"description": "scalar `JSON`"}));
    assert_eq!(schema["$defs"]["WhereOrNull"]["type"], json!(["object", "null"]));
}

#[test]
fn calls_are_checked_before_anything_leaves() {
    let tool = tool(select::tests::SDL, "mutation.createIssue");
    let check =
        |args: Value| arguments::check(&tool, &args.to_string()).map_err(|error| error.message);
    assert!(check(json!({"input": {"repositoryId": 1, "title": "x", "state": null}})).is_ok());
    assert!(
        check(json!({"input": {"repositoryId": "1", "title": "x"}, "select": "issue { id }"}))
            .is_ok()
    );
    for (args, words) in [
        (json!({}), "field `input` is missing"),
        (json!({"input": {"repositoryId": "1"}}), "field `input.title` is missing (string)"),
        (
            json!({"input": {"repositoryId": "1", "titel": "x", "title": "x"}}),
            "did you mean `input.title`?",
        ),
        (
            json!({"input": {"repositoryId": "1", "title": "x", "state": "OPNE"}}),
            "did you mean \"OPEN\"?",
        ),
    ] {
        let error = check(args.clone()).unwrap_err();
        assert!(error.contains(words), "{args}: {error}");
    }
}

#[test]
fn an_input_of_which_one_field_is_given_says_so() {
    let tool = tool(
        "input By @oneOf { id: ID  name: String } type Query { user(by: By!): Int }",
        "query.user",
    );
    let check = |args: Value| arguments::check(&tool, &args.to_string());
    assert!(check(json!({"by": {"id": "1"}})).is_ok());
    assert!(
        check(json!({"by": {"id": "1", "name": "a"}})).is_err()
            && check(json!({"by": {}})).is_err()
    );
}

#[test]
fn types_of_the_same_name_as_a_definition_do_not_meet() {
    let text = "input A { b: AOrNull  a: A } input AOrNull { n: Int! } type Query { f(x: A, y: \
        AOrNull!): Int }";
    let schema = tool(text, "query.f").input_schema.value();
    assert_eq!(schema["properties"]["x"], json!({"$ref": "#/$defs/AOrNull_"}));
    assert_eq!(schema["properties"]["y"], json!({"$ref": "#/$defs/AOrNull"}));
    assert_eq!(schema["$defs"]["AOrNull"]["required"], json!(["n"]));
}

#[test]
fn a_schema_that_is_too_large_is_told_with_less_and_always_the_same() {
    // Every input refers to every other, as generated services do.
    let inputs: String = (0..60)
        .map(|n| {
            let fields: String =
                (0..60).map(|m| format!("\"{}\" f{m}: I{m} ", "words ".repeat(20))).collect();
            format!("input I{n} {{ {fields} }} ")
        })
        .collect();
    let text = format!("{inputs} type Query {{ find(where: I0!): Int }}");
    let schema = sdl::read(&text).unwrap();
    let field = schema.field("Query", "find").unwrap();
    let mut last = usize::MAX;
    for bytes_max in [1 << 20, 64 * 1024, 8 * 1024, 1024] {
        let got = super::schema(&schema, field, bytes_max, &Sizes::default()).unwrap();
        let bytes = serde_json::to_string(&got).unwrap().len();
        assert!(bytes <= bytes_max && bytes <= last, "{bytes} of {bytes_max}");
        last = bytes;
        assert_eq!(
            Some(&got),
            super::schema(&schema, field, bytes_max, &Sizes::default()).as_ref()
        );
        assert!(jsonschema::validator_for(&Value::Object(got)).is_ok());
    }
    assert_eq!(super::schema(&schema, field, 100, &Sizes::default()), None);
}

#[test]
fn a_tool_is_told_in_typescript() {
    let tool = tool(select::tests::SDL, "query.repository");
    let hint = signature::hint(&tool, "");
    assert!(
        hint.starts_with(
            "tools.git.query.repository(args: { owner: string; name: string; select?: string })"
        ),
        "{hint}"
    );
    let declaration = signature::declaration(&tool, "");
    for line in ["createdAt: unknown;", "login: string;", "select?: string;"] {
        assert!(declaration.contains(line), "{line}: {declaration}");
    }
    assert!(!declaration.contains(": any"), "{declaration}");
}
