//! A running server takes up changes of its configuration without a restart: what is in force
//! afterwards, what clients learn of it, and what a broken file does not change.

mod commands;
mod listening;

use serde_json::{Value, json};

use crate::support::server::{
    OPEN, PATIENCE, TestServer, airlock, demo, demo_named, eventually, lives, processes_of,
};

const OK: fn(&Value) -> bool = |health| health["configuration"]["status"] == "ok";

/// The upstreams of `/healthz` that are ready.
fn ready(health: &Value) -> Vec<&str> {
    let upstreams = health["upstreams"].as_array().unwrap().iter();
    upstreams
        .filter(|upstream| upstream["status"] == "ready")
        .map(|upstream| upstream["name"].as_str().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upstreams_are_added_changed_and_removed_and_the_others_go_on() {
    let count = tempfile::TempDir::new().unwrap();
    let notes = demo_named("kept", &[]);
    let server = TestServer::with(&format!("{notes}{}", demo_named("old", &[]))).await;
    server.health(|health| ready(health) == ["kept", "old"]).await;
    // What an upstream keeps in its process tells whether it is the same process.
    let ran = server.run("return await tools.kept.notes.add({ text: 'one' })").await;
    assert_eq!(ran["status"], "completed", "{ran}");
    let before = processes_of(server.pid());

    let file = count.path().join("calls");
    let counting = ["--count-file", file.to_str().unwrap()];
    let changed = demo_named("old", &counting);
    server.configure(&format!("{notes}{changed}{}", demo_named("new", &[])));
    server.health(|health| ready(health) == ["kept", "new", "old"]).await;
    let ran = server
        .run(
            "const { sum } = await tools.new.add({ a: 1, b: 2 });
             await tools.old.add({ a: 1, b: 2 });
             return { sum, notes: (await tools.kept.notes.list()).notes.length };",
        )
        .await;
    assert_eq!(ran["result"], json!({ "sum": 3, "notes": 1 }), "{ran}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "add\n", "the changed one was called");

    server.configure(&notes);
    server.health(|health| ready(health) == ["kept"]).await;
    let ran = server.run("return (await tools.kept.notes.list()).notes.length").await;
    assert_eq!(ran["result"], 1, "{ran}");
    for gone in ["old", "new"] {
        let ran = server.run(&format!("return await tools.{gone}.add({{ a: 1, b: 2 }})")).await;
        assert_eq!(ran["error"]["name"], "ToolNotFoundError", "{ran}");
    }
    eventually("the processes of the removed ones have ended", async || {
        let now = processes_of(server.pid());
        let upstream = |pid: &u32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains("__demo-upstream")
        };
        let left: Vec<u32> = now.into_iter().filter(|pid| upstream(pid)).collect();
        (left.len() == 1 && before.contains(&left[0]) && lives(left[0])).then_some(())
    })
    .await;
    let log = server.log();
    assert!(log.contains("upstreams added: `new`; upstreams changed: `old`"), "{log}");
    assert!(log.contains("upstreams removed: `new`, `old`"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_and_policy_settings_are_in_force_at_once() {
    let limits = "[limits]\nrequests_per_minute = 0\n";
    let server = TestServer::with(&format!("{limits}{}", demo(&[]))).await;
    let ran = server.run("return await tools.demo.notes.add({ text: 'one' })").await;
    assert_eq!(ran["status"], "completed", "{ran}");
    // Each change beside the ones before.
    let more = "code_kb = 1\nheap_mb = 16\nlog_lines = 3\ncpu_ms = 2000\n";
    let policy = "[policy]\nprofile = \"strict\"\n";
    server.configure(&format!("{limits}{more}{policy}{}", demo(&[])));
    eventually("the changes are in force", async || {
        let ran = server.run("return await tools.demo.notes.add({ text: 'two' })").await;
        (ran["error"]["code"] == "policy_denied").then_some(())
    })
    .await;
    let long = server.call("execute", json!({ "code": " ".repeat(1025) })).await.to_string();
    assert!(long.contains("1 to 1024 characters"), "{long}");
    let logged = server.run("for (let n = 0; n < 9; n++) console.log(n)").await;
    assert_eq!(logged["logs"]["lines"].as_array().unwrap().len(), 3, "{logged}");
    let spun = server.run("while (true) {}").await;
    assert!(spun["error"]["message"].as_str().unwrap().contains("2000 ms"), "{spun}");
    let grown = server.run("const all = []; while (true) all.push(new Array(9999).fill(1))").await;
    assert_eq!(grown["error"]["code"], "memory_limit", "{grown}");
    assert!(grown["error"]["message"].as_str().unwrap().contains("16 MB"), "{grown}");
    let log = server.log();
    for key in ["limits.code_kb", "limits.heap_mb", "limits.log_lines", "policy.profile"] {
        assert!(log.contains(&format!("`{key}`")), "{key}: {log}");
    }
    server.configure(&format!("[limits]\nrequests_per_minute = 2\n{OPEN}{}", demo(&[])));
    let refused = eventually("requests are limited", async || {
        let answer = server
            .request("tools/call", json!({ "name": "execute", "arguments": { "code": "1" } }))
            .await;
        answer.get("error").cloned()
    })
    .await;
    assert_eq!(refused["data"]["limit"], 2, "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policy_files_that_the_file_names_anew_are_watched() {
    let server = TestServer::with(&demo(&[])).await;
    let policy = |action: &str| {
        let text = format!("version: \"1\"\ndefault: {action}\n");
        std::fs::write(server.folder.path().join("policy.yaml"), text).unwrap();
    };
    let call = async |status: &str| {
        eventually("the policy decides", async || {
            let ran = server.run("return await tools.demo.add({ a: 1, b: 2 })").await;
            (ran["status"] == status).then_some(())
        })
        .await;
    };
    policy("deny");
    let files = "[policy]\nprofile = \"open\"\nfiles = [\"policy.yaml\"]\n";
    server.configure(&format!("{files}{}", demo(&[])));
    call("denied").await;
    policy("allow");
    call("completed").await;
    policy("deny");
    call("denied").await;
    server.configure(&demo(&[]));
    call("completed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_file_changes_nothing_until_it_is_mended() {
    let good = format!("{OPEN}{}", demo(&[]));
    let server = TestServer::with(&good).await;
    server.health(|health| OK(health) && ready(health) == ["demo"]).await;
    let good = std::fs::read_to_string(server.config_file()).unwrap();
    let lines = good.lines().count();
    let with = |line: &str| good.clone() + line;
    for (broken, place, reason) in [
        (with("[upstreams.x\n"), lines + 1, "is not valid TOML"),
        (String::new(), 0, "was emptied"),
        ("# being written\n".to_owned(), 0, "was emptied"),
        (with("[upstreams.x]\nurl = \"ftp://x\"\n"), lines + 2, "`upstreams.x.url` is not a URL"),
        (with("[upstreams.x]\n"), lines + 1, "neither `command`"),
        (with("comand = \"x\"\n"), lines + 1, "unknown key"),
        (with("start_timeout_ms = -1\n"), lines + 1, "`upstreams.demo.start_timeout_ms`"),
        (with("[approvals]\nby = \"everybody\"\n"), lines + 2, "`approvals.by`"),
        (good.replace("\"open\"", "\"opne\""), 0, "`policy.profile`"),
        (good.replace("\"open\"", "\"open\"\nfiles = [\"no.yaml\"]"), 0, "no.yaml"),
    ] {
        server.write_config(&broken);
        let health = server
            .health(|health| {
                let message = health["configuration"]["message"].as_str().unwrap_or_default();
                message.contains(reason)
            })
            .await;
        assert_eq!(health["status"], "degraded", "{health}");
        assert_eq!(health["configuration"]["status"], "degraded", "{health}");
        let message = health["configuration"]["message"].as_str().unwrap();
        let at = format!("airlock.toml:{place}: ");
        assert!(place == 0 || message.contains(&at), "{place}: {message}");
        assert!(server.log().contains(reason), "{reason}");
        let ran = server.run("return await tools.demo.add({ a: 1, b: 2 })").await;
        assert_eq!(ran["result"]["sum"], 3, "{reason}: {ran}");
    }
    std::fs::remove_file(server.config_file()).unwrap();
    server.health(|health| health["configuration"].to_string().contains("cannot be read")).await;
    server.write_config(&good);
    let health = server.health(OK).await;
    assert_eq!(health["status"], "ok", "{health}");
}

/// A pipe that nobody writes to, in place of a file.
fn pipe(path: &std::path::Path) {
    std::fs::remove_file(path).ok();
    let made = std::process::Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipe_or_a_device_in_place_of_a_file_is_refused_and_never_waited_for() {
    let policy = "[policy]\nprofile = \"open\"\nfiles = [\"policy.yaml\"]\n";
    let more = format!("{policy}{}", demo(&[]));
    let folder = tempfile::TempDir::new().unwrap();
    let rules = folder.path().join("policy.yaml");
    let allow = "version: \"1\"\ndefault: allow\n";
    std::fs::write(&rules, allow).unwrap();
    let server = TestServer::within(folder, &more).await;
    server.health(|health| OK(health) && ready(health) == ["demo"]).await;
    let good = std::fs::read_to_string(server.config_file()).unwrap();
    let says = async |part: &str| server.health(|health| health.to_string().contains(part)).await;

    pipe(&rules);
    says("the policy file cannot be read: it is a pipe, not a file").await;
    std::fs::remove_file(&rules).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &rules).unwrap();
    says("the policy file cannot be read: it is a device, not a file").await;
    let command = async |args: &[&str]| {
        let ended =
            tokio::time::timeout(PATIENCE, airlock(&server.config_file()).args(args).output());
        String::from_utf8(ended.await.expect("it waits for nobody").unwrap().stderr).unwrap()
    };
    let lint = command(&["policy", "lint"]).await;
    assert!(lint.contains("it is a device, not a file"), "{lint}");
    std::fs::remove_file(&rules).unwrap();
    std::fs::write(&rules, allow).unwrap();

    pipe(&server.config_file());
    says("cannot be read: it is a pipe, not a file").await;
    for args in [&["config", "check"][..], &["upstreams", "list"], &["serve"]] {
        let said = command(args).await;
        assert!(said.contains("it is a pipe, not a file"), "{args:?}: {said}");
    }
    let ran = server.run("return await tools.demo.add({ a: 1, b: 2 })").await;
    assert_eq!(ran["result"]["sum"], 3, "{ran}");
    server.write_config(&good);
    server.health(OK).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_need_a_restart_are_named_and_all_others_are_taken_up() {
    let server = TestServer::with(&demo(&[])).await;
    server.health(OK).await;
    let good = std::fs::read_to_string(server.config_file()).unwrap();
    let other = good
        .replace("127.0.0.1:0", "127.0.0.1:7499")
        .replace("[store]\n", "[store]\nsynchronous = \"full\"\n");
    let other = format!("{other}{}[sandbox]\nworkers_spare = 1\n", demo_named("new", &[]));
    server.write_config(&other);
    let health = server.health(|health| ready(health) == ["demo", "new"]).await;
    let configuration = &health["configuration"];
    let keys = ["sandbox.workers_spare", "server.listen", "store.synchronous"];
    assert_eq!(configuration["needsRestart"], json!(keys), "{configuration}");
    assert_eq!(configuration["status"], "restart_needed", "{configuration}");
    assert_eq!(health["status"], "ok", "it works as it is: {health}");
    let named = keys.map(|key| format!("`{key}`")).join(", ");
    assert!(configuration["message"].as_str().unwrap().contains(&named), "{configuration}");
    assert!(server.log().contains(&format!("needs a restart: {named}")), "{}", server.log());
    let ran = server.run("return await tools.new.add({ a: 1, b: 2 })").await;
    assert_eq!(ran["result"]["sum"], 3, "{ran}");
    server.write_config(&good);
    let health = server.health(OK).await;
    assert!(health["configuration"].get("needsRestart").is_none(), "{health}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_in_what_is_told_of_a_change() {
    let upstream = |secret: &str| format!("{}env = {{ KEY = \"{secret}\" }}\n", demo(&[]));
    let server = TestServer::with(&upstream("first-secret-value")).await;
    server.health(|health| ready(health) == ["demo"]).await;
    server.configure(&upstream("second-secret-value"));
    eventually("the change was taken up", async || {
        server.log().contains("upstreams changed: `demo`").then_some(())
    })
    .await;
    server.configure(&format!("{}[upstreams.x]\n", upstream("third-secret-value")));
    let health = server.health(|health| !OK(health)).await.to_string();
    for text in [health, server.log()] {
        assert!(!text.contains("secret-value"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_under_way_at_a_removed_upstream_end_in_time() {
    let count = tempfile::TempDir::new().unwrap();
    let file = count.path().join("calls");
    let upstream = demo(&["--count-file", file.to_str().unwrap()]);
    let server = TestServer::with(&upstream).await;
    server.health(|health| ready(health) == ["demo"]).await;
    let called = async |count: usize| {
        eventually("the call is under way", async || {
            let calls = std::fs::read_to_string(&file).unwrap_or_default();
            (calls.lines().filter(|line| *line == "wait").count() == count).then_some(())
        })
        .await;
    };
    let short = server.run("await tools.demo.wait({ ms: 1500 }); return 'done'");
    let removed = async {
        called(1).await;
        server.configure("");
    };
    let (short, ()) = tokio::join!(short, removed);
    assert_eq!(short["result"], "done", "a call has some seconds to end: {short}");
    server.health(|health| ready(health).is_empty()).await;

    server.configure(&upstream);
    server.health(|health| ready(health) == ["demo"]).await;
    let long =
        server.run("try { await tools.demo.wait({ ms: 60000 }) } catch (error) { return error }");
    let removed = async {
        called(2).await;
        server.configure("");
    };
    let (long, ()) = tokio::join!(long, removed);
    let told = long.to_string();
    assert!(told.contains("removed from it") && told.contains("upstream_lost"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_was_approved_is_not_sent_to_another_upstream_of_the_name() {
    let count = tempfile::TempDir::new().unwrap();
    let file = |name: &str| count.path().join(name);
    let upstream = |name: &str| demo(&["--count-file", file(name).to_str().unwrap()]);
    let ask = "[policy]\nprofile = \"auto\"\n";
    let server = TestServer::with(&format!("{ask}{}", upstream("first"))).await;
    let code = "return await tools.demo.notes.add({ text: 'one' })";
    let task = server.execute(json!({ "code": code, "waitForResult": false })).await;
    let approval = eventually("the call waits", async || {
        let listed = server.owner(reqwest::Method::GET, "/v1/approvals?status=pending").await.1;
        listed["approvals"].get(0).cloned()
    })
    .await;
    server.configure(&format!("{ask}{}", upstream("second")));
    eventually("the change was taken up", async || {
        server.log().contains("upstreams changed: `demo`").then_some(())
    })
    .await;
    let id = approval["id"].as_str().unwrap();
    server.owner_post(&format!("/v1/approvals/{id}/approve"), json!({})).await;
    let id = &task["taskId"];
    let ended = eventually("the task ends", async || {
        let task = server.call("task_get", json!({ "taskId": id, "waitMs": 5000 })).await;
        let task = task["structuredContent"].clone();
        (!task["exitCode"].is_null()).then_some(task)
    })
    .await;
    assert_eq!(ended["status"], "denied", "{ended}");
    let message = ended["error"]["message"].as_str().unwrap();
    assert!(message.contains("another one than when it was asked for"), "{message}");
    assert!(!file("first").exists() && !file("second").exists(), "it was sent to neither");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_does_not_come_before_the_policy_that_was_saved_with_it() {
    let server = TestServer::with("").await;
    let policy = server.folder.path().join("policy.yaml");
    let allow = "version: \"1\"\ndefault: allow\n";
    std::fs::write(&policy, allow).unwrap();
    let text = std::fs::read_to_string(server.config_file()).unwrap();
    let text = text.replace("[policy]\n", "[policy]\nfiles = [\"policy.yaml\"]\n");
    server.write_config(&text);
    server.health(OK).await;

    std::fs::write(
        &policy,
        format!("{allow}tols: {{\"demo.*\": {{rules: [{{action: deny}}]}}}}\n"),
    )
    .unwrap();
    let with = format!("{text}{}", demo(&[]));
    server.write_config(&with);
    let health = server.health(|health| !OK(health)).await;
    let message = health["configuration"]["message"].as_str().unwrap();
    assert!(message.contains("did you mean `tools`?"), "{message}");
    let ran = server.run("return await tools.demo.add({ a: 1, b: 2 })").await;
    assert_eq!(ran["error"]["name"], "ToolNotFoundError", "{ran}");

    let denied = format!("{allow}tools: {{\"demo.*\": {{rules: [{{action: deny}}]}}}}\n");
    std::fs::write(&policy, denied).unwrap();
    server.health(|health| ready(health) == ["demo"]).await;
    let ran = server.run("return await tools.demo.add({ a: 1, b: 2 })").await;
    assert_eq!(ran["error"]["code"], "policy_denied", "{ran}");
}
