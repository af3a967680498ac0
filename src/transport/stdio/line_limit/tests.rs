use rmcp::model::NumberOrString;

use super::*;

/// What is found of a line that comes in pieces of so many bytes.
fn id_of(line: &str, piece: usize) -> Option<RequestId> {
    let mut seen = Line::default();
    line.as_bytes().chunks(piece).for_each(|part| seen.take(part));
    assert!(seen.head.len() <= ENDS_BYTES && seen.tail.len() <= ENDS_BYTES);
    seen.id()
}

#[test]
fn an_id_is_found_at_either_end_of_a_message_and_nowhere_else() {
    let long = "x".repeat(5000);
    let seven = Some(NumberOrString::Number(7));
    for (line, id) in [
        (
            format!(
                r#"{{"jsonrpc":"2.0","id":7,"method":"a","params":{{"id":1,"code":"{long}"}}}}"#
            ),
            seven.clone(),
        ),
        (
            format!(
                "{{\"method\":\"a\",\"params\":{{\"code\":\"{long}\"}},\"jsonrpc\":\"2.0\", \"id\": 7 }}\r\n"
            ),
            seven,
        ),
        (
            format!(r#"{{"params":"{long}","id":"a\"b"}}"#),
            Some(NumberOrString::String("a\"b".into())),
        ),
        (format!(r#"{{"params":{{"id":1,"code":"{long}","id":2}}}}"#), None),
        (format!(r#"{{"params":"{long},\"id\":7}}"#), None),
        (format!(r#"{{"id":{long}"#), None),
        (format!(r#"{{"id":{}"#, "7".repeat(5000)), None),
        (long, None),
    ] {
        for piece in [1, 7, 100_000] {
            assert_eq!(id_of(&line, piece), id, "{}", &line[..line.len().min(60)]);
        }
    }
}
