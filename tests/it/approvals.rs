//! Calls that wait for a person: decided once, by the owner alone, and made exactly as they were
//! shown.

mod pages;

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::support::{
    policy::Policed,
    server::{PATIENCE, airlock, eventually},
};

pub(crate) const ASKS: &str = r#"
version: "1"
default: allow
tools:
  demo.notes.add:
    rules:
      - { name: notes-need-a-word, action: ask, message: notes stay }
"#;

/// A program that changes its object after the call was made.
const CHANGES_ITS_OBJECT: &str = r#"
    const note = { text: "first" };
    const added = tools.demo.notes.add(note);
    note.text = "changed";
    await added;
    return (await tools.demo.notes.list()).notes.map((note) => note.text);
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approved_call_is_made_once_with_the_arguments_that_were_shown() {
    let policed = Policed::start(ASKS).await;
    let task = policed.begin(json!({ "code": CHANGES_ITS_OBJECT })).await;
    let approval = policed.pending(1).await.remove(0);
    assert_eq!(
        (&approval["tool"], &approval["args"]),
        (&json!("demo.notes.add"), &json!({ "text": "first" })),
        "{approval}"
    );
    let code = &policed.row(&approval).await["code"];
    assert_eq!(
        (&code["line"], code["snippet"].as_str().unwrap().trim()),
        (&json!(3), "const added = tools.demo.notes.add(note);")
    );
    let parked =
        &policed.server.call("task_get", json!({ "taskId": task })).await["structuredContent"];
    assert_eq!(
        (&parked["status"], &parked["approvals"][0]["approvalId"]),
        (&json!("awaiting_approval"), &approval["id"]),
        "{parked}"
    );
    assert_eq!(policed.hits("notes.add"), 0, "nothing has left");
    let (status, decided) = policed.word(&approval, "approve", json!({})).await;
    assert_eq!(
        (status, &decided["status"], &decided["decidedBy"]),
        (200, &json!("consumed"), &json!("owner (command line)")),
        "{decided}"
    );
    let end = policed.end(&task).await;
    assert_eq!((&end["status"], &end["result"]), (&json!("completed"), &json!(["first"])), "{end}");
    let (status, again) = policed.word(&approval, "approve", json!({})).await;
    assert_eq!(
        (status, &again["error"]["code"]),
        (409, &json!("approval_already_decided")),
        "{again}"
    );
    assert_eq!(policed.hits("notes.add"), 1);
    let requested = policed.events(&end, "approval.requested").await;
    let resolved = policed.events(&end, "approval.resolved").await;
    assert_eq!(
        (&requested[0]["data"]["digest"], &resolved[0]["data"]["status"]),
        (&approval["digest"], &json!("approved"))
    );
    assert_eq!(
        policed.events(&end, "tool.call.started").await[0]["data"]["approvalId"],
        approval["id"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denied_call_ends_its_task_as_denied_and_the_reason_reaches_the_code() {
    let policed = Policed::start(ASKS).await;
    let task = policed.begin(json!({ "code": CHANGES_ITS_OBJECT })).await;
    let approval = policed.pending(1).await.remove(0);
    let (status, decided) =
        policed.word(&approval, "deny", json!({ "note": "not on a Friday" })).await;
    assert_eq!(
        (status, &decided["status"], &decided["note"]),
        (200, &json!("denied"), &json!("not on a Friday")),
        "{decided}"
    );
    let end = policed.end(&task).await;
    assert_eq!(
        (&end["status"], &end["exitCode"], &end["error"]["code"]),
        (&json!("denied"), &json!(126), &json!("approval_denied"))
    );
    assert!(end["error"]["message"].as_str().unwrap().contains("not on a Friday"), "{end}");
    let handles = "try { await tools.demo.notes.add({ text: 'x' }) } catch (e) { return { ...e, \
        message: e.message } }";
    let task = policed.begin(json!({ "code": handles })).await;
    let approval = policed.pending(1).await.remove(0);
    policed.word(&approval, "deny", json!({})).await;
    let end = policed.end(&task).await;
    assert_eq!(end["status"], "completed", "{end}");
    let error = &end["result"];
    assert_eq!(
        (&error["code"], &error["rule"], &error["approvalId"]),
        (&json!("approval_denied"), &json!("notes-need-a-word"), &approval["id"])
    );
    assert_eq!(policed.hits("notes.add"), 0);
    assert_eq!(policed.word(&approval, "approve", json!({})).await.0, 409);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denied_call_is_not_asked_about_again() {
    let policed = Policed::start(ASKS).await;
    let code = r#"
        const codes = [], messages = new Set();
        const add = async (args) => {
            try { await tools.demo.notes.add(args) }
            catch (error) { codes.push(error.code); messages.add(error.message) }
        };
        for (let i = 0; i < 20; i++) await add({ text: "same" });
        for (let i = 0; i < 20; i++) await add({ text: `other ${i}` });
        return { codes: [...new Set(codes)], count: codes.length, messages: [...messages] };
    "#;
    let task = policed.begin(json!({ "code": code })).await;
    for text in ["same", "other 0", "other 1", "other 2", "other 3"] {
        let approval = policed.pending(1).await.remove(0);
        assert_eq!(approval["args"]["text"], text);
        let (status, _) = policed.word(&approval, "deny", json!({ "note": "not today" })).await;
        assert_eq!(status, 200);
    }
    let end = policed.end(&task).await;
    assert_eq!(end["result"]["count"], 40, "{end}");
    assert_eq!(end["result"]["codes"], json!(["approval_denied"]));
    let messages = end["result"]["messages"].to_string();
    assert!(
        messages.contains("the same call was denied in this task before, so nobody was asked")
            && messages.contains("not today")
            && messages.contains("5 calls of this tool were denied in this task"),
        "{messages}"
    );
    assert_eq!(policed.events(&end, "approval.requested").await.len(), 5);
    assert_eq!(policed.hits("notes.add"), 0);
    // Another task is asked about anew.
    let task = policed.begin(json!({ "code": CHANGES_ITS_OBJECT })).await;
    let approval = policed.pending(1).await.remove(0);
    policed.word(&approval, "approve", json!({})).await;
    assert_eq!(policed.end(&task).await["status"], "completed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_decisions_have_one_effect() {
    let policed = Policed::start(ASKS).await;
    for round in 1..=3 {
        let task = policed
            .begin(json!({ "code": "return await tools.demo.notes.add({ text: 'x' })" }))
            .await;
        let approval = policed.pending(1).await.remove(0);
        let before = policed.hits("notes.add");
        let words = (0..8).map(|n| {
            policed.word(&approval, if n % 2 == 0 { "approve" } else { "deny" }, json!({}))
        });
        let answers = futures::future::join_all(words).await;
        let won: Vec<_> = answers.iter().filter(|(status, _)| *status == 200).collect();
        assert_eq!(won.len(), 1, "round {round}: {answers:?}");
        assert!(answers.iter().all(|(status, _)| matches!(status, 200 | 409)), "{answers:?}");
        let approved = won[0].1["status"] != "denied";
        let end = policed.end(&task).await;
        assert_eq!(end["status"] == "completed", approved, "{end}");
        assert_eq!(policed.hits("notes.add") - before, usize::from(approved));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_word_reaches_its_call_also_when_whoever_gave_it_leaves_at_once() {
    let policed = Policed::start(ASKS).await;
    let address = policed.server.url.strip_prefix("http://").expect("the address of a server");
    let task =
        policed.begin(json!({ "code": "return await tools.demo.notes.add({ text: 'x' })" })).await;
    let approval = policed.pending(1).await.remove(0);
    let path = format!("/v1/approvals/{}/approve", approval["id"].as_str().unwrap());
    let token = &policed.server.token;
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer \
        {token}\r\ncontent-length: 0\r\n\r\n"
    );
    // While another process writes, the word cannot be written down.
    let database = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(policed.server.folder.path().join("airlock.db"));
    let mut other = sqlx::ConnectOptions::connect(&database).await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let mut leaving = tokio::net::TcpStream::connect(address).await.unwrap();
    leaving.write_all(request.as_bytes()).await.unwrap();
    // Nothing tells from outside that the word was read, nor that its giver was missed.
    tokio::time::sleep(Duration::from_millis(300)).await;
    drop(leaving);
    tokio::time::sleep(Duration::from_millis(300)).await;
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    // Had it not been read in time, it could be given again.
    let (status, again) = policed.word(&approval, "approve", json!({})).await;
    assert!(matches!(status, 200 | 409), "{status}: {again}");
    let end = policed.end(&task).await;
    assert_eq!(end["status"], "completed", "{end}");
    assert_eq!(policed.hits("notes.add"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn time_that_waits_for_a_person_does_not_count() {
    let policed = Policed::start(ASKS).await;
    let arguments = json!({
        "code": "await tools.demo.notes.add({ text: 'x' }); return 'done'", "timeoutMs": 700
    });
    let task = policed.begin(arguments).await;
    let approval = policed.pending(1).await.remove(0);
    // The time itself is what is tried here: three times what the task has.
    tokio::time::sleep(Duration::from_millis(2100)).await;
    assert_eq!(policed.word(&approval, "approve", json!({})).await.0, 200);
    let end = policed.end(&task).await;
    assert_eq!((&end["status"], &end["result"]), (&json!("completed"), &json!("done")), "{end}");
    assert!(end["usage"]["approvalWaitMs"].as_u64().unwrap() >= 2000, "{end}");
    let statuses: Vec<_> = policed.events(&end, "task.awaiting_approval").await;
    assert_eq!(
        (statuses.len(), policed.events(&end, "task.running").await.len()),
        (1, 2),
        "it waited, and went on"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobodys_answer_is_a_refusal() {
    let policed = Policed::with(ASKS, "[approvals]\ntimeout_ms = 1000").await;
    let answer = policed.server.run("return await tools.demo.notes.add({ text: 'x' })").await;
    assert_eq!(
        (&answer["status"], &answer["error"]["code"]),
        (&json!("denied"), &json!("approval_expired")),
        "{answer}"
    );
    let (_, all) = policed.server.owner(Method::GET, "/v1/approvals").await;
    let approval = &all["approvals"][0];
    assert_eq!(approval["status"], "expired", "{approval}");
    let (status, refused) = policed.word(approval, "approve", json!({})).await;
    assert!(
        status == 409 && refused["error"]["message"].as_str().unwrap().contains("it has expired"),
        "{refused}"
    );
    assert_eq!(policed.hits("notes.add"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_task_takes_its_question_back() {
    let policed = Policed::start(ASKS).await;
    let task =
        policed.begin(json!({ "code": "return await tools.demo.notes.add({ text: 'x' })" })).await;
    let approval = policed.pending(1).await.remove(0);
    let ended =
        &policed.server.call("task_cancel", json!({ "taskId": task })).await["structuredContent"];
    assert_eq!(ended["status"], "cancelled", "{ended}");
    assert_eq!(policed.row(&approval).await["status"], "cancelled");
    let (status, refused) = policed.word(&approval, "approve", json!({})).await;
    assert!(
        status == 409
            && refused["error"]["message"].as_str().unwrap().contains("its task ended first"),
        "{refused}"
    );
    assert_eq!(policed.hits("notes.add"), 0);
    // So does a program that ends without waiting.
    let answer = policed
        .server
        .run(
            "tools.demo.notes.add({ text: 'x' }); await tools.demo.wait({ ms: 50 }); return 'gone'",
        )
        .await;
    assert_eq!(answer["result"], "gone", "{answer}");
    assert_eq!(
        policed.server.owner(Method::GET, "/v1/approvals?status=pending").await.1["approvals"],
        json!([])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_that_refuses_by_then_wins_over_the_word() {
    let policed = Policed::start(ASKS).await;
    let task =
        policed.begin(json!({ "code": "return await tools.demo.notes.add({ text: 'x' })" })).await;
    let approval = policed.pending(1).await.remove(0);
    policed.rewrite(&ASKS.replace("action: ask", "action: deny"));
    policed.health(|health| health["policy"]["revision"] != approval["policyRevision"]).await;
    let (status, refused) = policed.word(&approval, "approve", json!({})).await;
    let message = refused["error"]["message"].as_str().unwrap_or_default();
    assert!(
        status == 409
            && message.contains("it was cancelled")
            && message.contains("policy refuses the call now"),
        "{refused}"
    );
    let end = policed.end(&task).await;
    assert_eq!(
        (&end["status"], &end["error"]["code"]),
        (&json!("denied"), &json!("policy_denied")),
        "{end}"
    );
    assert_eq!(
        (policed.hits("notes.add"), &policed.row(&approval).await["status"]),
        (0, &json!("cancelled"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_owner_decides_and_nobody_names_the_approver() {
    let policed = Policed::start(ASKS).await;
    let task =
        policed.begin(json!({ "code": "return await tools.demo.notes.add({ text: 'x' })" })).await;
    let approval = policed.pending(1).await.remove(0);
    let (id, stranger) = (approval["id"].as_str().unwrap(), policed.server.stranger());
    let url = |path: &str| format!("{}{path}", policed.server.url);
    for token in [None, Some("guessed"), Some("")] {
        for path in [
            format!("/v1/approvals/{id}/approve"),
            format!("/v1/approvals/{id}/deny"),
            "/v1/sign-in".to_owned(),
        ] {
            let request = stranger.post(url(&path)).json(&json!({}));
            let request =
                if let Some(token) = token { request.bearer_auth(token) } else { request };
            assert_eq!(request.send().await.unwrap().status(), 401, "{path}");
        }
        assert_eq!(stranger.get(url("/v1/approvals")).send().await.unwrap().status(), 401);
    }
    for body in [
        json!({ "by": "root" }),
        json!({ "decidedBy": "x", "note": "" }),
        json!({ "approver": 1 }),
        json!([]),
    ] {
        let (status, refused) = policed.word(&approval, "approve", body.clone()).await;
        assert_eq!(
            (status, &refused["error"]["code"]),
            (400, &json!("invalid_argument")),
            "{body}: {refused}"
        );
    }
    let (status, refused) =
        policed.word(&approval, "approve", json!({ "note": "x".repeat(2001) })).await;
    assert_eq!((status, &refused["error"]["code"]), (400, &json!("invalid_argument")), "{refused}");
    // The agents' way in has no such tools.
    let listed = policed.server.request("tools/list", json!({})).await.to_string();
    assert!(!listed.contains("\"approve\"") && !listed.contains("\"deny\""), "{listed}");
    let answer = policed
        .server
        .request("tools/call", json!({ "name": "approve", "arguments": { "id": id } }))
        .await;
    assert!(answer.get("error").is_some(), "{answer}");
    let (status, unknown) =
        policed.word(&json!({ "id": "apr_nothing" }), "approve", json!({})).await;
    assert_eq!((status, &unknown["error"]["code"]), (404, &json!("approval_not_found")));
    assert_eq!(policed.row(&approval).await["status"], "pending");
    policed.server.call("task_cancel", json!({ "taskId": task })).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_is_this_server_itself_decides_nothing() {
    let policed = Policed::start(ASKS).await;
    let task =
        policed.begin(json!({ "code": "return await tools.demo.notes.add({ text: 'x' })" })).await;
    let approval = policed.pending(1).await.remove(0);
    let (url, id) = (&policed.server.url, approval["id"].as_str().unwrap());
    // Another server, whose programs may call everything, has the first one as its upstreams, by
    // every address.
    let upstream = |name: &str, path: &str| {
        format!(
            "[upstreams.{name}]\nkind = \"mcp\"\nurl = \"{url}{path}\"\nallow_private = \
            true\nstart_timeout_ms = 5000\n"
        )
    };
    let more = [
        upstream("own", "/mcp"),
        upstream("rest", "/v1/approvals"),
        upstream("word", &format!("/v1/approvals/{id}/approve")),
        upstream("page", &format!("/approvals/{id}/approve")),
    ]
    .concat();
    let other = Policed::with("version: \"1\"\ndefault: allow\n", &more).await;
    let found = eventually("the first one's tools are there", async || {
        let answer = other
            .server
            .run(
                "return (await tools.catalog.tools({ limit: 200 \
            })).results.map((tool) => tool.path)",
            )
            .await;
        answer["result"]
            .as_array()
            .filter(|paths| paths.iter().any(|path| path == "own.execute"))
            .cloned()
    })
    .await;
    let paths: Vec<_> =
        found.iter().filter_map(Value::as_str).filter(|path| !path.starts_with("demo.")).collect();
    assert_eq!(
        paths,
        ["own.execute", "own.task_cancel", "own.task_get", "own.task_list"],
        "nothing else is offered"
    );
    assert_eq!(policed.row(&approval).await["status"], "pending");
    policed.server.call("task_cancel", json!({ "taskId": task })).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_does_not_wait_any_longer_is_told_what_to_do() {
    let policed = Policed::start(ASKS).await;
    let arguments = json!({
        "code": "return await tools.demo.notes.add({ text: 'x' })", "resultTimeoutMs": 1500
    });
    let answer = policed.server.call("execute", arguments).await;
    let parked = &answer["structuredContent"];
    assert_eq!(
        (&answer["isError"], &parked["status"], &parked["exitCode"]),
        (&json!(false), &json!("awaiting_approval"), &Value::Null)
    );
    let approval = &parked["approvals"][0];
    let id = approval["approvalId"].as_str().unwrap();
    assert_eq!(
        (&approval["tool"], &approval["url"]),
        (&json!("demo.notes.add"), &json!(format!("{}/approvals/{id}", policed.server.url)))
    );
    assert!(approval["reason"].is_string() && approval["expiresAt"].is_string(), "{approval}");
    let text = answer["content"][0]["text"].as_str().unwrap();
    assert!(
        text.contains("status: awaiting_approval")
            && text.contains(id)
            && text.contains("task_get")
            && text.contains("/approvals/"),
        "{text}"
    );
    let cancelled = policed.server.call("task_cancel", json!({ "taskId": parked["taskId"] })).await;
    assert_eq!(cancelled["structuredContent"]["status"], "cancelled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_calls_and_tasks_are_bounded() {
    let policed = Policed::with(ASKS, "[approvals]\ncalls_max = 2\ntasks_max = 1").await;
    let three = "const ends = await Promise.allSettled([1, 2, 3].map((n) => \
        tools.demo.notes.add({ text: String(n) }))); return ends.map((end) => end.reason?.code ?? \
        'made').sort()";
    let task = policed.begin(json!({ "code": three })).await;
    let pending = policed.pending(2).await;
    let other = policed.server.run("await tools.demo.notes.add({ text: 'x' })").await;
    assert_eq!(
        (&other["status"], &other["error"]["code"]),
        (&json!("failed"), &json!("rate_limited")),
        "{other}"
    );
    assert_eq!(policed.word(&pending[1], "approve", json!({})).await.0, 200);
    assert_eq!(policed.word(&pending[0], "deny", json!({})).await.0, 200);
    assert_eq!(
        policed.end(&task).await["result"],
        json!(["approval_denied", "made", "rate_limited"])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nobody_can_approve_asking_is_refusing() {
    let policed = Policed::with(ASKS, "[approvals]\nby = \"nobody\"").await;
    let answer = policed.server.run("await tools.demo.notes.add({ text: 'x' })").await;
    assert_eq!(
        (&answer["status"], &answer["error"]["code"]),
        (&json!("denied"), &json!("policy_denied")),
        "{answer}"
    );
    assert!(policed.server.log().contains("nobody can approve"), "{}", policed.server.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_that_asks_lets_the_approved_call_through_beyond_it() {
    let policy = "version: \"1\"\ndefault: allow\ntools:\n  demo.echo:\n    limits:\n      - { \
        counter: c, window: day, max: 1, on_exceed: ask }\n";
    let policed = Policed::start(policy).await;
    let code = "const said = []; for (const message of ['a', 'b']) said.push(JSON.stringify(await \
        tools.demo.echo({ message }))); return said.length";
    let task = policed.begin(json!({ "code": code })).await;
    let approval = policed.pending(1).await.remove(0);
    assert_eq!(
        (&approval["args"], policed.hits("echo")),
        (&json!({ "message": "b" }), 1),
        "{approval}"
    );
    assert_eq!(policed.word(&approval, "approve", json!({})).await.0, 200);
    assert_eq!(policed.end(&task).await["result"], 2);
    assert_eq!(policed.hits("echo"), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_list_show_and_decide() {
    let policed = Policed::start(ASKS).await;
    let say = async |args: &[&str]| {
        let output = airlock(&policed.server.config_file()).args(args).output();
        let output = tokio::time::timeout(PATIENCE, output).await.expect("it ends").unwrap();
        (
            output.status.code().unwrap(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let task = policed
        .begin(json!({ "code": "return await tools.demo.notes.add({ text: 'a\\u202eb' })" }))
        .await;
    let approval = policed.pending(1).await.remove(0);
    let id = approval["id"].as_str().unwrap();
    let (_, listed, _) = say(&["approvals", "list", "--json"]).await;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(
        (&listed[0]["id"], &listed[0]["status"]),
        (&json!(id), &json!("pending")),
        "{listed}"
    );
    let (_, shown, _) = say(&["approvals", "show", id]).await;
    assert!(
        shown.contains("demo.notes.add")
            && shown.contains("a\\u{202e}b")
            && !shown.contains('\u{202e}'),
        "{shown}"
    );
    assert!(
        shown.contains("notes-need-a-word") && shown.contains("tools.demo.notes.add({"),
        "{shown}"
    );
    let (code, said, _) = say(&["approvals", "approve", id]).await;
    assert!(code == 0 && said.contains("consumed"), "{said}");
    let (code, _, beside) = say(&["approvals", "deny", id, "--note", "too late"]).await;
    assert!(
        code == 1 && beside.contains("cannot be denied: it was already approved and sent"),
        "{beside}"
    );
    let (_, shown, _) = say(&["approvals", "show", id]).await;
    assert!(
        shown.contains("outcome      approved by the owner (command line), and sent (20"),
        "{shown}"
    );
    assert_eq!(policed.end(&task).await["status"], "completed");
    let (_, doctor, _) = say(&["doctor"]).await;
    assert!(
        doctor.contains("policy")
            && doctor.contains("the profile `auto` and 1 policy file are in force")
            && doctor.contains("works: 1 task and 0 artifacts on record"),
        "{doctor}"
    );
}
