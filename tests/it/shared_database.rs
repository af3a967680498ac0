//! Several clients that each start `airlock mcp` on one database: one process serves them all, whoever comes first.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout},
    time::timeout,
};

use crate::support::server::{PATIENCE, TestServer, airlock};

/// One client's `airlock mcp`.
struct Pipe {
    child: Child,
    input: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Pipe {
    fn start(config: &std::path::Path) -> Self {
        let mut child = airlock(config)
            .arg("mcp")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary starts");
        let input = child.stdin.take();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, input, lines }
    }

    /// Runs a program as a client of 2026-07-28; the structured answer.
    async fn run(&mut self, code: &str) -> Value {
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let params = json!({ "name": "execute", "arguments": { "code": code }, "_meta": meta });
        let request = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params });
        let input = self.input.as_mut().expect("the input is open");
        input.write_all(format!("{request}\n").as_bytes()).await.unwrap();
        let line = timeout(PATIENCE, self.lines.next_line()).await.expect("an answer comes").unwrap().expect("a line");
        serde_json::from_str::<Value>(&line).unwrap()["result"]["structuredContent"].clone()
    }

    /// Closes the input and waits for an orderly end.
    async fn end(mut self) {
        self.input = None;
        let status = timeout(PATIENCE, self.child.wait()).await.expect("it ends").unwrap();
        assert!(status.success(), "{status}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_over_stdio_joins_the_server_that_has_the_database() {
    let server = TestServer::with("").await;
    let mut pipe = Pipe::start(&server.config_file());
    let answer = pipe.run("return 6 * 7").await;
    assert_eq!(answer["result"], 42, "{answer}");
    let task = server.call("task_get", json!({ "taskId": answer["taskId"] })).await;
    assert_eq!(task["structuredContent"]["result"], 42, "it is one record");
    pipe.end().await;
    assert_eq!(server.run("return 1").await["result"], 1, "the server outlives its clients");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_clients_that_start_at_once_are_all_served() {
    let folder = tempfile::TempDir::new().unwrap();
    let config = folder.path().join("airlock.toml");
    std::fs::write(&config, format!("[store]\nurl = \"sqlite://{}/airlock.db\"\n", folder.path().display())).unwrap();
    let mut pipes: Vec<Pipe> = (0..10).map(|_| Pipe::start(&config)).collect();
    let answers = futures::future::join_all(pipes.iter_mut().map(|pipe| pipe.run("return 1 + 1"))).await;
    for answer in answers {
        assert_eq!(answer["result"], 2, "{answer}");
    }
    for pipe in &mut pipes {
        pipe.input = None;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_whose_server_stops_ends_and_is_not_left_hanging() {
    let server = TestServer::with("").await;
    let mut pipe = Pipe::start(&server.config_file());
    assert_eq!(pipe.run("return 1").await["result"], 1);
    server.stop().await;
    timeout(PATIENCE, pipe.child.wait()).await.expect("it ends").unwrap();
}
