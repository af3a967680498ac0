//! Answers that are not one line each: over several lines, behind words of a log, several in one.

use super::*;

/// A server whose answer to a call is several lines: `RAW` with real line ends.
fn answers(name: &str, raw: &str) -> String {
    child(name, &[("RAW", raw)])
}

const FINE: &str = r#"{"content":[{"type":"text","text":"fine"}]}"#;

fn message(result: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":@ID@,"result":{result}}}"#)
}

/// A name, what a server writes, and whether its note tells that it was not one line.
fn frames() -> [(&'static str, String, bool); 9] {
    let fine = message(FINE);
    let indented =
        serde_json::to_string_pretty(&json!({"a": [{"type": "text", "text": "fine"}]})).unwrap();
    let content = indented.replace("\"a\"", "\"content\"");
    let notice = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}"#;
    [
        ("plain", fine.clone(), false),
        (
            "indented",
            format!("{{\n  \"jsonrpc\": \"2.0\",\n  \"id\": @ID@,\n  \"result\": {content}\n}}"),
            true,
        ),
        ("broken", format!("{{\"jsonrpc\":\"2.0\",\n\"id\":@ID@,\"result\":\n{FINE}\n}}"), true),
        ("prefixed", format!("INFO {fine}"), true),
        ("stamped", format!("[2026-01-01 12:00:00] {{worker}} it's \"up: {fine}"), true),
        ("suffixed", format!("{fine} (3 ms)"), true),
        ("behind", format!("{notice}{fine}"), true),
        ("logged", format!("{{\n  \"port\": 3000\n}}\nINFO {{\n{fine}"), false),
        (
            "quoted",
            format!("got {{\"jsonrpc\":\"2.0\",\"id\":@ID@,\"method\":\"tools/call\"}}\n{fine}"),
            false,
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_found_in_its_lines_whatever_stands_around_it() {
    let frames = frames();
    let tables: String = frames.iter().map(|(name, raw, _)| answers(name, raw)).collect();
    let server = TestServer::with(&tables).await;
    for (name, _, is_odd) in &frames {
        for _ in 0..2 {
            let answer = called(&server, &format!("{name}.t")).await;
            assert_eq!(answer["result"], "fine", "{name}: {answer}");
        }
        let has_noise = matches!(*name, "logged" | "quoted");
        eventually(&format!("the note of `{name}` tells it"), async || {
            let note = note(&server, name).await;
            let is_told = note.contains("not one line or one event") == *is_odd
                && note.contains("that are not messages") == has_noise;
            is_told.then_some(())
        })
        .await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_does_not_go_on_fails_after_two_seconds() {
    let cut = "{\"jsonrpc\":\"2.0\",\"id\":@ID@,\"result\":{\n\"content\":[";
    let server = TestServer::with(&answers("cut", cut)).await;
    for _ in 0..2 {
        let answer = called(&server, "cut.t").await;
        let message = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(message.contains("its answer cannot be read"), "{answer}");
    }
    server.stop().await;
}
