//! Upstreams that break in the middle of a call, of every kind, through the real binary: the
//! program hears what happened, nothing is left behind, and the next call works as soon as the
//! upstream does.

mod outages;

use std::{collections::HashSet, fmt::Write as _, path::Path};

use serde_json::{Value, json};

use crate::support::{
    raw::{Answer, Fault, Heard, RawServer},
    server::{TestServer, eventually, processes_of},
};

/// Longest answer to one call, in milliseconds: shorter than what drips takes to come to its end.
const CALL_TIMEOUT_MS: u64 = 1_000;
/// The same for an answer that is large before it is refused.
const PATIENT_MS: u64 = 20_000;
/// How long a call waits for an upstream to come back, in milliseconds.
const START_TIMEOUT_MS: u64 = 1_000;

/// What the server holds for each of its workers: the socket for frames and the pipe for what it
/// says beside.
const WORKER_DESCRIPTORS: usize = 2;

/// A kind of upstream with two tools, one that says that it only reads and one that does not.
struct Kind {
    /// How its tools are called: what reads first. A child that breaks is started again after
    /// longer and longer pauses, so there is one.
    calls: &'static [&'static str],
    /// What they answer.
    fine: Value,
    faults: Vec<Fault>,
    /// Whether the first call after the fault works; else a few may fail, while it is reached
    /// again.
    at_once: bool,
    /// Connections that stay open at the most, between calls.
    connections: usize,
}

const HTTP_FAULTS: &[Fault] = &[
    Fault::Killed,
    Fault::HalfOpen,
    Fault::HalfAnswer,
    Fault::CutAnswer,
    Fault::Status500,
    Fault::Status503,
    Fault::SlowHeaders,
    Fault::EndlessHeaders,
    Fault::EndlessBody,
    Fault::WrongType,
    Fault::InvalidJson,
    Fault::Garbage,
];

/// What has a counterpart where there is no HTTP.
const LINE_FAULTS: &[Fault] = &[
    Fault::Killed,
    Fault::HalfOpen,
    Fault::HalfAnswer,
    Fault::CutAnswer,
    Fault::Status500,
    Fault::EndlessBody,
    Fault::WrongType,
    Fault::InvalidJson,
    Fault::Garbage,
];

/// An MCP server that does the handshake as it should.
fn mcp(heard: &Heard) -> (Answer, bool) {
    let id = &heard.body["id"];
    let result = |result: Value| Answer(200, json!({"jsonrpc": "2.0", "id": id, "result": result}));
    let tool = |name: &str, reads: bool| {
        json!({
            "name": name, "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": reads}
        })
    };
    match heard.body["method"].as_str() {
        Some("initialize") => {
            let server = json!({"name": "raw", "version": "1"});
            (
                result(json!({
                    "protocolVersion": "2025-11-25", "capabilities": {"tools": {}},
                    "serverInfo": server
                })),
                false,
            )
        }
        Some("tools/list") => {
            (result(json!({"tools": [tool("read", true), tool("write", false)]})), false)
        }
        Some("tools/call") => {
            (result(json!({"content": [{"type": "text", "text": "fine"}]})), true)
        }
        Some(method) if !method.starts_with("notifications/") => {
            let refusal = json!({"code": -32601, "message": "no such method"});
            (Answer(200, json!({"jsonrpc": "2.0", "id": id, "error": refusal})), false)
        }
        _ if matches!(heard.method.as_str(), "GET" | "DELETE") => (Answer(405, Value::Null), false),
        _ => (Answer(202, Value::Null), false),
    }
}

/// Answers each operation alike.
fn rest(_: &Heard) -> (Answer, bool) {
    (Answer(200, json!({"all": "fine"})), true)
}

/// Answers each root field alike.
fn graphql(_: &Heard) -> (Answer, bool) {
    (Answer(200, json!({"data": {"read": "fine", "write": "fine"}})), true)
}

/// The upstream `up`, and `patient`, which is the same with more time for a call.
fn twice(config: &str) -> String {
    let one = |name: &str, limit: u64| {
        format!(
            "[upstreams.{name}]\n{config}\ncall_timeout_ms = {limit}\nstart_timeout_ms = \
            {START_TIMEOUT_MS}\n"
        )
    };
    one("up", CALL_TIMEOUT_MS) + &one("patient", PATIENT_MS)
}

/// Makes both calls under each fault and tells what the program saw.
async fn suffered(server: &TestServer, raw: &RawServer, kind: &Kind) -> String {
    for call in kind.calls {
        recovered(server, raw, kind, call).await;
        raw.set(Fault::Status500);
        failed(server, call, Fault::Status500).await;
        recovered(server, raw, kind, call).await;
    }
    let before = descriptors(server);
    let mut told = String::new();
    for fault in &kind.faults {
        let mut lines: Vec<String> = Vec::new();
        for call in kind.calls {
            let call = &if matches!(fault, Fault::EndlessBody | Fault::EndlessEvent) {
                call.replace(".up.", ".patient.")
            } else {
                (*call).to_owned()
            };
            raw.set(*fault);
            let called = raw.called();
            lines.push(
                failed(server, call, *fault).await.replace(&raw.address().to_string(), "ADDRESS"),
            );
            assert!(raw.called() > called, "{fault:?}: it was asked");
            eventually(&format!("{fault:?}: nothing waits at the upstream"), async || {
                (raw.open() <= kind.connections).then_some(())
            })
            .await;
            recovered(server, raw, kind, call).await;
        }
        lines.dedup();
        writeln!(told, "{fault:?}\n  {}", lines.join("\n  ")).unwrap();
    }
    eventually("every descriptor is given back", async || {
        (descriptors(server) <= before).then_some(())
    })
    .await;
    let (_, tasks) = server.owner(reqwest::Method::GET, "/v1/tasks?status=running").await;
    assert_eq!(tasks["tasks"], json!([]), "no task is left");
    told
}

/// What the program caught, and that the record says the same: the call has ended, and so has its
/// task.
async fn failed(server: &TestServer, call: &str, fault: Fault) -> String {
    let code = format!(
        "try {{ return [await {call}] }} catch ({{ name, code, status, retryable, message }}) {{ \
        return {{ name, code, status, retryable, message }} }}"
    );
    let answer = server.run(&code).await;
    assert_eq!(answer["status"], "completed", "{fault:?}: {answer}");
    let error = &answer["result"];
    if error.is_array() {
        return format!("answered {error}");
    }
    assert_eq!(error["name"], "ToolCallError", "{fault:?}: {answer}");
    let (_, events) = server
        .owner(
            reqwest::Method::GET,
            &format!("/v1/tasks/{}/events", answer["taskId"].as_str().unwrap()),
        )
        .await;
    let recorded: Vec<&Value> = events["events"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["type"] == "tool.call.failed")
        .collect();
    assert_eq!(recorded.len(), 1, "{fault:?}: {events}");
    assert_eq!(recorded[0]["data"]["code"], error["code"], "{events}");
    let status = error["status"].as_u64().map(|status| format!(" {status}")).unwrap_or_default();
    let retryable = if error["retryable"] == true { ", retryable" } else { "" };
    format!(
        "{}{status}{retryable}: {}",
        error["code"].as_str().unwrap(),
        error["message"].as_str().unwrap()
    )
}

/// The upstream behaves again, and so do its tools.
async fn recovered(server: &TestServer, raw: &RawServer, kind: &Kind, call: &str) {
    raw.set(Fault::None);
    let again = async || {
        let answer = server.run(&format!("return await {call}")).await;
        assert!(
            !kind.at_once || answer["status"] == "completed",
            "the next call works at once: {answer}"
        );
        (answer["result"] == kind.fine).then_some(())
    };
    eventually("it works again", again).await;
}

/// Sockets, pipes and the like that the server holds beside those of its workers, of which there
/// are more or fewer as they are needed, the files of its database, which come and go by
/// themselves, and the connections of this test's own client.
fn descriptors(server: &TestServer) -> usize {
    let asked = inodes_at(server.pid(), reqwest::Url::parse(&server.url).unwrap().port().unwrap());
    let is_counted = |place: &Path| {
        let socket =
            place.to_str().and_then(|place| place.strip_prefix("socket:[")?.strip_suffix(']'));
        // Processes are held too, those of Deno from when their worker has named them.
        let is_process = place == Path::new("anon_inode:[pidfd]");
        !is_process && !place.starts_with("/") && !socket.is_some_and(|inode| asked.contains(inode))
    };
    let open = std::fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().flatten();
    let open = open
        .filter(|entry| std::fs::read_link(entry.path()).is_ok_and(|place| is_counted(&place)))
        .count();
    let command =
        |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let workers =
        processes_of(server.pid()).iter().filter(|pid| command(pid).contains("__worker")).count();
    open.saturating_sub(workers * WORKER_DESCRIPTORS)
}

/// The sockets at a port of this machine, by their inodes.
fn inodes_at(pid: u32, port: u16) -> HashSet<String> {
    let sockets = std::fs::read_to_string(format!("/proc/{pid}/net/tcp")).unwrap();
    let at = format!(":{port:04X}");
    let fields = sockets.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    fields.filter(|fields| fields[1].ends_with(&at)).map(|fields| fields[9].to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_mcp_server_over_http_that_breaks_in_a_call_is_told_and_works_again() {
    let raw = RawServer::http("127.0.0.1:0", mcp).await;
    let config = twice(&format!("url = \"http://{}/mcp\"\nallow_private = true", raw.address()));
    let server = TestServer::with(&config).await;
    let kind = Kind {
        calls: &["tools.up.read()", "tools.up.write()"],
        fine: json!("fine"),
        faults: [HTTP_FAULTS, &[Fault::EndlessEvent, Fault::CutEvent]].concat(),
        at_once: true,
        connections: 0,
    };
    insta::assert_snapshot!(suffered(&server, &raw, &kind).await, @r#"
    Killed
      upstream_lost, retryable: the connection to `up` broke before it answered; it is not known whether the call took effect
      upstream_lost: the connection to `up` broke before it answered; it is not known whether the call took effect
    HalfOpen
      upstream_timeout, retryable: `up.read` did not answer within 1000 ms; the call was cancelled, and it is not known whether it took effect
      upstream_timeout: `up.write` did not answer within 1000 ms; the call was cancelled, and it is not known whether it took effect
    HalfAnswer
      upstream_timeout, retryable: `up.read` did not answer within 1000 ms; the call was cancelled, and it is not known whether it took effect
      upstream_timeout: `up.write` did not answer within 1000 ms; the call was cancelled, and it is not known whether it took effect
    CutAnswer
      upstream_lost, retryable: the connection to `up` broke before it answered; it is not known whether the call took effect
      upstream_lost: the connection to `up` broke before it answered; it is not known whether the call took effect
    Status500
      upstream_rejected 500, retryable: `up` answered HTTP 500
      upstream_rejected 500: `up` answered HTTP 500
    Status503
      upstream_rejected 503, retryable: `up` answered HTTP 503
      upstream_rejected 503: `up` answered HTTP 503
    SlowHeaders
      upstream_timeout, retryable: `up.read` did not answer within 1000 ms; the call was cancelled, and it is not known whether it took effect
      upstream_timeout: `up.write` did not answer within 1000 ms; the call was cancelled, and it is not known whether it took effect
    EndlessHeaders
      upstream_lost, retryable: the connection to `up` broke before it answered; it is not known whether the call took effect
      upstream_lost: the connection to `up` broke before it answered; it is not known whether the call took effect
    EndlessBody
      response_too_large: the response of `patient.read` is larger than 150994944 bytes, or has more than 2000000 values; ask for less, page by page where the tool can
      response_too_large: the response of `patient.write` is larger than 150994944 bytes, or has more than 2000000 values; ask for less, page by page where the tool can
    WrongType
      invalid_response: the response of `up` was not understood: content type `text/html`
    InvalidJson
      invalid_response: the response of `up` was not understood: EOF while parsing a value at line 1 column 9: {"half": 
    Garbage
      upstream_lost, retryable: the connection to `up` broke before it answered; it is not known whether the call took effect
      upstream_lost: the connection to `up` broke before it answered; it is not known whether the call took effect
    EndlessEvent
      response_too_large: the response of `patient.read` is larger than 150994944 bytes, or has more than 2000000 values; ask for less, page by page where the tool can
      response_too_large: the response of `patient.write` is larger than 150994944 bytes, or has more than 2000000 values; ask for less, page by page where the tool can
    CutEvent
      upstream_lost, retryable: the connection to `up` broke before it answered; it is not known whether the call took effect
      upstream_lost: the connection to `up` broke before it answered; it is not known whether the call took effect
    "#);
    raw.stop().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_mcp_server_as_a_child_that_breaks_in_a_call_is_told_and_works_again() {
    let raw = RawServer::lines(mcp).await;
    // The child passes everything on to the test; where that hangs up, it leaves.
    let script = format!(
        "exec 3<>/dev/tcp/127.0.0.1/{} 4<&0; cat <&4 >&3 & cat <&3; kill $!",
        raw.address().port()
    );
    let config = twice(&format!("command = \"bash\"\nargs = [\"-c\", {script:?}]"));
    let server = TestServer::with(&config).await;
    let kind = Kind {
        calls: &["tools.up.write()"],
        fine: json!("fine"),
        faults: LINE_FAULTS.to_vec(),
        at_once: false,
        connections: 2,
    };
    insta::assert_snapshot!(suffered(&server, &raw, &kind).await, @r#"
    Killed
      upstream_lost: the connection to `up` broke before it answered; it is not known whether the call took effect
    HalfOpen
      upstream_timeout: `up.write` did not answer within 1000 ms; the call was cancelled, and it is not known whether it took effect
    HalfAnswer
      upstream_timeout: `up.write` did not answer within 1000 ms; the call was cancelled, and it is not known whether it took effect
    CutAnswer
      upstream_lost: the connection to `up` broke before it answered; it is not known whether the call took effect
    Status500
      upstream_rejected: `up` refused the call (-32603): at main.c:1 in main()
    EndlessBody
      response_too_large: the response of `patient.write` is larger than 150994944 bytes, or has more than 2000000 values; ask for less, page by page where the tool can
    WrongType
      answered [{"surprise":1}]
    InvalidJson
      upstream_timeout: `up.write` did not answer within 1000 ms; the call was cancelled, and it is not known whether it took effect
    Garbage
      upstream_timeout: `up.write` did not answer within 1000 ms; the call was cancelled, and it is not known whether it took effect
    "#);
    raw.stop().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_with_a_description_that_breaks_in_a_call_is_told_and_works_again() {
    let raw = RawServer::http("127.0.0.1:0", rest).await;
    let folder = tempfile::TempDir::new().unwrap();
    let spec = folder.path().join("spec.json");
    let responses = json!({"200": {
        "description": "ok", "content": {"application/json": {"schema": {"type": "object"}}}
    }});
    let operation = |id: &str| json!({"operationId": id, "tags": ["all"], "responses": responses});
    let description = json!({
        "openapi": "3.1.0",
        "paths": {"/all": {"get": operation("read"), "post": operation("write")}}
    });
    std::fs::write(&spec, description.to_string()).unwrap();
    let config = twice(&format!(
        "kind = \"openapi\"\nspec = {:?}\nbase_url = \"http://{}/\"\nallow_private = true",
        spec.display().to_string(),
        raw.address()
    ));
    let server = TestServer::with(&config).await;
    let calls = &["tools.up.all.read()", "tools.up.all.write()"];
    let kind = Kind {
        calls,
        fine: json!({"all": "fine"}),
        faults: HTTP_FAULTS.to_vec(),
        at_once: true,
        connections: 0,
    };
    insta::assert_snapshot!(suffered(&server, &raw, &kind).await, @r#"
    Killed
      upstream_lost, retryable: `up`: the connection broke before it answered: connection closed before message completed; it is not known whether the call took effect
      upstream_lost: `up`: the connection broke before it answered: connection closed before message completed; it is not known whether the call took effect
    HalfOpen
      upstream_timeout, retryable: `up`: it did not answer in time; it is not known whether the call took effect
      upstream_timeout: `up`: it did not answer in time; it is not known whether the call took effect
    HalfAnswer
      upstream_timeout, retryable: `up`: it did not answer in time; it is not known whether the call took effect
      upstream_timeout: `up`: it did not answer in time; it is not known whether the call took effect
    CutAnswer
      upstream_lost, retryable: `up`: the connection broke before it answered: end of file before message length reached; it is not known whether the call took effect
      upstream_lost: `up`: the connection broke before it answered: end of file before message length reached; it is not known whether the call took effect
    Status500
      tool_failed 500, retryable: `up.all.read` answered 500 Internal Server Error: at main.c:1 in main()
      tool_failed 500: `up.all.write` answered 500 Internal Server Error: at main.c:1 in main()
    Status503
      tool_failed 503, retryable: `up.all.read` answered 503 Service Unavailable: {"error":"come back"} (retry after 1 s)
      tool_failed 503: `up.all.write` answered 503 Service Unavailable: {"error":"come back"} (retry after 1 s)
    SlowHeaders
      upstream_timeout, retryable: `up`: it did not answer in time; it is not known whether the call took effect
      upstream_timeout: `up`: it did not answer in time; it is not known whether the call took effect
    EndlessHeaders
      upstream_lost, retryable: `up`: the connection broke before it answered: message head is too large; it is not known whether the call took effect
      upstream_lost: `up`: the connection broke before it answered: message head is too large; it is not known whether the call took effect
    EndlessBody
      response_too_large: the response of `patient.all.read` is larger than 67108864 bytes; ask for less, page by page where the tool can
      response_too_large: the response of `patient.all.write` is larger than 67108864 bytes; ask for less, page by page where the tool can
    WrongType
      invalid_response: `up.all.read` is described as answering with JSON, and answered with a page (`text/html`): "Sign in"
      invalid_response: `up.all.write` is described as answering with JSON, and answered with a page (`text/html`): "Sign in"; it is not known whether the call took effect
    InvalidJson
      invalid_response: `up.all.read` says that it answers with JSON, and does not: "{\"half\": "
      invalid_response: `up.all.write` says that it answers with JSON, and does not: "{\"half\": "; it is not known whether the call took effect
    Garbage
      upstream_lost, retryable: `up`: the connection broke before it answered: invalid HTTP version parsed; it is not known whether the call took effect
      upstream_lost: `up`: the connection broke before it answered: invalid HTTP version parsed; it is not known whether the call took effect
    "#);
    raw.stop().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_graphql_service_that_breaks_in_a_call_is_told_and_works_again() {
    let raw = RawServer::http("127.0.0.1:0", graphql).await;
    let folder = tempfile::TempDir::new().unwrap();
    let spec = folder.path().join("schema.graphql");
    std::fs::write(&spec, "type Query { read: String }\ntype Mutation { write: String }\n")
        .unwrap();
    let config = twice(&format!(
        "kind = \"graphql\"\nurl = \"http://{}/graphql\"\nspec = {:?}\nallow_private = true",
        raw.address(),
        spec.display().to_string()
    ));
    let server = TestServer::with(&config).await;
    let calls = &["tools.up.query.read()", "tools.up.mutation.write()"];
    let kind = Kind {
        calls,
        fine: json!("fine"),
        faults: HTTP_FAULTS.to_vec(),
        at_once: true,
        connections: 0,
    };
    insta::assert_snapshot!(suffered(&server, &raw, &kind).await, @r#"
    Killed
      upstream_lost, retryable: `up`: the connection broke before it answered: connection closed before message completed; it is not known whether the call took effect
      upstream_lost: `up`: the connection broke before it answered: connection closed before message completed; it is not known whether the call took effect
    HalfOpen
      upstream_timeout, retryable: `up`: it did not answer in time; it is not known whether the call took effect
      upstream_timeout: `up`: it did not answer in time; it is not known whether the call took effect
    HalfAnswer
      upstream_timeout, retryable: `up`: it did not answer in time; it is not known whether the call took effect
      upstream_timeout: `up`: it did not answer in time; it is not known whether the call took effect
    CutAnswer
      upstream_lost, retryable: `up`: the connection broke before it answered: end of file before message length reached; it is not known whether the call took effect
      upstream_lost: `up`: the connection broke before it answered: end of file before message length reached; it is not known whether the call took effect
    Status500
      upstream_rejected 500, retryable: `up` answered HTTP 500: at main.c:1 in main()
      upstream_rejected 500: `up` answered HTTP 500: at main.c:1 in main(); it is not known whether the mutation took effect: check before you repeat it
    Status503
      upstream_rejected 503, retryable: `up` answered HTTP 503: {"error":"come back"}
      upstream_rejected 503: `up` answered HTTP 503: {"error":"come back"}; it is not known whether the mutation took effect: check before you repeat it
    SlowHeaders
      upstream_timeout, retryable: `up`: it did not answer in time; it is not known whether the call took effect
      upstream_timeout: `up`: it did not answer in time; it is not known whether the call took effect
    EndlessHeaders
      upstream_lost, retryable: `up`: the connection broke before it answered: message head is too large; it is not known whether the call took effect
      upstream_lost: `up`: the connection broke before it answered: message head is too large; it is not known whether the call took effect
    EndlessBody
      response_too_large: the response of `patient.query.read` is larger than 67174400 bytes; ask for less, page by page where the tool can
      response_too_large: the response of `patient.mutation.write` is larger than 67174400 bytes; ask for less, page by page where the tool can
    WrongType
      invalid_response: `up` answered something that is not GraphQL: <html><title>Sign in</title></html>
      invalid_response: `up` answered something that is not GraphQL: <html><title>Sign in</title></html>; it is not known whether the mutation took effect: check before you repeat it
    InvalidJson
      invalid_response: `up` answered something that is not GraphQL: {"half":
      invalid_response: `up` answered something that is not GraphQL: {"half":; it is not known whether the mutation took effect: check before you repeat it
    Garbage
      upstream_lost, retryable: `up`: the connection broke before it answered: invalid HTTP version parsed; it is not known whether the call took effect
      upstream_lost: `up`: the connection broke before it answered: invalid HTTP version parsed; it is not known whether the call took effect
    "#);
    raw.stop().await;
    server.stop().await;
}
