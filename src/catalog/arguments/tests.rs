use std::sync::Arc;

use super::*;
use crate::catalog::tool::OfferedTool;

fn tool(schema: Value) -> Tool {
    let Value::Object(input_schema) = schema else { panic!("a schema is an object") };
    let offered = OfferedTool { name: "create-issue".to_owned(), input_schema, ..OfferedTool::default() };
    Tool::admit(&Arc::from("gh"), offered).unwrap()
}

fn issue() -> Tool {
    tool(json!({
        "type": "object",
        "properties": {
            "title": {"type": "string", "minLength": 1},
            "state": {"enum": ["open", "closed"]},
            "labels": {"type": "array", "items": {"type": "string"}},
            "assignee": {"$ref": "#/$defs/user"},
            "priority": {"type": "integer", "minimum": 1, "maximum": 5},
        },
        "required": ["title"],
        "additionalProperties": false,
        "$defs": {
            "user": {
                "type": "object",
                "properties": {"login": {"type": "string"}},
                "required": ["login"],
                "additionalProperties": false,
            },
        },
    }))
}

fn told(tool: &Tool, args: Value) -> String {
    check(tool, &args.to_string()).unwrap_err().message
}

#[test]
fn fitting_arguments_come_back_as_an_object_and_nothing_is_an_empty_one() {
    let args = r#"{"title": "x", "labels": ["a"]}"#;
    assert_eq!(Value::Object(check(&issue(), args).unwrap()), json!({"title": "x", "labels": ["a"]}));
    let anything = tool(json!({"type": "object"}));
    for nothing in ["", "  ", "null", "{}"] {
        assert_eq!(check(&anything, nothing), Ok(JsonObject::new()), "{nothing:?}");
    }
}

#[test]
fn every_fault_is_told_with_the_way_to_put_it_right() {
    let issue = issue();
    insta::assert_snapshot!(told(&issue, json!({})), @r#"`tools.gh["create-issue"]`: field `title` is missing (string); correct: await tools.gh["create-issue"]({ title: "…" })"#);
    insta::assert_snapshot!(told(&issue, json!({"titel": "x"})), @r#"`tools.gh["create-issue"]`: there is no field `titel`, did you mean `title`?; field `title` is missing (string); correct: await tools.gh["create-issue"]({ title: "x" })"#);
    insta::assert_snapshot!(told(&issue, json!({"title": "x", "colour": "red"})), @r#"`tools.gh["create-issue"]`: there is no field `colour`, only `title`, `state`, `labels`, `assignee`, `priority`; correct: await tools.gh["create-issue"]({ title: "x" })"#);
    insta::assert_snapshot!(told(&issue, json!({"title": 7})), @r#"`tools.gh["create-issue"]`: field `title` must be string, got number 7; correct: await tools.gh["create-issue"]({ title: "…" })"#);
    insta::assert_snapshot!(told(&issue, json!({"title": "x", "state": "Close"})), @r#"`tools.gh["create-issue"]`: field `state` must be one of "open", "closed", got string "Close", did you mean "closed"?; correct: await tools.gh["create-issue"]({ title: "x", state: "closed" })"#);
    insta::assert_snapshot!(told(&issue, json!({"title": "x", "labels": ["a", 1]})), @r#"`tools.gh["create-issue"]`: field `labels[1]` must be string, got number 1; correct: await tools.gh["create-issue"]({ title: "x", labels: ["a", "…"] })"#);
    insta::assert_snapshot!(told(&issue, json!({"title": "x", "assignee": {"logn": "me"}})), @r#"`tools.gh["create-issue"]`: there is no field `assignee.logn`, did you mean `assignee.login`?; field `assignee.login` is missing (string); correct: await tools.gh["create-issue"]({ title: "x", assignee: { login: "me" } })"#);
    insta::assert_snapshot!(told(&issue, json!({"title": "x", "priority": 9})), @r#"`tools.gh["create-issue"]`: field `priority` must be at most 5, got number 9; correct: await tools.gh["create-issue"]({ title: "x", priority: 5 })"#);
    insta::assert_snapshot!(told(&issue, json!(["x"])), @r#"`tools.gh["create-issue"]` takes one object, got an array; correct: await tools.gh["create-issue"]({ title: "…" })"#);
    let open = tool(json!({"type": "object", "properties": {"message": {"type": "string"}}, "required": ["message"]}));
    insta::assert_snapshot!(told(&open, json!({"mesage": "hi"})), @r#"`tools.gh["create-issue"]`: field `message` is missing (string), did you mean it by `mesage`?; correct: await tools.gh["create-issue"]({ message: "hi" })"#);
}

#[test]
fn the_correct_call_in_an_error_is_correct() {
    let issue = issue();
    for wrong in
        [json!({}), json!({"titel": 1}), json!({"title": 7, "assignee": {}, "labels": "x", "priority": -3}), json!({"state": "x"})]
    {
        let filled = sample::arguments(&issue.input_schema, Some(&wrong));
        assert!(check(&issue, &filled.to_string()).is_ok(), "{wrong} gave {filled}");
    }
}

#[test]
fn what_is_not_json_is_said_to_be_so() {
    assert!(check(&issue(), "{nope").unwrap_err().message.contains("are not JSON"));
}

#[test]
fn a_reference_to_elsewhere_is_not_followed_and_leaves_the_arguments_to_the_upstream() {
    let remote = tool(json!({"type": "object", "properties": {"a": {"$ref": "https://example.com/schema.json"}}}));
    assert_eq!(check(&remote, r#"{"a": 1}"#).map(Value::Object), Ok(json!({"a": 1})));
}

#[test]
fn a_pattern_that_never_ends_is_cut_short() {
    let evil = tool(json!({"type": "object", "properties": {"a": {"type": "string", "pattern": "^(a|a)*\\1$"}}}));
    let began = std::time::Instant::now();
    let _ = check(&evil, &json!({"a": "a".repeat(60)}).to_string());
    assert!(began.elapsed() < std::time::Duration::from_secs(5), "{:?}", began.elapsed());
}
