//! What the commands of the owner say of a change, and that they go on with the running server.

use std::path::Path;

use rustix::process::Signal;
use serde_json::Value;

use super::*;
use crate::support::server::airlock;

struct Said {
    code: i32,
    out: String,
    beside: String,
}

async fn say(config: &Path, args: &[&str]) -> Said {
    let output = airlock(config).args(args).output().await.expect("the binary runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Said {
        code: output.status.code().unwrap_or(-1),
        out: text(output.stdout),
        beside: text(output.stderr),
    }
}

fn instance(server: &TestServer) -> Value {
    let file = server.folder.path().join("airlock.db.instance.json");
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_is_added_by_a_command_is_in_force_when_the_command_says_so() {
    let server = TestServer::with(&demo(&[])).await;
    let config = server.config_file();
    let program = env!("CARGO_BIN_EXE_airlock");
    let added = say(
        &config,
        &["upstreams", "add", "--yes", "--name", "two", "--", program, "__demo-upstream"],
    )
    .await;
    assert_eq!(added.code, 0, "{}", added.beside);
    assert!(added.beside.contains("in force: the running server"), "{}", added.beside);
    let listed = say(&config, &["upstreams", "list"]).await;
    assert!(listed.out.contains("two") && !listed.out.contains("configured"), "{}", listed.out);
    let ran = server.run("return await tools.two.add({ a: 1, b: 2 })").await;
    assert_eq!(ran["result"]["sum"], 3, "{ran}");
    let removed = say(&config, &["upstreams", "remove", "two"]).await;
    assert!(removed.beside.contains("in force: the running server"), "{}", removed.beside);
    let ran = server.run("return await tools.two.add({ a: 1, b: 2 })").await;
    assert_eq!(ran["error"]["name"], "ToolNotFoundError", "{ran}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_the_server_refuses_is_not_said_to_be_in_force() {
    let server = TestServer::with(&demo(&[])).await;
    let config = server.config_file();
    // The file of a policy is not looked at when the configuration is written.
    let text = std::fs::read_to_string(&config).unwrap();
    server.write_config(&text.replace("[policy]\n", "[policy]\nfiles = [\"missing.yaml\"]\n"));
    let program = env!("CARGO_BIN_EXE_airlock");
    let added = say(
        &config,
        &["upstreams", "add", "--yes", "--name", "two", "--", program, "__demo-upstream"],
    )
    .await;
    assert!(!added.beside.contains("has taken it up"), "{}", added.beside);
    assert!(
        added.beside.contains("refuses the change") && added.beside.contains("missing.yaml"),
        "{}",
        added.beside
    );
    let listed = say(&config, &["upstreams", "list"]).await;
    assert!(
        listed.out.contains("two: the running server has not taken it up; `airlock doctor` says"),
        "{}",
        listed.out
    );
    let all = format!("{}{}", listed.out, listed.beside);
    assert_eq!(all.matches("missing.yaml").count(), 1, "the refusal is told once: {all}");
    assert!(!all.contains("restart"), "{all}");
    let doctor = say(&config, &["doctor"]).await;
    assert!(doctor.out.contains("missing.yaml"), "{}{}", doctor.out, doctor.beside);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_with_the_same_file_joins_the_server_after_a_change() {
    let strict = "[policy]\nprofile = \"strict\"\n";
    let server = TestServer::with(&format!("{strict}{}", demo(&[]))).await;
    server.health(|health| ready(health) == ["demo"]).await;
    let config = server.config_file();
    let program = server.folder.path().join("program.ts");
    std::fs::write(&program, "return await tools.two.add({ a: 1, b: 2 })").unwrap();
    // At once, before the server can have noticed.
    server.configure(&format!("{OPEN}{}", demo_named("two", &[])));
    let ran = say(&config, &["run", program.to_str().unwrap()]).await;
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.beside);
    assert!(ran.out.contains("\"sum\": 3"), "{}", ran.out);
    let tasks = server.call("task_list", json!({})).await.to_string();
    assert!(tasks.contains("completed"), "the server ran it: {tasks}");
    let config = &instance(&server)["config"];
    let bytes = std::fs::read(server.config_file()).unwrap();
    let digest = {
        use sha2::{Digest, Sha256};
        hex::encode(Sha256::digest(&bytes))
    };
    assert_eq!((&config["digest"], &config["profile"]), (&json!(digest), &json!("open")));
    assert_eq!(instance(&server)["pid"], server.pid());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doctor_and_the_list_tell_of_a_broken_file_and_of_the_server_that_goes_on() {
    let server = TestServer::with(&demo(&[])).await;
    let config = server.config_file();
    let good = std::fs::read_to_string(&config).unwrap();
    server.health(|health| ready(health) == ["demo"]).await;
    for (broken, reason) in [
        (format!("{good}[upstreams.x\n"), "is not valid TOML"),
        (format!("{good}[upstreams.x]\nurl = \"ftp://x\"\n"), "is not a URL"),
        (good.replace("profile = ", "profil = "), "unknown key"),
    ] {
        server.write_config(&broken);
        server.health(|health| health["configuration"].to_string().contains(reason)).await;
        let listed = say(&config, &["upstreams", "list"]).await;
        assert_eq!(listed.code, 78, "{}{}", listed.out, listed.beside);
        assert!(listed.out.contains("demo") && listed.out.contains("ready"), "{}", listed.out);
        let keeps = "keeps the last valid configuration in force";
        assert!(
            listed.beside.contains(reason) && listed.beside.contains(keeps),
            "{}",
            listed.beside
        );
        let json = say(&config, &["upstreams", "list", "--json"]).await;
        let json: Value = serde_json::from_str(&json.out).expect("JSON alone");
        assert_eq!((&json[0]["id"], &json[0]["status"]), (&json!("demo"), &json!("ready")));
        let doctor = say(&config, &["doctor"]).await;
        assert_eq!(doctor.code, 1, "{}", doctor.out);
        for told in [reason, keeps, "server.configuration", "upstreams.demo"] {
            assert!(doctor.out.contains(told), "{told}: {}", doctor.out);
        }
    }
    server.write_config(&good.replace("127.0.0.1:0", "127.0.0.1:7498"));
    server.health(|health| health["configuration"]["status"] == "restart_needed").await;
    for args in [&["doctor"][..], &["upstreams", "list"]] {
        let said = say(&config, args).await;
        let all = format!("{}{}", said.out, said.beside);
        assert!(all.contains("needs a restart: `server.listen`"), "{args:?}: {all}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hang_up_signal_has_the_configuration_read_again() {
    let server = TestServer::with(&demo(&[])).await;
    server.health(|health| ready(health) == ["demo"]).await;
    server.signal(Signal::HUP);
    eventually("the signal was taken", async || {
        server.log().contains("the configuration is read again").then_some(())
    })
    .await;
    server.configure("");
    server.signal(Signal::HUP);
    server.health(|health| ready(health).is_empty()).await;
    assert_eq!(server.run("return 1").await["result"], 1, "and it serves on");
}
