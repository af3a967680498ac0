use tokio::io::AsyncReadExt;

use super::*;

async fn relayed(input: &str, line_bytes_max: usize) -> String {
    let (mut reader, writer) = tokio::io::duplex(1 << 20);
    relay(input.as_bytes(), writer, line_bytes_max, AnswerBounds::default()).await;
    let mut out = String::new();
    reader.read_to_string(&mut out).await.unwrap();
    out
}

#[tokio::test]
async fn lines_within_the_bound_pass_as_they_are() {
    let input = "{\"a\":1}\nnot json\n";
    assert_eq!(relayed(input, 100).await, input);
}

#[tokio::test]
async fn an_overlong_answer_becomes_an_error_with_its_id_and_the_next_line_passes() {
    for message in [
        format!(r#"{{"jsonrpc":"2.0","id":7,"result":{{"id":1,"text":"{}"}}}}"#, "x".repeat(2_000)),
        format!(r#"{{"result":{{"text":"{}","id":1}},"jsonrpc":"2.0","id":7}}"#, "x".repeat(2_000)),
        format!(r#"{{"result":{{"text":"{}"}},"id":7,"jsonrpc":"2.0"}}"#, "x".repeat(200_000)),
    ] {
        let out = relayed(&format!("{message}\nnext\n"), 1_000).await;
        let mut lines = out.lines();
        let error: serde_json::Value = serde_json::from_str(lines.next().unwrap()).unwrap();
        assert_eq!((error["id"].as_u64(), error["error"]["code"].as_i64()), (Some(7), Some(i64::from(OVERSIZED))));
        assert_eq!((lines.next(), lines.next()), (Some("next"), None));
    }
}

#[tokio::test]
async fn a_number_inside_an_overlong_answer_is_not_taken_for_its_id() {
    let message = format!(r#"{{"result":{{"id":3,"text":"{}","id":4}}}}"#, "x".repeat(2_000));
    assert_eq!(relayed(&format!("{message}\n"), 1_000).await, "");
}

#[tokio::test]
async fn a_large_message_of_very_many_values_becomes_an_error() {
    let message = |value: &str| format!(r#"{{"jsonrpc":"2.0","id":7,"result":[{}1]}}"#, value.repeat(9_000_000 / value.len()));
    let out = relayed(&format!("{}\nnext\n", message("10,")), LINE_BYTES_MAX).await;
    assert!(out.contains(&OVERSIZED.to_string()) && out.ends_with("\nnext\n") && out.len() < 200, "{}", &out[..out.len().min(200)]);
}
