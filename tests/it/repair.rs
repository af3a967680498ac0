//! Calls that are written wrong: the error alone is enough to write them right, which is shown by
//! making the call that it gives.

use std::{fmt::Write as _, net::SocketAddr, path::Path};

use serde_json::{Value, json};

use crate::support::{
    raw::{Answer, Heard, RawServer},
    server::TestServer,
};

/// Tells what came, so that a call that was made is known by its answer.
fn telling(heard: &Heard) -> (Answer, bool) {
    let variables = &heard.body["variables"];
    let answer = if variables.is_object() {
        json!({"data": {"issue": variables.to_string(), "close": variables.to_string()}})
    } else {
        heard.body.clone()
    };
    (Answer(200, if answer.is_null() { json!({"made": heard.method}) } else { answer }), true)
}

fn description() -> Value {
    let text = json!({"type": "string"});
    let path = |name: &str| json!({"name": name, "in": "path", "required": true, "schema": text});
    let state =
        json!({"name": "state", "in": "query", "schema": {"enum": ["open", "closed", "all"]}});
    let issue = json!({
        "type": "object", "required": ["title"],
        "properties": {
            "title": text, "body": text, "labels": {"type": "array", "items": text},
            "state_reason": {"enum": ["completed", "not_planned"]}
        },
    });
    let fine =
        json!({"200": {"description": "ok", "content": {"application/json": {"schema": {}}}}});
    json!({"openapi": "3.1.0", "paths": {"/repos/{owner}/{repo}/issues": {
        "parameters": [path("owner"), path("repo")],
        "get": {
            "operationId": "issues/list", "tags": ["issues"], "parameters": [state],
            "responses": fine
        },
        "post": {"operationId": "issues/create", "tags": ["issues"], "responses": fine,
            "requestBody": {"required": true, "content": {"application/json": {"schema": issue}}}},
    }}})
}

const SCHEMA: &str = "
type Query { issue(number: Int!, state: State): String }
type Mutation { close(input: CloseInput!): String }
enum State { OPEN CLOSED }
input CloseInput { id: ID! reason: Reason }
enum Reason { COMPLETED NOT_PLANNED }
";

const WRONG: [&str; 18] = [
    // No such tool.
    "tools.git.issues.creat({ owner: 'o', repo: 'r', body: { title: 't' } })",
    "tools.git.createIssue({})",
    "tools.graph.query.isue({ number: 1 })",
    // A wrong name of an argument.
    "tools.git.issues.list({ ownr: 'o', repo: 'r' })",
    "tools.git.issues.create({ owner: 'o', repo: 'r', body: { titel: 't' } })",
    "tools.graph.query.issue({ nummer: 1 })",
    "tools.graph.mutation.close({ input: { ID: 'x' } })",
    // A missing one.
    "tools.git.issues.list({ owner: 'o' })",
    "tools.git.issues.create({ owner: 'o', repo: 'r' })",
    "tools.graph.query.issue()",
    "tools.graph.mutation.close({ input: {} })",
    // A value that is not allowed.
    "tools.git.issues.list({ owner: 'o', repo: 'r', state: 'opened' })",
    "tools.git.issues.create({ owner: 'o', repo: 'r', body: { title: 't', state_reason: 'done' } \
    })",
    "tools.graph.query.issue({ number: 1, state: 'open' })",
    "tools.graph.mutation.close({ input: { id: 'x', reason: 'NOT_PLANED' } })",
    // In the wrong place.
    "tools.git.issues.create({ owner: 'o', repo: 'r', title: 'It breaks' })",
    "tools.git.issues.create({ owner: 'o', repo: 'r', title: 'It breaks', body: 'so much' })",
    "tools.graph.mutation.close({ id: 'x' })",
];

fn configuration(at: SocketAddr, spec: &Path, schema: &Path) -> String {
    let (spec, schema) = (spec.display().to_string(), schema.display().to_string());
    format!(
        "[upstreams.git]\nkind = \"openapi\"\nspec = {spec:?}\nbase_url \
        = \"http://{at}/\"\nallow_private = true\n\
         [upstreams.graph]\nkind = \"graphql\"\nurl = \"http://{at}/\"\nspec = \
        {schema:?}\nallow_private = true\n"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_alone_is_enough_to_write_the_call_right() {
    let service = RawServer::http("127.0.0.1:0", telling).await;
    let folder = tempfile::TempDir::new().unwrap();
    let (spec, schema) = (folder.path().join("spec.json"), folder.path().join("schema.graphql"));
    std::fs::write(&spec, description().to_string()).unwrap();
    std::fs::write(&schema, SCHEMA).unwrap();
    let server = TestServer::with(&configuration(service.address(), &spec, &schema)).await;
    let mut told = String::new();
    for call in WRONG {
        let called = service.called();
        let wrong = server.run(&format!("return await {call}")).await;
        assert_eq!(wrong["status"], "failed", "{call}: {wrong}");
        assert_eq!(service.called(), called, "{call}: nothing was sent");
        let message = wrong["error"]["message"].as_str().unwrap();
        writeln!(told, "{call}\n  {message}").unwrap();
        if let Some((_, right)) = message.rsplit_once("correct: await ") {
            let made = server.run(&format!("return await {right}")).await;
            assert_eq!(made["status"], "completed", "{right}: {made}");
            assert_eq!(service.called(), called + 1, "{right}: it was made");
            continue;
        }
        assert!(message.contains("did you mean"), "{call}: {message}");
    }
    insta::assert_snapshot!(told, @r#"
    tools.git.issues.creat({ owner: 'o', repo: 'r', body: { title: 't' } })
      there is no tool `git.issues.creat`, did you mean `tools.git.issues.create`?; find one with await tools.discover("creat")
    tools.git.createIssue({})
      there is no tool `git.createIssue`, did you mean `tools.git.issues.create`?; find one with await tools.discover("create issue")
    tools.graph.query.isue({ number: 1 })
      there is no tool `graph.query.isue`, did you mean `tools.graph.query.issue`?; find one with await tools.discover("isue")
    tools.git.issues.list({ ownr: 'o', repo: 'r' })
      `tools.git.issues.list`: field `owner` is missing (string); there is no field `ownr`, did you mean `owner`?; correct: await tools.git.issues.list({ owner: "o", repo: "r" })
    tools.git.issues.create({ owner: 'o', repo: 'r', body: { titel: 't' } })
      `tools.git.issues.create`: field `body.title` is missing (string), did you mean it by `body.titel`?; correct: await tools.git.issues.create({ owner: "o", repo: "r", body: { title: "t" } })
    tools.graph.query.issue({ nummer: 1 })
      `tools.graph.query.issue`: there is no field `nummer`, did you mean `number`?; field `number` is missing (integer); correct: await tools.graph.query.issue({ number: 1 })
    tools.graph.mutation.close({ input: { ID: 'x' } })
      `tools.graph.mutation.close`: there is no field `input.ID`, did you mean `input.id`?; field `input.id` is missing (string | integer); correct: await tools.graph.mutation.close({ input: { id: "x" } })
    tools.git.issues.list({ owner: 'o' })
      `tools.git.issues.list`: field `repo` is missing (string); correct: await tools.git.issues.list({ owner: "o", repo: "…" })
    tools.git.issues.create({ owner: 'o', repo: 'r' })
      `tools.git.issues.create`: field `body` is missing ({ title: string; body?: string; labels?: string[]; state_reason?: "completed" | "not_planned" }); correct: await tools.git.issues.create({ owner: "o", repo: "r", body: { title: "…" } })
    tools.graph.query.issue()
      `tools.graph.query.issue`: field `number` is missing (integer); correct: await tools.graph.query.issue({ number: 1 })
    tools.graph.mutation.close({ input: {} })
      `tools.graph.mutation.close`: field `input.id` is missing (string | integer); correct: await tools.graph.mutation.close({ input: { id: "…" } })
    tools.git.issues.list({ owner: 'o', repo: 'r', state: 'opened' })
      `tools.git.issues.list`: field `state` must be one of "open", "closed", "all", got string "opened", did you mean "open"?; correct: await tools.git.issues.list({ state: "open", owner: "o", repo: "r" })
    tools.git.issues.create({ owner: 'o', repo: 'r', body: { title: 't', state_reason: 'done' } })
      `tools.git.issues.create`: field `body.state_reason` must be one of "completed", "not_planned", got string "done"; correct: await tools.git.issues.create({ owner: "o", repo: "r", body: { title: "t", state_reason: "completed" } })
    tools.graph.query.issue({ number: 1, state: 'open' })
      `tools.graph.query.issue`: field `state` must be one of "OPEN", "CLOSED", null, got string "open", did you mean "OPEN"?; correct: await tools.graph.query.issue({ number: 1, state: "OPEN" })
    tools.graph.mutation.close({ input: { id: 'x', reason: 'NOT_PLANED' } })
      `tools.graph.mutation.close`: field `input.reason` must be one of "COMPLETED", "NOT_PLANNED", null, got string "NOT_PLANED", did you mean "NOT_PLANNED"?; correct: await tools.graph.mutation.close({ input: { id: "x", reason: "NOT_PLANNED" } })
    tools.git.issues.create({ owner: 'o', repo: 'r', title: 'It breaks' })
      `tools.git.issues.create`: field `body` is missing ({ title: string; body?: string; labels?: string[]; state_reason?: "completed" | "not_planned" }); field `title` belongs in `body`: write `body.title`; correct: await tools.git.issues.create({ owner: "o", repo: "r", body: { title: "It breaks" } })
    tools.git.issues.create({ owner: 'o', repo: 'r', title: 'It breaks', body: 'so much' })
      `tools.git.issues.create`: field `body` must be { title: string; body?: string; labels?: string[]; state_reason?: "completed" | "not_planned" }, got string "so much"; field `title` belongs in `body`: write `body.title`; correct: await tools.git.issues.create({ owner: "o", repo: "r", body: { title: "It breaks", body: "so much" } })
    tools.graph.mutation.close({ id: 'x' })
      `tools.graph.mutation.close`: field `id` belongs in `input`: write `input.id`; field `input` is missing ({ id: string | integer; reason?: "COMPLETED" | "NOT_PLANNED" | null }); correct: await tools.graph.mutation.close({ input: { id: "x" } })
    "#);
    server.stop().await;
    service.stop().await;
}
