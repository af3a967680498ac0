//! Programs that call a GraphQL service, through the real binary.

use serde_json::json;

use super::Reference;
use crate::support::server::TestServer;

#[tokio::test]
async fn a_program_calls_a_graphql_tool_with_and_without_a_selection() {
    let Some(service) = Reference::start().await else { return };
    let config = format!(
        "[upstreams.git]\nkind = \"graphql\"\nurl = \"{}/graphql\"\nallow_private = true\n",
        service.url
    );
    let server = TestServer::with(&config).await;
    let answer = server
        .run(
            r#"
            const found = await tools.discover("create issue");
            const hint = (await tools.describe("git.query.repository")).typescript;
            const first = await tools.git.query.search({ text: "first" });
            const chosen = await tools.git.query.repository({ owner: "mia", name: "airlock", select: "name issues(first: 1) { nodes { title } }" });
            const made = await tools.git.mutation.createIssue({ input: { repositoryId: "R1", title: "from a program" }, select: "issue { number }" });
            const refused = await tools.git.query.repository({ owner: "mia", name: "airlock", select: "id } version {" })
                .catch((error) => [error.name, error.code, error.message]);
            return { best: found.bestPath, hint, first, chosen, made, refused };
            "#,
        )
        .await;
    assert_eq!(answer["status"], "completed", "{answer}");
    let result = &answer["result"];
    assert_eq!(result["best"], "git.mutation.createIssue");
    assert!(result["hint"].as_str().unwrap().contains("select?: string"), "{result}");
    assert_eq!(result["first"][0]["title"], "First");
    assert_eq!(
        result["chosen"],
        json!({"name": "airlock", "issues": {"nodes": [{"title": "First"}]}})
    );
    assert_eq!(result["made"]["issue"], json!({"number": 3}));
    assert_eq!(
        (&result["refused"][0], &result["refused"][1]),
        (&json!("ToolArgumentError"), &json!("invalid_tool_arguments"))
    );
    assert!(result["refused"][2].as_str().unwrap().contains("nothing was sent"), "{result}");
    // What was refused of an answer is told beside the result.
    let answer = server.run(r#"const { id, secret } = await tools.git.mutation.rename({ id: "R1" }); return [id, secret];"#).await;
    assert_eq!(
        (&answer["status"], &answer["result"]),
        (&json!("completed"), &json!(["R1", null])),
        "{answer}"
    );
    assert!(answer["warnings"][0].as_str().unwrap().contains("at `rename.secret`"), "{answer}");
    server.stop().await;
}
