//! Which configuration is in force is never a surprise: a server is used only by those who have its
//! configuration, and what one upstream lacks concerns nobody else.

use std::{path::Path, process::Stdio};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::Command,
};

use crate::support::server::{OPEN, TestServer, airlock, demo};

/// The exit code and what a command wrote, output first.
async fn said(config: &Path, args: &[&str]) -> (i32, String, String) {
    let output = airlock(config).args(args).output().await.expect("the binary runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_another_configuration_is_not_used() {
    let server = TestServer::with(&format!("{OPEN}{}", demo(&[]))).await;
    let folder = server.folder.path();
    let strict = folder.join("strict.toml");
    let text = std::fs::read_to_string(server.config_file()).unwrap();
    std::fs::write(&strict, text.replace("\"open\"", "\"strict\"")).unwrap();
    let program = folder.join("program.ts");
    std::fs::write(&program, "return 1").unwrap();
    let program = program.to_str().unwrap();
    for args in [
        &["run", program][..],
        &["tools", "call", "demo.add", "--args", r#"{"a": 1, "b": 2}"#],
        &["policy", "explain", "demo.add"],
        &["approvals", "list"],
        &["tasks", "list"],
        &["mcp"],
    ] {
        let (code, output, error) = said(&strict, args).await;
        assert_eq!((code, output.as_str()), (69, ""), "{args:?}: {error}");
        let both = [server.config_file(), strict.clone()];
        for file in both.map(|file| file.canonicalize().unwrap()) {
            assert!(error.contains(file.to_str().unwrap()), "{args:?}: {error}");
        }
        assert!(error.contains("store.url"), "{args:?}: {error}");
    }
    let (code, output, error) = said(&server.config_file(), &["run", program]).await;
    assert_eq!((code, output.trim()), (0, "1"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_that_only_the_shell_sets_is_not_lost_at_a_server() {
    let server = TestServer::with(&format!("{OPEN}{}", demo(&[]))).await;
    let mut command = airlock(&server.config_file());
    command.env("AIRLOCK_POLICY_PROFILE", "strict");
    let explain = command.args(["policy", "explain", "demo.add"]).output().await.unwrap();
    let error = String::from_utf8(explain.stderr).unwrap();
    assert_eq!(explain.status.code(), Some(69), "{error}");
    assert!(
        error.contains(r#"profile "open""#) && error.contains(r#"profile "strict""#),
        "{error}"
    );
    // The record is the owner's under any policy.
    let mut command = airlock(&server.config_file());
    command.env("AIRLOCK_POLICY_PROFILE", "strict");
    assert!(command.args(["tasks", "list"]).output().await.unwrap().status.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unset_variable_concerns_its_upstream_alone() {
    let shop = "[upstreams.shop]\nurl = \"https://shop.example/mcp\"\n\
        auth = { bearer = { env = \"AIRLOCK_TEST_UNSET\" } }\n";
    let server = TestServer::with(&format!("{OPEN}{}{shop}", demo(&[]))).await;
    let ran = server.run("return await tools.demo.add({ a: 1, b: 2 })").await;
    assert_eq!(ran["result"]["sum"], 3, "{ran}");
    let ran = server.run("return await tools.shop.buy({})").await;
    let message = ran["error"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("the environment variable `AIRLOCK_TEST_UNSET` is not set"), "{ran}");
    let config = server.config_file();
    for args in [&["approvals", "list"][..], &["tasks", "list"], &["open"], &["upstreams", "list"]]
    {
        let (code, _, error) = said(&config, args).await;
        assert_eq!(code, 0, "{args:?}: {error}");
    }
    let (code, output, error) = said(&config, &["config", "check"]).await;
    assert_eq!(code, 78, "{output}{error}");
    assert!(
        error.contains("AIRLOCK_TEST_UNSET") && error.contains("upstreams.shop.auth"),
        "{error}"
    );
    let (_, output, error) = said(&config, &["doctor"]).await;
    assert!(format!("{output}{error}").contains("AIRLOCK_TEST_UNSET"), "{output}{error}");
    let (code, _, error) = said(&config, &["upstreams", "remove", "shop"]).await;
    assert_eq!(code, 0, "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_without_a_server_tells_which_variable_is_not_set() {
    let folder = tempfile::TempDir::new().unwrap();
    let config = folder.path().join("airlock.toml");
    let database = folder.path().join("a.db");
    let text = format!(
        "[store]\nurl = \"sqlite://{}\"\n{}env = {{ KEY = {{ env = \"AIRLOCK_TEST_UNSET\" }} }}\n",
        database.display(),
        demo(&[])
    );
    std::fs::write(&config, text).unwrap();
    std::fs::write(folder.path().join("program.ts"), "return 1").unwrap();
    let program = folder.path().join("program.ts");
    let (code, output, error) = said(&config, &["run", program.to_str().unwrap()]).await;
    assert_eq!((code, output.trim()), (0, "1"), "{error}");
    let told = "the upstream `demo` cannot be used: `env.KEY` needs the environment variable \
        `AIRLOCK_TEST_UNSET`, which is not set (";
    assert!(error.contains(told) && error.contains("airlock.toml:7)"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_not_read_is_told_to_the_person_the_model_and_the_program() {
    let folder = tempfile::TempDir::new().unwrap();
    let here = folder.path().canonicalize().unwrap();
    std::fs::write(here.join("airlock.toml"), demo(&[])).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_airlock"));
    command.arg("mcp").env_clear().env("HOME", here.join("home")).current_dir(&here);
    for name in ["PATH", "XDG_CACHE_HOME"] {
        command.envs(std::env::var_os(name).map(|value| (name, value)));
    }
    if std::env::var_os("AIRLOCK_TEST_RUNTIME").is_some() {
        command.env("AIRLOCK_SANDBOX_RUNTIME", crate::support::runtime::id());
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut errors = BufReader::new(child.stderr.take().unwrap()).lines();
    let unread = format!("`{}` is not read here", here.join("airlock.toml").display());
    let first = errors.next_line().await.unwrap().unwrap();
    assert!(first.contains(&unread) && first.contains("--config"), "{first}");
    tokio::spawn(async move { while let Ok(Some(_)) = errors.next_line().await {} });
    let code = "return await tools.discover('anything')";
    for message in [
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": {"name": "t", "version": "1"}}}),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "execute",
            "arguments": {"code": code}}}),
    ] {
        input.write_all(format!("{message}\n").as_bytes()).await.unwrap();
    }
    let mut told = vec![];
    while told.len() < 2 {
        let line = tokio::time::timeout(crate::support::server::PATIENCE, output.next_line());
        let line = line.await.expect("it answers").unwrap().expect("it goes on");
        let message: Value = serde_json::from_str(&line).unwrap();
        if message["id"] == 1 {
            told.push(message["result"]["instructions"].as_str().unwrap().to_owned());
        } else if message["id"] == 2 {
            let result = &message["result"]["structuredContent"]["result"];
            assert_eq!(result["results"], json!([]), "{message}");
            told.push(result["note"].as_str().unwrap_or_default().to_owned());
        }
    }
    for text in told {
        assert!(text.contains(&unread), "{text}");
        assert!(text.contains("airlock upstreams add"), "{text}");
    }
    drop(input);
    child.wait().await.unwrap();
    let none = here.join("none.toml");
    std::fs::write(&none, "[store]\nurl = \"sqlite://none.db\"\n").unwrap();
    let (code, _, error) = said(&none, &["tools", "list"]).await;
    assert!(code == 0 && error.contains("no upstream is configured"), "{error}");
}
