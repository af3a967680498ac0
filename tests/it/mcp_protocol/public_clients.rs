//! Clients of other people drive the binary: Python and TypeScript, both generations, over HTTP and
//! over standard streams.

use super::*;
use crate::support::{
    runtime,
    server::{TestServer, demo},
};

/// What every client must have seen, whatever it speaks.
fn check(client: &str, version: &str, saw: &Value) {
    assert_eq!(
        saw["tools"],
        json!(["execute", "task_get", "task_list", "task_cancel"]),
        "{client}"
    );
    if !saw["version"].is_null() {
        assert_eq!(saw["version"], version, "{client}");
    }
    let two = &saw["two"];
    let id = two["structured"]["taskId"].as_str().unwrap();
    assert_eq!(
        two["text"],
        format!(
            "taskId: {id}\nstatus: completed\nruntimeId: {runtime}\nexitCode: 0\n\n```json\n2\n```",
            runtime = runtime::id()
        ),
        "{client}"
    );
    assert_eq!(
        (&two["isError"], &two["structured"]["result"]),
        (&json!(false), &json!(2)),
        "{client}"
    );
    assert_eq!(
        (&saw["fails"]["isError"], &saw["fails"]["structured"]["exitCode"]),
        (&json!(true), &json!(1)),
        "{client}"
    );
    assert!(
        saw["fails"]["text"].as_str().unwrap().contains("\nerror: TypeError: x is not a function"),
        "{client}: {saw}"
    );
    assert_eq!(saw["slow"]["structured"]["result"], "slept", "{client}");
    assert!(!saw["progress"].as_array().unwrap().is_empty(), "{client} saw no progress");
    assert_eq!(saw["big"]["structured"]["result"].as_str().unwrap().len(), 100_000, "{client}");
    assert!(saw["big"]["text"].as_str().unwrap().contains("result preview truncated"), "{client}");
    assert_eq!(saw["polled"]["structured"]["result"], "slept", "{client}");
    assert_eq!(saw["cancelled"]["structured"]["status"], "cancelled", "{client}");
    assert!(saw["listed"]["structured"]["tasks"].as_array().unwrap().len() >= 6, "{client}");
    assert!(saw["bad"]["text"].as_str().unwrap().contains("did you mean `timeoutMs`?"), "{client}");
}

/// `airlock serve`, and `airlock mcp` as a client starts it.
async fn drive(client: &str, mode: &str, version: &str) {
    let server = TestServer::with(&demo(&[])).await;
    let Some(saw) = clients::drive(client, &[mode, "http", &format!("{}/mcp", server.url)]).await
    else {
        return;
    };
    check(&format!("{client} {mode} over HTTP"), version, &saw);
    let folder = server.stop().await;
    let file = folder.path().join("airlock.toml");
    let command = [env!("CARGO_BIN_EXE_airlock"), "--config", file.to_str().unwrap(), "mcp"];
    let target: Vec<_> = [mode, "stdio"].into_iter().chain(command).collect();
    let saw = clients::drive(client, &target).await.unwrap();
    check(&format!("{client} {mode} over stdio"), version, &saw);
}

#[tokio::test]
async fn python_2_finds_the_current_revision() {
    drive("python-2", "auto", "2026-07-28").await;
}

#[tokio::test]
async fn python_2_speaks_the_legacy_revision() {
    drive("python-2", "legacy", "2025-11-25").await;
}

#[tokio::test]
async fn python_1_speaks_the_legacy_revision() {
    drive("python-1", "legacy", "2025-11-25").await;
}

#[tokio::test]
async fn typescript_2_finds_the_current_revision() {
    drive("typescript-2", "auto", "2026-07-28").await;
}

#[tokio::test]
async fn typescript_2_speaks_the_legacy_revision() {
    drive("typescript-2", "legacy", "2025-11-25").await;
}

#[tokio::test]
async fn typescript_1_speaks_the_legacy_revision() {
    drive("typescript-1", "legacy", "2025-11-25").await;
}
