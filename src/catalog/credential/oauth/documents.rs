//! Reads the documents of authorization servers (RFC 9728, RFC 8414, RFC 7591) as servers write
//! them, and turns them into what the library takes: lists that are lists of texts, members without
//! a value left out. Nothing is added that the server did not say or was not told.

use oauth2::HttpResponse;
use serde_json::{Map, Value};

use crate::base::json::repair;

/// Members that are lists of texts.
const LISTS: [&str; 11] = [
    "authorization_servers",
    "bearer_methods_supported",
    "code_challenge_methods_supported",
    "contacts",
    "grant_types",
    "grant_types_supported",
    "redirect_uris",
    "response_types",
    "response_types_supported",
    "scopes_supported",
    "token_endpoint_auth_methods_supported",
];
/// Members that are texts.
const TEXTS: [&str; 11] = [
    "authorization_endpoint",
    "authorization_server",
    "client_id",
    "client_name",
    "client_secret",
    "issuer",
    "jwks_uri",
    "registration_endpoint",
    "resource",
    "scope",
    "token_endpoint",
];

/// The answer with its document as the library takes it. `sent` is the body of the request: a
/// registration that does not repeat what was registered registered what was sent.
pub(super) fn tidied(mut response: HttpResponse, sent: &[u8]) -> HttpResponse {
    if !response.status().is_success() {
        return response;
    }
    if let Some(document) = document(response.body(), sent) {
        *response.body_mut() = Value::Object(document).to_string().into_bytes();
    }
    response
}

fn document(body: &[u8], sent: &[u8]) -> Option<Map<String, Value>> {
    let mut document = object(body)?;
    document.retain(|name, value| match value {
        Value::Null => false,
        Value::String(text) if TEXTS.contains(&name.as_str()) => !text.trim().is_empty(),
        _ => true,
    });
    for name in TEXTS {
        match document.get_mut(name) {
            Some(Value::String(_)) | None => {}
            Some(number @ Value::Number(_)) if name == "client_id" => {
                *number = number.to_string().into();
            }
            Some(Value::Array(scopes)) if name == "scope" => {
                let words: Vec<&str> = scopes.iter().filter_map(Value::as_str).collect();
                let words = words.join(" ");
                document.insert(name.to_owned(), words.into());
            }
            Some(_) => drop(document.shift_remove(name)),
        }
    }
    for name in LISTS {
        if let Some(list) = document.get(name).map(listed) {
            match list {
                Some(list) => drop(document.insert(name.to_owned(), list.into())),
                None => drop(document.shift_remove(name)),
            }
        }
    }
    if document.contains_key("client_id") && !document.contains_key("redirect_uris") {
        let uris = object(sent).and_then(|mut sent| sent.shift_remove("redirect_uris"));
        document.insert(
            "redirect_uris".to_owned(),
            uris.as_ref().and_then(listed).unwrap_or_default().into(),
        );
    }
    Some(document)
}

fn object(body: &[u8]) -> Option<Map<String, Value>> {
    let repaired = repair::repaired(body).ok()?;
    let body = repaired.as_ref().map_or(body, |repaired| repaired.text.as_bytes());
    serde_json::from_slice(body).ok()
}

/// The texts of a list, which may be one text with spaces or commas between them.
fn listed(list: &Value) -> Option<Vec<String>> {
    let words = |text: &str| -> Vec<String> {
        let words = text.split([' ', ',']).filter(|word| !word.is_empty());
        words.map(str::to_owned).collect()
    };
    match list {
        Value::String(text) => Some(words(text)),
        Value::Array(all) => {
            // Some wrap each in an object.
            let text = |one: &Value| {
                one.as_str().or_else(|| one.get("issuer")?.as_str()).map(str::to_owned)
            };
            Some(all.iter().filter_map(text).collect())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: &str, sent: &str) -> Value {
        let response = tidied(HttpResponse::new(body.into()), sent.as_bytes());
        serde_json::from_slice(response.body()).unwrap_or_default()
    }

    #[test]
    fn members_are_of_the_kind_that_they_should_be() {
        for (body, document) in [
            ("\u{feff}{\"issuer\": \"a\"}", json!({"issuer": "a"})),
            (
                r#"{"scopes_supported": "a b", "x": "a b"}"#,
                json!({"scopes_supported": ["a", "b"], "x": "a b"}),
            ),
            (r#"{"scopes_supported": ["a", 1, null]}"#, json!({"scopes_supported": ["a"]})),
            (r#"{"scopes_supported": {}, "jwks_uri": null, "issuer": ""}"#, json!({})),
            (
                r#"{"authorization_servers": [{"issuer": "a"}]}"#,
                json!({"authorization_servers": ["a"]}),
            ),
            (r#"{"registration_endpoint": false, "ui": 5,}"#, json!({"ui": 5})),
        ] {
            assert_eq!(read(body, ""), document, "{body}");
        }
        for other in ["", "<html>", "[1]", "7"] {
            let response = tidied(HttpResponse::new(other.into()), b"");
            assert_eq!(response.body(), other.as_bytes());
        }
    }

    #[test]
    fn a_registration_registered_what_was_sent() {
        let sent = r#"{"redirect_uris": ["http://127.0.0.1:1/"], "client_name": "x"}"#;
        let uris = json!(["http://127.0.0.1:1/"]);
        for (body, client) in [
            (r#"{"client_id": "c"}"#, json!("c")),
            (r#"{"client_id": 77, "redirect_uris": null, "client_secret": null}"#, json!("77")),
            (r#"{"client_id": "c", "redirect_uris": "http://127.0.0.1:1/"}"#, json!("c")),
        ] {
            let document = read(body, sent);
            assert_eq!(document, json!({"client_id": client, "redirect_uris": uris}), "{body}");
        }
        let scopes = read(r#"{"client_id": "c", "scope": ["a", "b"]}"#, sent);
        assert_eq!(scopes["scope"], "a b");
    }
}
