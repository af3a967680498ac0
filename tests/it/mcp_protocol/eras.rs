//! Both eras of the protocol, over HTTP and over a pipe, with clients of other people.

use std::{os::fd::OwnedFd, process::Stdio};

use airlock::transport::{auth, mcp::Mcp, stdio};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader},
    net::UnixStream,
};

use super::{pipe::Pipe, *};

#[tokio::test]
async fn legacy_sessions_of_both_revisions_are_served() {
    let server = Server::start().await;
    let raw = server.raw();
    for version in ["2025-06-18", "2025-11-25"] {
        let (session, greeting) = begin(&raw, version).await;
        assert_eq!(greeting["protocolVersion"], version);
        assert_eq!(
            (&greeting["serverInfo"]["name"], &greeting["serverInfo"]["title"]),
            (&json!("airlock"), &json!("Airlock"))
        );
        assert!(greeting["instructions"].as_str().unwrap().len() < 2048);
        assert_eq!(greeting["capabilities"]["tools"]["listChanged"], true);
        let mut headers = JSON.to_vec();
        headers.extend([("mcp-session-id", session.as_str()), ("mcp-protocol-version", version)]);
        let call = json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"name": "execute", "arguments": {"code": "return 1 + 1"}}
        });
        let result =
            raw.send("POST", "/mcp", &headers, call.to_string()).await.json()["result"].clone();
        assert_eq!(result["structuredContent"]["result"], 2);
        assert!(result.get("resultType").is_none(), "{result}");
        assert_eq!(raw.send("DELETE", "/mcp", &headers, "").await.status, 204);
        let gone = raw.send("POST", "/mcp", &headers, call.to_string()).await;
        assert_eq!((gone.status, &gone.json()["id"]), (404, &json!(1)));
        let told = gone.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(told.contains("initialize again"), "{told}");
    }
    let tasks = server.below.tasks();
    assert_eq!(tasks.len(), 2);
    assert!(
        tasks.iter().all(|task| task.principal.workspace_id == "local"
            && task.principal.client_id == "oldclient"),
        "{tasks:?}"
    );
}

#[tokio::test]
async fn the_current_revision_needs_no_session_and_names_the_server() {
    let server = Server::start().await;
    let raw = server.raw();
    let found = raw
        .modern(json!({"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": {}}))
        .await
        .json()["result"]
        .clone();
    let versions = found["supportedVersions"].as_array().unwrap();
    for version in ["2025-06-18", "2025-11-25", "2026-07-28"] {
        assert!(versions.contains(&json!(version)), "{found}");
    }
    let list = raw
        .modern(json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}))
        .await
        .json()["result"]
        .clone();
    assert_eq!(
        (&list["ttlMs"], &list["cacheScope"], &list["resultType"]),
        (&json!(60_000), &json!("private"), &json!("complete"))
    );
    let call = raw.call("execute", json!({"code": "return 1 + 1"})).await;
    assert_eq!(call["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "airlock");
    assert_eq!(
        raw.send(
            "GET",
            "/mcp",
            &[("accept", "text/event-stream"), ("mcp-protocol-version", "2026-07-28")],
            ""
        )
        .await
        .status,
        405
    );
}

#[tokio::test]
async fn headers_that_contradict_the_body_are_refused() {
    let server = Server::start().await;
    let raw = server.raw();
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {}
    });
    let body = json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "execute", "arguments": {"code": "1"}, "_meta": meta}
    });
    for (method, name, version) in [
        ("tools/list", "execute", "2026-07-28"),
        ("tools/call", "task_get", "2026-07-28"),
        ("tools/call", "execute", "2025-11-25"),
    ] {
        let mut headers = JSON.to_vec();
        headers.extend([
            ("mcp-protocol-version", version),
            ("mcp-method", method),
            ("mcp-name", name),
        ]);
        let reply = raw.send("POST", "/mcp", &headers, body.to_string()).await;
        assert_eq!(
            (reply.status, &reply.json()["error"]["code"]),
            (400, &json!(-32020)),
            "{method} {name} {version}"
        );
    }
    assert!(server.below.tasks().is_empty(), "nothing ran");
}

#[tokio::test]
async fn a_legacy_client_that_disconnects_does_not_cancel_and_its_notification_does() {
    let server = Server::start().await;
    let raw = server.raw();
    let (session, _) = begin(&raw, "2025-11-25").await;
    let mut headers = JSON.to_vec();
    headers.extend([("mcp-session-id", session.as_str()), ("mcp-protocol-version", "2025-11-25")]);
    let call = json!({
        "jsonrpc": "2.0", "id": 5, "method": "tools/call",
        "params": {"name": "execute", "arguments": {"code": sleep(60000)}}
    })
    .to_string();
    let lines: String =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let post = format!(
        "POST /mcp HTTP/1.1\r\nHost: {}\r\n{lines}Content-Length: {}\r\n\r\n{call}",
        server.address,
        call.len()
    );
    let (stream, _) = raw.exchange(post.as_bytes(), |read| read.contains("\r\n\r\n")).await;
    until("the task is recorded", || server.below.tasks().len() == 1).await;
    drop(stream);
    // The session still answers, and the task was left alone.
    let ping = json!({"jsonrpc": "2.0", "id": 6, "method": "ping"}).to_string();
    assert_eq!(raw.send("POST", "/mcp", &headers, ping).await.status, 200);
    assert_eq!(server.below.count(TaskStatus::Cancelled), 0);
    let cancel =
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 5}})
            .to_string();
    assert_eq!(raw.send("POST", "/mcp", &headers, cancel).await.status, 202);
    until("the task is cancelled", || server.below.count(TaskStatus::Cancelled) == 1).await;
}

#[tokio::test]
async fn a_stopping_server_answers_a_legacy_call_under_way_and_ends_idle_streams() {
    let mut server = Server::start().await;
    let raw = server.raw();
    let (session, _) = begin(&raw, "2025-11-25").await;
    let head = format!(
        "Host: {}\r\nMcp-Session-Id: {session}\r\nMcp-Protocol-Version: \
        2025-11-25\r\nContent-Type: application/json\r\nAccept: application/json, \
        text/event-stream\r\n",
        server.address
    );
    let (_idle, _) = raw
        .exchange(format!("GET /mcp HTTP/1.1\r\n{head}\r\n").as_bytes(), |read| {
            read.contains("\r\n\r\n")
        })
        .await;
    let call = json!({
        "jsonrpc": "2.0", "id": 5, "method": "tools/call",
        "params": {"name": "execute", "arguments": {"code": sleep(300)}}
    })
    .to_string();
    let post = format!("POST /mcp HTTP/1.1\r\n{head}Content-Length: {}\r\n\r\n{call}", call.len());
    let answered = tokio::spawn({
        let raw = raw.clone();
        async move { raw.exchange(post.as_bytes(), |read| read.contains("slept")).await.1 }
    });
    until("the task is recorded", || server.below.tasks().len() == 1).await;
    server.shutdown.cancel();
    assert!(answered.await.unwrap().contains("slept"));
    let ended = tokio::time::timeout(Duration::from_secs(5), &mut server.serving)
        .await
        .expect("sooner than the time to drain");
    assert_eq!(ended.unwrap().unwrap(), Drained::Complete);
}

#[tokio::test]
async fn clients_hear_that_the_namespaces_changed() {
    let (_folder, file) = offering();
    let server = Server::over(&Setup::upstream(&["--offer", file.to_str().unwrap()])).await;
    let raw = server.raw();
    let (session, _) = begin(&raw, "2025-11-25").await;
    let get = format!(
        "GET /mcp HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\nMcp-Session-Id: \
        {session}\r\nMcp-Protocol-Version: 2025-11-25\r\n\r\n",
        server.address
    );
    let legacy = tokio::spawn({
        let raw = raw.clone();
        async move { raw.exchange(get.as_bytes(), |read| read.contains("list_changed")).await.1 }
    });
    let post = listen_post(server.address);
    let (_open, read) = raw.exchange(&post, |read| read.contains("acknowledged")).await;
    assert!(read.contains("acknowledged"), "{read}");
    let modern = tokio::spawn({
        let raw = raw.clone();
        async move { raw.exchange(&post, |read| read.contains("tools/list_changed")).await.1 }
    });
    // Both streams are open once the server has had time to read them: change until both have
    // received.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    let mut tools = 1;
    while !(legacy.is_finished() && modern.is_finished()) && tokio::time::Instant::now() < deadline
    {
        tools += 1;
        offer(&file, tools);
        server.below.refresh().await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert!(legacy.await.unwrap().contains("notifications/tools/list_changed"));
    assert!(modern.await.unwrap().contains("notifications/tools/list_changed"));
}

#[tokio::test]
async fn a_pipe_speaks_both_eras() {
    let mut pipe = Pipe::open().await;
    pipe.send(&hello("2025-06-18")).await;
    assert_eq!(pipe.receive().await["result"]["protocolVersion"], "2025-06-18");
    pipe.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).await;
    pipe.send(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"execute","arguments":{"code":"return 1 + 1"}}}"#)
        .await;
    assert_eq!(pipe.receive().await["result"]["structuredContent"]["result"], 2);

    let mut pipe = Pipe::open().await;
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {}
    });
    let call = json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "execute", "arguments": {"code": "return 1 + 1"}, "_meta": meta}
    });
    pipe.send(&call.to_string()).await;
    assert_eq!(pipe.receive().await["result"]["structuredContent"]["result"], 2);
}

#[tokio::test]
async fn a_cancelled_call_over_a_pipe_cancels_its_task() {
    let mut pipe = Pipe::open().await;
    pipe.send(&hello("2025-11-25")).await;
    pipe.receive().await;
    pipe.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).await;
    pipe.send(
        &json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"name": "execute", "arguments": {"code": sleep(60000)}}
        })
        .to_string(),
    )
    .await;
    let below = pipe.below.clone();
    until("the task is recorded", || below.tasks().len() == 1).await;
    pipe.send(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#)
        .await;
    until("it is cancelled", || below.count(TaskStatus::Cancelled) == 1).await;
}

#[tokio::test]
async fn a_line_over_the_cap_is_answered_with_its_id_and_the_next_line_passes() {
    let call = |id: u32, code: &str| {
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {}
        });
        let params = json!({"name": "execute", "arguments": {"code": code}, "_meta": meta});
        json!({"method": "tools/call", "params": params, "jsonrpc": "2.0", "id": id}).to_string()
    };
    let long = call(7, &"x".repeat(stdio::LINE_BYTES_MAX));
    let mut pipe = Pipe::open().await;
    pipe.send(&long).await;
    let refused = pipe.receive().await;
    assert_eq!(
        (&refused["id"], &refused["error"]["code"]),
        (&json!(7), &json!(-32600)),
        "{refused}"
    );
    assert!(refused["error"]["message"].as_str().unwrap().contains("16777216 bytes"), "{refused}");
    pipe.send(&call(8, "return 1 + 1")).await;
    assert_eq!(pipe.receive().await["result"]["structuredContent"]["result"], 2);
    // One whose sender closes its end at once is answered too.
    pipe.send(&long).await;
    let Pipe { mut lines, mut write, .. } = pipe;
    write.as_mut().unwrap().shutdown().await.unwrap();
    let line = tokio::time::timeout(Duration::from_secs(10), lines.next_line())
        .await
        .expect("a line")
        .unwrap();
    assert!(line.expect("an answer").contains("-32600"));
}

#[tokio::test]
async fn the_end_of_the_input_ends_the_server() {
    for greeted in [false, true] {
        let mut pipe = Pipe::open().await;
        if greeted {
            pipe.send(&hello("2025-11-25")).await;
            pipe.receive().await;
        }
        let Pipe { lines, write, serving, .. } = pipe;
        drop((lines, write));
        tokio::time::timeout(Duration::from_secs(3), serving)
            .await
            .expect("promptly")
            .unwrap()
            .unwrap();
    }
}

#[tokio::test]
async fn progress_comes_at_once_again_and_always_rises() {
    let options = McpOptions { progress_every: Duration::from_millis(100), ..mcp_options() };
    let mut pipe = Pipe::with(options, &Setup::upstream(&[])).await;
    pipe.send(&hello("2025-11-25")).await;
    pipe.receive().await;
    let code = "const add = () => tools.everything.add({ a: 1, b: 1 }); await add(); await add();
        await tools.everything.wait({ ms: 1200 }); return \"slept\"";
    let arguments = json!({"code": code});
    let params = json!({"name": "execute", "arguments": arguments, "_meta": {"progressToken": 9}});
    pipe.send(
        &json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string(),
    )
    .await;
    let mut notifications = Vec::new();
    let answer = loop {
        let message = pipe.receive().await;
        if message["method"] != "notifications/progress" {
            break message;
        }
        assert_eq!(message["params"]["progressToken"], 9);
        notifications.push((
            message["params"]["progress"].as_f64().unwrap(),
            message["params"]["message"].as_str().unwrap().to_owned(),
        ));
    };
    assert_eq!(answer["result"]["structuredContent"]["result"], "slept");
    assert!(notifications.len() >= 3, "{notifications:?}");
    assert!(notifications.windows(2).all(|pair| pair[0].0 < pair[1].0), "{notifications:?}");
    let last = &notifications.last().unwrap().1;
    let end = " s, 3 tool calls; the last tool reports: 0 of 1200, waiting";
    let seconds = last.strip_prefix("running after ").and_then(|rest| rest.strip_suffix(end));
    assert!(matches!(seconds, Some("0" | "1" | "2")), "{last}");
}

/// Not a test of its own: what the next one starts as a process with standard streams.
#[tokio::test]
async fn a_process_that_serves_its_standard_streams() {
    if std::env::var_os("AIRLOCK_TEST_STDIO").is_none() {
        return;
    }
    let below = TestService::start(&Setup::default()).await;
    let stop = CancellationToken::new();
    let agent = auth::stdio_agent();
    let rates = RateLimits::new(0, 0);
    let mcp = Mcp::over_stdio(below.service, fixed(mcp_options()), agent, rates, stop.clone());
    let print = async {
        use std::io::Write;
        std::io::stdout().write_all(b"a stray print\n").unwrap();
    };
    // In this order: the server has taken standard output when something prints.
    let (served, ()) = tokio::join!(biased; stdio::serve(mcp, stop), print);
    served.unwrap();
}

#[tokio::test]
async fn standard_output_belongs_to_the_protocol_over_pipes_and_sockets() {
    for sockets in [false, true] {
        let mut command = tokio::process::Command::new(std::env::current_exe().unwrap());
        command.args([
            "--exact",
            "mcp_protocol::eras::a_process_that_serves_its_standard_streams",
            "--nocapture",
        ]);
        command.env("AIRLOCK_TEST_STDIO", "1").stderr(Stdio::piped()).kill_on_drop(true);
        let (mut child, mut write, read): (
            _,
            Box<dyn AsyncWrite + Unpin>,
            Box<dyn AsyncRead + Unpin>,
        );
        if sockets {
            let ((our_in, their_in), (our_out, their_out)) =
                (UnixStream::pair().unwrap(), UnixStream::pair().unwrap());
            let fd = |socket: UnixStream| {
                let socket = socket.into_std().unwrap();
                socket.set_nonblocking(false).unwrap();
                Stdio::from(OwnedFd::from(socket))
            };
            child = command.stdin(fd(their_in)).stdout(fd(their_out)).spawn().unwrap();
            (write, read) = (Box::new(our_in), Box::new(our_out));
        } else {
            child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            (write, read) =
                (Box::new(child.stdin.take().unwrap()), Box::new(child.stdout.take().unwrap()));
        }
        drop(command);
        let call = |id: u32, code: &str| {
            json!({
                "jsonrpc": "2.0", "id": id, "method": "tools/call",
                "params": {"name": "execute", "arguments": {"code": code}}
            })
        };
        let lines = [
            hello("2025-11-25"),
            call(1, "return 0").to_string(),
            call(2, "return 1 + 1").to_string(),
        ];
        write.write_all(format!("{}\n", lines.join("\n")).as_bytes()).await.unwrap();
        let mut received = Vec::new();
        let mut lines = BufReader::new(read).lines();
        while received.len() < 3 {
            let line = tokio::time::timeout(Duration::from_secs(10), lines.next_line())
                .await
                .expect("a line")
                .unwrap()
                .unwrap();
            // The test harness writes before the server takes standard output.
            if !line.is_empty() && !line.starts_with("running ") {
                received
                    .push(serde_json::from_str::<Value>(&line).expect("nothing but the protocol"));
            }
        }
        assert!(received.iter().any(|message| message["id"] == 2), "{received:?}");
        write.shutdown().await.unwrap();
        drop(write);
        let output = tokio::time::timeout(Duration::from_secs(3), child.wait_with_output())
            .await
            .expect("promptly")
            .unwrap();
        assert!(output.status.success());
        assert!(
            String::from_utf8_lossy(&output.stderr).contains("a stray print"),
            "it went to standard error"
        );
    }
}

/// The official Rust client, in both of its lifecycles, over HTTP.
#[tokio::test]
async fn the_rust_client_speaks_both_eras() {
    use rmcp::{
        model::{CallToolRequestParams, ProtocolVersion},
        service::{ClientLifecycleMode, serve_client_with_lifecycle},
        transport::StreamableHttpClientTransport,
    };
    let server = Server::start().await;
    let url = server.raw().url("/mcp");
    for (mode, version) in [
        (ClientLifecycleMode::Initialize, ProtocolVersion::V_2025_11_25),
        (
            ClientLifecycleMode::Discover {
                preferred_versions: vec![ProtocolVersion::V_2026_07_28],
            },
            ProtocolVersion::V_2026_07_28,
        ),
    ] {
        let transport = StreamableHttpClientTransport::from_uri(url.clone());
        let client = serve_client_with_lifecycle((), transport, mode).await.unwrap();
        assert_eq!(client.peer_info().unwrap().protocol_version, version);
        assert_eq!(client.list_all_tools().await.unwrap().len(), 4);
        let arguments = json!({"code": "return 1 + 1"}).as_object().unwrap().clone();
        let result = client
            .call_tool(CallToolRequestParams::new("execute").with_arguments(arguments))
            .await
            .unwrap();
        assert_eq!(result.structured_content.unwrap()["result"], 2);
        client.cancel().await.unwrap();
    }
}
