use rmcp::model::{JsonRpcMessage, RequestId};
use serde_json::{Value, json};

use super::*;
use crate::catalog::mcp::message::UNNUMBERED;

/// What is passed on of a text; each must be a message to the library.
fn read(incoming: &Incoming, text: &str, posted: Option<i64>) -> Vec<Value> {
    let mut awaited = posted.map(|id| Awaited::new(RequestId::Number(id)));
    let messages = incoming.read(text.as_bytes(), awaited.as_mut(), None);
    for message in &messages {
        serde_json::from_str::<ServerJsonRpcMessage>(message)
            .unwrap_or_else(|error| panic!("{error}: {message}"));
    }
    messages.iter().map(|message| serde_json::from_str(message).unwrap()).collect()
}

fn incoming() -> Incoming {
    Incoming::new("lines to its standard output")
}

fn note(incoming: &Incoming) -> String {
    incoming.remarks.note().unwrap_or_default()
}

#[test]
fn the_result_of_a_call_is_kept_as_it_is_written() {
    for (id, result) in [
        ("7", r#"{"n": 1.10, "big":12345678901234567890}"#),
        ("\"7\"", r#""saved as 41""#),
        ("7.0", "null"),
    ] {
        let incoming = incoming();
        incoming.results.expect(&RequestId::Number(7));
        let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result},"error":null}}"#);
        let passed = read(&incoming, &text, None);
        assert_eq!(passed, [json!({"jsonrpc": "2.0", "id": 7, "result": {}})]);
        let kept = incoming.results.take(&RequestId::Number(7)).unwrap();
        assert_eq!((kept.json.get(), kept.repairs), (result, None));
        assert_eq!(note(&incoming), "");
    }
}

#[test]
fn a_text_that_is_nearly_json_is_repaired_and_counted() {
    for (result, repaired) in [
        (r#"{"text":"cut \ud83d"}"#, "{\"text\":\"cut \u{FFFD}\"}"),
        (r#"{"v":NaN,"w":-Infinity}"#, r#"{"v":null,"w":null}"#),
        (r#"{"list":[1,],}"#, r#"{"list":[1]}"#),
        ("{\"text\":\"a\tb\"}", r#"{"text":"a\u0009b"}"#),
    ] {
        let incoming = incoming();
        incoming.results.expect(&RequestId::Number(7));
        let text = format!(r#"{{"jsonrpc":"2.0","id":7,"result":{result}}}"#);
        assert_eq!(read(&incoming, &text, None).len(), 1);
        let kept = incoming.results.take(&RequestId::Number(7)).unwrap();
        assert_eq!(kept.json.get(), repaired);
        assert!(kept.repairs.is_some());
        assert!(note(&incoming).contains("1 message that was not valid JSON"));
    }
}

#[test]
fn an_error_in_any_form_is_one_with_the_words_it_has() {
    for (error, code, words) in [
        (r#"{"code":-32602,"message":"no such row"}"#, -32602, "no such row"),
        (r#"{"code":-32602.0,"message":"no such row"}"#, -32602, "no such row"),
        (r#"{"code":"E_BAD","message":"no such row"}"#, UNNUMBERED, "E_BAD: no such row"),
        (r#"{"code":"-5","message":41}"#, -5, "41"),
        (r#"{"code":-32000}"#, -32000, "it does not say why"),
        (r#"{"message":"no such row","code":null}"#, UNNUMBERED, "no such row"),
        (r#"{"code":1e400,"message":{"why":"x"}}"#, UNNUMBERED, r#"{"why":"x"}"#),
        (r#""no such row""#, UNNUMBERED, "no such row"),
        ("[41]", UNNUMBERED, "[41]"),
        ("{}", UNNUMBERED, "it does not say why"),
    ] {
        let text = format!(r#"{{"jsonrpc":"2.0","id":7,"error":{error}}}"#);
        let passed = read(&incoming(), &text, None);
        assert_eq!(passed[0]["id"], 7, "{error}");
        assert_eq!(passed[0]["error"]["code"], code, "{error}");
        assert_eq!(passed[0]["error"]["message"], words, "{error}");
    }
    // What the protocol says beside stays.
    let text = r#"{"jsonrpc":"2.0","id":7,"error":{"code":-1,"message":"x","data":{"a":[1]}}}"#;
    assert_eq!(read(&incoming(), text, None)[0]["error"]["data"], json!({"a": [1]}));
}

#[test]
fn what_cannot_be_read_fails_the_request_that_it_answers() {
    for text in [
        r#"{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"x"}]"#,
        r#"{"jsonrpc":"2.0","id":7,"result":{"content":[{"te"#,
        r#"{"id":"7","jsonrpc":"2.0","result":{'a': 1}}"#,
        r#"{"result":{"text":"say "hi" to {"},"jsonrpc":"2.0","id":7}"#,
        r#"{"jsonrpc":"2.0","id":7,"error":{"code":-1,"message":0x1F}}"#,
        r#"{"jsonrpc":"2.0","result":{"id":1,"a":01},"id":7}"#,
    ] {
        let incoming = incoming();
        let passed = read(&incoming, text, None);
        assert_eq!((&passed[0]["id"], passed.len()), (&json!(7), 1), "{text}");
        assert_eq!(passed[0]["error"]["code"], UNREADABLE, "{text}");
        let words = passed[0]["error"]["message"].as_str().unwrap();
        assert!(words.ends_with(text), "{words}");
        assert!(note(&incoming).contains("1 message that could not be read"));
    }
    // Where there is no id in it, only the request that was posted can be meant.
    let text = r#"{"jsonrpc":"2.0","result":{"a":01}}"#;
    assert!(read(&incoming(), text, None).is_empty());
    assert_eq!(read(&incoming(), text, Some(9))[0]["id"], 9);
    let many = format!(r#"{{"jsonrpc":"2.0","id":7,"result":[{}1]}}"#, "NaN,".repeat(100_001));
    assert_eq!(read(&incoming(), &many, None)[0]["error"]["code"], UNREADABLE);
}

#[test]
fn what_is_no_message_is_dropped_and_counted_and_never_answered() {
    let lines = [
        "Server started on port 3000",
        r#"{"level":30,"time":1,"msg":"up"}"#,
        r#"{"level":50,"id":7,"error":"boom"}"#,
        r#"{"level":50,"id":7,"result":"boom","msg":"x"}"#,
        r#"{"id":7,"method":"GET","path":"/"}"#,
        r#"{"level":30,"msg":"cut"#,
        r#"{"level":30,"id":7,"msg":{"jsonrpc":"2.0","id":7,"result":{}},"x"#,
        "[1,2]",
        "null",
        "\"text\"",
        r#"{"jsonrpc":"2.0"}"#,
        r#"{"jsonrpc":"2.0","id":7}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"a":01}}"#,
    ];
    let incoming = incoming();
    incoming.results.expect(&RequestId::Number(7));
    for (at, line) in lines.iter().enumerate() {
        assert!(read(&incoming, line, None).is_empty(), "{line}");
        let told = format!("that are not messages ({} so far)", at + 1);
        // A list is counted once for each of its entries.
        assert!(note(&incoming).contains(&told) || at >= 7, "{line}: {}", note(&incoming));
    }
    assert!(read(&incoming, " \r", None).is_empty(), "an empty line is none");
    assert!(incoming.results.take(&RequestId::Number(7)).is_none());
}

#[test]
fn what_stands_beside_other_text_is_read_and_what_follows_it_fails() {
    let answer = |id: i64| format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#);
    for text in [
        format!("[info] {}", answer(7)),
        format!("{}{}", answer(7), answer(8)),
        format!("{} {}", answer(7), &answer(8)[..35]),
    ] {
        let incoming = incoming();
        let passed = read(&incoming, &text, None);
        assert_eq!(passed[0]["id"], 7, "{text}");
        let second = passed.get(1).map(|message| message["id"].clone());
        assert_eq!(second, (!text.starts_with('[')).then(|| json!(8)), "{text}");
        assert!(note(&incoming).contains("not one line or one event"), "{}", note(&incoming));
    }
}

#[test]
fn an_answer_to_another_request_is_none_where_only_one_can_be_answered() {
    let answer = r#"{"jsonrpc":"2.0","id":7,"result":{}}"#;
    assert!(read(&incoming(), answer, Some(9)).is_empty());
    assert_eq!(read(&incoming(), answer, Some(7)).len(), 1);
    assert_eq!(read(&incoming(), answer, None).len(), 1);
}

#[test]
fn what_a_server_repeats_of_what_it_reads_is_not_answered() {
    let incoming = incoming();
    for method in CLIENT_REQUESTS {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{}}}}"#);
        assert!(read(&incoming, &text, None).is_empty(), "{method}");
    }
    assert!(
        note(&incoming).contains("that repeat the messages it receives"),
        "{}",
        note(&incoming)
    );
}

#[test]
fn requests_and_notifications_of_a_server_pass_and_odd_ones_are_refused_or_dropped() {
    let ping = r#"{"jsonrpc":"2.0","id":"a","method":"ping"}"#;
    assert_eq!(read(&incoming(), ping, None), [serde_json::from_str::<Value>(ping).unwrap()]);
    let odd = r#"{"jsonrpc":"2.0","id":3,"method":"elicitation/create","params":[]}"#;
    let passed = incoming().read(odd.as_bytes(), None, None);
    for message in &passed {
        let message: ServerJsonRpcMessage = serde_json::from_str(message).unwrap();
        assert!(matches!(message, JsonRpcMessage::Request(_)), "it is answered");
    }
    assert_eq!(passed.len(), 1);
    let changed = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
    assert_eq!(read(&incoming(), changed, None).len(), 1);
}

#[test]
fn a_list_of_messages_is_each_of_them() {
    let incoming = incoming();
    incoming.results.expect(&RequestId::Number(7));
    let text = r#"[{"jsonrpc":"2.0","method":"notifications/tools/list_changed"},
        {"jsonrpc":"2.0","id":7,"result":{"n":1}}, {"level":30}]"#;
    assert_eq!(read(&incoming, text, None).len(), 2);
    assert_eq!(incoming.results.take(&RequestId::Number(7)).unwrap().json.get(), r#"{"n":1}"#);
}

#[test]
fn an_answer_without_an_id_is_that_of_the_posted_request_and_else_told() {
    for id in ["null", "\"server-error\""] {
        let error = format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-1,"message":"x"}}}}"#);
        assert_eq!(read(&incoming(), &error, Some(9))[0]["id"], 9);
        let incoming = incoming();
        assert!(read(&incoming, &error, None).is_empty());
        assert!(note(&incoming).contains("1 error that names no request, the last one: \"x\""));
    }
    assert_eq!(read(&incoming(), r#"{"jsonrpc":"2.0","result":{}}"#, Some(9))[0]["id"], 9);
}

/// The tools of a list, and the remarks about it.
fn listed(list: &str) -> (Vec<Value>, String) {
    let text = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{list}}}"#);
    let mut message = read(&incoming(), &text, None).remove(0);
    let typed: ServerJsonRpcMessage = serde_json::from_value(message.clone()).unwrap();
    let JsonRpcMessage::Response(response) = typed else { panic!("{message}") };
    assert!(matches!(response.result, rmcp::model::ServerResult::ListToolsResult(_)), "{message}");
    let remarks = message["result"]["_meta"][TOOL_LIST_REMARKS].take();
    let remarks = remarks.as_array().unwrap().iter().map(|remark| remark.as_str().unwrap());
    let remarks = remarks.collect::<Vec<_>>().join("; ");
    (message["result"]["tools"].take().as_array().unwrap().clone(), remarks)
}

#[test]
fn one_odd_tool_does_not_take_the_others_with_it() {
    let good = r#"{"name":"good","inputSchema":{"type":"object"}}"#;
    for (odd, remark) in [
        (r#"{"name":"odd"}"#, "take any object: `odd`"),
        (r#"{"name":"odd","inputSchema":null}"#, "take any object: `odd`"),
        (r#"{"name":"odd","inputSchema":[]}"#, "take any object: `odd`"),
        (r#"{"name":"odd","inputSchema":"{}"}"#, "take any object: `odd`"),
        (r#"{"name":"odd","inputSchema":{"properties":[]}}"#, ""),
        (r#"{"name":"odd","inputSchema":{},"icons":[{"src":"x","sizes":"48x48"}]}"#, ""),
        (r#"{"name":"odd","inputSchema":{},"annotations":{"readOnlyHint":"true"}}"#, ""),
        (r#"{"name":"odd","inputSchema":{},"annotations":[],"_meta":[]}"#, ""),
        (r#"{"name":"odd","inputSchema":{},"description":5,"title":null}"#, ""),
        (r#"{"name":"odd","inputSchema":{},"outputSchema":null,"execution":7}"#, ""),
    ] {
        let (tools, remarks) = listed(&format!(r#"{{"tools":[{good},{odd}]}}"#));
        let names: Vec<&Value> = tools.iter().map(|tool| &tool["name"]).collect();
        assert_eq!(names, ["good", "odd"], "{odd}");
        assert!(tools[1]["inputSchema"].is_object() && tools[1]["annotations"].is_null(), "{odd}");
        match remark {
            "" => assert_eq!(remarks, "", "{odd}"),
            remark => assert!(remarks.contains(remark), "{odd}: {remarks}"),
        }
    }
    let deep = format!(
        r#"{{"name":"deep","inputSchema":{}{{}}{}}}"#,
        r#"{"items":"#.repeat(200),
        "}".repeat(200)
    );
    for (odd, remark) in [
        ("5", "entry 1 is not an object"),
        ("{}", "entry 1 has no `name`"),
        (r#"{"name":5}"#, "entry 1 has the `name` 5"),
        (deep.as_str(), "`deep`"),
    ] {
        let (tools, remarks) = listed(&format!(r#"{{"tools":[{odd},{good}]}}"#));
        assert_eq!((tools.len(), &tools[0]["name"]), (1, &json!("good")), "{odd}");
        assert!(remarks.contains(remark), "{odd}: {remarks}");
    }
    let many = vec![r#"{"name":"odd"}"#; 1_000].join(",");
    let (tools, remarks) = listed(&format!(r#"{{"tools":[{many}],"nextCursor":""}}"#));
    assert_eq!(tools.len(), 1_000);
    assert!(remarks.ends_with("and 980 more") && remarks.len() < 400, "{remarks}");
    assert_eq!(listed(r#"{"tools":null}"#).0.len(), 0);
}

#[test]
fn what_is_known_of_a_tool_stays() {
    let tool = json!({
        "name": "t", "title": "T", "description": "does", "inputSchema": {"type": "object"},
        "outputSchema": {"type": "object"},
        "annotations": {"readOnlyHint": true, "destructiveHint": false, "title": "A"}
    });
    let (tools, remarks) = listed(&json!({"tools": [tool], "_meta": {"x": 1}}).to_string());
    assert_eq!((tools, remarks.as_str()), (vec![tool], ""));
}

#[test]
fn an_odd_handshake_is_taken_for_what_is_needed_of_it() {
    for (result, tools, name) in [
        (
            json!({"capabilities": {"tools": {}}, "serverInfo": {"name": "n", "version": "1"}}),
            true,
            "n",
        ),
        (
            json!({"capabilities": {"tools": []}, "serverInfo": {"name": "n", "version": 2}}),
            true,
            "n",
        ),
        (json!({"capabilities": {"tools": true, "logging": []}, "serverInfo": null}), true, ""),
        (json!({"capabilities": {"tools": false}}), false, ""),
        (json!({"capabilities": null, "instructions": 5}), false, ""),
    ] {
        let mut result = result;
        result["protocolVersion"] = json!("2025-06-18");
        let text = json!({"jsonrpc": "2.0", "id": 0, "result": result}).to_string();
        let passed = read(&incoming(), &text, None).remove(0);
        let typed: ServerJsonRpcMessage = serde_json::from_value(passed.clone()).unwrap();
        let JsonRpcMessage::Response(response) = typed else { panic!("{passed}") };
        let rmcp::model::ServerResult::InitializeResult(taken) = response.result else {
            panic!("{passed}")
        };
        assert_eq!(taken.capabilities.tools.is_some(), tools, "{text}");
        assert_eq!(taken.server_info.name, name, "{text}");
    }
}
