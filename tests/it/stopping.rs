//! A stop waits for what may still end, and for nothing else; and the signals that mean it.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    approvals::ASKS,
    support::{
        clients::listen_post,
        policy::Policed,
        server::{TestServer, airlock, demo, demo_named, eventually},
        terminal::AtTerminal,
    },
};

/// Half of the time that tasks have to end. A stop that waits for nothing takes a fraction of a
/// second where nothing else runs.
const SOON: Duration = Duration::from_secs(5);

/// Stops the server; the time that it took.
async fn stopped(server: TestServer) -> (Duration, tempfile::TempDir) {
    let began = Instant::now();
    let folder = server.stop().await;
    (began.elapsed(), folder)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_waits_for_a_person_is_not_waited_for() {
    let policed = Policed::start(ASKS).await;
    let task = policed.begin(json!({ "code": "await tools.demo.notes.add({ text: 'x' })" })).await;
    let both = "await Promise.all(['a', 'b'].map((text) => tools.demo.notes.add({ text })))";
    policed.begin(json!({ "code": both })).await;
    policed.pending(3).await;
    let (took, folder) = stopped(policed.server).await;
    assert!(took < SOON, "{took:?}");
    // And goes on at the next start.
    let policed = Policed::within(folder, ASKS, "").await;
    for approval in policed.pending(3).await {
        policed.word(&approval, "approve", json!({})).await;
    }
    assert_eq!(policed.end(&task).await["status"], "completed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_waits_for_an_approval_gets_its_answer_at_the_stop() {
    let policed = Policed::start(ASKS).await;
    let waiting = policed.server.run("await tools.demo.notes.add({ text: 'x' })");
    let stop = async {
        policed.pending(1).await;
        policed.server.signal(Signal::TERM);
    };
    let began = Instant::now();
    let (answer, ()) = tokio::join!(waiting, stop);
    assert_eq!(answer["status"], "awaiting_approval", "{answer}");
    assert!(answer["taskId"].is_string(), "{answer}");
    assert!(began.elapsed() < SOON * 2, "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_waits_for_a_person_and_for_a_tool_may_still_go_on() {
    let policed = Policed::start(ASKS).await;
    let code = "const waiting = tools.demo.notes.add({ text: 'x' });
        return await Promise.race([waiting, tools.demo.wait({ ms: 2000 }).then(() => 'done')]);";
    let task = policed.begin(json!({ "code": code })).await;
    policed.pending(1).await;
    eventually("the other call is under way", async || (policed.hits("wait") == 1).then_some(()))
        .await;
    let (_, folder) = stopped(policed.server).await;
    let server = TestServer::within(folder, "").await;
    let task = &server.call("task_get", json!({ "taskId": task })).await["structuredContent"];
    assert_eq!((&task["status"], &task["result"]), (&json!("completed"), &json!("done")), "{task}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_clients_hold_no_stop_up() {
    let server = TestServer::with(&demo(&[])).await;
    assert_eq!(server.run("return await tools.demo.wait({ ms: 0 })").await["status"], "completed");
    let address = server.url.strip_prefix("http://").unwrap().to_owned();
    let open = async |text: String| {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    };
    let head = |first: &str, more: &str| {
        format!(
            "{first} HTTP/1.1\r\nHost: {address}\r\nAccept: text/event-stream, \
            application/json\r\n{more}\r\n"
        )
    };
    let legacy = "MCP-Protocol-Version: 2025-11-25\r\nMcp-Session-Id: one\r\n";
    let mut streams = vec![
        open(String::new()).await,
        open("GET /healthz HTTP/1.1\r\nHo".to_owned()).await,
        open(head("GET /healthz", "")).await,
        open(head("GET /mcp", legacy)).await,
    ];
    let listen = listen_post(address.parse().unwrap());
    streams.push(open(String::from_utf8(listen).unwrap()).await);
    let part = "Content-Type: application/json\r\nContent-Length: 1000\r\n";
    streams.push(open(head("POST /mcp", part) + "{\"jsonrpc\"").await);
    for stream in &mut streams[2..5] {
        let mut bytes = [0; 12];
        stream.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"HTTP/1.1 200");
    }
    // A client of another process, attached to this server.
    let mut attached = airlock(&server.config_file())
        .arg("mcp")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually("it is attached", async || {
        let connections = server.log().contains("attached");
        let files = std::fs::read_dir(format!("/proc/{}/fd", attached.id().unwrap())).ok()?;
        (connections || files.count() > 8).then_some(())
    })
    .await;
    let (took, _folder) = stopped(server).await;
    assert!(took < SOON, "{took:?}");
    attached.start_kill().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upstreams_that_do_not_leave_by_themselves_hold_no_stop_up() {
    let stays = format!(
        "[upstreams.stays]\ncommand = \"sh\"\nargs = [\"-c\", {:?}]\n",
        format!("trap '' TERM; {:?} __demo-upstream; sleep 1000", env!("CARGO_BIN_EXE_airlock"))
    );
    let server = TestServer::with(&format!("{}{stays}", demo_named("demo", &[]))).await;
    server.health(|health| !health.to_string().contains("connecting")).await;
    let (took, _folder) = stopped(server).await;
    assert!(took < SOON, "{took:?}");
}

/// Starts `airlock run` with a program that never ends, on a running server, sends it these signals
/// at once, and waits for its end; the task on record.
async fn interrupted(signals: &[Signal]) -> Value {
    let server = TestServer::with(&demo(&[])).await;
    let program = server.folder.path().join("program.ts");
    std::fs::write(&program, "await new Promise((done) => setTimeout(done, 300000))").unwrap();
    let mut child = airlock(&server.config_file())
        .args(["run", program.to_str().unwrap()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let tasks = async || {
        let listed = server.call("task_list", json!({})).await;
        listed["structuredContent"]["tasks"].as_array().cloned().unwrap_or_default()
    };
    eventually("the task runs", async || {
        tasks().await.first().filter(|task| task["status"] == "running").map(|_| ())
    })
    .await;
    let pid = Pid::from_raw(child.id().unwrap().cast_signed()).unwrap();
    for signal in signals {
        kill_process(pid, *signal).unwrap();
        // Signals that are pending at once are one.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    child.wait().await.unwrap();
    eventually("the task has ended", async || {
        tasks().await.first().filter(|task| !task["exitCode"].is_null()).cloned()
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_signal_to_stop_cancels_the_task_of_a_run() {
    for signals in [
        &[Signal::INT][..],
        &[Signal::INT, Signal::INT],
        &[Signal::INT, Signal::INT, Signal::INT],
        &[Signal::TERM],
        &[Signal::HUP],
        &[Signal::HUP, Signal::INT, Signal::INT],
    ] {
        let task = interrupted(signals).await;
        assert_eq!(task["status"], "cancelled", "{signals:?}: {task}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_ends_with_the_terminal_that_it_was_started_in() {
    let folder = crate::cli::place("[server]\nlisten = \"127.0.0.1:0\"\n");
    let terminal = AtTerminal::start(&folder.path().join("airlock.toml"), &["serve"]);
    terminal.shows("ready", 1).await;
    assert_eq!(terminal.close().await, Some(0), "in order");
    assert!(!folder.path().join("airlock.db.instance.json").exists());
}
