//! Finds a refused credential in an answer that looks like a success: GraphQL services answer 200
//! and say it in `errors`. Pure.

use serde_json::value::RawValue;

use super::message::ServiceAnswer;
use crate::base::json::members::{present_members, scalar};

/// Largest body that is looked at; a refusal says little.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Codes by which services say that nobody is logged in, in capital letters.
const CODES: [&str; 6] = [
    "AUTHENTICATION_ERROR",
    "AUTHENTICATION_REQUIRED",
    "INVALID_TOKEN",
    "TOKEN_EXPIRED",
    "UNAUTHENTICATED",
    "UNAUTHORIZED",
];

/// Returns true if the answer says that the credential was refused, and nothing was done: it holds
/// no data, and an error with such a code, which for a request that may not be repeated names no
/// field that was begun.
pub(super) fn is_refusal(answer: &ServiceAnswer, may_repeat: bool) -> bool {
    if !answer.status.is_success() || answer.body.len() > BODY_BYTES_MAX {
        return false;
    }
    let Ok(text) = std::str::from_utf8(&answer.body) else { return false };
    let Ok([data, Some(errors)]) = present_members(text, ["data", "errors"]) else { return false };
    let errors = serde_json::from_str::<Vec<&RawValue>>(errors.get()).unwrap_or_default();
    let has_data = data.is_some_and(|data| holds_something(data.get()));
    let is_begun = |error: &&RawValue| {
        present_members(error.get(), ["path"]).is_ok_and(|[path]| path.is_some())
    };
    !has_data
        && errors.iter().any(|error| is_refused(error))
        && (may_repeat || !errors.iter().any(is_begun))
}

/// Returns true if an object has a member that is not null.
fn holds_something(data: &str) -> bool {
    type Members<'t> = std::collections::BTreeMap<std::borrow::Cow<'t, str>, &'t RawValue>;
    serde_json::from_str::<Members<'_>>(data)
        .map_or(true, |members| members.values().any(|member| member.get() != "null"))
}

fn is_refused(error: &RawValue) -> bool {
    let Ok([extensions, kind]) = present_members(error.get(), ["extensions", "type"]) else {
        return false;
    };
    let code = extensions.and_then(|all| present_members(all.get(), ["code"]).ok()?[0]);
    let code = code.or(kind).and_then(scalar).unwrap_or_default();
    CODES.contains(&code.to_ascii_uppercase().as_str())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, StatusCode};

    use super::*;

    fn refused(status: u16, body: &'static str, may_repeat: bool) -> bool {
        let answer = ServiceAnswer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: Bytes::from_static(body.as_bytes()),
            truncated: false,
            moved_to: None,
            permit: None,
        };
        is_refusal(&answer, may_repeat)
    }

    #[test]
    fn a_refusal_is_found_within_a_success() {
        for body in [
            r#"{"errors":[{"message":"x","extensions":{"code":"UNAUTHENTICATED"}}]}"#,
            r#"{"data":null,"errors":[{"message":"x","extensions":{"code":"unauthenticated"}}]}"#,
            r#"{"data":{"me":null},"errors":[{"message":"x","type":"UNAUTHORIZED"}]}"#,
        ] {
            assert!(refused(200, body, false) && refused(200, body, true), "{body}");
        }
        let begun = r#"{"data":{"me":null},
            "errors":[{"path":["me"],"extensions":{"code":"UNAUTHENTICATED"}}]}"#;
        assert!(refused(200, begun, true) && !refused(200, begun, false));
    }

    #[test]
    fn what_holds_data_or_fails_otherwise_is_none() {
        for (status, body) in [
            (200, r#"{"data":{"me":1},"errors":[{"extensions":{"code":"UNAUTHENTICATED"}}]}"#),
            (200, r#"{"data":[1],"errors":[{"extensions":{"code":"UNAUTHENTICATED"}}]}"#),
            (200, r#"{"errors":[{"message":"UNAUTHENTICATED"}]}"#),
            (200, r#"{"errors":[{"extensions":{"code":"FORBIDDEN"}}]}"#),
            (200, r#"{"errors":"UNAUTHENTICATED"}"#),
            (200, r#"{"errors":[]}"#),
            (200, "[]"),
            (200, ""),
            (500, r#"{"errors":[{"extensions":{"code":"UNAUTHENTICATED"}}]}"#),
        ] {
            assert!(!refused(status, body, true), "{body}");
        }
    }
}
