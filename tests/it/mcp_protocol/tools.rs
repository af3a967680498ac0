//! What the tools show and answer.

use airlock::policy::Profile;
use jsonschema::Validator;

use super::*;

async fn listed(raw: &Raw) -> Vec<Value> {
    let reply =
        raw.modern(json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}})).await;
    reply.json()["result"]["tools"].as_array().unwrap().clone()
}

#[tokio::test]
async fn the_answer_of_one_plus_one_is_the_contracts_byte_for_byte() {
    let server = Server::start().await;
    let result = server.raw().call("execute", json!({"code": "return 1 + 1"})).await;
    let id = result["structuredContent"]["taskId"].as_str().unwrap();
    let expected = format!(
        "taskId: {id}\nstatus: completed\nruntimeId: {}\nexitCode: 0\n\n```json\n2\n```",
        runtime::id()
    );
    assert_eq!(text_of(&result), expected);
    assert_eq!(result["isError"], false);
    assert_eq!(result["structuredContent"]["result"], 2);
    let keys: Vec<_> =
        result["structuredContent"].as_object().unwrap().keys().map(String::as_str).collect();
    let fields = [
        "taskId",
        "status",
        "runtimeId",
        "exitCode",
        "result",
        "workspaceId",
        "accountId",
        "sessionId",
        "usage",
    ];
    assert_eq!(keys, fields);
}

#[tokio::test]
async fn the_list_of_tools_has_a_fixed_order_whole_schemas_and_short_descriptions() {
    let server = Server::over(&Setup::upstream(&["--tools", "5"])).await;
    let tools = listed(&server.raw()).await;
    let names: Vec<_> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["execute", "task_get", "task_list", "task_cancel"]);
    for tool in &tools {
        assert!(tool["description"].as_str().unwrap().len() < 2048);
        assert!(tool["annotations"]["readOnlyHint"].is_boolean(), "{tool}");
        for schema in ["inputSchema", "outputSchema"] {
            assert_eq!(tool[schema]["type"], "object");
            assert!(jsonschema::draft202012::meta::is_valid(&tool[schema]), "{}", tool[schema]);
            assert!(!tool[schema].to_string().contains("$ref"), "{}", tool[schema]);
        }
    }
    assert!(tools[0]["description"].as_str().unwrap().contains("everything (13 tools)"));
    let input = &tools[0]["inputSchema"]["properties"];
    assert_eq!(
        (&input["timeoutMs"]["minimum"], &input["timeoutMs"]["maximum"]),
        (&json!(1), &json!(600_000))
    );
    assert_eq!(
        (&input["resultTimeoutMs"]["minimum"], &input["resultTimeoutMs"]["maximum"]),
        (&json!(100), &json!(900_000))
    );
    assert_eq!(input["code"]["maxLength"], 262_144);
    assert_eq!(tools[0]["inputSchema"]["required"], json!(["code"]));
}

#[tokio::test]
async fn every_answer_keeps_to_its_output_schema() {
    let setup = Setup { profile: Profile::ReadOnly, ..Setup::upstream(&[]) };
    let server = Server::over(&setup).await;
    let raw = server.raw();
    let schemas: Vec<(String, Validator)> = listed(&raw)
        .await
        .iter()
        .map(|tool| {
            (
                tool["name"].as_str().unwrap().to_owned(),
                jsonschema::validator_for(&tool["outputSchema"]).unwrap(),
            )
        })
        .collect();
    let holds = |tool: &str, result: &Value| {
        let (_, schema) = schemas.iter().find(|(name, _)| name == tool).unwrap();
        let errors: Vec<_> = schema
            .iter_errors(&result["structuredContent"])
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{tool}: {errors:?}: {result}");
    };
    let ends = [
        ("return 1 + 1".to_owned(), 300_000),
        (FAILS.to_owned(), 300_000),
        (GROWS.to_owned(), 300_000),
        (sleep(60_000), 100),
        (DENIED.to_owned(), 300_000),
        (LOGS.to_owned(), 300_000),
        (big(2_000_000), 300_000),
    ];
    for (code, timeout) in ends {
        let arguments =
            json!({"code": code, "timeoutMs": timeout, "sessionId": "s", "metadata": {"a": 1}});
        let result = raw.call("execute", arguments).await;
        holds("execute", &result);
        let id = &result["structuredContent"]["taskId"];
        holds("task_get", &raw.call("task_get", json!({"taskId": id})).await);
        if result["structuredContent"]["status"] == "completed" {
            let page = json!({"taskId": id, "resultOffset": 1, "resultLimit": 10});
            holds("task_get", &raw.call("task_get", page).await);
        }
        holds("task_cancel", &raw.call("task_cancel", json!({"taskId": id})).await);
    }
    holds("execute", &cancelled_execution(&server).await);
    holds(
        "execute",
        &raw.call("execute", json!({"code": sleep(60000), "waitForResult": false})).await,
    );
    holds("task_list", &raw.call("task_list", json!({})).await);
}

/// The answer to an `execute` whose task is cancelled meanwhile.
async fn cancelled_execution(server: &Server) -> Value {
    let raw = server.raw();
    let before = server.below.tasks().len();
    let execution = tokio::spawn({
        let raw = raw.clone();
        async move { raw.call("execute", json!({"code": sleep(60_000)})).await }
    });
    until("the task is recorded", || server.below.tasks().len() > before).await;
    let task = server.below.tasks().pop().unwrap().task_id.to_string();
    raw.call("task_cancel", json!({"taskId": task})).await;
    execution.await.unwrap()
}

#[tokio::test]
async fn an_answer_is_an_error_exactly_when_the_task_ended_otherwise_than_completed() {
    let setup = Setup { profile: Profile::ReadOnly, ..Setup::upstream(&[]) };
    let server = Server::over(&setup).await;
    let raw = server.raw();
    let run = async |code: &str, timeout: u64| {
        raw.call("execute", json!({"code": code, "timeoutMs": timeout})).await
    };
    let failed = run(FAILS, 300_000).await;
    for (result, status, exit, error) in [
        (run("return 1 + 1", 300_000).await, "completed", 0, None),
        (failed.clone(), "failed", 1, Some("TypeError: x is not a function (line 7, column 9)")),
        (run(GROWS, 300_000).await, "failed", 137, Some("LimitError: ")),
        (run(&sleep(60_000), 100).await, "timed_out", 124, Some("LimitError: ")),
        (run(DENIED, 300_000).await, "denied", 126, Some("ToolPolicyError: ")),
        (cancelled_execution(&server).await, "cancelled", 130, Some("Cancelled: ")),
    ] {
        assert_eq!(result["isError"], error.is_some(), "{result}");
        assert_eq!(result["structuredContent"]["status"], status, "{result}");
        assert_eq!(result["structuredContent"]["exitCode"], exit, "{result}");
        if let Some(error) = error {
            let head = format!("\nexitCode: {exit}\nerror: {error}");
            assert!(text_of(&result).contains(&head), "{}", text_of(&result));
        }
    }
    let hint = failed["structuredContent"]["error"]["hint"].as_str();
    if let Some(hint) = hint {
        assert!(text_of(&failed).ends_with(&format!("\n\nhint: {hint}")), "{failed}");
    }
    let running = raw.call("execute", json!({"code": sleep(60000), "waitForResult": false})).await;
    assert_eq!(running["isError"], false);
    assert!(
        ["queued", "running"].contains(&running["structuredContent"]["status"].as_str().unwrap())
    );
    assert!(text_of(&running).contains("Call task_get with {\"taskId\":\"task_"), "{running}");
    assert!(running["structuredContent"]["next"].as_str().unwrap().contains("waitMs"));
}

#[tokio::test]
async fn bad_arguments_are_named_with_their_value_and_what_is_allowed() {
    let server = Server::start().await;
    let raw = server.raw();
    for (tool, arguments, expected) in [
        ("execute", json!({}), "`code` is missing: expected a string of 1 to 262144 characters"),
        (
            "execute",
            json!({"code": 5}),
            "argument `code` of `execute` is `5`: expected a string of 1 to 262144 characters",
        ),
        ("execute", json!({"code": ""}), "argument `code` of `execute` is an empty string"),
        ("execute", json!({"code": "x".repeat(262_145)}), "a string of 262145 characters"),
        (
            "execute",
            json!({"code": "1", "timeoutMs": 0}),
            "argument `timeoutMs` of `execute` is `0`: expected an integer of 1 to 600000",
        ),
        ("execute", json!({"code": "1", "timeoutMs": 600_001}), "`600001`"),
        (
            "execute",
            json!({"code": "1", "timeoutMs": "5000"}),
            "is the string `\"5000\"`: expected an integer",
        ),
        ("execute", json!({"code": "1", "timeoutMs": 1.5}), "is `1.5`"),
        ("execute", json!({"code": "1", "resultTimeoutMs": 99}), "an integer of 100 to 900000"),
        ("execute", json!({"code": "1", "waitForResult": "no"}), "expected a boolean"),
        ("execute", json!({"code": "1", "metadata": []}), "is an array: expected an object"),
        (
            "execute",
            json!({"code": "1", "timeout": 5}),
            "`execute` has no argument `timeout`; did you mean `timeoutMs`?",
        ),
        (
            "execute",
            json!({"code": "1", "timeout": 5}),
            "hint: `execute` takes `code`, `timeoutMs`",
        ),
        (
            "execute",
            json!({"code": "1", "sessionId": "s".repeat(129)}),
            "a string of 1 to 128 characters",
        ),
        ("task_get", json!({"taskId": "nonsense"}), "there is no task `nonsense`"),
        (
            "task_get",
            json!({"taskId": "task_00000000-0000-7000-8000-000000000000"}),
            "there is no task",
        ),
        ("task_get", json!({"taskId": "task_1", "waitMs": 50_001}), "an integer of 0 to 50000"),
        ("task_list", json!({"status": "done"}), "expected one of `queued`, `running`"),
        ("task_list", json!({"limit": 201}), "an integer of 1 to 200"),
        ("task_cancel", json!({}), "`taskId` is missing"),
    ] {
        let result = raw.call(tool, arguments.clone()).await;
        assert_eq!(result["isError"], true, "{tool} {arguments}");
        assert!(text_of(&result).contains(expected), "{tool} {arguments}: {}", text_of(&result));
        assert!(result.get("structuredContent").is_none());
    }
}

#[tokio::test]
async fn null_counts_as_left_out_and_a_whole_number_as_an_integer() {
    let server = Server::start().await;
    let result = server
        .raw()
        .call("execute", json!({"code": "return 1 + 1", "sessionId": null, "timeoutMs": 5000.0}))
        .await;
    assert_eq!(result["structuredContent"]["status"], "completed", "{result}");
}

#[tokio::test]
async fn an_unknown_tool_is_a_protocol_error_that_names_the_tools() {
    let server = Server::start().await;
    let message = json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "exec", "arguments": {}}
    });
    let error = server.raw().modern(message).await.json()["error"].clone();
    assert_eq!(error["code"], -32602);
    assert!(error["message"].as_str().unwrap().contains("`exec`"), "{error}");
    assert!(error["message"].as_str().unwrap().contains("execute, task_get"), "{error}");
}

#[tokio::test]
async fn text_is_capped_and_the_structured_result_is_whole() {
    let server = Server::start().await;
    let result = server.raw().call("execute", json!({"code": big(100000)})).await;
    let text = text_of(&result);
    assert!(text.chars().count() <= 30_000, "{}", text.chars().count());
    let note =
        text.lines().find_map(|line| line.strip_prefix("... [result preview truncated ")).unwrap();
    let missing: usize = note.strip_suffix(" chars]").unwrap().parse().unwrap();
    assert!(
        text.contains("whole result is in `structuredContent`")
            && text.contains("\"resultOffset\":0"),
        "the way on is told"
    );
    let shown = text.lines().find(|line| line.starts_with('"')).unwrap().chars().count();
    assert_eq!(shown + missing, 100_002);
    assert_eq!(result["structuredContent"]["result"].as_str().unwrap().len(), 100_000);
    assert!(result["structuredContent"].get("truncated").is_none());
}

#[tokio::test]
async fn a_result_over_one_mebibyte_is_told_and_read_in_pages() {
    let server = Server::start().await;
    let raw = server.raw();
    let result = raw.call("execute", json!({"code": big(2000000)})).await;
    let structured = &result["structuredContent"];
    assert_eq!(structured["result"], Value::Null);
    assert_eq!(structured["truncated"]["totalBytes"], 2_000_002);
    assert!(structured["truncated"]["next"].as_str().unwrap().contains("resultOffset"));
    assert!(text_of(&result).contains("\"xxxx"), "the beginning is shown");
    assert!(text_of(&result).contains("result preview truncated"));
    assert!(text_of(&result).chars().count() <= 30_000);
    let mut whole = String::new();
    let mut offset = json!(0);
    while !offset.is_null() {
        let arguments = json!({
            "taskId": structured["taskId"], "resultOffset": offset, "resultLimit": 1_000_000
        });
        let answer = raw.call("task_get", arguments).await;
        let page = answer["structuredContent"]["resultPage"].clone();
        let next = format!("\"resultOffset\":{}", page["nextOffset"]);
        assert_eq!(
            text_of(&answer).contains(&next),
            !page["nextOffset"].is_null(),
            "the text leads on as well"
        );
        whole.push_str(page["text"].as_str().unwrap());
        offset = page["nextOffset"].clone();
    }
    assert_eq!(serde_json::from_str::<String>(&whole).unwrap().len(), 2_000_000);
}

#[tokio::test]
async fn console_output_is_in_both_forms() {
    let server = Server::start().await;
    let result = server.raw().call("execute", json!({"code": LOGS})).await;
    assert!(
        text_of(&result).ends_with("\n\nlogs:\n```\nhello\nwarn: careful\n```"),
        "{}",
        text_of(&result)
    );
    assert_eq!(result["structuredContent"]["logs"]["lines"][1]["level"], "warn");
}

#[tokio::test]
async fn task_get_shows_the_whole_record() {
    let server = Server::start().await;
    let raw = server.raw();
    let done = raw.call("execute", json!({"code": "return 1 + 1", "metadata": {"run": 7}})).await;
    let record = raw.call("task_get", json!({"taskId": done["structuredContent"]["taskId"]})).await
        ["structuredContent"]
        .clone();
    assert_eq!(record["code"], "return 1 + 1");
    assert_eq!(record["metadata"], json!({"run": 7}));
    assert_eq!(record["clientId"], "raw");
    assert_eq!(record["timeoutMs"], 300_000);
    assert!(record["createdAt"].as_str().unwrap().ends_with('Z'));
}

#[tokio::test]
async fn cancelling_is_no_error_and_ends_the_task() {
    let server = Server::start().await;
    let raw = server.raw();
    let running = raw.call("execute", json!({"code": sleep(60000), "waitForResult": false})).await;
    let cancelled =
        raw.call("task_cancel", json!({"taskId": running["structuredContent"]["taskId"]})).await;
    assert_eq!(cancelled["isError"], false);
    assert_eq!(cancelled["structuredContent"]["status"], "cancelled");
    assert_eq!(cancelled["structuredContent"]["exitCode"], 130);
}

#[tokio::test]
async fn a_failure_of_the_server_keeps_its_causes_to_itself() {
    let server = Server::start().await;
    let raw = server.raw();
    let done = raw.call("execute", json!({"code": "return 1"})).await;
    let id = done["structuredContent"]["taskId"].as_str().unwrap();
    server.below.store.damage_results();
    let result = raw.call("task_get", json!({"taskId": id})).await;
    let expected =
        format!("error: the result of `{id}` is damaged\nhint: the server's log says more");
    assert_eq!(text_of(&result), expected);
    let server = Server::over(&Setup { queue_max: 0, ..Setup::default() }).await;
    let busy = server.raw().call("execute", json!({"code": "return 1"})).await;
    assert!(text_of(&busy).contains("retryAfterMs: 1000"), "{busy}");
}

#[tokio::test]
async fn a_panic_still_answers_and_the_server_goes_on() {
    let server = Server::start().await;
    let raw = server.raw();
    let done = raw.call("execute", json!({"code": "return 1"})).await;
    server.below.store.panic_once();
    let id = &done["structuredContent"]["taskId"];
    let result = raw.call("task_get", json!({"taskId": id})).await;
    assert_eq!(result["isError"], true);
    assert!(text_of(&result).contains("the server failed"), "{result}");
    assert_eq!(
        raw.call("execute", json!({"code": "return 1 + 1"})).await["structuredContent"]["result"],
        2
    );
}

#[tokio::test]
async fn a_silent_caller_is_held_only_so_long_and_one_that_shows_progress_longer() {
    let options = HttpOptions { rates: RateLimits::new(0, 0), ..HttpOptions::default() };
    let setup = Setup { hold: Duration::from_millis(100), ..Setup::default() };
    let server = Server::with(options, &setup).await;
    let raw = server.raw();
    let short = raw.call("execute", json!({"code": sleep(700)})).await;
    assert_eq!(short["structuredContent"]["status"], "running");
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "execute", "arguments": {"code": sleep(700)}, "_meta": {"progressToken": "p"}}});
    let reply = raw.modern(message).await;
    assert_eq!(reply.json()["result"]["structuredContent"]["result"], "slept");
    let first = reply.text.lines().find_map(|line| line.strip_prefix("data:")).unwrap();
    let first: Value = serde_json::from_str(first).unwrap();
    assert_eq!(first["method"], "notifications/progress", "progress comes before the answer");
    assert_eq!(first["params"]["progressToken"], "p");
}
