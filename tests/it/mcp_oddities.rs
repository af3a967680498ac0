//! MCP servers that do not speak as the protocol wants it, as children and over HTTP, through the
//! real binary: what they answer reaches the program, what cannot be read fails at once, and one
//! bad entry does not take the others with it.

mod framing;
mod over_http;
mod sessions;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::server::{TestServer, eventually};

/// Limit of a call, in milliseconds: nothing here may come near it.
pub(crate) const CALL_TIMEOUT_MS: u64 = 20_000;

/// A server that answers with lines as they are: `$RAW` a call, with `@ID@` for its id, `$TOOLS`
/// the request for its tools. `$NOISE` lines come before each answer. What it reads goes to `$LOG`.
const SERVER: &str = r#"
while IFS= read -r line; do
  if [[ -n $LOG ]]; then printf '%s\n' "$line" >> "$LOG"; fi
  for ((at = 0; at < ${NOISE:-0}; at++)); do printf '{"level":30,"time":%s,"msg":"up"}\n' $at; done
  [[ $line =~ \"id\":([0-9]+) ]] || continue
  id=${BASH_REMATCH[1]}
  case $line in
    *'"initialize"'*) printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' $id "$HELLO";;
    *'"tools/list"'*) printf '{"jsonrpc":"2.0","id":%s,"result":{"tools":%s}}\n' $id "$TOOLS";;
    *'"tools/call"'*) printf '%s\n' "${RAW//@ID@/$id}";;
    *) printf '{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"unknown"}}\n' $id;;
  esac
done
"#;
const HELLO: &str = r#"{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"odd","version":"1"}}"#;
const ONE_TOOL: &str = r#"[{"name":"t","inputSchema":{"type":"object"}}]"#;

/// The table of such a server with these variables beside the usual ones.
fn child(name: &str, variables: &[(&str, &str)]) -> String {
    let mut all =
        vec![("HELLO", HELLO), ("TOOLS", ONE_TOOL), ("RAW", ""), ("LOG", ""), ("NOISE", "0")];
    all.retain(|(name, _)| !variables.iter().any(|(other, _)| other == name));
    let all = all.iter().chain(variables);
    let all: Vec<String> = all.map(|(name, value)| format!("{name} = {}", json!(value))).collect();
    format!(
        "[upstreams.{name}]\ncommand = \"bash\"\nargs = [\"-c\", {}]\nenv = {{ {} }}\n\
        call_timeout_ms = {CALL_TIMEOUT_MS}\n",
        json!(SERVER),
        all.join(", ")
    )
}

/// Calls this tool, and expects the end long before the limit of a call.
pub(crate) async fn called(server: &TestServer, tool: &str) -> Value {
    let began = Instant::now();
    let answer = server.run(&format!("return await tools.{tool}({{}})")).await;
    assert!(began.elapsed() < Duration::from_millis(CALL_TIMEOUT_MS / 2), "{tool}: {answer}");
    answer
}

/// The note of an upstream.
pub(crate) async fn note(server: &TestServer, upstream: &str) -> String {
    let (_, health) = server.owner(reqwest::Method::GET, "/healthz").await;
    let all = health["upstreams"].as_array().expect("a list");
    let status = all.iter().find(|status| status["name"] == upstream).expect("it is listed");
    status["message"].as_str().unwrap_or_default().to_owned()
}

type OddAnswer = (&'static str, &'static str, Value, &'static str);

/// The name of an upstream, the result that its tool answers with, what the program gets, and a
/// part of the warning.
fn odd_answers() -> [OddAnswer; 9] {
    [
        (
            "nulls",
            r#"{"content":[{"type":"text","text":"{\"sum\":7}"}],"structuredContent":null,"isError":null}"#,
            json!({"sum": 7}),
            "",
        ),
        (
            "words",
            r#"{"content":[{"type":"text","text":"only words"}],"structuredContent":null}"#,
            json!("only words"),
            "",
        ),
        ("scalar", r#"{"content":[{"type":"text","text":"1.10"}]}"#, json!("1.10"), ""),
        (
            "kind",
            r#"{"content":[{"type":"json","json":{"rows":41}}]}"#,
            json!([{"type": "json", "json": {"rows": 41}}]),
            "unknown type `json`",
        ),
        (
            "bare",
            r#"{"count":41,"results":[1]}"#,
            json!({"count": 41, "results": [1]}),
            "neither `content`",
        ),
        ("text", r#""saved as 41""#, json!("saved as 41"), "neither `content`"),
        (
            "half",
            r#"{"content":[{"type":"text","text":"cut \ud83d"}]}"#,
            json!("cut \u{FFFD}"),
            "was repaired: 1 halves",
        ),
        (
            "nan",
            r#"{"content":[],"structuredContent":{"v":NaN,"w":-Infinity}}"#,
            json!({"v": null, "w": null}),
            "was repaired: 2 values",
        ),
        (
            "comma",
            r#"{"content":[{"type":"text","text":"x"}],}"#,
            json!("x"),
            "was repaired: 1 trailing",
        ),
    ]
}

/// The same for structured content that is empty, beside content that is or is not.
fn empty_answers() -> [OddAnswer; 5] {
    [
        (
            "empty",
            r#"{"content":[{"type":"text","text":"3 rows"}],"structuredContent":{}}"#,
            json!("3 rows"),
            "its `structuredContent` is empty and its content is not",
        ),
        (
            "emptylist",
            r#"{"content":[{"type":"text","text":"{\"rows\":3}"}],"structuredContent":[]}"#,
            json!({"rows": 3}),
            "its `structuredContent` is empty",
        ),
        (
            "emptylink",
            r#"{"content":[{"type":"resource_link","uri":"a:b","name":"b"}],"structuredContent":[]}"#,
            json!([{"type": "resource_link", "uri": "a:b", "name": "b"}]),
            "its `structuredContent` is empty",
        ),
        (
            "emptyobject",
            r#"{"content":[{"type":"resource_link","uri":"a:b","name":"b"}],"structuredContent":{}}"#,
            json!({"$content": [{"type": "resource_link", "uri": "a:b", "name": "b"}]}),
            "",
        ),
        (
            "both",
            r#"{"content":[{"type":"text","text":"{}"}],"structuredContent":{}}"#,
            json!({}),
            "",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_a_tool_answers_reaches_the_program_and_what_is_odd_is_told() {
    let answers: Vec<OddAnswer> = odd_answers().into_iter().chain(empty_answers()).collect();
    let tables: Vec<String> = answers
        .iter()
        .map(|(name, result, ..)| {
            child(name, &[("RAW", &format!(r#"{{"jsonrpc":"2.0","id":@ID@,"result":{result}}}"#))])
        })
        .collect();
    let server = TestServer::with(&tables.concat()).await;
    for (name, _, value, warning) in &answers {
        let warning = *warning;
        let answer = called(&server, &format!("{name}.t")).await;
        assert_eq!(&answer["result"], value, "{name}: {answer}");
        let warnings = answer["warnings"].to_string();
        match warning {
            "" => assert!(answer.get("warnings").is_none_or(|all| all == &json!([])), "{warnings}"),
            warning => assert!(warnings.contains(warning), "{name}: {warnings}"),
        }
    }
    for (name, _, _, warning) in answers {
        let is_repaired = warning.contains("repaired");
        eventually(&format!("the note of `{name}` tells it"), async || {
            let note = note(&server, name).await;
            (note.contains("not valid JSON and was repaired") == is_repaired).then_some(())
        })
        .await;
    }
    server.stop().await;
}

/// The name of an upstream, what its tool answers, the code of the error, and a part of its
/// message.
fn refusals() -> [(&'static str, &'static str, &'static str, &'static str); 9] {
    [
        (
            "cut",
            r#"{"jsonrpc":"2.0","id":@ID@,"result":{"content":[{"type":"text"#,
            "invalid_response",
            "cannot be read",
        ),
        (
            "quotes",
            r#"{"jsonrpc":"2.0","id":@ID@,"result":{'content':[]}}"#,
            "invalid_response",
            "may have taken effect",
        ),
        (
            "code",
            r#"{"jsonrpc":"2.0","id":@ID@,"error":{"code":"E_BAD","message":"no such row"}}"#,
            "upstream_rejected",
            "refused the call: E_BAD: no such row",
        ),
        (
            "string",
            r#"{"jsonrpc":"2.0","id":@ID@,"error":"no such row"}"#,
            "upstream_rejected",
            "refused the call: no such row",
        ),
        (
            "mute",
            r#"{"jsonrpc":"2.0","id":@ID@,"error":{"code":-32000}}"#,
            "upstream_rejected",
            "(-32000): it does not say why",
        ),
        (
            "details",
            r#"{"jsonrpc":"2.0","id":@ID@,"error":{"code":-32000,"message":"no","data":{"row":7}}}"#,
            "upstream_rejected",
            r#"(-32000): no; its details: {"row":7}"#,
        ),
        (
            "onlydata",
            r#"{"jsonrpc":"2.0","id":@ID@,"error":{"code":-32000,"data":"no row 7"}}"#,
            "upstream_rejected",
            "it does not say why; its details: no row 7",
        ),
        (
            "secretdata",
            r#"{"jsonrpc":"2.0","id":@ID@,"error":{"code":1,"message":"no","data":["tok-1234567890"]}}"#,
            "upstream_rejected",
            r#"(1): no; its details: ["[redacted]"]"#,
        ),
        (
            "failed",
            r#"{"jsonrpc":"2.0","id":@ID@,"result":{"content":"it broke","isError":true}}"#,
            "tool_failed",
            "it broke",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_cannot_be_read_and_an_odd_error_fail_the_call_at_once() {
    let answers = refusals();
    let tables: Vec<String> = answers
        .iter()
        .map(|(name, raw, ..)| child(name, &[("RAW", raw), ("API_TOKEN", "tok-1234567890")]))
        .collect();
    let server = TestServer::with(&tables.concat()).await;
    for (name, _, code, words) in answers {
        let code_of = format!(
            "try {{ return await tools.{name}.t({{}}) }} catch (error) {{ return [error.code, \
            error.message] }}"
        );
        let began = Instant::now();
        let answer = server.run(&code_of).await;
        assert!(began.elapsed() < Duration::from_millis(CALL_TIMEOUT_MS / 2), "{name}: {answer}");
        assert_eq!(answer["result"][0], code, "{name}: {answer}");
        let message = answer["result"][1].as_str().unwrap();
        assert!(message.contains(words), "{name}: {message}");
    }
    assert!(note(&server, "cut").await.contains("1 message that could not be read"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_that_says_nothing_beside_a_result_is_none() {
    let fine = r#"{"content":[{"type":"text","text":"fine"}]}"#;
    let errors = [
        ("object", "{}"),
        ("no", "false"),
        ("text", "\"\""),
        ("zero", r#"{"code":0,"message":""}"#),
        ("nothing", "null"),
        ("failed", r#"{"code":5,"message":"no such row"}"#),
    ];
    let raw =
        |error: &str| format!(r#"{{"jsonrpc":"2.0","id":@ID@,"result":{fine},"error":{error}}}"#);
    let tables: Vec<String> =
        errors.iter().map(|(name, error)| child(name, &[("RAW", &raw(error))])).collect();
    let server = TestServer::with(&tables.concat()).await;
    for (name, _) in errors {
        let answer = called(&server, &format!("{name}.t")).await;
        let warnings = answer["warnings"].to_string();
        match name {
            "failed" => assert!(answer["error"].to_string().contains("no such row"), "{answer}"),
            "nothing" => assert_eq!(answer["result"], "fine", "{answer}"),
            _ => {
                assert_eq!(answer["result"], "fine", "{name}: {answer}");
                assert!(warnings.contains("empty `error` beside its `result`"), "{warnings}");
            }
        }
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_declares_nothing_is_asked_for_its_tools() {
    let raw = r#"{"jsonrpc":"2.0","id":@ID@,"result":{"content":[{"type":"text","text":"fine"}]}}"#;
    let hello = |capabilities: &str| {
        format!(
            r#"{{"protocolVersion":"2025-06-18","capabilities":{capabilities},"serverInfo":{{"name":"odd","version":"1"}}}}"#
        )
    };
    let declared = [("none", "{}"), ("nul", "null"), ("list", "[]"), ("no", r#"{"tools":false}"#)];
    let mut tables = String::new();
    for (name, capabilities) in declared {
        tables += &child(name, &[("HELLO", &hello(capabilities)), ("RAW", raw)]);
    }
    // One that has none, and says so when it is asked.
    let bare = child("bare", &[("HELLO", &hello("{}"))]).replace("tools/list", "tools/other");
    let server = TestServer::with(&format!("{tables}{bare}")).await;
    for (name, _) in declared {
        assert_eq!(called(&server, &format!("{name}.t")).await["result"], "fine", "{name}");
    }
    eventually("it is known to have none", async || {
        note(&server, "bare").await.contains("it declares no tools").then_some(())
    })
    .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schemas_with_idioms_of_others_admit_what_they_mean() {
    let tools = json!([{"name": "t", "inputSchema": {"type": "object", "properties": {
        "note": {"type": "string", "nullable": true},
        "code": {"type": "string", "pattern": "/^[a-z]+$/i"},
        "number": {"type": "string", "pattern": "/^[0-9]+$/"},
        "above": {"type": "number", "minimum": 0, "exclusiveMinimum": true},
    }}}])
    .to_string();
    let raw = r#"{"jsonrpc":"2.0","id":@ID@,"result":{"content":[{"type":"text","text":"fine"}]}}"#;
    let server = TestServer::with(&child("odd", &[("TOOLS", &tools), ("RAW", raw)])).await;
    for fine in ["{ note: null }", "{ code: 'ABC' }", "{ number: '12' }", "{ above: 1 }"] {
        let answer = server.run(&format!("return await tools.odd.t({fine})")).await;
        assert_eq!(answer["result"], "fine", "{fine}: {answer}");
    }
    for wrong in ["{ note: 5 }", "{ number: 'x' }", "{ above: 0 }"] {
        let answer = server.run(&format!("return await tools.odd.t({wrong})")).await;
        assert_eq!(answer["error"]["name"], "ToolArgumentError", "{wrong}: {answer}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_tools_and_an_odd_handshake_take_no_other_tool_away() {
    let tools = r#"[{"name":"good","inputSchema":{"type":"object"}},{"name":"bare"},
        {"name":"nul","inputSchema":null},{"name":"list","inputSchema":[]},
        {"name":"icon","inputSchema":{},"icons":[{"src":"x","sizes":"48x48"}]},
        {"name":"claim","inputSchema":{},"annotations":{"readOnlyHint":"true"}},
        {"name":"cut","description":"cut \ud83d","inputSchema":{"type":"object"}},
        {"name":"php","inputSchema":{"type":"object","properties":[]},"annotations":[]},
        {"inputSchema":{}},5]"#;
    let tools = tools.replace('\n', " ");
    let raw = r#"{"jsonrpc":"2.0","id":@ID@,"result":{"content":[{"type":"text","text":"fine"}]}}"#;
    let hello = r#"{"protocolVersion":"2025-06-18","capabilities":{"tools":[],"logging":[]},"serverInfo":null}"#;
    let server =
        TestServer::with(&child("odd", &[("TOOLS", &tools), ("RAW", raw), ("HELLO", hello)])).await;
    for name in ["good", "bare", "nul", "list", "icon", "claim", "cut", "php"] {
        let answer = called(&server, &format!("odd.{name}")).await;
        assert_eq!(answer["result"], "fine", "{name}: {answer}");
    }
    let note = note(&server, "odd").await;
    for words in [
        "take any object: `bare`, `nul`, `list`",
        "tools left out: entry 9 has no `name`, entry 10 is not an object",
        "1 message that was not valid JSON and was repaired",
    ] {
        assert!(note.contains(words), "{note}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_of_a_log_are_not_answered_and_are_told_in_the_note() {
    let raw = r#"{"jsonrpc":"2.0","id":@ID@,"result":{"content":[{"type":"text","text":"fine"}]}}"#;
    let folder = tempfile::TempDir::new().unwrap();
    let log = folder.path().join("read");
    let noisy = child("noisy", &[("RAW", raw), ("NOISE", "500"), ("LOG", log.to_str().unwrap())]);
    // Repeats each line that it reads, and answers none itself.
    let mirror = format!(
        "[upstreams.mirror]\ncommand = \"bash\"\nargs = [\"-c\", {}]\nstart_timeout_ms = 1000\n",
        json!("while IFS= read -r line; do printf '%s\\n' \"$line\"; done")
    );
    let server = TestServer::with(&format!("{noisy}{mirror}")).await;
    for _ in 0..3 {
        assert_eq!(called(&server, "noisy.t").await["result"], "fine");
    }
    let note = note(&server, "noisy").await;
    assert!(note.contains("writes lines to its standard output that are not messages"), "{note}");
    let read = std::fs::read_to_string(&log).unwrap();
    for line in read.lines() {
        let message: Value = serde_json::from_str(line).unwrap();
        assert!(message["method"].is_string(), "a line of the log was answered: {line}");
    }
    // The mirror hears nothing but what it is asked, so it cannot speak without end.
    eventually("the mirror is given up", async || {
        self::note(&server, "mirror").await.contains("within 1000 ms").then_some(())
    })
    .await;
    assert!(server.log().len() < 50_000, "the log is not flooded");
    server.stop().await;
}
