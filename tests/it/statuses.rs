//! Every status with its exit code, and the answer's text, as a client gets them.

use serde_json::{Value, json};

use crate::support::{
    runtime,
    server::{TestServer, demo, eventually},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_answer_to_one_plus_one_is_the_contracts_byte_for_byte() {
    let server = TestServer::with("").await;
    let answer = server.call("execute", json!({ "code": "return 1 + 1" })).await;
    let id = answer["structuredContent"]["taskId"].as_str().unwrap();
    let text = format!(
        "taskId: {id}\nstatus: completed\nruntimeId: {runtime}\nexitCode: 0\n\n```json\n2\n```",
        runtime = runtime::id()
    );
    assert_eq!(answer["content"], json!([{ "type": "text", "text": text }]));
    assert_eq!(answer["isError"], json!(false));
    let structured = &answer["structuredContent"];
    assert_eq!(structured["result"], 2);
    assert_eq!(
        (&structured["workspaceId"], &structured["accountId"]),
        (&json!("local"), &json!("local"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_status_has_its_exit_code_and_says_whether_it_is_an_error() {
    let server = TestServer::with(&demo(&[])).await;
    let table = [
        ("return 1", "completed", 0),
        ("throw new Error('no')", "failed", 1),
        ("return (", "failed", 1),
        ("const a = []; for (;;) a.push(new Array(1000).fill(0.5))", "failed", 137),
        ("while (true) {}", "timed_out", 124),
        ("await new Promise((done) => setTimeout(done, 60000))", "timed_out", 124),
    ];
    for (code, status, exit_code) in table {
        let timeout_ms = if status == "timed_out" { 300 } else { 20_000 };
        let answer = server.call("execute", json!({ "code": code, "timeoutMs": timeout_ms })).await;
        let structured = &answer["structuredContent"];
        assert_eq!(
            (&structured["status"], &structured["exitCode"]),
            (&json!(status), &json!(exit_code)),
            "{code}: {answer}"
        );
        assert_eq!(answer["isError"], json!(status != "completed"), "{code}");
        let text = answer["content"][0]["text"].as_str().unwrap();
        assert!(
            text.contains(&format!("status: {status}\n"))
                && text.contains(&format!("exitCode: {exit_code}")),
            "{text}"
        );
        assert_eq!(text.contains("\nerror: "), status != "completed", "{text}");
        let id = &structured["taskId"];
        let again = &server.call("task_get", json!({ "taskId": id })).await["structuredContent"];
        assert_eq!(
            (&again["status"], &again["exitCode"]),
            (&json!(status), &json!(exit_code)),
            "the record says the same"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_task_ends_with_130_and_its_call_is_aborted() {
    let server = TestServer::with(&demo(&[])).await;
    eventually("the demo upstream answers", async || {
        (server.run("return await tools.demo.wait({ ms: 0 })").await["status"] == "completed")
            .then_some(())
    })
    .await;
    let answer = server
        .call(
            "execute",
            json!({ "code": "await tools.demo.wait({ ms: 60000 })", "waitForResult": false }),
        )
        .await;
    assert_eq!(
        answer["isError"],
        json!(false),
        "an answer about a task that has not ended is no error"
    );
    let id = answer["structuredContent"]["taskId"].clone();
    let started = |events: &Value| {
        events["events"]
            .as_array()
            .unwrap()
            .iter()
            .any(|event| event["type"] == "tool.call.started")
    };
    let path = format!("/v1/tasks/{}/events", id.as_str().unwrap());
    eventually("the call has started", async || {
        started(&server.owner(reqwest::Method::GET, &path).await.1).then_some(())
    })
    .await;
    let ended = &server.call("task_cancel", json!({ "taskId": id })).await["structuredContent"];
    assert_eq!((&ended["status"], &ended["exitCode"]), (&json!("cancelled"), &json!(130)));
    let (_, history) = server.owner(reqwest::Method::GET, &path).await;
    let kinds: Vec<_> = history["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "task.created",
            "task.queued",
            "task.running",
            "tool.call.requested",
            "tool.call.started",
            "tool.call.failed",
            "task.cancelled"
        ]
    );
    let numbers: Vec<_> = history["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, (1..=7).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_idempotency_key_gives_the_same_task() {
    let server = TestServer::with("").await;
    let once = json!({ "code": "return Math.random()", "idempotencyKey": "order-7" });
    let first = server.execute(once.clone()).await;
    let second = server.execute(once).await;
    assert_eq!((&first["taskId"], &first["result"]), (&second["taskId"], &second["result"]));
    let other = server
        .execute(json!({ "code": "return Math.random()", "idempotencyKey": "order-8" }))
        .await;
    assert_ne!(first["taskId"], other["taskId"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_not_waited_for_is_polled() {
    let server = TestServer::with("").await;
    let code = "await new Promise((done) => setTimeout(done, 400)); return 'late'";
    let held = server.call("execute", json!({ "code": code, "resultTimeoutMs": 100 })).await;
    assert_eq!(
        (&held["structuredContent"]["status"], &held["isError"]),
        (&json!("running"), &json!(false))
    );
    let id = &held["structuredContent"]["taskId"];
    let late = &server.call("task_get", json!({ "taskId": id, "waitMs": 20_000 })).await["structuredContent"];
    assert_eq!((&late["status"], &late["result"]), (&json!("completed"), &json!("late")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_result_is_previewed_and_read_in_pages() {
    let server = TestServer::with("").await;
    let code = "return Array.from({ length: 300000 }, (_, i) => 'Zeile ' + i + ' ä')";
    let answer = server.call("execute", json!({ "code": code })).await;
    let structured = &answer["structuredContent"];
    assert_eq!(structured["status"], "completed");
    assert!(
        structured["truncated"].is_object() || structured["truncated"].is_string(),
        "what was left out is said: {}",
        structured["truncated"]
    );
    let text = answer["content"][0]["text"].as_str().unwrap();
    assert!(
        text.chars().count() < 31_000 && text.contains("... [result preview truncated "),
        "{}",
        text.len()
    );
    let (mut whole, mut offset) = (String::new(), 0);
    loop {
        let arguments = json!({
            "taskId": structured["taskId"], "resultOffset": offset, "resultLimit": 1_000_000
        });
        let page =
            server.call("task_get", arguments).await["structuredContent"]["resultPage"].clone();
        whole.push_str(page["text"].as_str().unwrap());
        match page["nextOffset"].as_u64() {
            Some(next) => offset = next,
            None => break,
        }
    }
    let parsed: Vec<String> = serde_json::from_str(&whole).unwrap();
    assert_eq!((parsed.len(), parsed[299_999].as_str()), (300_000, "Zeile 299999 ä"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_arguments_are_refused_by_name_value_and_bound() {
    let server = TestServer::with("").await;
    let table = [
        (json!({ "code": "" }), ["`code`", "1 to 262144"]),
        (json!({ "code": "return 1", "timeoutMs": 0 }), ["`timeoutMs`", "1 to 600000"]),
        (json!({ "code": "return 1", "timeoutMs": 600_001 }), ["`timeoutMs`", "1 to 600000"]),
        (
            json!({ "code": "return 1", "resultTimeoutMs": 99 }),
            ["`resultTimeoutMs`", "100 to 900000"],
        ),
        (json!({ "code": "return 1", "runtimeId": "bun" }), ["`runtimeId`", runtime::id()]),
        (json!({ "code": "return 1", "sessionId": "s".repeat(129) }), ["`sessionId`", "128"]),
        (
            json!({ "code": "return 1", "metadata": { "k": "v".repeat(17_000) } }),
            ["`metadata`", "16384"],
        ),
        (json!({ "code": "return 1", "timeout": 5 }), ["timeout", "timeoutMs"]),
        (json!({ "code": "x".repeat(262_145) }), ["`code`", "262144"]),
    ];
    for (arguments, parts) in table {
        let answer = server.call("execute", arguments.clone()).await;
        let text = answer["content"][0]["text"].as_str().unwrap_or_default();
        assert_eq!(answer["isError"], json!(true), "{text}");
        assert!(parts.iter().all(|part| text.contains(part)), "{parts:?} in {text}");
    }
    let missing = server
        .call("task_get", json!({ "taskId": "task_00000000-0000-7000-8000-000000000000" }))
        .await;
    assert!(
        missing["content"][0]["text"].as_str().unwrap().contains("there is no task"),
        "{missing}"
    );
}
