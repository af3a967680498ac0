//! Resources and prompts of an upstream, from code.

use super::*;

async fn library() -> Service {
    let capabilities = json!({"tools": {}, "resources": {}, "prompts": []});
    Service::start(capabilities, |method, params| {
        Some(match method {
            "tools/list" => json!({"tools": [
                {"name": "find", "inputSchema": {"type": "object"}},
                {"name": "$resources.read", "inputSchema": {"type": "object"}},
            ]}),
            "tools/call" => json!({"content": [
                {"type": "resource_link", "uri": "book://7", "name": "seven"},
            ]}),
            "resources/list" if params["cursor"] == "two" => json!({"resources": []}),
            "resources/list" => json!({
                "resources": [{"uri": "book://7", "name": "seven", "size": 12345678901234567890_u64}],
                "nextCursor": "two",
            }),
            "resources/templates/list" => {
                json!({"resourceTemplates": [{"uriTemplate": "book://{n}", "name": "book"}]})
            }
            "resources/read" if params["uri"] == "book://7" => json!({"contents": [
                {"uri": "book://7", "mimeType": "text/plain", "text": "words"},
                {"uri": "book://7/cover", "mimeType": "image/png", "blob": base64(9, 50)},
                {"uri": "book://7/data", "blob": base64(8, 60)},
            ]}),
            "prompts/list" => json!({"prompts": [{"name": "ask", "arguments": [{"name": "who"}]}]}),
            "prompts/get" => json!({"messages": [
                {"role": "user", "content": {"type": "text", "text": params["arguments"]["who"]}},
                {"role": "user", "content": image(&base64(5, 70))},
            ]}),
            _ => return None,
        })
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resources_are_listed_read_and_followed_from_a_link() {
    let library = library().await;
    let server = TestServer::with(&library.upstream("lib")).await;
    let answer = server
        .run(
            "const first = await tools.lib.$resources.list();
            const next = await tools.lib.$resources.list({ cursor: first.nextCursor });
            const templates = await tools.lib.$resources.templates();
            return { first, next, templates };",
        )
        .await;
    let result = &answer["result"];
    assert_eq!(result["first"]["resources"][0]["uri"], "book://7", "{answer}");
    assert_eq!(result["first"]["resources"][0]["size"], "12345678901234567890", "{answer}");
    assert_eq!(result["next"], json!({"resources": []}));
    assert_eq!(result["templates"]["resourceTemplates"][0]["uriTemplate"], "book://{n}");

    let code = "const [link] = await tools.lib.find({});
        return (await tools.lib.$resources.read({ uri: link.uri })).contents;";
    let answer = server.call("execute", json!({ "code": code })).await;
    let (text, blocks) = parts(&answer);
    assert_eq!(blocks, [image(&base64(9, 50))], "{text}");
    let contents = &answer["structuredContent"]["result"];
    assert_eq!(contents[0]["text"], "words", "{contents}");
    assert_eq!(contents[1]["blob"]["type"], "image", "{contents}");
    assert_eq!(contents[2]["blob"]["mimeType"], "application/octet-stream", "{contents}");

    let missing = server.run("return await tools.lib.$resources.read({ uri: 'book://8' })").await;
    assert_eq!(missing["error"]["name"], "ToolCallError", "{missing}");
    let wrong = server.run("return await tools.lib.$resources.read({ url: 'x' })").await;
    assert_eq!(wrong["error"]["name"], "ToolArgumentError", "{wrong}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prompts_are_listed_and_filled_in() {
    let library = library().await;
    let server = TestServer::with(&library.upstream("lib")).await;
    let code = "const { prompts } = await tools.lib.$prompts.list();
        const arguments_ = { [prompts[0].arguments[0].name]: 'Ann' };
        return (await tools.lib.$prompts.get({ name: 'ask', arguments: arguments_ })).messages;";
    let answer = server.call("execute", json!({ "code": code })).await;
    assert_eq!(parts(&answer).1, [image(&base64(5, 70))]);
    let messages = &answer["structuredContent"]["result"];
    assert_eq!(messages[0]["content"]["text"], "Ann", "{messages}");
    assert_eq!(messages[1]["content"]["mimeType"], "image/png", "{messages}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lookups_are_found_when_asked_for_and_only_where_they_are_offered() {
    let library = library().await;
    let plain = Service::with_tools(&["find"], |_, _| json!({"content": []})).await;
    let tables = library.upstream("lib") + &plain.upstream("plain");
    let server = TestServer::with(&tables).await;
    let answer = server
        .run(
            "const paths = async (query) =>
                (await tools.discover(query)).results.map(({ path }) => path);
            return {
                read: (await paths('read')), resource: await paths('read a resource'),
                prompt: await paths('prompts'),
                listed: (await tools.catalog.tools()).results.map(({ path }) => path),
                namespaces: (await tools.catalog.namespaces()).namespaces,
                told: (await tools.describe('lib.$resources.read')).typescript,
                none: await tools.plain.$resources.list().catch((error) => error.name),
            };",
        )
        .await;
    let found = |name: &str| answer["result"][name].to_string();
    assert!(!found("read").contains("$resources"), "{answer}");
    assert!(found("resource").starts_with(r#"["lib.$resources.read""#), "{answer}");
    assert!(found("prompt").contains("lib.$prompts.get"), "{answer}");
    assert_eq!(
        answer["result"]["listed"],
        json!([
            "lib.$prompts.get",
            "lib.$prompts.list",
            "lib.$resources.list",
            "lib.$resources.read",
            "lib.$resources.templates",
            "lib.find",
            "plain.find",
        ])
    );
    let namespaces = &answer["result"]["namespaces"];
    assert_eq!(namespaces[0]["toolCount"], 1, "{namespaces}");
    assert_eq!(namespaces[0]["samplePaths"], json!(["lib.find"]), "{namespaces}");
    assert!(found("told").contains("uri: string"), "{answer}");
    assert_eq!(answer["result"]["none"], "ToolNotFoundError");
    let (_, health) = server.owner(reqwest::Method::GET, "/healthz").await;
    let note = health["upstreams"][0]["message"].as_str().unwrap_or_default();
    assert!(note.contains("reserved for its resources and prompts: 1"), "{health}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policy_decides_about_lookups_as_about_tools() {
    let library = library().await;
    let policy =
        "hide: [lib.$prompts.*]\ntools:\n  lib.$resources.read:\n    rules: [{action: deny}]\n";
    let folder = tempfile::TempDir::new().unwrap();
    std::fs::write(folder.path().join("policy.yaml"), policy).unwrap();
    let config = format!(
        "[policy]\nprofile = \"readonly\"\nfiles = [\"policy.yaml\"]\n{}",
        library.upstream("lib")
    );
    let server = TestServer::within(folder, &config).await;
    let code = "const name = (call) => call.then(() => 'let through', (error) => error.name);
        return [
            await name(tools.lib.$resources.list()),
            await name(tools.lib.$resources.read({ uri: 'book://7' })),
            await name(tools.lib.$prompts.list()),
        ];";
    let answer = server.run(code).await;
    let expected = json!(["let through", "ToolPolicyError", "ToolNotFoundError"]);
    assert_eq!(answer["result"], expected, "{answer}");
    let asked: Vec<String> =
        library.asked.lock().iter().map(|(method, _)| method.clone()).collect();
    assert!(!asked.iter().any(|method| method == "resources/read"), "{asked:?}");
}
