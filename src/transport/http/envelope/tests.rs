use serde_json::json;

use super::*;

#[test]
fn what_is_no_message_has_an_empty_envelope() {
    for body in ["", "{", "5", "[]", "{}", "{\"method\":5,\"id\":1}", "\u{0}"] {
        assert_eq!(Envelope::of(body.as_bytes()), Envelope::default(), "{body}");
    }
    assert_eq!(Envelope::of(b"{\"id\":\"\xff\",\"method\":\"ping\"}"), Envelope::default());
}

#[test]
fn ids_methods_and_tools_are_found() {
    let of = |message: Value| Envelope::of(message.to_string().as_bytes());
    let call = of(json!({"id": "a", "method": "tools/call", "params": {"name": "execute"}}));
    assert_eq!((&call.id, call.tool.as_deref()), (&json!("a"), Some("execute")));
    assert!(call.requests("tools/call") && !call.is_notification());
    for params in [json!([]), json!("x"), json!({"name": 5}), json!({}), Value::Null] {
        assert_eq!(of(json!({"id": 1, "method": "tools/call", "params": params})).tool, None);
    }
    assert_eq!(of(json!({"id": 1, "method": "x", "params": {"name": "execute"}})).tool, None);
    let notice = of(json!({"method": "notifications/x"}));
    assert!(notice.is_notification() && !notice.requests("notifications/x"));
    assert_eq!(of(json!({"id": {}, "result": {}})), Envelope::default());
}
