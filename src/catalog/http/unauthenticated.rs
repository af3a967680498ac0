//! Finds a refused credential in an answer that looks like a success: GraphQL services answer 200
//! and say it in `errors`, each in words of its own; others in an `error` that is all they say.
//! Pure.

use std::{borrow::Cow, collections::BTreeMap};

use serde_json::{Value, value::RawValue};

use super::message::ServiceAnswer;
use crate::base::json::members::present_members;

/// Largest body that is looked at; a refusal says little.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Longest message whose words are looked at, in bytes.
const WORDS_BYTES_MAX: usize = 300;
/// Errors of one answer that are looked at.
const ERRORS_MAX: usize = 20;
/// Objects within each other in which an error may name its code.
const DEPTH_MAX: usize = 2;

/// Codes by which services say that nobody is logged in: in small letters, without what stands
/// between their words.
const CODES: [&str; 28] = [
    "401",
    "401unauthorized",
    "accesstokenexpired",
    "authentication",
    "authenticationerror",
    "authenticationexception",
    "authenticationfailed",
    "authenticationrequired",
    "authnotauthenticated",
    "expiredaccesstoken",
    "expiredtoken",
    "http401",
    "invalidaccesstoken",
    "invalidauth",
    "invalidauthtoken",
    "invalidjwt",
    "invalidtoken",
    "jwtexpired",
    "notauthed",
    "notauthenticated",
    "notloggedin",
    "sessionexpired",
    "tokenexpired",
    "tokenrevoked",
    "unauthenticated",
    "unauthorized",
    "unauthorizederror",
    "unauthorizedexception",
];
/// Members of an error that hold its code.
const CODE_MEMBERS: [&str; 9] = [
    "category",
    "classification",
    "code",
    "error",
    "errorCode",
    "errorType",
    "status",
    "statusCode",
    "type",
];
/// Members of an error that hold more of it.
const MORE_MEMBERS: [&str; 5] = ["error", "extensions", "http", "originalError", "response"];
/// Words by which services say the same; they may as well be about a token that a call is about.
const WORDS: [&str; 19] = [
    "access token expired",
    "access token has expired",
    "access token is expired",
    "authentication hook unauthorized",
    "authentication required",
    "expired token",
    "invalid access token",
    "invalid api key",
    "invalid token",
    "jwt expired",
    "jwtexpired",
    "login required",
    "must be logged in",
    "not authenticated",
    "not logged in",
    "token expired",
    "token has expired",
    "token is expired",
    "unauthenticated",
];
/// Members of an answer that says nothing but that the credential is refused.
const ALONE: [&str; 12] = [
    "code",
    "error",
    "error_description",
    "error_uri",
    "errorDescription",
    "message",
    "ok",
    "path",
    "status",
    "statusCode",
    "success",
    "timestamp",
];

/// What an answer says of the credential that went along.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::catalog) enum Refusal {
    /// Nothing.
    None,
    /// It was refused; what of the request was done before is not said, or the words are not quite
    /// clear.
    Likely,
    /// It was refused, and nothing was done.
    Certain,
}

/// What a service's answer to a request in GraphQL says of the credential.
pub(in crate::catalog) fn refusal(answer: &ServiceAnswer) -> Refusal {
    let Some(text) = looked_at(answer) else { return Refusal::None };
    let Ok([data, errors, error, message]) =
        present_members(text, ["data", "errors", "error", "message"])
    else {
        return Refusal::None;
    };
    if data.is_some_and(|data| holds_something(data.get())) {
        return Refusal::None;
    }
    let read = |json: &str| serde_json::from_str::<Value>(json).unwrap_or_default();
    let errors = match errors.map(|errors| read(errors.get())) {
        Some(Value::Array(errors)) => errors,
        Some(Value::Bool(_) | Value::Null) | None if error.or(message).is_some() => {
            vec![read(text)]
        }
        Some(one) => vec![one],
        None => Vec::new(),
    };
    let errors = errors.get(..ERRORS_MAX).unwrap_or(&errors);
    let is_begun = errors
        .iter()
        .any(|error| error.get("path").is_some_and(|path| !path.is_null() && path != "$"));
    match errors.iter().map(of_error).max().unwrap_or(Refusal::None) {
        Refusal::Certain if is_begun => Refusal::Likely,
        found => found,
    }
}

/// Whether all that an answer says is that the credential was refused.
pub(super) fn is_only_refusal(answer: &ServiceAnswer) -> bool {
    type Members<'t> = BTreeMap<Cow<'t, str>, &'t RawValue>;
    let members = looked_at(answer).and_then(|text| serde_json::from_str::<Members<'_>>(text).ok());
    let Some(members) = members.filter(|all| all.keys().all(|name| ALONE.contains(&&**name)))
    else {
        return false;
    };
    let code =
        members.get("error").and_then(|error| serde_json::from_str::<String>(error.get()).ok());
    // The name of a status may be that of anything; a token's is not.
    code.is_some_and(|code| is_code(&code) && !code.contains(' '))
}

/// The text of an answer that looks like a success and is short.
fn looked_at(answer: &ServiceAnswer) -> Option<&str> {
    if !answer.status.is_success() || answer.body.len() > BODY_BYTES_MAX {
        return None;
    }
    let text = std::str::from_utf8(&answer.body).ok()?;
    Some(text.trim_start_matches('\u{feff}'))
}

/// Returns true if an object has a member that is not null.
fn holds_something(data: &str) -> bool {
    type Members<'t> = BTreeMap<Cow<'t, str>, &'t RawValue>;
    serde_json::from_str::<Members<'_>>(data)
        .map_or(true, |members| members.values().any(|member| member.get() != "null"))
}

fn of_error(error: &Value) -> Refusal {
    let mut codes = Vec::new();
    gather(error, &mut codes, 0);
    if codes.iter().any(|code| is_code(code)) {
        return Refusal::Certain;
    }
    let words = error.as_str().or_else(|| error.get("message")?.as_str()).unwrap_or_default();
    let words = words.to_lowercase();
    let is_whole = codes.is_empty() && words.trim_matches(['.', '!', ' ']) == "unauthorized";
    let names_it = words.len() <= WORDS_BYTES_MAX && WORDS.iter().any(|part| words.contains(part));
    if is_whole || names_it { Refusal::Likely } else { Refusal::None }
}

/// The codes of an error, wherever services put them.
fn gather(error: &Value, codes: &mut Vec<String>, depth: usize) {
    for name in CODE_MEMBERS {
        match error.get(name) {
            Some(Value::String(code)) => codes.push(code.clone()),
            Some(Value::Number(code)) => codes.push(code.to_string()),
            _ => {}
        }
    }
    for more in MORE_MEMBERS.iter().filter_map(|name| error.get(name)) {
        if depth < DEPTH_MAX {
            gather(more, codes, depth + 1);
        }
    }
}

fn is_code(code: &str) -> bool {
    let letters = code.chars().filter(char::is_ascii_alphanumeric).take(40);
    let plain = letters.collect::<String>().to_ascii_lowercase();
    CODES.contains(&plain.as_str())
}

#[cfg(test)]
mod tests;
