//! A client over a pipe: what it may repeat, and what ends nothing.

use std::sync::Arc;

use airlock::{
    service::TaskList,
    transport::{auth, mcp::Mcp, stdio},
};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, ReadHalf, WriteHalf};

use super::*;

/// The client's end of a pipe to a server over lines.
pub(super) struct Pipe {
    pub(super) lines: tokio::io::Lines<BufReader<ReadHalf<DuplexStream>>>,
    pub(super) write: Option<WriteHalf<DuplexStream>>,
    pub(super) below: TestService,
    pub(super) serving: JoinHandle<Result<(), stdio::StdioError>>,
}

impl Pipe {
    pub(super) async fn open() -> Self {
        Self::with(mcp_options(), &Setup::default()).await
    }

    pub(super) async fn with(options: McpOptions, setup: &Setup) -> Self {
        Self::within(RateLimits::new(0, 0), options, setup).await
    }

    async fn within(rates: Arc<RateLimits>, options: McpOptions, setup: &Setup) -> Self {
        let below = TestService::start(setup).await;
        let stop = CancellationToken::new();
        let mcp = Mcp::over_stdio(
            below.service.clone(),
            fixed(options),
            auth::stdio_agent(),
            rates,
            stop.clone(),
        );
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let (input, output) = tokio::io::split(theirs);
        let serving = tokio::spawn(stdio::serve_on(mcp, input, output, stop));
        let (read, write) = tokio::io::split(ours);
        Self { lines: BufReader::new(read).lines(), write: Some(write), below, serving }
    }

    pub(super) async fn send(&mut self, line: &str) {
        self.send_bytes(format!("{line}\n").as_bytes()).await;
    }

    async fn send_bytes(&mut self, bytes: &[u8]) {
        self.write.as_mut().unwrap().write_all(bytes).await.unwrap();
    }

    /// A pipe whose client has greeted in the revision with handshakes.
    async fn greeted() -> Self {
        let mut pipe = Self::open().await;
        pipe.send(&hello("2025-11-25")).await;
        pipe.receive().await;
        pipe
    }

    pub(super) async fn receive(&mut self) -> Value {
        let line = tokio::time::timeout(Duration::from_secs(10), self.lines.next_line())
            .await
            .expect("a line")
            .unwrap();
        serde_json::from_str(&line.expect("the server is there")).unwrap()
    }
}

fn ping(id: Value) -> String {
    json!({"jsonrpc": "2.0", "id": id, "method": "ping"}).to_string()
}

fn execute(id: Value, code: &str, token: Option<&str>) -> String {
    let mut call = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call",
        "params": {"name": "execute", "arguments": {"code": code}}});
    if let Some(token) = token {
        call["params"]["_meta"] = json!({"progressToken": token});
    }
    call.to_string()
}

#[tokio::test]
async fn a_repeated_id_is_refused_at_once_and_the_first_request_is_answered() {
    for id in [json!(1), json!("1"), json!(0)] {
        let mut pipe = Pipe::greeted().await;
        pipe.send(&execute(id.clone(), &sleep(300), None)).await;
        for second in [
            execute(id.clone(), "return 2", None),
            json!({"jsonrpc": "2.0", "id": id, "method": "tools/list"}).to_string(),
        ] {
            pipe.send(&second).await;
            let refused = pipe.receive().await;
            assert_eq!((&refused["id"], &refused["error"]["code"]), (&id, &json!(-32600)));
            let told = refused["error"]["message"].as_str().unwrap();
            assert!(told.contains("under way"), "{told}");
        }
        let answer = pipe.receive().await;
        assert_eq!(answer["id"], id);
        assert_eq!(answer["result"]["structuredContent"]["result"], "slept");
        // Answered ids may be used again.
        pipe.send(&execute(id.clone(), "return 3", None)).await;
        assert_eq!(pipe.receive().await["result"]["structuredContent"]["result"], 3);
        assert_eq!(pipe.below.tasks().len(), 2, "nothing that was refused ran");
    }
}

#[tokio::test]
async fn a_repeated_progress_token_is_refused_at_once() {
    let mut pipe = Pipe::greeted().await;
    pipe.send(&execute(json!(1), &sleep(300), Some("t"))).await;
    pipe.send(&execute(json!(2), "return 2", Some("t"))).await;
    pipe.send(&execute(json!(3), "return 3", Some("u"))).await;
    let mut answers = Vec::new();
    while answers.len() < 3 {
        let message = pipe.receive().await;
        if message["method"] == "notifications/progress" {
            assert!(["t", "u"].contains(&message["params"]["progressToken"].as_str().unwrap()));
        } else {
            answers.push(message);
        }
    }
    let of = |id| answers.iter().find(|answer| answer["id"] == id).unwrap();
    assert_eq!(of(2)["error"]["code"], -32600, "{answers:?}");
    assert!(of(2)["error"]["message"].as_str().unwrap().contains("progress token `t`"));
    assert_eq!(of(1)["result"]["structuredContent"]["result"], "slept");
    assert_eq!(of(3)["result"]["structuredContent"]["result"], 3);
}

#[tokio::test]
async fn an_id_that_was_cancelled_is_free_and_its_old_answer_reaches_nobody() {
    let mut pipe = Pipe::greeted().await;
    pipe.send(&execute(json!(1), &sleep(60_000), None)).await;
    let below = pipe.below.clone();
    until("the task is recorded", || below.tasks().len() == 1).await;
    pipe.send(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#)
        .await;
    pipe.send(&execute(json!(1), "return 2", None)).await;
    let answer = pipe.receive().await;
    assert_eq!(
        (&answer["id"], &answer["result"]["structuredContent"]["result"]),
        (&json!(1), &json!(2))
    );
    until("the first is cancelled", || below.count(TaskStatus::Cancelled) == 1).await;
}

#[tokio::test]
async fn what_is_no_message_is_answered_with_an_error_and_ends_nothing() {
    let utf16: Vec<u8> = std::iter::once(0xFEFF)
        .chain(ping(json!(1)).encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    for greeted in [false, true] {
        let mut pipe = if greeted { Pipe::greeted().await } else { Pipe::open().await };
        for (line, code, id) in [
            (&b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"pi\xffng\"}"[..], -32700, Value::Null),
            (b"\xff\xfe", -32700, Value::Null),
            (&utf16, -32700, Value::Null),
            (b"this is no JSON", -32700, Value::Null),
            (b"{\"half\":", -32700, Value::Null),
            (b"[]", -32600, Value::Null),
            (b"null", -32600, Value::Null),
            (b"42", -32600, Value::Null),
            (b"{}", -32600, Value::Null),
            (b"{\"jsonrpc\":\"1.0\",\"id\":\"a\",\"method\":\"ping\"}", -32600, json!("a")),
            (b"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":7}", -32600, json!(7)),
        ] {
            pipe.send_bytes(&[line, b"\n\n  \n"].concat()).await;
            let refused = pipe.receive().await;
            let line = String::from_utf8_lossy(line);
            assert_eq!(refused["error"]["code"], code, "{line}: {refused}");
            assert_eq!(refused.get("id"), Some(&id), "{line}: {refused}");
        }
        pipe.send_bytes(&[b"\xef\xbb\xbf", ping(json!("b")).as_bytes(), b"\r\n"].concat()).await;
        assert_eq!(pipe.receive().await, json!({"jsonrpc": "2.0", "id": "b", "result": {}}));
    }
}

#[tokio::test]
async fn nothing_that_comes_before_the_handshake_ends_the_server() {
    let mut pipe = Pipe::open().await;
    for early in [
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}),
        json!({"jsonrpc": "2.0", "method": "notifications/x"}),
        json!({"jsonrpc": "2.0", "id": 1, "result": {}}),
        json!({"jsonrpc": "2.0", "id": 1, "error": {"code": -1, "message": "no"}}),
    ] {
        pipe.send(&early.to_string()).await;
    }
    pipe.send(&ping(json!(1))).await;
    assert_eq!(pipe.receive().await["id"], 1, "nothing but the ping is answered");
    // A revision that nobody speaks is no beginning.
    let meta = |version: &str| {
        json!({"io.modelcontextprotocol/protocolVersion": version,
            "io.modelcontextprotocol/clientCapabilities": {}})
    };
    for (method, version) in [("server/discover", "2026-07-28"), ("tools/list", "2999-01-01")] {
        let params = json!({"_meta": meta(version)});
        let request = json!({"jsonrpc": "2.0", "id": 2, "method": method, "params": params});
        pipe.send(&request.to_string()).await;
        assert_eq!(pipe.receive().await["id"], 2);
        pipe.send(r#"{"jsonrpc":"2.0","method":"notifications/x"}"#).await;
    }
    pipe.send(r#"{"jsonrpc":"2.0","id":3,"method":"tools/list"}"#).await;
    assert_eq!(pipe.receive().await["error"]["code"], -32602, "it has not begun");
    pipe.send(&hello("2025-11-25")).await;
    assert!(pipe.receive().await["result"]["serverInfo"].is_object());
    pipe.send(&execute(json!(4), "return 1", None)).await;
    assert_eq!(pipe.receive().await["result"]["structuredContent"]["result"], 1);
}

#[tokio::test]
async fn a_client_that_leaves_while_it_listens_holds_nothing_up() {
    let mut pipe = Pipe::open().await;
    for id in ["a", "b"] {
        let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {}});
        let params = json!({"notifications": {"toolsListChanged": true}, "_meta": meta});
        let listen =
            json!({"jsonrpc": "2.0", "id": id, "method": "subscriptions/listen", "params": params});
        pipe.send(&listen.to_string()).await;
        let notice = pipe.receive().await;
        assert_eq!(notice["method"], "notifications/subscriptions/acknowledged");
        let of = &notice["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"];
        assert_eq!(of, id, "the client's own id: {notice}");
    }
    let Pipe { lines, write, serving, .. } = pipe;
    drop((lines, write));
    let ended = tokio::time::timeout(Duration::from_secs(3), serving).await;
    ended.expect("promptly").unwrap().unwrap();
}

#[tokio::test]
async fn the_last_line_needs_no_end() {
    let mut pipe = Pipe::greeted().await;
    pipe.send_bytes(ping(json!(1)).as_bytes()).await;
    let Pipe { mut lines, mut write, .. } = pipe;
    write.as_mut().unwrap().shutdown().await.unwrap();
    let line = tokio::time::timeout(Duration::from_secs(10), lines.next_line()).await;
    assert!(line.expect("a line").unwrap().expect("an answer").contains("\"id\":1"));
}

#[tokio::test]
async fn a_line_over_the_cap_does_not_end_the_server() {
    let mut pipe = Pipe::greeted().await;
    pipe.send(&"x".repeat(stdio::LINE_BYTES_MAX + 1)).await;
    pipe.send(&ping(json!(2))).await;
    let refused = pipe.receive().await;
    assert_eq!((&refused["id"], &refused["error"]["code"]), (&Value::Null, &json!(-32600)));
    assert_eq!(pipe.receive().await["id"], 2);
}

#[tokio::test]
async fn requests_over_a_pipe_have_the_limits_of_their_workspace() {
    let limits = RateLimits::new(2, 4);
    let mut pipe = Pipe::within(limits.clone(), mcp_options(), &Setup::default()).await;
    pipe.send(&hello("2025-11-25")).await;
    pipe.receive().await;
    for id in 1..=2 {
        pipe.send(&execute(json!(id), "return 1", None)).await;
        assert_eq!(pipe.receive().await["result"]["structuredContent"]["result"], 1);
    }
    pipe.send(&execute(json!(3), "return 1", None)).await;
    let refused = pipe.receive().await;
    assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!(3), &json!(-32005)));
    let data = &refused["error"]["data"];
    assert_eq!((&data["type"], &data["limit"]), (&json!("rate_limited"), &json!(2)));
    assert!(data["retryAfterMs"].as_u64().unwrap() <= 30_001, "{refused}");
    assert!(refused["error"]["message"].as_str().unwrap().contains("retry after"), "{refused}");
    // The greeting was the first of the other requests.
    for id in 4..=6 {
        pipe.send(&ping(json!(id))).await;
        assert_eq!(pipe.receive().await["result"], json!({}));
    }
    for request in
        [ping(json!(7)), json!({"jsonrpc": "2.0", "id": 7, "method": "tools/list"}).to_string()]
    {
        pipe.send(&request).await;
        let refused = pipe.receive().await;
        assert_eq!((&refused["id"], &refused["error"]["data"]["limit"]), (&json!(7), &json!(4)));
    }
    // Another client of the workspace shares them.
    let mut other = Pipe::within(limits, mcp_options(), &Setup::default()).await;
    other.send(&hello("2025-11-25")).await;
    assert_eq!(other.receive().await["error"]["code"], -32005);
}

#[tokio::test]
async fn a_client_that_closes_its_end_is_waited_for_a_second_and_no_longer() {
    // What is answered at once still leaves.
    let mut pipe = Pipe::greeted().await;
    pipe.send(&execute(json!(1), "return 'quick'", None)).await;
    pipe.write.as_mut().unwrap().shutdown().await.unwrap();
    assert_eq!(pipe.receive().await["result"]["structuredContent"]["result"], "quick");
    pipe.serving.await.unwrap().unwrap();

    let mut pipe = Pipe::greeted().await;
    pipe.send(&execute(json!(1), &sleep(60_000), None)).await;
    let principal = auth::stdio_agent();
    let statuses = async |pipe: &Pipe| {
        let page = pipe.below.service.call(&principal, TaskList::default()).await.unwrap();
        page.tasks.iter().map(|task| task.status.as_str()).collect::<Vec<_>>()
    };
    while statuses(&pipe).await != ["running"] {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let began = std::time::Instant::now();
    pipe.write.as_mut().unwrap().shutdown().await.unwrap();
    (&mut pipe.serving).await.unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(statuses(&pipe).await, ["cancelled"]);
}
