//! What clients leave out of a greeting or write around a message, and ids that are none.

use super::{pipe::Pipe, *};

/// Parameters of a greeting without parts that nothing depends on.
fn greetings() -> Vec<Value> {
    let greeting = |client: Value, capabilities: Value| json!({"protocolVersion": "2025-06-18", "clientInfo": client, "capabilities": capabilities});
    let client = json!({"name": "old client", "version": "1"});
    vec![
        json!({"protocolVersion": "2025-06-18", "capabilities": {}}),
        json!({"protocolVersion": "2025-06-18"}),
        greeting(json!({"name": "old client"}), json!({})),
        greeting(json!({"name": "old client", "version": 2}), json!({})),
        greeting(json!(null), json!({})),
        greeting(client.clone(), json!([])),
        greeting(client.clone(), json!(null)),
        greeting(client.clone(), json!({"roots": [], "sampling": null, "elicitation": true})),
        json!({"capabilities": {}, "clientInfo": client}),
        json!(null),
    ]
}

fn greeting(params: &Value) -> String {
    let mut message = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params});
    if params.is_null() {
        message.as_object_mut().unwrap().remove("params");
    }
    message.to_string()
}

fn execute() -> String {
    json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call",
        "params": {"name": "execute", "arguments": {"code": "return 1"}}})
    .to_string()
}

#[tokio::test]
async fn a_greeting_that_lacks_what_nothing_depends_on_is_answered() {
    let server = Server::start().await;
    for params in greetings() {
        let raw = server.raw();
        let reply = raw.send("POST", "/mcp", &JSON, greeting(&params)).await;
        assert_eq!(reply.status, 200, "{params}: {reply:?}");
        assert_eq!(reply.json()["result"]["serverInfo"]["name"], "airlock", "{params}");
        let session = reply.header("mcp-session-id").unwrap().to_owned();
        let headers = [&JSON[..], &[("mcp-session-id", session.as_str())]].concat();
        let reply = raw.send("POST", "/mcp", &headers, execute()).await;
        assert_eq!(reply.json()["result"]["structuredContent"]["result"], 1, "{params}");
        let mut pipe = Pipe::open().await;
        pipe.send(&greeting(&params)).await;
        let answer = pipe.receive().await;
        assert_eq!(answer["result"]["serverInfo"]["name"], "airlock", "{params}: {answer}");
        pipe.send(&execute()).await;
        assert_eq!(pipe.receive().await["result"]["structuredContent"]["result"], 1, "{params}");
    }
}

#[tokio::test]
async fn an_id_that_is_none_is_named_and_a_notification_may_have_null() {
    let server = Server::start().await;
    let raw = server.raw();
    let (session, _) = begin(&raw, "2025-11-25").await;
    let headers = [&JSON[..], &[("mcp-session-id", session.as_str())]].concat();
    let mut pipe = Pipe::open().await;
    pipe.send(&hello("2025-11-25")).await;
    pipe.receive().await;
    for (id, echoed) in [("null", Value::Null), ("true", Value::Null), ("1.5", json!(1.5))] {
        let message = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/list"}}"#);
        let reply = raw.send("POST", "/mcp", &headers, message.clone()).await;
        assert_eq!(reply.status, 400, "{id}: {reply:?}");
        pipe.send(&message).await;
        for answer in [reply.json(), pipe.receive().await] {
            assert_eq!(answer["error"]["code"], -32600, "{id}: {answer}");
            assert_eq!(answer["id"], echoed, "{id}: {answer}");
            let words = answer["error"]["message"].as_str().unwrap();
            assert!(words.contains(&format!("`id` is {id}: ")), "{words}");
        }
    }
    let notice = r#"{"jsonrpc":"2.0","id":null,"method":"notifications/initialized"}"#;
    assert_eq!(raw.send("POST", "/mcp", &headers, notice).await.status, 202);
    pipe.send(notice).await;
    pipe.send(r#"{"jsonrpc":"2.0","id":5,"method":"ping"}"#).await;
    assert_eq!(pipe.receive().await["id"], 5, "the notification is not answered");
}

#[tokio::test]
async fn the_type_of_a_body_is_the_same_in_any_case() {
    let server = Server::start().await;
    for kind in ["Application/JSON", "APPLICATION/JSON; charset=utf-8", "application/json;x=y"] {
        let headers = [("content-type", kind), JSON[1]];
        let reply = server.raw().send("POST", "/mcp", &headers, hello("2025-11-25")).await;
        assert_eq!(reply.status, 200, "{kind}: {reply:?}");
    }
}

#[tokio::test]
async fn a_byte_order_mark_before_a_message_is_no_part_of_it() {
    let server = Server::start().await;
    let raw = server.raw();
    let reply = raw.send("POST", "/mcp", &JSON, format!("\u{feff}{}", hello("2025-11-25"))).await;
    assert_eq!(reply.json()["result"]["serverInfo"]["name"], "airlock", "{reply:?}");
    let session = reply.header("mcp-session-id").unwrap().to_owned();
    let headers = [&JSON[..], &[("mcp-session-id", session.as_str())]].concat();
    let reply = raw.send("POST", "/mcp", &headers, format!("\u{feff}{}", execute())).await;
    assert_eq!(reply.json()["result"]["structuredContent"]["result"], 1, "{reply:?}");
    let mut pipe = Pipe::open().await;
    for (line, member) in [(hello("2025-11-25"), "serverInfo"), (execute(), "structuredContent")] {
        pipe.send(&format!("\u{feff}{line}\r")).await;
        let answer = pipe.receive().await;
        assert!(answer["result"][member].is_object(), "{answer}");
    }
}
