//! Authorization servers as they are: proxies in front of them that answer for what they do not
//! know, token answers that are nearly right, refusals that look like successes.

use std::time::Instant;

use axum::{
    body::Body,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{call, log_in, oauth, start, upstream, vault};
use crate::support::{
    authority::{Answers, Authority, Documents, Instead, Ledger, Refusal},
    upstream::{PATIENCE, body, error},
};

const RESOURCE: &str = "/.well-known/oauth-protected-resource/mcp";
const SERVER: &str = "/.well-known/oauth-authorization-server";

fn endless(kind: &'static str) -> Response {
    let begun = futures::stream::iter([Ok::<_, std::io::Error>(": open\n\n")]);
    let body = futures::StreamExt::chain(begun, futures::stream::pending());
    ([(header::CONTENT_TYPE, kind)], Body::from_stream(body)).into_response()
}

fn redirect(to: &'static str) -> Response {
    (StatusCode::FOUND, [(header::LOCATION, to)]).into_response()
}

#[tokio::test]
async fn a_search_for_the_authorization_server_goes_on_past_addresses_that_fail() {
    // The document of the resource is at its second address then, and that of the server where
    // OpenID Connect has it.
    let failures: [(&str, Instead); 8] = [
        ("502", |_, path| (path == RESOURCE).then(|| StatusCode::BAD_GATEWAY.into_response())),
        ("500", |_, path| {
            (path == RESOURCE)
                .then(|| (StatusCode::INTERNAL_SERVER_ERROR, "no route").into_response())
        }),
        ("429", |_, path| {
            (path == RESOURCE).then(|| StatusCode::TOO_MANY_REQUESTS.into_response())
        }),
        ("no document", |_, path| (path == RESOURCE).then(|| "<h1>welcome</h1>".into_response())),
        ("elsewhere", |_, path| (path == RESOURCE).then(|| redirect("https://sso.example/"))),
        ("in circles", |_, path| (path == RESOURCE).then(|| redirect(RESOURCE))),
        ("a stream", |method, path| {
            (method == "GET" && path == "/mcp").then(|| endless("text/event-stream"))
        }),
        ("a body without end", |method, path| {
            (method == "GET" && path == "/mcp").then(|| endless("text/plain"))
        }),
    ];
    for (what, instead) in failures {
        let ledger =
            Ledger { instead: Some(instead), without_challenge: true, ..Ledger::default() };
        let authority = Authority::start(ledger).await;
        let folder = tempfile::tempdir().unwrap();
        let began = Instant::now();
        log_in(&authority, &folder).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(began.elapsed().as_secs() < 15, "{what}");
    }
    // Where nothing is found, the addresses that failed are told.
    let nothing: Instead = |_, path| {
        let is_document = path.starts_with("/.well-known/");
        is_document.then(|| StatusCode::BAD_GATEWAY.into_response())
    };
    let authority = Authority::start(Ledger { instead: Some(nothing), ..Ledger::default() }).await;
    let folder = tempfile::tempdir().unwrap();
    let error = log_in(&authority, &folder).await.unwrap_err();
    assert!(error.contains(&format!("{RESOURCE}`: HTTP 502")), "{error}");
    assert!(error.contains("`authorization_url` and `token_url`"), "{error}");
    let server: Instead =
        |_, path| (path == SERVER).then(|| StatusCode::BAD_GATEWAY.into_response());
    let authority = Authority::start(Ledger { instead: Some(server), ..Ledger::default() }).await;
    log_in(&authority, &folder).await.unwrap();
}

#[tokio::test]
async fn a_nearly_right_token_is_taken_and_renewed_when_it_is_refused() {
    fn with(mut granted: Value, member: &str, value: Value) -> (u16, &'static str, String) {
        granted[member] = value;
        (200, "application/json", granted.to_string())
    }
    let answers: [Answers; 8] = [
        |_, granted| with(granted, "expires_in", json!("3600")),
        |_, granted| with(granted, "expires_in", json!(3600.5)),
        |_, granted| with(granted, "expires_in", json!(0)),
        |_, granted| with(granted, "expires_in", Value::Null),
        |_, granted| with(granted, "token_type", Value::Null),
        |_, granted| with(granted, "scope", json!(["a", "b"])),
        |_, granted| (201, "text/plain", granted.to_string()),
        |_, granted| {
            let fields = granted.as_object().unwrap().iter();
            let text = |value: &Value| value.as_str().map_or(value.to_string(), str::to_owned);
            let pairs = fields.map(|(name, value)| format!("{name}={}", text(value)));
            let form = pairs.collect::<Vec<_>>().join("&");
            (200, "application/x-www-form-urlencoded", form)
        },
    ];
    for (at, answers) in answers.into_iter().enumerate() {
        let authority =
            Authority::start(Ledger { answers: Some(answers), ..Ledger::default() }).await;
        let folder = tempfile::tempdir().unwrap();
        log_in(&authority, &folder).await.unwrap_or_else(|error| panic!("{at}: {error}"));
        let catalog = start(upstream(&authority, &folder, oauth(&authority))).await;
        for _ in 0..3 {
            assert_eq!(call(&catalog).await, Ok(json!("called with Bearer [redacted]")), "{at}");
        }
        assert_eq!(authority.ledger().times("refresh_token"), 0, "{at}");
        authority.ledger().withdraw_access();
        assert_eq!(call(&catalog).await, Ok(json!("called with Bearer [redacted]")), "{at}");
        assert_eq!(authority.ledger().times("refresh_token"), 1, "{at}");
        catalog.shutdown().await;
    }
    // What is refused is named, and nothing of the answer is told.
    let unnamed: Answers = |_, granted| {
        (200, "application/json", json!({ "token": granted["access_token"] }).to_string())
    };
    let authority = Authority::start(Ledger { answers: Some(unnamed), ..Ledger::default() }).await;
    let folder = tempfile::tempdir().unwrap();
    let error = log_in(&authority, &folder).await.unwrap_err();
    assert!(error.contains("no `access_token`") && !error.contains("at-0"), "{error}");
}

#[tokio::test]
async fn a_nearly_right_document_is_taken() {
    fn set(mut usual: Value, members: Value) -> String {
        for (name, value) in members.as_object().unwrap() {
            usual[name] = value.clone();
        }
        usual.to_string()
    }
    let documents: [Documents; 6] = [
        |_, usual| format!("\u{feff}{usual}"),
        |name, usual| match name {
            "client" => usual.to_string(),
            _ => set(usual, json!({"scopes_supported": "notes files", "jwks_uri": null})),
        },
        |name, usual| match name {
            "resource" => {
                let server = usual["authorization_servers"][0].clone();
                set(usual, json!({"authorization_servers": server}))
            }
            _ => usual.to_string(),
        },
        |name, usual| match name {
            "client" => json!({"client_id": "client-1"}).to_string(),
            _ => usual.to_string(),
        },
        |name, usual| match name {
            "client" => {
                let odd = json!({"redirect_uris": null, "client_name": null, "contacts": null,
                    "scope": null, "client_secret": null});
                set(usual, odd)
            }
            _ => usual.to_string(),
        },
        |name, usual| match name {
            "client" => json!({"client_id": 4711, "client_secret": ""}).to_string(),
            _ => usual.to_string(),
        },
    ];
    for (at, documents) in documents.into_iter().enumerate() {
        let authority =
            Authority::start(Ledger { documents: Some(documents), ..Ledger::default() }).await;
        let folder = tempfile::tempdir().unwrap();
        log_in(&authority, &folder).await.unwrap_or_else(|error| panic!("{at}: {error}"));
        let catalog = start(upstream(&authority, &folder, oauth(&authority))).await;
        assert_eq!(call(&catalog).await, Ok(json!("called with Bearer [redacted]")), "{at}");
        catalog.shutdown().await;
    }
    // A client without an id is none.
    let unnamed: Documents = |name, usual| match name {
        "client" => json!({"client_name": "x"}).to_string(),
        _ => usual.to_string(),
    };
    let authority =
        Authority::start(Ledger { documents: Some(unnamed), ..Ledger::default() }).await;
    let folder = tempfile::tempdir().unwrap();
    let error = log_in(&authority, &folder).await.unwrap_err();
    assert!(error.contains("cannot register itself"), "{error}");
}

#[tokio::test]
async fn a_refusal_is_told_without_asking_again_for_every_call() {
    const FORM: &str = "application/x-www-form-urlencoded";
    let refusals: [(Answers, bool); 4] = [
        (|_, _| (200, "application/json", json!({"error": "bad_refresh_token"}).to_string()), true),
        (|_, _| (200, FORM, "error=invalid_grant&error_description=word-4711".to_owned()), true),
        (|_, _| (400, FORM, "error=invalid_grant&error_description=word-4711".to_owned()), true),
        // This may pass: nobody need log in again.
        (|_, _| (503, "text/html", "<h1>word-4711</h1>".to_owned()), false),
    ];
    for (at, (answers, is_withdrawn)) in refusals.into_iter().enumerate() {
        let authority = Authority::start(Ledger::default()).await;
        let folder = tempfile::tempdir().unwrap();
        log_in(&authority, &folder).await.unwrap();
        let catalog = start(upstream(&authority, &folder, oauth(&authority))).await;
        assert!(call(&catalog).await.is_ok());
        authority.ledger().withdraw_access();
        authority.ledger().answers = Some(answers);
        let calls = (0..12).map(|_| call(&catalog));
        for answer in futures::future::join_all(calls).await {
            let message = answer.unwrap_err().message;
            assert!(!message.contains("word-4711") && !message.contains("rt-0"), "{message}");
            let is_told = message.contains("run `airlock upstreams login notes`");
            assert_eq!(is_told, is_withdrawn, "{at}: {message}");
        }
        let asked = authority.ledger().times("refresh_token");
        assert_eq!(asked, 1, "{at}: one request to renew for twelve calls");
        catalog.shutdown().await;
    }
}

#[tokio::test]
async fn a_client_that_is_refused_does_not_ask_again_for_every_call() {
    let authority = Authority::start(Ledger::default()).await;
    let folder = tempfile::tempdir().unwrap();
    vault(&folder).set("ROBOT", "sec-robot-1234").unwrap();
    let robot = airlock::catalog::OAuthConfig {
        client_credentials: true,
        client_id: Some("robot".to_owned()),
        client_secret: Some(airlock::catalog::SecretSource::Stored("ROBOT".to_owned())),
        issuer: Some(authority.url().to_owned()),
        ..oauth(&authority)
    };
    let catalog = start(upstream(&authority, &folder, robot)).await;
    assert!(call(&catalog).await.is_ok());
    authority.ledger().withdraw_access();
    authority.ledger().answers =
        Some(|_, _| (200, "application/json", json!({"error": "invalid_client"}).to_string()));
    let began = Instant::now();
    for _ in 0..5 {
        let message = call(&catalog).await.unwrap_err().message;
        assert!(message.contains("refuses: invalid_client"), "{message}");
    }
    assert!(began.elapsed() < PATIENCE);
    assert_eq!(authority.ledger().times("client_credentials"), 2);
    catalog.shutdown().await;
}

/// Refusals within a success, as bodies and as events.
fn refusals() -> [(&'static str, Refusal); 4] {
    [
        ("a code", |request| error(request, -32001, "Unauthorized")),
        ("words", |request| error(request, -32000, "the access token expired at 12:00")),
        ("details", |request| {
            let error = json!({"code": -32000, "message": "refused", "data": {"status": 401}});
            body(json!({"jsonrpc": "2.0", "id": request["id"], "error": error}).to_string())
        }),
        ("an event", |request| {
            let error = json!({"code": -32001, "message": "invalid_token"});
            let message = json!({"jsonrpc": "2.0", "id": request["id"], "error": error});
            let events = format!("event: message\ndata: {message}\n\n");
            ([(header::CONTENT_TYPE, "text/event-stream")], events).into_response()
        }),
    ]
}

#[tokio::test]
async fn a_refusal_within_a_success_renews_the_token_or_names_the_login() {
    for (what, refusal) in refusals() {
        let ledger = Ledger { refusal: Some(refusal), ..Ledger::default() };
        let authority = Authority::start(ledger).await;
        let folder = tempfile::tempdir().unwrap();
        authority.ledger().refusal = None;
        log_in(&authority, &folder).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        authority.ledger().refusal = Some(refusal);
        let catalog = start(upstream(&authority, &folder, oauth(&authority))).await;
        assert_eq!(call(&catalog).await, Ok(json!("called with Bearer [redacted]")), "{what}");
        authority.ledger().withdraw_access();
        assert_eq!(call(&catalog).await, Ok(json!("called with Bearer [redacted]")), "{what}");
        assert_eq!(authority.ledger().times("refresh_token"), 1, "{what}");

        authority.ledger().withdraw_all();
        let error = call(&catalog).await.unwrap_err();
        assert!(error.message.contains("airlock upstreams login notes"), "{what}: {error:?}");
        catalog.shutdown().await;
    }
}

#[tokio::test]
async fn an_error_of_a_tool_is_no_refusal_whatever_it_says() {
    let refusal: Refusal = |request| match request["method"].as_str() {
        Some("tools/call") => error(request, -32603, "Unauthorized: the forge refused its key"),
        _ => error(request, -32601, "no such method"),
    };
    let authority = Authority::start(Ledger::default()).await;
    let folder = tempfile::tempdir().unwrap();
    log_in(&authority, &folder).await.unwrap();
    let catalog = start(upstream(&authority, &folder, oauth(&authority))).await;
    authority.ledger().refusal = Some(refusal);
    authority.ledger().withdraw_access();
    let error = call(&catalog).await.unwrap_err();
    assert!(error.message.contains("the forge refused its key"), "{error:?}");
    assert_eq!(authority.ledger().times("refresh_token"), 0, "it may have had an effect");
    catalog.shutdown().await;
}
