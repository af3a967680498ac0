use std::sync::Arc;

use super::*;
use crate::{base::testing::CpuTimer, catalog::tool::OfferedTool};

fn tool(schema: Value) -> Tool {
    let Value::Object(input_schema) = schema else { panic!("a schema is an object") };
    let offered =
        OfferedTool { name: "create-issue".to_owned(), input_schema, ..OfferedTool::default() };
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

fn got(tool: &Tool, args: Value) -> String {
    check(tool, &args.to_string()).unwrap_err().message
}

#[test]
fn fitting_arguments_come_back_as_an_object_and_nothing_is_an_empty_one() {
    let args = r#"{"title": "x", "labels": ["a"]}"#;
    assert_eq!(
        Value::Object(check(&issue(), args).unwrap()),
        json!({"title": "x", "labels": ["a"]})
    );
    let anything = tool(json!({"type": "object"}));
    for nothing in ["", "  ", "null", "{}"] {
        assert_eq!(check(&anything, nothing), Ok(JsonObject::new()), "{nothing:?}");
    }
}

#[test]
fn every_fault_is_told_with_the_way_to_put_it_right() {
    let issue = issue();
    insta::assert_snapshot!(
        got(&issue, json!({})),
        @r#"`tools.gh["create-issue"]`: field `title` is missing (string); correct: await tools.gh["create-issue"]({ title: "…" })"#
    );
    insta::assert_snapshot!(
        got(&issue, json!({"titel": "x"})),
        @r#"`tools.gh["create-issue"]`: there is no field `titel`, did you mean `title`?; field `title` is missing (string); correct: await tools.gh["create-issue"]({ title: "x" })"#
    );
    insta::assert_snapshot!(
        got(&issue, json!({"title": "x", "colour": "red"})),
        @r#"`tools.gh["create-issue"]`: there is no field `colour`, only `title`, `state`, `labels`, `assignee`, `priority`; correct: await tools.gh["create-issue"]({ title: "x" })"#
    );
    insta::assert_snapshot!(
        got(&issue, json!({"title": 7})),
        @r#"`tools.gh["create-issue"]`: field `title` must be string, got number 7, did you mean "7"?; correct: await tools.gh["create-issue"]({ title: "7" })"#
    );
    insta::assert_snapshot!(
        got(&issue, json!({"title": "x", "state": "Close"})),
        @r#"`tools.gh["create-issue"]`: field `state` must be one of "open", "closed", got string "Close", did you mean "closed"?; correct: await tools.gh["create-issue"]({ title: "x", state: "closed" })"#
    );
    insta::assert_snapshot!(
        got(&issue, json!({"title": "x", "labels": ["a", 1]})),
        @r#"`tools.gh["create-issue"]`: field `labels[1]` must be string, got number 1, did you mean "1"?; correct: await tools.gh["create-issue"]({ title: "x", labels: ["a", "1"] })"#
    );
    insta::assert_snapshot!(
        got(&issue, json!({"title": "x", "assignee": {"logn": "me"}})),
        @r#"`tools.gh["create-issue"]`: there is no field `assignee.logn`, did you mean `assignee.login`?; field `assignee.login` is missing (string); correct: await tools.gh["create-issue"]({ title: "x", assignee: { login: "me" } })"#
    );
    insta::assert_snapshot!(
        got(&issue, json!({"title": "x", "priority": 9})),
        @r#"`tools.gh["create-issue"]`: field `priority` must be at most 5, got number 9; correct: await tools.gh["create-issue"]({ title: "x", priority: 5 })"#
    );
    insta::assert_snapshot!(
        got(&issue, json!(["x"])),
        @r#"`tools.gh["create-issue"]` takes one object, got an array; correct: await tools.gh["create-issue"]({ title: "…" })"#
    );
    let open = tool(json!({
        "type": "object", "properties": {"message": {"type": "string"}}, "required": ["message"]
    }));
    insta::assert_snapshot!(
        got(&open, json!({"mesage": "hi"})),
        @r#"`tools.gh["create-issue"]`: field `message` is missing (string), did you mean it by `mesage`?; correct: await tools.gh["create-issue"]({ message: "hi" })"#
    );
}

#[test]
fn the_correct_call_in_an_error_is_correct() {
    let issue = issue();
    for wrong in [
        json!({}),
        json!({"titel": 1}),
        json!({"title": 7, "assignee": {}, "labels": "x", "priority": -3}),
        json!({"state": "x"}),
    ] {
        let filled = example::arguments(&issue.input_schema.value(), Some(&wrong)).unwrap();
        assert!(check(&issue, &filled.to_string()).is_ok(), "{wrong} gave {filled}");
    }
}

#[test]
fn what_is_not_json_is_said_to_be_so() {
    assert!(check(&issue(), "{nope").unwrap_err().message.contains("are not JSON"));
}

#[test]
fn a_reference_to_elsewhere_is_not_followed_and_leaves_the_arguments_to_the_upstream() {
    let remote = tool(
        json!({"type": "object", "properties": {"a": {"$ref": "https://example.com/schema.json"}}}),
    );
    assert_eq!(check(&remote, r#"{"a": 1}"#).map(Value::Object), Ok(json!({"a": 1})));
}

#[test]
fn a_pattern_that_never_ends_is_cut_short() {
    let evil = tool(json!({
        "type": "object", "properties": {"a": {"type": "string", "pattern": "^(a|a)*\\1$"}}
    }));
    let began = CpuTimer::start();
    let _ = check(&evil, &json!({"a": "a".repeat(60)}).to_string());
    assert!(began.elapsed() < std::time::Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn a_value_of_the_wrong_type_that_can_only_mean_one_thing_is_put_right_in_the_example_and_never_taken()
 {
    let page = tool(json!({
        "type": "object",
        "properties": {
            "page": {"type": "integer"}, "all": {"type": "boolean"},
            "labels": {"type": "array", "items": {"type": "string"}},
            "id": {"type": "string"},
            "filter": {"type": "object", "properties": {"a": {"type": "number"}}},
        },
    }));
    let wrong =
        json!({"page": "5", "all": "true", "labels": "bug", "id": 7, "filter": "{\"a\": 1}"});
    insta::assert_snapshot!(
        got(&page, wrong),
        @r#"`tools.gh["create-issue"]`: field `page` must be integer, got string "5", did you mean 5?; field `all` must be boolean, got string "true", did you mean true?; field `labels` must be string[], got string "bug", did you mean ["bug"]?; field `id` must be string, got number 7, did you mean "7"?; field `filter` must be { a?: number }, got string "{\"a\": 1}", did you mean { a: 1 }?; correct: await tools.gh["create-issue"]({ page: 5, all: true, labels: ["bug"], id: "7", filter: { a: 1 } })"#
    );
}

#[test]
fn an_integer_is_told_from_other_numbers() {
    let get = tool(json!({
        "properties": {
            "id": {"type": "integer"}, "at": {"type": ["integer", "null"]},
            "share": {"type": "number"}
        },
        "required": ["id"],
    }));
    let wrong = json!({"id": 1.5, "at": "now", "share": "all"});
    insta::assert_snapshot!(
        got(&get, wrong),
        @r#"`tools.gh["create-issue"]`: field `id` must be integer, got number 1.5; field `at` must be integer | null, got string "now"; field `share` must be number, got string "all"; correct: await tools.gh["create-issue"]({ id: 1, at: 1, share: 1 })"#
    );
    assert_eq!(
        get.checker().and_then(|checker| checker.allows(&json!({"id": 1.0}), 1_000)),
        Some(true)
    );
}

#[test]
fn of_several_forms_the_one_that_was_meant_is_told() {
    let notify = tool(json!({
        "type": "object",
        "properties": {
            "target": {
                "oneOf": [
                    {
                        "type": "object",
                        "properties": {"kind": {"const": "user"}, "login": {"type": "string"}},
                        "required": ["kind", "login"], "additionalProperties": false
                    },
                    {
                        "type": "object",
                        "properties": {
                            "kind": {"const": "team"}, "slug": {"type": "string", "minLength": 3}
                        },
                        "required": ["kind", "slug"], "additionalProperties": false
                    },
                    {"type": "null"},
                ],
            },
        },
        "required": ["target"],
    }));
    insta::assert_snapshot!(
        got(&notify, json!({"target": {"kind": "team", "slg": "core"}})),
        @r#"`tools.gh["create-issue"]`: field `target.slug` is missing (string), did you mean it by `target.slg`?; there is no field `target.slg`, did you mean `target.slug`?; correct: await tools.gh["create-issue"]({ target: { kind: "team", slug: "core" } })"#
    );
    insta::assert_snapshot!(
        got(&notify, json!({"target": 7})),
        @r#"`tools.gh["create-issue"]`: field `target` must be { kind: "user"; login: string } | { kind: "team"; slug: string } | null, got number 7; correct: await tools.gh["create-issue"]({ target: { kind: "user", login: "…" } })"#
    );
}

#[test]
fn all_faults_are_told_at_once_and_no_more_than_fit() {
    let properties: serde_json::Map<String, Value> =
        (0..40).map(|n| (format!("f{n}"), json!({"type": "string"}))).collect();
    let wide = tool(json!({"type": "object", "properties": properties}));
    let wrong: serde_json::Map<String, Value> =
        (0..40).map(|n| (format!("f{n}"), json!([]))).collect();
    let message = got(&wide, Value::Object(wrong));
    assert_eq!(message.matches("must be string").count(), FAULTS_MAX, "{message}");
    assert!(message.contains("; and more; "), "{message}");
}

#[test]
fn an_example_that_cannot_be_made_right_does_not_say_that_it_is() {
    let coded = tool(json!({
        "type": "object",
        "properties": {"code": {"type": "string", "pattern": "^[A-Z]{3}-[0-9]+$"}},
        "required": ["code"]
    }));
    let message = got(&coded, json!({}));
    assert!(message.contains("; like: await ") && !message.contains("correct:"), "{message}");
    let combined = tool(json!({
        "type": "object",
        "allOf": [
            {"properties": {"a": {"type": "string", "format": "date"}}, "required": ["a"]},
            {
                "properties": {"b": {
                    "type": "array", "items": {"type": "integer", "minimum": 3}, "minItems": 2
                }},
                "required": ["b"]
            },
        ],
    }));
    insta::assert_snapshot!(
        got(&combined, json!({})),
        @r#"`tools.gh["create-issue"]`: field `a` is missing (string); field `b` is missing (integer[]); correct: await tools.gh["create-issue"]({ a: "2026-01-31", b: [3, 3] })"#
    );
}

#[test]
fn a_field_beside_the_body_that_belongs_into_it_is_told_and_moved_there() {
    let create = tool(json!({
        "type": "object",
        "properties": {
            "owner": {"type": "string"}, "repo": {"type": "string"},
            "body": {"$ref": "#/$defs/issue"},
            "$response": {"type": "boolean"},
        },
        "required": ["owner", "repo", "body"],
        "additionalProperties": false,
        "$defs": {"issue": {
            "type": "object",
            "properties": {
                "title": {"type": "string"}, "body": {"type": "string"},
                "state": {"enum": ["open", "closed"]}
            },
            "required": ["title"],
        }},
    }));
    insta::assert_snapshot!(got(&create, json!({"owner": "octo", "repo": "hello", "title": "It \
        breaks"})), @r#"`tools.gh["create-issue"]`: field `body` is missing ({ title: string; body?: string; state?: "open" | "closed" }); field `title` belongs in `body`: write `body.title`; correct: await tools.gh["create-issue"]({ owner: "octo", repo: "hello", body: { title: "It breaks" } })"#);
    insta::assert_snapshot!(got(&create, json!({"owner": "octo", "repo": "hello", "title": "It \
        breaks", "body": "so much"})), @r#"`tools.gh["create-issue"]`: field `body` must be { title: string; body?: string; state?: "open" | "closed" }, got string "so much"; field `title` belongs in `body`: write `body.title`; correct: await tools.gh["create-issue"]({ owner: "octo", repo: "hello", body: { title: "It breaks", body: "so much" } })"#);
    insta::assert_snapshot!(
        got(
            &create,
            json!({"owner": "octo", "repo": "hello", "body": {"title": "x", "state": "shut"}})
        ),
        @r#"`tools.gh["create-issue"]`: field `body.state` must be one of "open", "closed", got string "shut"; correct: await tools.gh["create-issue"]({ owner: "octo", repo: "hello", body: { title: "x", state: "open" } })"#
    );
}

/// Each of `n` schemas leads to the next twice.
fn fan(n: usize, keyword: &str) -> Tool {
    let link =
        |at: usize| json!({ keyword: vec![json!({"$ref": format!("#/$defs/a{}", at + 1)}); 2] });
    let mut all: JsonObject = (0..n).map(|at| (format!("a{at}"), link(at))).collect();
    all.insert(format!("a{n}"), json!({"type": "string"}));
    tool(json!({"properties": {"x": {"$ref": "#/$defs/a0"}}, "required": ["x"], "$defs": all}))
}

#[test]
fn a_schema_that_would_take_for_ever_leaves_the_arguments_to_the_upstream() {
    let began = CpuTimer::start();
    for keyword in ["anyOf", "oneOf", "allOf"] {
        assert!(check(&fan(40, keyword), r#"{"x": 1}"#).is_ok());
        // What is missing is told all the same: the schema that takes long is not asked.
        let message = got(&fan(40, keyword), json!({}));
        assert!(message.contains("field `x` is missing"), "{message}");
        let message = got(&fan(18, keyword), json!({"x": 1}));
        let expected = if keyword == "allOf" {
            "field `x` must be"
        } else {
            "to say where would take too long"
        };
        assert!(message.contains(expected), "{message}");
    }
    assert!(began.elapsed() < std::time::Duration::from_secs(10), "{:?}", began.elapsed());
}

#[test]
fn a_row_of_references_that_would_take_all_of_the_stack_is_not_followed() {
    let link = |at: usize| json!({"anyOf": [{"$ref": format!("#/$defs/a{}", at + 1)}]});
    let mut all: JsonObject = (0..5_000).map(|at| (format!("a{at}"), link(at))).collect();
    all.insert("a5000".to_owned(), json!({"type": "string"}));
    let long = tool(json!({"properties": {"x": {"$ref": "#/$defs/a0"}}, "$defs": all}));
    assert!(check(&long, r#"{"x": 1}"#).is_ok());
}

#[test]
fn many_arguments_are_checked_and_not_every_fault_of_them_is_told() {
    let lists = tool(json!({"properties": {"x": {"type": "array", "items": {"type": "string"}}}}));
    assert!(check(&lists, &json!({"x": vec!["a"; 500_000]}).to_string()).is_ok());
    let message = got(&lists, json!({"x": vec![1; 500_000]}));
    assert!(
        message.contains(
            "field `x[0]` must be string, got number 1, did you mean \"1\"?, and perhaps more"
        ),
        "{message}"
    );
    let forms = tool(json!({"properties": {"x": {
        "type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "null"}]}
    }}}));
    assert!(check(&forms, &json!({"x": vec!["a"; 500_000]}).to_string()).is_ok());
    let message = got(&forms, json!({"x": vec![1; 500_000]}));
    assert!(message.contains("to say where would take too long"), "{message}");
}

#[test]
fn patterns_that_grow_are_not_compiled() {
    let grown: Vec<Value> =
        (0..200).map(|at| json!({"pattern": format!("^{at}\\p{{L}}{{200}}$")})).collect();
    let began = CpuTimer::start();
    assert!(check(&tool(json!({"properties": {"x": {"anyOf": grown}}})), r#"{"x": 1}"#).is_ok());
    assert!(began.elapsed() < std::time::Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn an_example_has_a_bound_whatever_refers_to_what() {
    let list = json!({"type": "array", "items": {"$ref": "#"}});
    let properties: JsonObject = (0..2_000).map(|at| (format!("f{at}"), list.clone())).collect();
    let names: Vec<String> = properties.keys().cloned().collect();
    let itself = tool(json!({"type": "object", "properties": properties, "required": names}));
    let began = CpuTimer::start();
    let message = got(&itself, json!({"x": 1}));
    assert!(
        message.ends_with("like: await tools.gh[\"create-issue\"]({ … })"),
        "{}",
        cut(&message, 500)
    );
    assert!(
        message.len() < 100_000 && began.elapsed() < std::time::Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    let long = tool(json!({
        "properties": {"x": {"const": "x".repeat(100_000)}, "y": {"type": "string"}},
        "required": ["x", "y"]
    }));
    assert!(got(&long, json!({})).ends_with("({ … })"));
}

#[tokio::test]
async fn what_takes_a_moment_is_checked_elsewhere_and_says_the_same() {
    let issue = Arc::new(issue());
    let right = r#"{"title": "x"}"#;
    assert_eq!(check_offloaded(&issue, right).await, check(&issue, right));
    let large = json!({"title": "x", "labels": vec!["a"; 100_000]}).to_string();
    assert_eq!(check_offloaded(&issue, &large).await, check(&issue, &large));
    for wrong in ["", "[]", "{nope", r#"{"titel": 1}"#, r#"{"title": 7, "labels": [1]}"#] {
        assert_eq!(
            check_offloaded(&issue, wrong).await.unwrap_err(),
            check(&issue, wrong).unwrap_err(),
            "{wrong}"
        );
    }
}

#[test]
fn a_large_integer_takes_the_type_that_the_schema_wants() {
    let rows = tool(json!({
        "type": "object",
        "properties": {
            "id": {"type": "integer"},
            "maybe": {"anyOf": [{"$ref": "#/$defs/long"}, {"type": "null"}]},
            "ids": {"type": "array", "items": {"type": ["integer", "null"]}},
            "name": {"type": "string"},
            "either": {"type": ["string", "integer"]},
            "a/b~c": {"type": "integer"},
            "any": {},
        },
        "$defs": {"long": {"type": "integer", "format": "int64"}},
    }));
    let large = 7_310_448_219_005_560_003_u64;
    let text = large.to_string();
    let args = json!({
        "id": text, "maybe": text, "ids": [text, null, 5], "name": large, "either": text,
        "a/b~c": text, "any": text,
    });
    assert_eq!(
        Value::Object(check(&rows, &args.to_string()).unwrap()),
        json!({
            "id": large, "maybe": large, "ids": [large, null, 5], "name": text, "either": text,
            "a/b~c": large, "any": text,
        })
    );
    for (wrong, message) in [
        (r#"{"id": "5"}"#, r#"got string "5", did you mean 5?"#),
        (r#"{"id": "18446744073709551616"}"#, "field `id` must be integer"),
        (r#"{"id": "7310448219005560003x"}"#, "field `id` must be integer"),
        (r#"{"id": "7310448219005560003", "name": []}"#, "did you mean 7310448219005560003n?"),
        (r#"{"id": 7.31044821900556e18}"#, "field `id` is 7310448219005560000, an integer beyond"),
        (r#"{"ids": [1, 1e19]}"#, "field `ids[1]` is 10000000000000000000, an integer beyond"),
    ] {
        let error = check(&rows, wrong).unwrap_err().message;
        assert!(error.contains(message), "{wrong}: {error}");
    }
    let float = tool(json!({"properties": {"x": {"type": "number"}, "y": {}}}));
    assert!(check(&float, r#"{"x": 7.3e18, "y": 7.3e18}"#).is_ok());
}
