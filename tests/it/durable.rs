//! Programs that outlive their server: they go on after `kill -9` and after a stop, at the point where
//! they were, and each effect happens once.

use serde_json::{Value, json};

use crate::{
    approvals::ASKS,
    support::{
        policy::Policed,
        server::{TestServer, airlock, demo, eventually, processes_of},
    },
};

/// The server again, in the folder of one that is gone.
async fn again(folder: tempfile::TempDir) -> Policed {
    Policed::within(folder, ASKS, "").await
}

async fn approve(policed: &Policed, approval: &Value) {
    let (status, answer) = policed.word(approval, "approve", json!({})).await;
    assert_eq!(status, 200, "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_waits_for_a_person_is_sent_once_after_kill_9() {
    let policed = Policed::start(ASKS).await;
    let code = "const first = await tools.demo.add({ a: 1, b: 2 });
        const luck = [Math.random(), Date.now(), crypto.randomUUID()];
        const added = await tools.demo.notes.add({ text: JSON.stringify(luck) });
        return { first, luck, added };";
    let task = policed.begin(json!({ "code": code })).await;
    let approval = policed.pending(1).await.remove(0);
    let policed = again(policed.server.kill().await).await;
    let same = policed.pending(1).await.remove(0);
    assert_eq!((&same["id"], &same["digest"]), (&approval["id"], &approval["digest"]));
    // Again, as often as one likes.
    let policed = again(policed.server.kill().await).await;
    approve(&policed, &approval).await;
    let end = policed.end(&task).await;
    assert_eq!(end["status"], "completed", "{end}");
    let shown: Value = serde_json::from_str(approval["args"]["text"].as_str().unwrap()).unwrap();
    assert_eq!(end["result"]["luck"], shown, "what was shown is what the program has");
    assert_eq!(end["result"]["first"]["sum"], 3, "{end}");
    assert_eq!((policed.hits("add"), policed.hits("notes.add")), (1, 1));
    assert_eq!(policed.row(&approval).await["status"], "consumed");
    assert_eq!(policed.events(&json!({ "taskId": task }), "approval.requested").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_calls_at_once_are_each_sent_once() {
    let policed = Policed::start(ASKS).await;
    let code = "return await Promise.all(Array.from({ length: 20 }, (_, n) =>
        tools.demo.notes.add({ text: `note ${n}` }).then((added) => [n, added.id])));";
    let task = policed.begin(json!({ "code": code })).await;
    let approvals = policed.pending(20).await;
    for approval in &approvals[..7] {
        approve(&policed, approval).await;
    }
    let events = json!({ "taskId": task });
    eventually("seven are answered", async || {
        let answered = policed.events(&events, "tool.call.completed").await.len();
        (answered == 7).then_some(())
    })
    .await;
    let policed = again(policed.server.kill().await).await;
    for approval in &approvals[7..] {
        approve(&policed, approval).await;
    }
    let end = policed.end(&task).await;
    assert_eq!(end["status"], "completed", "{end}");
    assert_eq!(end["result"].as_array().map(Vec::len), Some(20), "{end}");
    assert_eq!(policed.hits("notes.add"), 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_was_under_way_is_unknown_and_the_program_is_told() {
    let policed = Policed::start(ASKS).await;
    let code = "try { return await tools.demo.wait({ ms: 60000 }) } catch (error) {
        const after = await tools.demo.add({ a: 2, b: 3 });
        return { code: error.code, retryable: error.retryable, name: error.name, after } }";
    let task = policed.begin(json!({ "code": code })).await;
    eventually("it is under way", async || (policed.hits("wait") == 1).then_some(())).await;
    let policed = again(policed.server.kill().await).await;
    let end = policed.end(&task).await;
    let expected = json!({
        "code": "outcome_unknown", "retryable": false, "name": "ToolCallError", "after": { "sum": 5 }
    });
    assert_eq!(end["result"], expected, "{end}");
    assert_eq!((policed.hits("wait"), policed.hits("add")), (1, 1));
    let failed = policed.events(&json!({ "taskId": task }), "tool.call.failed").await;
    assert_eq!(failed[0]["data"]["code"], "outcome_unknown", "{failed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_only_reads_is_sent_again() {
    let folder = tempfile::TempDir::new().unwrap();
    let count = folder.path().join("calls.txt");
    let upstream = demo(&["--count-file", count.to_str().unwrap()]) + "trusted = true\n";
    let server = TestServer::within(folder, &upstream).await;
    let hits = |server: &TestServer| {
        let calls = std::fs::read_to_string(server.folder.path().join("calls.txt"));
        calls.unwrap_or_default().lines().filter(|line| *line == "wait").count()
    };
    let answer = server
        .execute(
            json!({ "code": "return await tools.demo.wait({ ms: 1500 })", "waitForResult": false }),
        )
        .await;
    eventually("it is under way", async || (hits(&server) == 1).then_some(())).await;
    let server = TestServer::within(server.kill().await, &upstream).await;
    let ended = server
        .call("task_get", json!({ "taskId": answer["taskId"], "waitMs": 20000 }))
        .await["structuredContent"]
        .clone();
    assert_eq!(ended["status"], "completed", "{ended}");
    assert_eq!(hits(&server), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_done_before_the_kill_is_not_done_again() {
    let policed = Policed::start("version: \"1\"\ndefault: allow\n").await;
    let code = "const ids = []; let beats = 0;
        const beat = setInterval(() => beats++, 5);
        for (let n = 0; n < 5; n++) {
            ids.push((await tools.demo.notes.add({ text: `${n} at ${Date.now()}` })).id);
            await new Promise((done) => setTimeout(done, 20 + Math.random() * 20));
        }
        clearInterval(beat);
        const late = new Promise((done) => setTimeout(done, 3000, 'slept'));
        return [ids, beats > 0, await late, (await tools.demo.add({ a: 1, b: 1 })).sum];";
    let task = policed.begin(json!({ "code": code })).await;
    let events = json!({ "taskId": task });
    eventually("all notes are answered", async || {
        let answered = policed.events(&events, "tool.call.completed").await.len();
        (answered == 5).then_some(())
    })
    .await;
    let folder = policed.server.kill().await;
    let policed = Policed::within(folder, "version: \"1\"\ndefault: allow\n", "").await;
    let end = policed.end(&task).await;
    assert_eq!(end["result"], json!([[1, 2, 3, 4, 5], true, "slept", 2]), "{end}");
    assert_eq!((policed.hits("notes.add"), policed.hits("add")), (5, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_goes_on_after_an_orderly_stop() {
    let policed = Policed::start(ASKS).await;
    let code = "const { id } = await tools.demo.notes.add({ text: 'x' }); return id";
    let task = policed.begin(json!({ "code": code })).await;
    let approval = policed.pending(1).await.remove(0);
    let policed = again(policed.server.stop().await).await;
    approve(&policed, &approval).await;
    let end = policed.end(&task).await;
    assert_eq!((&end["status"], &end["result"]), (&json!("completed"), &json!(1)), "{end}");
    assert_eq!(policed.hits("notes.add"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_waits_long_gives_up_its_process_and_goes_on_all_the_same() {
    let spills = "[approvals]\nspill_after_ms = 50\n";
    let policed = Policed::with(ASKS, spills).await;
    let code = "const luck = Math.random(); const began = Date.now();
        const one = await tools.demo.notes.add({ text: `one ${luck}` });
        const both = await Promise.all(['two', 'three'].map((text) => tools.demo.notes.add({ text })));
        return { ids: [one.id, ...both.map((note) => note.id)], same: luck, waited: Date.now() - began };";
    let workers = || processes_of(policed.server.pid()).len();
    let task = policed.begin(json!({ "code": code, "timeoutMs": 5000 })).await;
    let first = policed.pending(1).await.remove(0);
    let task_value = json!({ "taskId": task });
    eventually("its process is gone", async || {
        let log = policed.server.log();
        (log.contains("gave up its process")).then_some(())
    })
    .await;
    assert!(workers() > 0);
    approve(&policed, &first).await;
    let more = policed.pending(2).await;
    for approval in more.iter().rev() {
        eventually("it waits again", async || {
            let row = policed.row(approval).await;
            (row["status"] == "pending").then_some(())
        })
        .await;
        approve(&policed, approval).await;
    }
    let end = policed.end(&task).await;
    assert_eq!(end["status"], "completed", "{end}");
    let mut ids: Vec<_> = end["result"]["ids"].as_array().unwrap().clone();
    ids.sort_by_key(|id| id.as_i64());
    assert_eq!(ids, [1, 2, 3], "{end}");
    assert!(first["args"]["text"].as_str().unwrap().ends_with(&end["result"]["same"].to_string()));
    assert_eq!(policed.hits("notes.add"), 3);
    assert_eq!(policed.events(&task_value, "tool.call.started").await.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denial_a_cancellation_and_a_changed_policy_hold_after_the_kill() {
    let policed = Policed::start(ASKS).await;
    let add = "return await tools.demo.notes.add({ text: 'x' })";
    let denied = policed.begin(json!({ "code": add })).await;
    let denial = policed.pending(1).await.remove(0);
    let cancelled = policed.begin(json!({ "code": add })).await;
    policed.pending(2).await;
    let refused = policed.begin(json!({ "code": add })).await;
    let approvals = policed.pending(3).await;
    let policed = again(policed.server.kill().await).await;
    policed.word(&denial, "deny", json!({ "note": "not now" })).await;
    let end = policed.end(&denied).await;
    assert_eq!(
        (&end["status"], &end["error"]["code"]),
        (&json!("denied"), &json!("approval_denied"))
    );
    policed.server.call("task_cancel", json!({ "taskId": cancelled })).await;
    assert_eq!(policed.end(&cancelled).await["status"], "cancelled");
    policed.rewrite(
        "version: \"1\"\ndefault: allow\ntools: {\"demo.notes.*\": {rules: [{action: deny}]}}\n",
    );
    let listed =
        "return (await tools.catalog.tools({ namespace: 'demo' })).results.map((one) => one.path)";
    eventually("the policy refuses", async || {
        let ran = policed.server.run(listed).await;
        (!ran["result"].to_string().contains("notes.add")).then_some(())
    })
    .await;
    policed.word(&approvals[2], "approve", json!({})).await;
    let end = policed.end(&refused).await;
    assert_eq!(end["error"]["code"], "policy_denied", "{end}");
    assert_eq!(policed.hits("notes.add"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_is_bounded() {
    let policed = Policed::start(ASKS).await;
    // More timers than are noted: it runs, and cannot run again.
    let code = "for (let round = 0; round < 74; round++)
            await Promise.all(Array.from({ length: 900 }, () => new Promise((done) => setTimeout(done))));
        return await tools.demo.notes.add({ text: 'x' })";
    let task = policed.begin(json!({ "code": code })).await;
    let approval = policed.pending(1).await.remove(0);
    let policed = Policed::within(policed.server.kill().await, ASKS, "").await;
    let error = policed.end(&task).await["error"].clone();
    assert!(
        error["code"] == "server_stopped"
            && error["message"].as_str().unwrap().contains("it looked at the clock"),
        "{error}"
    );
    let row = policed.row(&approval).await;
    assert_eq!(
        (&row["status"], &row["args"], &row["digest"]),
        (&json!("cancelled"), &approval["args"], &approval["digest"]),
        "{row}"
    );
    assert_eq!(policed.word(&approval, "approve", json!({})).await.0, 409);
    assert_eq!(policed.hits("notes.add"), 0);
    let listed = async |args: &[&str]| {
        let output = airlock(&policed.server.config_file())
            .args(["approvals", "list"])
            .args(args)
            .output()
            .await
            .unwrap();
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (waiting, beside) = listed(&[]).await;
    assert!(
        waiting.is_empty()
            && beside.contains("nothing is waiting for your approval")
            && beside.contains("--all"),
        "{waiting}{beside}"
    );
    let (all, _) = listed(&["--all"]).await;
    assert!(
        all.contains(approval["id"].as_str().unwrap()) && all.contains("cancelled, not sent"),
        "{all}"
    );
}
