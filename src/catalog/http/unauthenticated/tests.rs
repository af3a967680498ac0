use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::json;

use super::*;

fn answer(status: u16, body: &str) -> ServiceAnswer {
    ServiceAnswer {
        status: StatusCode::from_u16(status).unwrap(),
        headers: HeaderMap::new(),
        body: Bytes::from(body.to_owned()),
        truncated: false,
        moved_to: None,
        permit: None,
    }
}

fn of(body: &Value) -> Refusal {
    refusal(&answer(200, &body.to_string()))
}

#[test]
fn a_refusal_is_found_wherever_a_service_says_it() {
    for error in [
        json!({"message": "x", "extensions": {"code": "UNAUTHENTICATED"}}),
        json!({"message": "x", "type": "unauthorized"}),
        json!({"extensions": {"path": "$", "code": "invalid-jwt"}}),
        json!({"extensions": {"classification": "Unauthenticated"}}),
        json!({"extensions": {"http": {"status": 401, "headers": {}}}}),
        json!({"extensions": {"code": 401}}),
        json!({"extensions": {"originalError": {"statusCode": 401}}}),
        json!({"extensions": {"response": {"status": "401"}}}),
        json!({"status": "401 UNAUTHORIZED"}),
        json!({"errorType": "UnauthorizedException", "message": "Token has expired."}),
        json!({"extensions": {"category": "authentication"}}),
        json!({"extensions": {"code": "AUTH_NOT_AUTHENTICATED"}}),
        json!({"code": "TOKEN_EXPIRED"}),
    ] {
        for data in [json!(null), json!({}), json!({"me": null})] {
            let body = json!({"data": data, "errors": [{"message": "other"}, error]});
            assert_eq!(of(&body), Refusal::Certain, "{body}");
        }
        // A field was begun.
        let mut begun = error.clone();
        begun["path"] = json!(["me"]);
        assert_eq!(of(&json!({"data": null, "errors": [begun]})), Refusal::Likely, "{error}");
        let body = json!({"data": {"me": 1}, "errors": [error]});
        assert_eq!(of(&body), Refusal::None, "{body}");
    }
    for body in [
        json!({"error": "invalid_token", "error_description": "gone"}),
        json!({"error": {"code": 401, "message": "gone"}}),
        json!({"errors": {"code": "UNAUTHENTICATED"}}),
        json!({"message": "x", "statusCode": 401}),
        json!({"errors": null, "message": "x", "code": "Unauthenticated"}),
    ] {
        assert_eq!(of(&body), Refusal::Certain, "{body}");
    }
}

#[test]
fn words_alone_are_likely_a_refusal() {
    for body in [
        json!({"errors": ["Not Authenticated"]}),
        json!({"errors": "[API] Invalid API key or access token (unrecognized login)"}),
        json!({"errors": [{"message": "jwt expired", "errcode": "22023"}]}),
        json!({"errors": [{"message": "Unauthorized."}]}),
        json!({"errors": [{"message": "Authentication hook unauthorized this request",
            "extensions": {"code": "access-denied"}}]}),
        json!({"message": "You must be logged in"}),
    ] {
        assert_eq!(of(&body), Refusal::Likely, "{body}");
    }
}

#[test]
fn what_holds_data_or_fails_otherwise_is_none() {
    for body in [
        json!({"data": [1], "errors": [{"extensions": {"code": "UNAUTHENTICATED"}}]}),
        json!({"errors": [{"extensions": {"code": "FORBIDDEN"}, "message": "Unauthorized"}]}),
        json!({"errors": [{"extensions": {"code": "AUTH_NOT_AUTHORIZED"}}]}),
        json!({"errors": [{"extensions": {"http": {"status": 403}}}]}),
        json!({"errors": [{"message": "no order 401"}]}),
        json!({"errors": []}),
        json!({"errors": false}),
        json!({"data": {"me": {"error": "invalid_token"}}}),
        json!([]),
    ] {
        assert_eq!(of(&body), Refusal::None, "{body}");
    }
    for (status, body) in [
        (200, ""),
        (200, "nothing"),
        (500, r#"{"errors":[{"extensions":{"code":"UNAUTHENTICATED"}}]}"#),
    ] {
        assert_eq!(refusal(&answer(status, body)), Refusal::None, "{body}");
    }
}

#[test]
fn an_answer_that_says_nothing_else_is_a_refusal() {
    let is = |body: Value| is_only_refusal(&answer(200, &body.to_string()));
    for body in [
        json!({"error": "invalid_token"}),
        json!({"error": "expired_token", "error_description": "It is over."}),
        json!({"ok": false, "error": "token_expired"}),
        json!({"error": "Unauthorized", "message": "x", "statusCode": 401}),
    ] {
        assert!(is(body.clone()), "{body}");
    }
    for body in [
        json!({"error": "invalid_token", "orders": []}),
        json!({"error": "invalid_grant"}),
        json!({"error": {"code": "invalid_token"}}),
        json!({"code": 401}),
        json!({"message": "jwt expired"}),
        json!(["invalid_token"]),
    ] {
        assert!(!is(body.clone()), "{body}");
    }
}
