//! Integers beyond 2^53 - 1 keep their digits on the way to a program and back to the service.

use axum::{
    Json, Router,
    extract::Path,
    response::IntoResponse,
    routing::{get, post},
};
use serde_json::{Value, json};

use crate::{
    cli::say,
    media::Service,
    support::{policy::Policed, server::TestServer},
};

const LARGE: &str = "7310448219005560003";

const SCHEMA: &str = "
scalar Long
type Query { row(id: Long): Row }
type Row { id: ID! long: Long! }
";

/// A service that answers with large integers, and repeats what it got as text.
async fn service() -> String {
    let json = |text: String| ([("content-type", "application/json")], text).into_response();
    let rows = get(move || async move { json(format!(r#"{{"rows":[{{"ref":{LARGE}}}, 5]}}"#)) });
    let make = post(|body: String| async move { Json(json!({ "got": body })) });
    let graph = post(move |body: String| async move {
        let variables = serde_json::from_str::<Value>(&body).unwrap()["variables"].to_string();
        json(format!(r#"{{"data":{{"row":{{"id":{},"long":{LARGE}}}}}}}"#, Value::from(variables)))
    });
    let one = get(|Path(path): Path<String>| async move { Json(json!({ "path": path })) });
    let router = Router::new()
        .route("/rows", rows.merge(make))
        .route("/rows/{ref}", one)
        .route("/graph", graph);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}")
}

fn description() -> Value {
    let long = json!({"type": "integer", "format": "int64"});
    let fine =
        json!({"200": {"description": "ok", "content": {"application/json": {"schema": {}}}}});
    let row = json!({"type": "object", "properties": {
        "ref": long, "many": {"type": "array", "items": {"anyOf": [long, {"type": "null"}]}},
        "name": {"type": "string"}, "any": {},
    }});
    json!({"openapi": "3.1.0", "paths": {
        "/rows": {
            "get": {"operationId": "list", "tags": ["rows"], "responses": fine},
            "post": {
                "operationId": "make", "tags": ["rows"], "responses": fine,
                "requestBody": {"content": {"application/json": {"schema": row}}}
            },
        },
        "/rows/{ref}": {"get": {
            "operationId": "get", "tags": ["rows"], "responses": fine,
            "parameters": [{"name": "ref", "in": "path", "required": true, "schema": long}]
        }},
    }})
}

struct Files {
    _folder: tempfile::TempDir,
    configuration: String,
}

async fn configured() -> Files {
    let (folder, at) = (tempfile::TempDir::new().unwrap(), service().await);
    let (spec, schema) = (folder.path().join("spec.json"), folder.path().join("schema.graphql"));
    std::fs::write(&spec, description().to_string()).unwrap();
    std::fs::write(&schema, SCHEMA).unwrap();
    let configuration = format!(
        "[upstreams.svc]\nkind = \"openapi\"\nspec = {spec:?}\nbase_url = {at:?}\n\
         allow_private = true\n\
         [upstreams.graph]\nkind = \"graphql\"\nurl = \"{at}/graph\"\nspec = {schema:?}\n\
         allow_private = true\n"
    );
    Files { _folder: folder, configuration }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_response_keeps_the_digits_of_a_large_integer() {
    let files = configured().await;
    let server = TestServer::with(&files.configuration).await;
    for code in [
        "return (await tools.svc.rows.list({})).rows[0].ref",
        "return (await tools.graph.query.row({})).long",
        "return (await tools.graph.query.row({}, )).long",
        "const { rows } = await tools.svc.rows.list({}); return `${rows[0].ref}`",
    ] {
        let ran = server.run(code).await;
        assert_eq!(ran["result"], LARGE, "{code}: {ran}");
        assert_eq!(ran["warnings"], Value::Null, "{code}: {ran}");
    }
    let small = server.run("return (await tools.svc.rows.list({})).rows[1]").await;
    assert_eq!(small["result"], 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_integer_goes_out_in_the_type_that_the_schema_wants() {
    let files = configured().await;
    let server = TestServer::with(&files.configuration).await;
    for (call, expected) in [
        (format!("tools.svc.rows.get({{ ref: {LARGE}n }})"), json!({ "path": LARGE })),
        (format!("tools.svc.rows.get({{ ref: '{LARGE}' }})"), json!({ "path": LARGE })),
        (
            format!("tools.svc.rows.make({{ body: {{ ref: {LARGE}n, any: {LARGE}n }} }})"),
            json!({ "got": format!(r#"{{"ref":{LARGE},"any":{LARGE}}}"#) }),
        ),
        (
            format!(
                "tools.svc.rows.make({{ body: {{ ref: '{LARGE}', many: ['{LARGE}', null, 1], \
                 name: {LARGE}n, any: '{LARGE}' }} }})"
            ),
            json!({ "got": format!(
                r#"{{"ref":{LARGE},"many":[{LARGE},null,1],"name":"{LARGE}","any":"{LARGE}"}}"#
            ) }),
        ),
        (
            format!("tools.graph.query.row({{ id: {LARGE}n }}).then((row) => row.id)"),
            json!(format!(r#"{{"id":{LARGE}}}"#)),
        ),
        // What came goes back.
        (
            "tools.svc.rows.list({}).then(({ rows }) => tools.svc.rows.get({ ref: rows[0].ref }))"
                .to_owned(),
            json!({ "path": LARGE }),
        ),
    ] {
        let ran = server.run(&format!("return await {call}")).await;
        assert_eq!(ran["result"], expected, "{call}: {ran}");
    }
    let rounded = server.run(&format!("return await tools.svc.rows.get({{ ref: {LARGE} }})")).await;
    let message = rounded["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("field `ref` is 7310448219005560000, an integer beyond 2^53")
            && message.contains("with `n` at the end"),
        "{rounded}"
    );
    let wrong = format!("return await tools.svc.rows.get({{ reff: {LARGE}n }})");
    let wrong = server.run(&wrong).await["error"]["message"].as_str().unwrap().to_owned();
    let (_, right) = wrong.rsplit_once("correct: await ").expect(&wrong);
    assert_eq!(right, format!("tools.svc.rows.get({{ ref: {LARGE}n }})"));
    let made = server.run(&format!("return await {right}")).await;
    assert_eq!(made["result"], json!({ "path": LARGE }), "{made}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_by_hand_sends_the_digits_that_were_given() {
    let files = configured().await;
    let server = TestServer::with(&files.configuration).await;
    let config = server.config_file();
    for (tool, args, expected) in [
        ("svc.rows.get", format!(r#"{{"ref":{LARGE}}}"#), json!({ "path": LARGE })),
        ("svc.rows.get", format!(r#"{{"ref":-{LARGE}}}"#), json!({ "path": format!("-{LARGE}") })),
        (
            "svc.rows.make",
            format!(r#"{{"body":{{"name":{LARGE},"many":[1,{LARGE}],"any":[{LARGE},1.5,2e3]}}}}"#),
            json!({ "got": format!(
                r#"{{"name":"{LARGE}","many":[1,{LARGE}],"any":[{LARGE},1.5,2000]}}"#
            ) }),
        ),
    ] {
        let said = say(&config, &["tools", "call", tool, "--args", &args], "").await;
        assert_eq!((said.code, said.json()), (Some(0), expected), "{args}: {}", said.beside);
    }
    let beyond = r#"{"body":{"any":123456789012345678901234567890}}"#;
    let refused = say(&config, &["tools", "call", "svc.rows.make", "--args", beyond], "").await;
    assert_eq!(refused.code, Some(1), "{}", refused.beside);
    assert!(
        refused.beside.contains("more than 64 bits: pass it as a string"),
        "{}",
        refused.beside
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policy_judges_a_large_integer_as_it_is_sent() {
    let files = configured().await;
    let rules = format!(
        "version: '1'\ndefault: allow\ntools:\n  svc.rows.get:\n    rules:\n      \
         - {{ name: taboo, action: deny, when: [{{ path: args.ref, op: eq, value: {LARGE} }}] }}\n"
    );
    let policed = Policed::with(&rules, &files.configuration).await;
    for given in [format!("{LARGE}n"), format!("'{LARGE}'")] {
        let ran = policed
            .server
            .run(&format!("return await tools.svc.rows.get({{ ref: {given} }})"))
            .await;
        assert_eq!(ran["error"]["code"], "policy_denied", "{given}: {ran}");
    }
    let other = "return await tools.svc.rows.get({ ref: 7310448219005560004n })";
    let ran = policed.server.run(other).await;
    assert_eq!(ran["result"], json!({ "path": "7310448219005560004" }), "{ran}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn integers_beside_an_artifact_are_judged_as_they_are_sent() {
    let files = configured().await;
    let camera = Service::with_tools(
        &["shot"],
        |_, _| json!({"content": [{"type": "image", "data": "aGk=", "mimeType": "image/png"}]}),
    )
    .await;
    let rules = format!(
        "version: '1'\ndefault: allow\ntools:\n  svc.rows.make:\n    rules:\n      \
         - {{ name: taboo, action: deny, when: [{{ path: args.body.ref, op: eq, value: {LARGE} }}] }}\n"
    );
    let configuration = files.configuration.clone() + &camera.upstream("cam");
    let policed = Policed::with(&rules, &configuration).await;
    let make = async |given: &str| {
        let code = format!(
            "const [shot] = await tools.cam.shot({{}});
            return await tools.svc.rows.make({{ body: {{ ref: {given}, any: shot }} }})"
        );
        policed.server.run(&code).await
    };
    let ran = make(&format!("{LARGE}n")).await;
    assert_eq!(ran["error"]["code"], "policy_denied", "{ran}");
    // Beside an artifact nothing is converted after the decision, so a string stays one, and a
    // condition that compares a number denies it.
    for given in [format!("'{LARGE}'"), "'7310448219005560004'".to_owned()] {
        let ran = make(&given).await;
        assert_eq!(ran["error"]["code"], "policy_error", "{given}: {ran}");
    }
    let ran = make("7310448219005560004n").await;
    let got = json!({ "got": r#"{"ref":7310448219005560004,"any":"aGk="}"# });
    assert_eq!(ran["result"], got, "{ran}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn integers_of_any_length_keep_their_digits_on_every_channel() {
    const LONG: &str = "123456789012345678901234567890";
    let digits = |text: String| ([("content-type", "application/json")], text).into_response();
    let rest = get(move || async move { digits(format!(r#"{{"n":{LONG},"m":-{LONG}}}"#)) });
    let lines = get(move || async move {
        ([("content-type", "application/x-ndjson")], format!("{{\"n\":{LONG}}}\n{LONG}\n"))
    });
    let graph = post(move || async move {
        digits(format!(
            r#"{{"data":{{"row":{{"id":"1","long":{LONG}}}}},"errors":[{{"message":"half"}}]}}"#
        ))
    });
    let call = post(move |body: String| async move {
        let message: Value = serde_json::from_str(&body).unwrap();
        let id = &message["id"];
        let result = match message["method"].as_str() {
            Some("initialize") => json!({
                "protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                "serverInfo": {"name": "long", "version": "1"}
            })
            .to_string(),
            Some("tools/list") => {
                json!({"tools": [{"name": "t", "inputSchema": {"type": "object"}}]}).to_string()
            }
            Some("tools/call") => {
                format!(r#"{{"structuredContent":{{"n":{LONG},"all":[{LONG},1]}}}}"#)
            }
            _ => return crate::support::upstream::error(&message, -32601, "no such method"),
        };
        digits(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#))
    });
    let router = Router::new()
        .route("/n", rest)
        .route("/lines", lines)
        .route("/graph", graph)
        .route("/mcp", call);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let folder = tempfile::TempDir::new().unwrap();
    let (spec, schema) = (folder.path().join("spec.json"), folder.path().join("schema.graphql"));
    let fine = |kind: &str| json!({"200": {"description": "ok", "content": {kind: {}}}});
    let description = json!({"openapi": "3.1.0", "paths": {
        "/n": {"get": {"operationId": "one", "tags": ["numbers"], "responses": fine("application/json")}},
        "/lines": {"get": {"operationId": "many", "tags": ["numbers"], "responses": fine("application/x-ndjson")}},
    }});
    std::fs::write(&spec, description.to_string()).unwrap();
    std::fs::write(&schema, SCHEMA).unwrap();
    let server = TestServer::with(&format!(
        "[upstreams.svc]\nkind = \"openapi\"\nspec = {spec:?}\nbase_url = {at:?}\n\
         allow_private = true\n\
         [upstreams.graph]\nkind = \"graphql\"\nurl = \"{at}/graph\"\nspec = {schema:?}\n\
         allow_private = true\n[upstreams.mcp]\nurl = \"{at}/mcp\"\nallow_private = true\n"
    ))
    .await;
    for (code, expected) in [
        ("await tools.svc.numbers.one({})", json!({"n": LONG, "m": format!("-{LONG}")})),
        ("(await tools.svc.numbers.many({})).items", json!([{"n": LONG}, LONG])),
        ("(await tools.graph.query.row({})).long", json!(LONG)),
        ("await tools.mcp.t({})", json!({"n": LONG, "all": [LONG, 1]})),
        ("BigInt((await tools.mcp.t({})).n) + 1n", json!("123456789012345678901234567891")),
    ] {
        let ran = server.run(&format!("return {code}")).await;
        assert_eq!(ran["result"], expected, "{code}: {ran}");
    }
}
