use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use serde_json::json;

use super::*;
use crate::catalog::tool::OfferedTool;

fn tool() -> Tool {
    Tool::admit(
        &Arc::from("shop"),
        OfferedTool { name: "query.order".to_owned(), ..OfferedTool::default() },
    )
    .unwrap()
}

fn answer(status: u16, body: &str) -> ServiceAnswer {
    ServiceAnswer {
        status: StatusCode::from_u16(status).unwrap(),
        headers: HeaderMap::new(),
        body: body.to_owned().into(),
        truncated: false,
        permit: None,
        moved_to: None,
    }
}

fn unwrapped(status: u16, body: &str, may_repeat: bool) -> Result<String, Failed> {
    unwrap(&tool(), "order", &answer(status, body), may_repeat)
        .map(|value| value.json.get().to_owned())
}

/// The failed fields of a mutation's response, or the error.
fn mutated(value: Value, errors: Value) -> Result<(String, Vec<FieldPath>), String> {
    let body = json!({"data": {"order": value}, "errors": errors}).to_string();
    let answer = ServiceAnswer {
        status: StatusCode::OK,
        headers: HeaderMap::new(),
        body: body.into(),
        truncated: false,
        permit: None,
        moved_to: None,
    };
    let value = unwrap(&tool(), "order", &answer, false).map_err(|failed| failed.error.message)?;
    let partial = value.partial.unwrap();
    Ok((partial.message, partial.fields))
}

#[test]
fn a_mutation_of_whose_answer_only_fields_failed_is_answered() {
    let margin = || json!([{"message": "no right", "path": ["order", "supplier", "margin"]}]);
    let (got, fields) = mutated(json!({"id": 7, "supplier": {"margin": null}}), margin()).unwrap();
    assert_eq!(got, "no right at `order.supplier.margin`");
    assert_eq!(fields, [["supplier".to_owned(), "margin".to_owned()]]);
    for (value, errors) in [
        (json!({"id": 7}), json!([{"message": "no right"}])),
        (json!({"id": 7}), json!([{"message": "no right", "path": ["order"]}])),
        (
            json!({"id": 7}),
            json!([{"message": "no right", "path": ["order", "margin"]}, {"message": "?"}]),
        ),
        // Nothing says that it was done.
        (
            json!({"__typename": "Payload", "order": null, "lines": [null]}),
            json!([{"message": "x", "path": ["order", "order"]}]),
        ),
        (json!(null), margin()),
    ] {
        let error = mutated(value.clone(), errors).unwrap_err();
        assert!(error.contains("the mutation had begun"), "{value}: {error}");
    }
    let error = mutated(json!(null), margin()).unwrap_err();
    assert!(
        error.contains(
            "at `order.supplier.margin`; leave it out with `select`; the mutation had begun"
        ),
        "{error}"
    );
    // A null that reached the top, of a field that may not be null.
    let body = json!({"data": null, "errors": margin()}).to_string();
    let error = unwrapped(200, &body, false).unwrap_err().error.message;
    assert!(error.contains("leave it out with `select`; the mutation had begun"), "{error}");
    // Of a query it is enough that something came.
    for errors in
        [margin(), json!([{"message": "slow"}]), json!([{"message": "x", "path": ["order"]}])]
    {
        let body = json!({"data": {"order": {"id": 7}}, "errors": errors}).to_string();
        assert_eq!(unwrapped(200, &body, true).unwrap(), r#"{"id":7}"#);
    }
}

#[test]
fn the_value_under_the_field_is_the_answer_as_it_came() {
    assert_eq!(
        unwrapped(200, r#"{"data": {"order": {"id": 1, "big": 12345678901234567890}}}"#, true)
            .unwrap(),
        r#"{"id": 1, "big": 12345678901234567890}"#
    );
    assert_eq!(
        unwrapped(200, r#"{"errors": [], "data": {"order": null}, "extensions": {}}"#, true)
            .unwrap(),
        "null"
    );
}

#[test]
fn errors_are_told_with_words_code_and_place() {
    let body = json!({"data": {"order": null}, "errors": [
        {
            "message": "Not found", "path": ["order", "items", 0, "sku"],
            "extensions": {"code": "NOT_FOUND"}
        },
        {"message": "Slow", "type": "LATE"},
    ]});
    let error = unwrapped(200, &body.to_string(), true).unwrap_err().error;
    assert_eq!(
        (error.code, error.status, error.retryable),
        (UpstreamErrorCode::ToolFailed, None, false)
    );
    assert_eq!(
        error.message,
        "`shop.query.order` failed: Not found (NOT_FOUND) at `order.items[0].sku`; Slow (LATE)"
    );
    let many: Vec<Value> =
        (0..50).map(|n| json!({"message": format!("{n} {}", "é".repeat(5_000))})).collect();
    let error = unwrapped(200, &json!({ "errors": many }).to_string(), true).unwrap_err().error;
    assert!(
        error.message.ends_with("and 45 more errors") && error.message.len() < 4_096,
        "{}",
        error.message.len()
    );
    for odd in [
        json!({"errors": [{}]}),
        json!({"errors": [{"message": 1, "path": [null], "extensions": "x", "type": []}]}),
    ] {
        assert!(
            unwrapped(200, &odd.to_string(), true)
                .unwrap_err()
                .error
                .message
                .contains("it does not say why"),
            "{odd}"
        );
    }
}

#[test]
fn what_came_beside_errors_is_told_when_small_and_named_when_not() {
    let with = |value: Value| {
        json!({"data": {"order": value}, "errors": [{"message": "no right"}]}).to_string()
    };
    let error = unwrapped(200, &with(json!({"id": 7})), false).unwrap_err().error;
    assert!(error.message.contains(r#"; the rest of the answer: {"id":7}"#), "{}", error.message);
    let error = unwrapped(200, &with(json!("x".repeat(2_000))), false).unwrap_err().error;
    assert!(
        error.message.contains("2002 bytes, is dropped") && error.message.contains("`select`"),
        "{}",
        error.message
    );
}

#[test]
fn statuses_say_whether_a_second_try_does_no_harm() {
    for (status, may_repeat, retryable) in [
        (429, false, true),
        (503, false, false),
        (500, true, true),
        (500, false, false),
        (404, true, false),
    ] {
        for body in ["<html>", r#"{"errors": [{"message": "x"}]}"#, ""] {
            let error = unwrapped(status, body, may_repeat).unwrap_err().error;
            assert_eq!(
                (error.code, error.status, error.retryable),
                (UpstreamErrorCode::Refused, Some(status), retryable),
                "{body}"
            );
        }
    }
    let throttled = r#"{"errors": [{"message": "x", "extensions": {"code": "THROTTLED"}}]}"#;
    assert!(unwrapped(200, throttled, false).unwrap_err().error.retryable);
}

#[test]
fn what_is_no_graphql_is_said_to_be_so() {
    for body in [
        "",
        "<html>welcome</html>",
        "[]",
        "3",
        "{\"data\": {",
        "{\"data\": 3}",
        "{\"data\": null}",
        "{}",
        "{\"data\": {\"other\": 1}}",
    ] {
        let error = unwrapped(200, body, true).unwrap_err().error;
        assert_eq!(error.code, UpstreamErrorCode::BadAnswer, "{body}: {error}");
    }
    assert!(
        unwrapped(200, "<html>welcome", true)
            .unwrap_err()
            .error
            .message
            .ends_with("not GraphQL: <html>welcome")
    );
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(unwrapped(200, &format!("{{\"data\": {{\"order\": {deep}}}}}"), true).is_ok());
}

#[test]
fn a_service_that_does_not_know_its_own_schema_has_another_one() {
    let body = |error: Value| json!({"errors": [error]}).to_string();
    let stale = |error: Value| unwrapped(400, &body(error), true).unwrap_err().is_stale;
    assert!(stale(json!({"message": "Cannot query field \"x\" on type \"Order\"."})));
    assert!(stale(json!({"message": "?", "extensions": {"code": "GRAPHQL_VALIDATION_FAILED"}})));
    assert!(!stale(json!({"message": "Not found", "extensions": {"code": "NOT_FOUND"}})));
}

#[test]
fn a_whole_value_comes_beside_errors_that_are_none() {
    for is_query in [true, false] {
        for errors in ["null", "false", "0", "[]", r#""  ""#] {
            let body = format!(r#"{{"data": {{"order": {{"id": 7}}}}, "errors": {errors}}}"#);
            let got = answered(&body, is_query).unwrap();
            assert_eq!(got, (r#"{"id": 7}"#.to_owned(), None, None), "{errors}");
        }
        for (errors, said) in [
            (json!({}), "it does not say why"),
            (json!({"message": "old client"}), "old client"),
            (json!([null]), "it does not say why"),
            (json!(["old client", 7]), "old client; it does not say why"),
            (json!("old client"), "old client"),
        ] {
            let body = json!({"data": {"order": {"id": 7}}, "errors": errors}).to_string();
            let (value, partial, _) = answered(&body, is_query).unwrap();
            assert_eq!((value.as_str(), partial.as_deref()), (r#"{"id":7}"#, Some(said)));
            // Without a value they say why there is none.
            let body = json!({"data": {"order": null}, "errors": errors}).to_string();
            let error = unwrapped(200, &body, is_query).unwrap_err().error;
            assert!(error.message.contains(said), "{}", error.message);
        }
        for path in ["order.lines[0].cost", "$.order/lines/0/cost"] {
            let errors = json!([{"message": "no cost", "path": path}]);
            let body = json!({"data": {"order": {"id": 7}}, "errors": errors}).to_string();
            let (_, partial, _) = answered(&body, is_query).unwrap();
            assert_eq!(partial.as_deref(), Some("no cost at `order.lines[0].cost`"));
        }
    }
    // An error as it should be is the mutation's.
    let body = json!({"data": {"order": {"id": 7}}, "errors": ["x", {"message": "no right"}]});
    let error = unwrapped(200, &body.to_string(), false).unwrap_err().error;
    assert!(error.message.contains("the mutation had begun"), "{}", error.message);
}

/// The value, the errors beside it and what was repaired.
fn answered(
    body: &str,
    may_repeat: bool,
) -> Result<(String, Option<String>, Option<String>), String> {
    let got = unwrap(&tool(), "order", &answer(200, body), may_repeat);
    got.map(|got| {
        (got.json.get().to_owned(), got.partial.map(|partial| partial.message), got.repairs)
    })
    .map_err(|failed| failed.error.message)
}

#[test]
fn an_answer_that_is_nearly_json_is_repaired_and_told() {
    let marked = "\u{feff}{\"data\": {\"order\": 1}}";
    assert_eq!(answered(marked, false), Ok(("1".to_owned(), None, None)));
    for (body, value) in [
        (r#"{"data": {"order": {"cost": NaN}}}"#, r#"{"cost": null}"#),
        (r#"{"data": {"order": [-Infinity]}}"#, "[null]"),
        (r#"{"data": {"order": {"id": 1,}},}"#, r#"{"id": 1}"#),
    ] {
        let (got, _, repairs) = answered(body, false).unwrap();
        assert_eq!(got, value);
        assert!(repairs.is_some_and(|repairs| repairs.starts_with(['1', '2'])), "{body}");
    }
}

#[test]
fn a_mutation_whose_answer_does_not_say_it_may_have_been_performed() {
    let unknown = "it is not known whether the mutation took effect";
    for (status, body) in [
        (200, "{\"data\":{\"order\":"),
        (200, ""),
        (200, "<h1>Sign in</h1>"),
        (200, "{}"),
        (200, r#"{"data": {}}"#),
        (200, r#"{"message": "later"}"#),
        (500, "<h1>oops</h1>"),
        (500, r#"{"errors": [{"message": "oops"}]}"#),
        (502, ""),
        (504, r#"{"message": "late"}"#),
        (408, ""),
    ] {
        let of = |may_repeat| unwrapped(status, body, may_repeat).unwrap_err().error.message;
        assert!(of(false).contains(unknown), "{status} {body}: {}", of(false));
        assert!(!of(true).contains(unknown), "{status} {body}: {}", of(true));
    }
    for (status, body) in [(400, ""), (404, "<p>"), (403, r#"{"errors": [{"message": "x"}]}"#)] {
        let message = unwrapped(status, body, false).unwrap_err().error.message;
        assert!(!message.contains(unknown), "{message}");
    }
}

#[test]
fn what_a_service_says_in_place_of_an_answer_is_told() {
    for (body, words) in [
        (r#"{"message": "Not logged in"}"#, "Not logged in"),
        (r#"{"error": {"reason": "asleep"}}"#, "asleep"),
        (r#"{"errors": null, "detail": "gone"}"#, "gone"),
    ] {
        let message = unwrapped(200, body, true).unwrap_err().error.message;
        assert!(message.contains("has no `order`") && message.contains(words), "{message}");
    }
    for (status, body) in [
        (200, r#"{"message": "Not logged in"}"#),
        (200, r#"{"errors": [{"message": "x", "extensions": {"code": 401}}]}"#),
        (200, r#"{"errors": ["jwt expired"]}"#),
        (401, ""),
    ] {
        let message = unwrapped(status, body, true).unwrap_err().error.message;
        assert!(message.contains("`airlock upstreams login shop`"), "{message}");
    }
}

#[test]
fn an_answer_over_its_bound_is_refused_with_the_bound() {
    let body = json!({"data": {"order": "x".repeat(ANSWER_BYTES_MAX)}}).to_string();
    let error = unwrapped(200, &body, true).unwrap_err().error;
    assert_eq!(error.code, UpstreamErrorCode::AnswerTooLarge);
}

#[test]
fn a_field_that_nobody_may_see_is_told_from_one_that_failed_once() {
    let denied = |value: Value, errors: Value| {
        let body = json!({"data": {"order": value}, "errors": errors}).to_string();
        let answer = ServiceAnswer {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: body.into(),
            truncated: false,
            permit: None,
            moved_to: None,
        };
        let partial = unwrap(&tool(), "order", &answer, true).unwrap().partial.unwrap();
        partial.denied.iter().map(|path| path.join(".")).collect::<Vec<_>>()
    };
    let at = |place: Value, error: Value| {
        let mut error = error;
        error["path"] = place;
        error
    };
    let secret = json!(["order", "lines", 0, "secret"]);
    let forbidden = json!({"message": "x", "extensions": {"code": "FORBIDDEN"}});
    let lines = |second: Value| json!({"id": 1, "lines": [{"secret": null}, {"secret": second}]});
    for (value, errors, expected) in [
        (lines(Value::Null), json!([at(secret.clone(), forbidden.clone())]), &["lines.secret"][..]),
        (
            lines(Value::Null),
            json!([at(secret.clone(), json!({"message": "You may not"}))]),
            &["lines.secret"],
        ),
        // Somewhere it has a value, or it is not only rights that it failed for.
        (lines(json!(1)), json!([at(secret.clone(), forbidden.clone())]), &[]),
        (lines(Value::Null), json!([at(secret.clone(), json!({"message": "lost"}))]), &[]),
        (
            lines(Value::Null),
            json!([
                at(secret.clone(), forbidden.clone()),
                at(json!(["order", "lines", 1, "secret"]), json!({"message": "lost"}))
            ]),
            &[],
        ),
        (
            lines(Value::Null),
            json!([at(
                secret,
                json!({"message": "forbidden",
            "extensions": {"code": "INTERNAL"}})
            )]),
            &[],
        ),
    ] {
        assert_eq!(denied(value.clone(), errors.clone()), expected, "{value} {errors}");
    }
}
