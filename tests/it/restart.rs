//! What survives: acknowledged tasks, through `kill -9`; and what does not: worker processes.

use std::{collections::HashSet, process::Stdio, time::Duration};

use serde_json::{Value, json};

use crate::support::server::{TestServer, airlock, demo, eventually, lives, processes_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_kill_9_every_acknowledged_task_goes_on_and_no_worker_lives() {
    let upstream = format!("[limits]\ncpu_ms = 300\n{}", demo(&[]));
    let server = TestServer::with(&upstream).await;
    eventually("the demo upstream answers", async || {
        (server.run("return await tools.demo.wait({ ms: 0 })").await["status"] == "completed")
            .then_some(())
    })
    .await;
    let finished = server.run("return { kept: true }").await;
    let submit =
        |code: &'static str| server.execute(json!({ "code": code, "waitForResult": false }));
    let waiting =
        futures::future::join_all((0..40).map(|_| submit("await tools.demo.wait({ ms: 5000 })")))
            .await;
    let sleeping = futures::future::join_all(
        (0..20).map(|_| submit("return await new Promise((done) => setTimeout(done, 3000, 'up'))")),
    )
    .await;
    let ids = |answers: &[Value]| -> HashSet<String> {
        answers
            .iter()
            .map(|answer| answer["taskId"].as_str().unwrap_or_else(|| panic!("{answer}")).into())
            .collect()
    };
    let (waiting, sleeping) = (ids(&waiting), ids(&sleeping));
    assert_eq!((waiting.len(), sleeping.len()), (40, 20));
    let children = processes_of(server.pid());
    assert!(children.len() > 2, "workers and an upstream were running: {children:?}");

    let folder = server.kill().await;
    eventually("no process of the killed server lives", async || {
        (!children.iter().any(|pid| lives(*pid))).then_some(())
    })
    .await;

    let server = TestServer::within(folder, &upstream).await;
    let ended = async |id: &str| {
        eventually("the task ends", async || {
            let arguments = json!({ "taskId": id, "waitMs": 5000 });
            let task = server.call("task_get", arguments).await["structuredContent"].clone();
            (!task["exitCode"].is_null()).then_some(task)
        })
        .await
    };
    for id in &sleeping {
        let task = ended(id).await;
        assert_eq!(
            (&task["status"], &task["result"]),
            (&json!("completed"), &json!("up")),
            "{task}"
        );
    }
    for id in &waiting {
        let task = ended(id).await;
        // One that had to wait for its turn was not sent.
        if task["status"] != "completed" {
            let message = task["error"]["message"].as_str().unwrap_or_default();
            assert!(message.contains("it is not known whether"), "{task}");
        }
    }
    let kept = &server.call("task_get", json!({ "taskId": finished["taskId"] })).await["structuredContent"];
    assert_eq!((&kept["status"], &kept["result"]), (&json!("completed"), &json!({ "kept": true })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_orderly_stop_waits_for_tasks_and_leaves_nothing_behind() {
    let server = TestServer::with(&demo(&[])).await;
    let answer = server
        .execute(json!({ "code": "await new Promise((done) => setTimeout(done, 300)); return \
            'done'", "waitForResult": false }))
        .await;
    let id = answer["taskId"].clone();
    let children = processes_of(server.pid());
    let folder = server.stop().await;
    assert!(
        !folder.path().join("airlock.db.instance.json").exists(),
        "the instance file is removed"
    );
    eventually("no process of the stopped server lives", async || {
        (!children.iter().any(|pid| lives(*pid))).then_some(())
    })
    .await;
    let server = TestServer::within(folder, "").await;
    let task = &server.call("task_get", json!({ "taskId": id })).await["structuredContent"];
    assert_eq!((&task["status"], &task["result"]), (&json!("completed"), &json!("done")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_server_on_the_same_database_says_so_and_what_to_do() {
    let server = TestServer::with("").await;
    let output =
        airlock(&server.config_file()).arg("serve").stdin(Stdio::null()).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(said.contains("is in use by another airlock"), "{said}");
    assert!(said.contains("AIRLOCK_STORE_URL"), "the way out is named: {said}");
    assert_eq!(server.run("return 1").await["result"], 1, "the first server goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_in_use_is_told_with_the_way_out() {
    let server = TestServer::with("").await;
    let address = server.url.strip_prefix("http://").unwrap().to_owned();
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("airlock.toml");
    std::fs::write(
        &file,
        format!(
            "[server]\nlisten = \"{address}\"\n[store]\nurl = \"sqlite://{}/other.db\"\n",
            folder.path().display()
        ),
    )
    .unwrap();
    let output = airlock(&file).arg("serve").stdin(Stdio::null()).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    let port = address.rsplit(':').next().unwrap();
    assert!(said.contains(&format!("port {port} on 127.0.0.1 is in use")), "{said}");
    assert!(said.contains("server.listen"), "the way out is named: {said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upstreams_that_cannot_be_reached_are_named_and_stop_nothing() {
    let upstreams = "[upstreams.gone]\nkind = \"mcp\"\ncommand = \"no-such-program-here\"\n\
                     [upstreams.dead]\nkind = \"mcp\"\nurl = \"http://127.0.0.1:9/mcp\"\n";
    let server = TestServer::with(upstreams).await;
    assert_eq!(server.run("return 1 + 1").await["result"], 2);
    let health = eventually("both upstreams have failed", async || {
        let health: Value =
            reqwest::get(format!("{}/healthz", server.url)).await.unwrap().json().await.unwrap();
        let upstreams = health["upstreams"].as_array().unwrap();
        upstreams.iter().all(|upstream| upstream["status"] == "failed").then_some(health)
    })
    .await;
    let text = health.to_string();
    assert!(text.contains("no-such-program-here") && text.contains("127.0.0.1:9"), "{text}");
    let answer = server.run("return await tools.gone.anything({})").await;
    assert_eq!(answer["status"], "failed");
    tokio::time::timeout(Duration::from_secs(20), server.stop())
        .await
        .expect("it still stops in order");
}
