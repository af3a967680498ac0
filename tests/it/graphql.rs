//! GraphQL services as upstreams, against the reference implementation of GraphQL in Node and
//! against one that misbehaves.

mod odd_answers;
mod partial;
mod program;

use std::{
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use airlock::{
    catalog::{
        Catalog, GraphQlConfig, HttpAccess, UpstreamConfig, UpstreamError, UpstreamErrorCode,
        UpstreamKind, UpstreamState,
    },
    model::{DiscoverQuery, Document, Operation},
};
use axum::{
    Router,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::support::{
    clients,
    upstream::{PATIENCE, environment, eventually, install_crypto, open},
};

/// The reference implementation as a service, ended when dropped.
struct Reference {
    url: String,
    _process: tokio::process::Child,
}

impl Reference {
    /// None, with a message, where it is not installed; in continuous integration it must be.
    async fn start() -> Option<Self> {
        install_crypto();
        if !clients::folder().join("node_modules/graphql").exists() {
            assert!(
                std::env::var_os("CI").is_none(),
                "graphql is not installed: run tests/clients/setup.sh"
            );
            eprintln!("skipped: graphql is not installed (tests/clients/setup.sh)");
            return None;
        }
        let mut command = tokio::process::Command::new("node");
        command
            .arg(clients::folder().join("graphql_server.mjs"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let url = tokio::time::timeout(PATIENCE, lines.next_line())
            .await
            .expect("it begins")
            .unwrap()
            .expect("its address");
        Some(Self { url, _process: process })
    }

    /// What was sent since it was asked last.
    async fn seen(&self) -> Vec<Value> {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        client.get(format!("{}/seen", self.url)).send().await.unwrap().json().await.unwrap()
    }
}

fn upstream(url: &str, schema: Option<Document>) -> UpstreamConfig {
    install_crypto();
    let access = HttpAccess { allow_private: true, ..HttpAccess::default() };
    let kind = UpstreamKind::GraphQl(GraphQlConfig { url: url.to_owned(), schema, access });
    UpstreamConfig::new("git".parse().unwrap(), kind)
}

async fn started(config: UpstreamConfig) -> Catalog {
    let catalog = Catalog::start(vec![config], &environment());
    assert!(catalog.settled(PATIENCE).await, "{:?}", catalog.status());
    catalog
}

async fn call(catalog: &Catalog, path: &str, args: Value) -> Result<Value, UpstreamError> {
    let tool = catalog.resolve(path, &open).await.unwrap_or_else(|error| panic!("{error}"));
    let args =
        catalog.check(&tool, &args.to_string()).await.unwrap_or_else(|error| panic!("{error}"));
    catalog.call(&tool, args).await.map(|json| serde_json::from_str(json.get()).unwrap())
}

fn state(catalog: &Catalog) -> (UpstreamState, usize, String) {
    let status = catalog.status().remove(0);
    (status.status, status.tools, status.message.unwrap_or_default())
}

#[tokio::test]
async fn a_service_is_asked_for_its_schema_and_every_root_field_is_a_tool() {
    let Some(service) = Reference::start().await else { return };
    for path in ["graphql", "old"] {
        let catalog = started(upstream(&format!("{}/{path}", service.url), None)).await;
        let (status, tools, note) = state(&catalog);
        assert_eq!((status, tools), (UpstreamState::Ready, 11), "{path}: {note}");
        assert!(
            note.contains("1 subscription is not offered") && note.contains("leads back"),
            "{note}"
        );
        let tool = catalog.resolve("git.mutation.createIssue", &open).await.unwrap();
        assert_eq!(
            (tool.operation, tool.description.as_str()),
            (Some(Operation::Mutation), "Opens an issue.")
        );
        catalog.shutdown().await;
    }
}

#[tokio::test]
async fn a_call_sends_typed_variables_and_the_usual_fields() {
    let Some(service) = Reference::start().await else { return };
    let catalog = started(upstream(&format!("{}/graphql", service.url), None)).await;
    // One of the default fields, `secret`, is refused: it is null now, and left out the next time,
    // unless it is asked for by name.
    let whole = json!({
        "id": "R1", "name": "airlock", "stars": 7, "createdAt": "2026-11-21T10:00:00Z",
        "owner": {"id": "U1", "login": "mia"}
    });
    let named = json!({"owner": "mia", "name": "airlock"});
    let mut first = whole.clone();
    first["secret"] = Value::Null;
    for expected in [first, whole] {
        assert_eq!(call(&catalog, "git.query.repository", named.clone()).await, Ok(expected));
        assert_eq!(service.seen().await.len(), 1);
    }
    let named = json!({"owner": "mia", "name": "airlock", "select": "id secret"});
    let (chosen, warning) = warned(&catalog, "git.query.repository", named).await;
    assert_eq!(chosen, json!({"id": "R1", "secret": null}));
    let warning = warning.unwrap();
    assert!(
        warning.contains("you may not see this (FORBIDDEN) at `repository.secret`"),
        "{warning}"
    );
    service.seen().await;
    let issue = json!({"input": {"repositoryId": "R1", "title": "\") { version } #"}});
    let created = call(&catalog, "git.mutation.createIssue", issue.clone()).await.unwrap();
    assert_eq!(
        created,
        json!({"issue": {
            "id": "I3", "number": 3, "title": "\") { version } #", "state": "OPEN", "labels": []
        }})
    );
    let sent = service.seen().await.remove(0);
    assert_eq!(
        sent["query"],
        "mutation createIssue($input: CreateIssue!) { createIssue(input: $input) { issue { id \
        number title state labels } } }"
    );
    assert_eq!((&sent["variables"], &sent["operationName"]), (&issue, &json!("createIssue")));
    // What a mutation made can be found again, also where it stands in an object of a union's
    // member.
    let merged = call(&catalog, "git.mutation.merge", json!({"id": "I1"})).await.unwrap();
    let issue =
        json!({"id": "I1", "number": 1, "title": "First", "state": "OPEN", "labels": ["bug"]});
    assert_eq!(merged, json!({"__typename": "MergeDone", "issue": issue}));
    service.seen().await;
    assert_eq!(call(&catalog, "git.query.version", json!({})).await, Ok(json!("1")));
    let hits = call(&catalog, "git.query.search", json!({"text": "first"})).await.unwrap();
    assert_eq!(
        hits,
        json!([{"__typename": "Issue", "id": "I1", "title": "First", "number": 1, "state": "OPEN"}])
    );
    catalog.shutdown().await;
}

/// The answer, and what it warns of.
async fn warned(catalog: &Catalog, path: &str, args: Value) -> (Value, Option<String>) {
    let tool = catalog.resolve(path, &open).await.unwrap_or_else(|error| panic!("{error}"));
    let args =
        catalog.check(&tool, &args.to_string()).await.unwrap_or_else(|error| panic!("{error}"));
    let answer = catalog
        .call_followed(&tool, args, Arc::new(|_: &str| {}))
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    (serde_json::from_str(answer.json.get()).unwrap(), answer.warning)
}

#[tokio::test]
async fn a_mutation_of_whose_answer_a_field_is_refused_was_done_and_says_so() {
    let Some(service) = Reference::start().await else { return };
    let catalog = started(upstream(&format!("{}/graphql", service.url), None)).await;
    let told = async || {
        let described = catalog.describe("git.mutation.rename", &open).await.unwrap();
        let query: DiscoverQuery =
            serde_json::from_value(json!({"query": "git.mutation.rename"})).unwrap();
        let found = catalog.discover(&query, &open).unwrap();
        let hint =
            found.results.into_iter().find(|hit| hit.path == "git.mutation.rename").unwrap().hint;
        (described.typescript, described.output_schema.unwrap().text().to_owned(), hint)
    };
    let (typescript, schema, hint) = told().await;
    assert!(
        [&typescript, &schema, &hint].iter().all(|text| text.contains("secret")),
        "{typescript}{schema}{hint}"
    );
    let (renamed, warning) = warned(&catalog, "git.mutation.rename", json!({"id": "R1"})).await;
    assert_eq!((&renamed["id"], &renamed["secret"]), (&json!("R1"), &json!(null)));
    let warning = warning.unwrap();
    assert!(warning.starts_with("`git.mutation.rename` was performed;"), "{warning}");
    assert!(
        warning.contains(
            "you may not see this (FORBIDDEN) at `rename.secret`; for a while, \
            `secret` is asked for only"
        ),
        "{warning}"
    );
    // The next one is not even asked for it, and what is told of the tool says so.
    let (renamed, warning) = warned(&catalog, "git.mutation.rename", json!({"id": "R1"})).await;
    assert_eq!((&renamed["id"], renamed.get("secret")), (&json!("R1"), None));
    assert!(warning.unwrap().contains(
        "is answered without `secret`, which `git` refused; `select` asks for it by name"
    ));
    let sent = service.seen().await;
    assert_eq!(sent.len(), 2, "each was sent once: {sent:?}");
    let (typescript, schema, hint) = told().await;
    assert!(!hint.contains("secret"), "{hint}");
    assert!(
        typescript.contains("Left out at present, since the service refused it: `secret`"),
        "{typescript}"
    );
    assert!(
        !typescript.contains("secret:") && !schema.contains("\"secret\""),
        "{typescript}{schema}"
    );
    // Whoever names it is answered too, and told.
    let named = json!({"id": "R1", "select": "id secret"});
    let (renamed, warning) = warned(&catalog, "git.mutation.rename", named).await;
    assert_eq!(renamed, json!({"id": "R1", "secret": null}));
    assert!(warning.unwrap().contains("at `rename.secret`"));
    // A query says it too.
    let (_, warning) =
        warned(&catalog, "git.query.repository", json!({"owner": "mia", "name": "airlock"})).await;
    assert!(warning.unwrap().contains("at `repository.secret`"));
    // Once its tools are asked for again, so is the field.
    catalog.refresh(None).await;
    let (_, _, hint) = told().await;
    assert!(hint.contains("secret"), "{hint}");
    catalog.shutdown().await;
}

#[tokio::test]
async fn a_selection_chooses_the_fields_and_never_another_root_field() {
    let Some(service) = Reference::start().await else { return };
    let catalog = started(upstream(&format!("{}/graphql", service.url), None)).await;
    let ask = async |select: &str| {
        call(
            &catalog,
            "git.query.repository",
            json!({"owner": "mia", "name": "airlock", "select": select}),
        )
        .await
    };
    assert_eq!(
        ask("name owner { login }").await,
        Ok(json!({"name": "airlock", "owner": {"login": "mia"}}))
    );
    assert_eq!(
        ask(
            "open: issues(first: 1, states: [OPEN]) { totalCount nodes { title author { login } } }"
        )
        .await,
        Ok(json!({"open": {
            "totalCount": 1, "nodes": [{"title": "First", "author": {"login": "mia"}}]
        }}))
    );
    service.seen().await;
    for escape in [
        "id } version x: search(text: \"a\") {",
        "id } } mutation { reset",
        "query { version }",
        "... on Query { version }",
        "version",
    ] {
        let error = ask(escape).await.unwrap_err();
        assert_eq!(
            (error.code, error.retryable),
            (UpstreamErrorCode::InvalidArguments, false),
            "{escape}"
        );
        assert!(
            error.message.contains("field `select`") && error.message.contains("nothing was sent"),
            "{}",
            error.message
        );
    }
    assert_eq!(service.seen().await, Vec::<Value>::new(), "nothing was sent");
    catalog.shutdown().await;
}

#[tokio::test]
async fn arguments_that_do_not_fit_never_leave() {
    let Some(service) = Reference::start().await else { return };
    let catalog = started(upstream(&format!("{}/graphql", service.url), None)).await;
    let tool = catalog.resolve("git.query.repository", &open).await.unwrap();
    let error =
        catalog.check(&tool, r#"{"owner": "mia", "nam": "airlock"}"#).await.unwrap_err().message;
    assert!(
        error.contains("did you mean `name`")
            && error.contains("correct: await tools.git.query.repository("),
        "{error}"
    );
    catalog.shutdown().await;
}

#[tokio::test]
async fn a_service_that_keeps_its_schema_to_itself_is_read_from_a_file() {
    let Some(service) = Reference::start().await else { return };
    let url = format!("{}/closed", service.url);
    let catalog = started(upstream(&url, None)).await;
    let (status, _, message) = state(&catalog);
    assert_eq!(status, UpstreamState::Failed);
    assert!(
        message.contains("does not tell its schema") && message.contains("`spec`"),
        "{message}"
    );
    catalog.shutdown().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("schema.graphql");
    std::fs::write(
        &file,
        "type Query { version: String! repository(owner: String!, name: String!): R } type R { \
        id: ID! name: String }",
    )
    .unwrap();
    let catalog = started(upstream(&url, Some(Document::File(file.clone())))).await;
    assert_eq!(call(&catalog, "git.query.version", json!({})).await, Ok(json!("1")));
    let found =
        call(&catalog, "git.query.repository", json!({"owner": "mia", "name": "airlock"})).await;
    assert_eq!(found, Ok(json!({"id": "R1", "name": "airlock"})));
    catalog.shutdown().await;
    for (text, words) in [("type Query { a Int }", "line 1, column"), ("", "cannot be used")] {
        std::fs::write(&file, text).unwrap();
        let catalog = started(upstream(&url, Some(Document::File(file.clone())))).await;
        let (status, _, message) = state(&catalog);
        assert!(status == UpstreamState::Failed && message.contains(words), "{text}: {message}");
        catalog.shutdown().await;
    }
}

/// A service that answers whatever a test says, on a free port.
async fn scripted(reply: impl Fn(&Value) -> Response + Clone + Send + Sync + 'static) -> String {
    install_crypto();
    let answer = move |body: String| {
        let reply = reply.clone();
        async move { reply(&serde_json::from_str(&body).unwrap()) }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        axum::serve(listener, Router::new().route("/graphql", post(answer))).await.unwrap()
    });
    format!("http://{address}/graphql")
}

fn is_introspection(request: &Value) -> bool {
    request["query"].as_str().unwrap().contains("__schema")
}

/// An introspection with one query of these names.
fn schema_of(fields: &[&str]) -> Response {
    let string = json!({"kind": "SCALAR", "name": "String"});
    let fields: Vec<Value> =
        fields.iter().map(|name| json!({"name": name, "args": [], "type": string})).collect();
    let types = json!([{"kind": "OBJECT", "name": "Query", "fields": fields}]);
    axum::Json(json!({"data": {"__schema": {"queryType": {"name": "Query"}, "types": types}}}))
        .into_response()
}

#[tokio::test]
async fn what_a_service_does_wrong_becomes_a_clear_error_and_it_stays() {
    let names = ["fine", "html", "failing", "later", "garbage", "empty", "endless"];
    let url = scripted(move |request| {
        let answered = |body: Value| axum::Json(body).into_response();
        match request["operationName"].as_str().unwrap() {
            _ if is_introspection(request) => schema_of(&names),
            "fine" => answered(json!({"data": {"fine": "yes"}})),
            "html" => axum::response::Html("<html>sign in</html>").into_response(),
            "failing" => (StatusCode::INTERNAL_SERVER_ERROR, "oops").into_response(),
            "later" => (StatusCode::TOO_MANY_REQUESTS, "later").into_response(),
            "garbage" => "{\"data\": {\"garbage\": ".into_response(),
            "empty" => answered(json!({})),
            _ => answered(json!({"data": {"endless": "x".repeat(65 * 1024 * 1024)}})),
        }
    })
    .await;
    let catalog = started(upstream(&url, None)).await;
    for (name, code, status) in [
        ("html", UpstreamErrorCode::BadAnswer, None),
        ("failing", UpstreamErrorCode::Refused, Some(500)),
        ("later", UpstreamErrorCode::Refused, Some(429)),
        ("garbage", UpstreamErrorCode::BadAnswer, None),
        ("empty", UpstreamErrorCode::BadAnswer, None),
        ("endless", UpstreamErrorCode::AnswerTooLarge, None),
    ] {
        let error = call(&catalog, &format!("git.query.{name}"), json!({})).await.unwrap_err();
        assert_eq!((error.code, error.status), (code, status), "{name}: {error}");
    }
    assert_eq!(call(&catalog, "git.query.fine", json!({})).await, Ok(json!("yes")));
    catalog.shutdown().await;
}

#[tokio::test]
async fn a_service_that_changed_its_schema_is_asked_again() {
    let asked: Arc<AtomicUsize> = Arc::default();
    let counted = asked.clone();
    let url = scripted(move |request| {
        if is_introspection(request) {
            let before = counted.fetch_add(1, Ordering::SeqCst);
            return schema_of(if before == 0 { &["old"] } else { &["new"] });
        }
        let error = json!({"message": "Cannot query field \"old\" on type \"Query\"."});
        (StatusCode::BAD_REQUEST, axum::Json(json!({ "errors": [error] }))).into_response()
    })
    .await;
    let catalog = started(upstream(&url, None)).await;
    let error = call(&catalog, "git.query.old", json!({})).await.unwrap_err();
    assert!(error.message.contains("Cannot query field"), "{}", error.message);
    let mut changed = catalog.changed();
    let began = tokio::time::Instant::now();
    while catalog.resolve("git.query.new", &open).await.is_err() {
        assert!(began.elapsed() < PATIENCE, "the new field is never found");
        // Told, or the time is up and the next look decides.
        let _ = tokio::time::timeout(Duration::from_millis(200), changed.changed()).await;
    }
    // Refusals in a row have it asked once, not each time.
    let tool = catalog.resolve("git.query.new", &open).await.unwrap();
    for _ in 0..5 {
        let args = catalog.check(&tool, "{}").await.unwrap();
        catalog.call(&tool, args).await.unwrap_err();
    }
    eventually("it was asked twice", || asked.load(Ordering::SeqCst) == 2).await;
    catalog.shutdown().await;
}
