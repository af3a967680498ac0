//! Several clients that each start `airlock mcp` on one database: one process serves them all,
//! whoever comes first.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout},
    time::timeout,
};

use crate::support::server::{PATIENCE, TestServer, airlock, demo};

/// One client's `airlock mcp`.
struct Pipe {
    child: Child,
    input: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
    greeted: bool,
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
        Self { child, input, lines, greeted: false }
    }

    /// Runs a program; the structured answer.
    async fn run(&mut self, code: &str) -> Value {
        self.call("execute", json!({ "code": code })).await["result"]["structuredContent"].clone()
    }

    async fn call(&mut self, tool: &str, arguments: Value) -> Value {
        self.ask(tool, arguments).await;
        self.answer().await
    }

    /// Calls a tool, as a client of 2026-07-28 unless it has greeted.
    async fn ask(&mut self, tool: &str, arguments: Value) {
        let mut params = json!({ "name": tool, "arguments": arguments });
        if !self.greeted {
            params["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {},
            });
        }
        self.say(&json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params }))
            .await;
    }

    /// Begins as a client of 2025-11-25.
    async fn greet(&mut self) -> Value {
        let client = json!({ "name": "airlock-tests", "version": "0" });
        let params =
            json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client });
        self.say(&json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params }))
            .await;
        let greeting = self.answer().await["result"].clone();
        assert_eq!(greeting["protocolVersion"], "2025-11-25");
        self.say(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await;
        self.greeted = true;
        greeting
    }

    async fn say(&mut self, message: &Value) {
        let input = self.input.as_mut().expect("the input is open");
        input.write_all(format!("{message}\n").as_bytes()).await.unwrap();
    }

    async fn answer(&mut self) -> Value {
        let line = timeout(PATIENCE, self.lines.next_line())
            .await
            .expect("an answer comes")
            .unwrap()
            .expect("a line");
        serde_json::from_str(&line).unwrap()
    }

    /// Closes the input and waits for an orderly end.
    async fn end(mut self) {
        self.input = None;
        let status = timeout(PATIENCE, self.child.wait()).await.expect("it ends").unwrap();
        assert!(status.success(), "{status}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_comes_before_its_upstreams_is_told_which_are_being_reached() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("airlock.toml");
    let database = folder.path().join("airlock.db");
    let slow = demo(&["--slow-start", "60000"]);
    let more = slow.replace("upstreams.demo", "upstreams.files");
    std::fs::write(
        &file,
        format!("[store]\nurl = \"sqlite://{}\"\n{slow}{more}", database.display()),
    )
    .unwrap();
    let mut client = Pipe::start(&file);
    let greeting = client.greet().await;
    client.say(&json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {} })).await;
    let listed = client.answer().await;
    for text in [&greeting["instructions"], &listed["result"]["tools"][0]["description"]] {
        assert!(
            text.as_str()
                .unwrap()
                .ends_with("\n\nConnecting (`tools.discover` waits for them): demo, files."),
            "{text}"
        );
    }
    client.end().await;
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
    std::fs::write(
        &config,
        format!("[store]\nurl = \"sqlite://{}/airlock.db\"\n", folder.path().display()),
    )
    .unwrap();
    let mut pipes: Vec<Pipe> = (0..10).map(|_| Pipe::start(&config)).collect();
    let answers =
        futures::future::join_all(pipes.iter_mut().map(|pipe| pipe.run("return 1 + 1"))).await;
    for answer in answers {
        assert_eq!(answer["result"], 2, "{answer}");
    }
    for pipe in &mut pipes {
        pipe.input = None;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_go_on_when_the_one_that_served_them_leaves_or_dies() {
    let folder = tempfile::TempDir::new().unwrap();
    let config = folder.path().join("airlock.toml");
    std::fs::write(
        &config,
        format!("[store]\nurl = \"sqlite://{}/airlock.db\"\n", folder.path().display()),
    )
    .unwrap();
    let mut first = Pipe::start(&config);
    let kept = first.run("return 'kept'").await;
    let (mut second, mut third) = (Pipe::start(&config), Pipe::start(&config));
    second.greet().await;
    assert_eq!(second.run("return 2").await["result"], 2);
    assert_eq!(third.run("return 3").await["result"], 3);
    first.end().await;
    assert_eq!(
        second.run("return 4").await["result"],
        4,
        "the greeting of the era before is not asked for again"
    );
    assert_eq!(third.run("return 5").await["result"], 5);
    let get = second.call("task_get", json!({ "taskId": kept["taskId"] })).await;
    assert_eq!(get["result"]["structuredContent"]["result"], "kept");

    // Whichever of the two serves now: the other one takes over, and hears that what was under way
    // is lost.
    let lost = "await new Promise((done) => setTimeout(done, 60_000))";
    second.ask("execute", json!({ "code": lost })).await;
    third.ask("execute", json!({ "code": lost })).await;
    let note = std::fs::read(folder.path().join("airlock.db.instance.json")).unwrap();
    let serving = serde_json::from_slice::<Value>(&note).unwrap()["pid"].clone();
    let (mut dies, mut stays) = if second.child.id() == serving.as_u64().map(|pid| pid as u32) {
        (second, third)
    } else {
        (third, second)
    };
    dies.child.kill().await.unwrap();
    let apology = stays.answer().await;
    assert_eq!(apology["error"]["data"]["code"], "server_lost", "{apology}");
    assert_eq!(stays.run("return 6").await["result"], 6);
    stays.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_waits_for_its_lasting_server_to_come_back() {
    let server = TestServer::with("").await;
    let mut pipe = Pipe::start(&server.config_file());
    assert_eq!(pipe.run("return 1").await["result"], 1);
    let folder = server.stop().await;
    pipe.ask("execute", json!({ "code": "return 2" })).await;
    let server = TestServer::within(folder, "").await;
    assert_eq!(
        pipe.answer().await["result"]["structuredContent"]["result"],
        2,
        "it was asked meanwhile"
    );
    let pid = pipe.child.id();
    assert_ne!(pid, Some(server.pid()));
    pipe.end().await;
}
