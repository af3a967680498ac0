use serde_json::json;

use super::*;

fn judged(method: &str, params: Value) -> Unserved {
    judge(&CustomRequest::new(method, Some(params)), &["execute", "task_list"])
}

#[test]
fn arguments_that_are_no_object_are_an_error_of_the_tool() {
    for (arguments, expected) in [
        (json!("{\"code\":\"return 1\"}"), "must be an object, not its JSON text"),
        (json!(""), "must be an object, not its JSON text"),
        (json!(["return 1"]), "are an array: arguments must be an object"),
        (json!(5), "are a number: arguments must be an object"),
        (json!(true), "are a boolean: arguments must be an object"),
    ] {
        for tool in ["execute", "task_list"] {
            let params = json!({"name": tool, "arguments": arguments});
            let Unserved::Call(error) = judged("tools/call", params) else {
                panic!("{arguments} is a matter of the tool")
            };
            assert!(error.message.contains(expected), "{}", error.message);
            assert!(error.message.contains(tool), "{}", error.message);
        }
    }
}

#[test]
fn other_calls_that_cannot_be_read_are_errors_of_the_protocol() {
    for params in [
        json!([]),
        json!("x"),
        json!({}),
        json!({"name": 5, "arguments": "x"}),
        json!({"name": "other", "arguments": "x"}),
    ] {
        let Unserved::Refused(error) = judged("tools/call", params.clone()) else {
            panic!("{params} is no call of a tool")
        };
        assert_eq!(error.code, ErrorCode::INVALID_PARAMS);
        assert!(error.message.contains("`tools/call` cannot be read: "), "{}", error.message);
    }
    let Unserved::Refused(error) = judged("tools/list", json!([])) else { panic!("no call") };
    assert_eq!(error.code, ErrorCode::INVALID_PARAMS);
}

#[test]
fn a_method_that_is_not_served_is_told_in_a_sentence() {
    for method in ["resources/read", "initialize", "ping", "x", ""] {
        let Unserved::Refused(error) = judged(method, json!({})) else { panic!("no call") };
        assert_eq!(error.code, ErrorCode::METHOD_NOT_FOUND);
        let mut message = JsonRpcMessage::error(error, None);
        explain(&mut message);
        let JsonRpcMessage::Error(told) = message else { unreachable!() };
        let sentence = format!("`{method}` is not served");
        assert!(told.error.message.starts_with(&sentence), "{}", told.error.message);
    }
}
