//! Names of tools: those of today, and those of the release before, which programs and policies
//! still hold.

use serde_json::{Value, json};

use crate::support::{
    policy::Policed,
    raw::{Answer, Heard, RawServer},
    server::{PATIENCE, airlock},
};

fn answering(heard: &Heard) -> (Answer, bool) {
    (Answer(200, json!({ "method": heard.method })), true)
}

/// Shapes of names that big vendors use; each name is invented.
fn description() -> Value {
    let fine =
        json!({"200": {"description": "ok", "content": {"application/json": {"schema": {}}}}});
    let operation = |id: &str, tag: Option<&str>, more: Value| {
        let mut operation = json!({ "operationId": id, "responses": fine });
        if let Some(tag) = tag {
            operation["tags"] = json!([tag]);
        }
        operation.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        operation
    };
    let path = |name: &str| json!([{"name": name, "in": "path", "required": true, "schema": {"type": "string"}}]);
    json!({"openapi": "3.0.3", "info": {"title": "Names", "version": "1"}, "paths": {
        "/2015-03-31/widgets": {
            "get": operation("ListWidgets", None, json!({})),
            "post": operation("MakeWidget", None, json!({})),
        },
        "/api/2/issue": {"delete": operation("deleteIssues", None, json!({}))},
        "/v1/users/{userId}/messages": {
            "get": operation("parcel.users.messages.list", Some("users"),
                json!({"parameters": path("userId")})),
        },
        "/api/v1/crates": {"get": operation("listCoreV1NamespacedCrate", Some("core_v1"), json!({}))},
        "/v2/records": {"post": operation("depots_create_record", Some("Depot Records"), json!({}))},
    }})
}

const POLICY: &str = r#"
version: "1"
tools:
  up._20150331.listWidgets: {rules: [{action: allow}]}
  up._20150331.makeWidget: {rules: [{action: deny, name: no widgets}]}
  "up._2.*": {rules: [{action: deny, name: no issues}]}
  "up.depotRecords.*": {rules: [{action: allow}]}
"#;

async fn started(folder: tempfile::TempDir) -> (RawServer, Policed) {
    let service = RawServer::http("127.0.0.1:0", answering).await;
    let spec = folder.path().join("spec.json");
    std::fs::write(&spec, description().to_string()).unwrap();
    let upstream = format!(
        "[upstreams.up]\nkind = \"openapi\"\nspec = {:?}\nbase_url = \"http://{}/\"\n\
         allow_private = true\n",
        spec.display().to_string(),
        service.address()
    );
    let policed = Policed::within(folder, POLICY, &upstream).await;
    (service, policed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_of_the_release_before_lead_to_their_tools_and_policies_hold_for_them() {
    let (service, policed) = started(tempfile::TempDir::new().unwrap()).await;
    let server = &policed.server;
    let listed = server
        .run("return (await tools.catalog.tools({ namespace: 'up' })).results.map((t) => t.path)")
        .await;
    assert_eq!(
        listed["result"],
        json!([
            "up.coreV1.listNamespacedCrate",
            "up.depotRecords.createRecord",
            "up.users.messages.list",
            "up.widgets.list",
        ]),
        "what is denied is not listed: {listed}"
    );
    // The former name of a tool leads to it, with a warning; so does the present one, without.
    for (call, warned) in [
        ("up._20150331.listWidgets()", true),
        ("up._20150331.list_widgets()", true),
        ("up.users.parcelUsersMessagesList({ userId: 'a' })", true),
        ("up.widgets.list()", false),
        ("up.users.messages.list({ userId: 'a' })", false),
    ] {
        let answer = server.run(&format!("return await tools.{call}")).await;
        assert_eq!(answer["result"], json!({ "method": "GET" }), "{call}: {answer}");
        let warnings = answer["warnings"].to_string();
        assert_eq!(warnings.contains("is now `up."), warned, "{call}: {answer}");
    }
    let described = server.run("return await tools.describe('up._20150331.listWidgets')").await;
    assert_eq!(described["result"]["path"], "up.widgets.list", "{described}");
    // What was denied by a former name is denied by both.
    let called = service.called();
    for (call, rule) in [
        ("up._20150331.makeWidget()", "no widgets"),
        ("up.widgets.makeWidget()", "no widgets"),
        ("up.widgets.make()", "no widgets"),
        ("up._2.deleteIssues()", "no issues"),
        ("up.issue.delete()", "no issues"),
    ] {
        let answer = server
            .run(&format!(
                "try {{ return await tools.{call} }} catch (error) {{ return [error.name, \
                 error.rule] }}"
            ))
            .await;
        let denied = answer["result"] == json!(["ToolPolicyError", rule])
            || answer["result"][0] == "ToolNotFoundError";
        assert!(denied, "{call}: {answer}");
    }
    let exact = server
        .run("try { await tools.up.widgets.make() } catch (error) { return error.rule }")
        .await;
    assert_eq!(exact["result"], "no widgets", "{exact}");
    assert_eq!(service.called(), called, "nothing was sent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lint_names_the_rules_with_former_names_and_gives_the_present_ones() {
    let (_service, policed) = started(tempfile::TempDir::new().unwrap()).await;
    let file = policed.server.folder.path().join("policy.yaml");
    let output = airlock(&policed.server.config_file())
        .args(["policy", "lint", file.to_str().unwrap()])
        .stdin(std::process::Stdio::null())
        .output();
    let output = tokio::time::timeout(PATIENCE, output).await.expect("it ends").unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    for wanted in [
        "[former-name] `up._20150331.listWidgets` holds for a tool by names of the release before",
        "write `up.widgets.list`",
        "write `up.widgets.make`",
        "they are now `up.issue.delete`",
    ] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    assert!(!said.contains("no-such-tool"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_that_misses_by_its_last_segment_is_told_the_operations_of_its_group() {
    let (_service, policed) = started(tempfile::TempDir::new().unwrap()).await;
    let answer = policed.server.run("return await tools.up.depotRecords.create()").await;
    let message = answer["error"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("did you mean `tools.up.depotRecords.createRecord`"), "{answer}");
}
