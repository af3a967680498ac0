//! Objects in which a key stands twice: refused wherever arguments come in, with the key and its
//! place, since readers disagree about which of the two counts.

use std::{path::Path, process::Stdio};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    time::timeout,
};

use crate::support::server::{PATIENCE, TestServer, airlock};

/// A call with these arguments as they are written.
fn call(id: u32, tool: &str, arguments: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}",
        "arguments":{arguments},"_meta":{{
        "io.modelcontextprotocol/protocolVersion":"2026-07-28",
        "io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#
    )
    .replace('\n', " ")
}

/// A tool, its arguments, and what the refusal names.
const DOUBLED: [(&str, &str, &str); 5] = [
    (
        "execute",
        r#"{"code":"return 1","code":"return 2"}"#,
        r#""code" twice in "params.arguments""#,
    ),
    (
        "execute",
        r#"{"code":"return 1","metadata":{"a":[{"b":1,"\u0062":2}]}}"#,
        r#""b" twice in "params.arguments.metadata.a[0]""#,
    ),
    ("task_get", r#"{"taskId":"x","taskId":"y"}"#, r#""taskId" twice in "params.arguments""#),
    ("task_list", r#"{"metadata":{"k":1,"k":1}}"#, r#""k" twice in "params.arguments.metadata""#),
    ("task_cancel", r#"{"taskId":"x","taskId":"x"}"#, r#""taskId" twice in "params.arguments""#),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_doubled_key_is_refused_over_http() {
    let server = TestServer::with("").await;
    let client = server.stranger();
    let post = async |body: String, tool: &str| {
        let request = client
            .post(format!("{}/mcp", server.url))
            .header("accept", "application/json, text/event-stream")
            .header("content-type", "application/json")
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", "tools/call")
            .header("mcp-name", tool);
        let answer = request.body(body).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    for (tool, arguments, told) in DOUBLED {
        let (status, answer) = post(call(7, tool, arguments), tool).await;
        assert_eq!((status, &answer["id"]), (400, &json!(7)), "{answer}");
        let message = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(message.contains(told), "{tool}: {answer}");
    }
    // The same keys in different objects are none.
    let fine = call(8, "execute", r#"{"code":"return 1","metadata":{"code":{"code":1}}}"#);
    let (status, answer) = post(fine, "execute").await;
    assert_eq!((status, &answer["result"]["structuredContent"]["result"]), (200, &json!(1)));
    let (_, tasks) = server.owner(reqwest::Method::GET, "/v1/tasks").await;
    assert_eq!(tasks["tasks"].as_array().map(Vec::len), Some(1), "nothing else ran: {tasks}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_doubled_key_is_refused_over_standard_input() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("airlock.toml");
    let database = folder.path().join("airlock.db");
    std::fs::write(&file, format!("[store]\nurl = \"sqlite://{}\"\n", database.display())).unwrap();
    let mut child = airlock(&file)
        .arg("mcp")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    let mut input = child.stdin.take().expect("it is piped");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let mut say = async |line: &str| {
        input.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    };
    let mut next = async || {
        let line = timeout(PATIENCE, lines.next_line()).await.expect("an answer").unwrap();
        serde_json::from_str::<Value>(&line.expect("a line")).unwrap()
    };
    for (tool, arguments, told) in DOUBLED {
        say(&call(7, tool, arguments)).await;
        let answer = next().await;
        assert_eq!(answer["id"], 7, "{answer}");
        let message = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(message.contains(told), "{tool}: {answer}");
    }
    // Nobody waits for an answer to these.
    say(r#"{"jsonrpc":"2.0","method":"notifications/x","params":{"a":1,"a":2}}"#).await;
    say(r#"{"jsonrpc":"2.0","id":3,"result":{"a":1,"a":2}}"#).await;
    say(r#"{"jsonrpc":"2.0","id":4,"id":5,"method":"ping"}"#).await;
    let answer = next().await;
    assert_eq!(answer["id"], Value::Null, "which of the two is not known: {answer}");
    say(&call(8, "execute", r#"{"code":"return 1"}"#)).await;
    assert_eq!(next().await["result"]["structuredContent"]["result"], 1);
    drop(input);
    timeout(PATIENCE, child.wait()).await.expect("it ends").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_doubled_key_is_refused_by_the_api_and_by_commands() {
    let server = TestServer::start().await;
    let client = server.stranger();
    let send = async |path: &str, body: &'static str| {
        let request = client
            .post(format!("{}{path}", server.url))
            .bearer_auth(&server.token)
            .header("content-type", "application/json");
        let answer = request.body(body).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    for (path, body, told) in [
        ("/v1/tasks", r#"{"code":"return 1","code":"return 2"}"#, "outermost object"),
        ("/v1/tasks", r#"{"code":"return 1","metadata":{"a":1,"a":2}}"#, "metadata"),
        ("/v1/policy/explain", r#"{"tool":"demo.add","args":{"a":1,"a":2}}"#, "args"),
        ("/v1/approvals/apr_x/approve", r#"{"note":"x","note":"y"}"#, "outermost object"),
    ] {
        let (status, answer) = send(path, body).await;
        assert!(status == 400 && answer.contains(told), "{path}: {status} {answer}");
    }
    let (status, answer) = server
        .owner(reqwest::Method::GET, "/v1/tasks?metadata=%7B%22a%22%3A1%2C%22a%22%3A2%7D")
        .await;
    assert!(status == 400 && answer.to_string().contains("twice"), "{answer}");

    let run = async |args: &[&str], config: &Path| {
        let output = airlock(config).args(args).output().await.unwrap();
        assert!(!output.status.success(), "{args:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let config = server.config_file();
    for args in [
        &["tools", "call", "demo.add", "--args", r#"{"a":1,"a":2}"#][..],
        &["policy", "explain", "demo.add", "--args", r#"{"x":{"a":1,"a":2}}"#],
        &["tasks", "list", "--metadata", r#"k={"a":1,"a":2}"#],
    ] {
        let said = run(args, &config).await;
        assert!(said.contains(r#"the key "a" twice in"#), "{args:?}: {said}");
    }
}
