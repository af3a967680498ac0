use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::catalog::tool::OfferedTool;

fn tool() -> Tool {
    Tool::admit(&Arc::from("up"), OfferedTool { name: "t".to_owned(), ..OfferedTool::default() })
        .unwrap()
}

fn unwrapped(result: Value) -> Result<Value, UpstreamError> {
    let result: CallToolResult = serde_json::from_value(result).unwrap();
    unwrap(&tool(), CallToolResponse::Complete(result))
        .map(|json| serde_json::from_str(json.get()).unwrap())
}

fn text(text: &str) -> Value {
    json!({"content": [{"type": "text", "text": text}]})
}

#[test]
fn structured_content_wins_over_its_copy_as_text() {
    let result =
        json!({"content": [{"type": "text", "text": "3"}], "structuredContent": {"sum": 3}});
    assert_eq!(unwrapped(result), Ok(json!({"sum": 3})));
}

#[test]
fn a_single_text_is_json_where_it_is_json_and_a_string_else() {
    assert_eq!(unwrapped(text("{\"a\": [1]}")), Ok(json!({"a": [1]})));
    assert_eq!(unwrapped(text(" 42\n")), Ok(json!(42)));
    assert_eq!(unwrapped(text("Echo: hi")), Ok(json!("Echo: hi")));
    assert_eq!(unwrapped(text("")), Ok(json!("")));
}

#[test]
fn a_number_that_javascript_would_round_stays_a_text() {
    assert_eq!(unwrapped(text("12345678901234567890")), Ok(json!("12345678901234567890")));
}

#[test]
fn several_blocks_come_as_they_are() {
    let blocks = json!([
        {"type": "text", "text": "a"}, {"type": "image", "data": "AA==", "mimeType": "image/png"}
    ]);
    assert_eq!(unwrapped(json!({"content": blocks})), Ok(blocks));
}

#[test]
fn a_failed_tool_is_an_error_with_its_own_words_cut() {
    let mut result = text(&"é".repeat(10_000));
    result["isError"] = json!(true);
    let error = unwrapped(result).unwrap_err();
    assert_eq!((error.code, error.retryable), (UpstreamErrorCode::ToolFailed, false));
    assert!(
        error.message.len() <= SAID_BYTES_MAX && error.message.starts_with("éé"),
        "{}",
        error.message.len()
    );
}

#[test]
fn an_answer_over_the_largest_is_refused_with_the_bound() {
    let error = unwrapped(text(&"x".repeat(ANSWER_BYTES_MAX))).unwrap_err();
    assert_eq!(error.code, UpstreamErrorCode::AnswerTooLarge);
    assert!(error.message.contains("67108864"), "{}", error.message);
}
