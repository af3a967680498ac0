use rmcp::model::NumberOrString;

use super::*;

/// What is found of a line over this bound that comes in pieces of so many bytes.
fn id_of(line: &str, piece: usize, bytes_max: usize) -> Option<RequestId> {
    let mut seen = Part::default();
    line.as_bytes().chunks(piece).for_each(|part| seen.take(part, bytes_max));
    assert!(seen.head.len() <= ENDS_BYTES && seen.tail.len() <= ENDS_BYTES);
    match seen.into_line(bytes_max) {
        Line::TooLong(id) => id,
        Line::Whole(line) => panic!("{} bytes are over {bytes_max}", line.len()),
    }
}

async fn lines_of(input: &[u8], bytes_max: usize) -> Vec<Line> {
    let mut lines = Lines::new(input, bytes_max);
    let mut all = Vec::new();
    while let Some(line) = lines.next().await {
        all.push(line);
    }
    all
}

#[tokio::test]
async fn lines_come_whole_up_to_the_bound_and_the_last_one_without_its_end() {
    let whole = |text: &str| Line::Whole(text.as_bytes().to_vec());
    let lines = lines_of(b"abc\n\nabcd\n\xff\r\nabc", 4).await;
    let raw = Line::Whole(b"\xff\r\n".to_vec());
    assert_eq!(lines, [whole("abc\n"), whole("\n"), Line::TooLong(None), raw, whole("abc")]);
    assert_eq!(lines_of(b"", 4).await, []);
}

#[tokio::test]
async fn a_read_that_is_given_up_loses_nothing() {
    use tokio::io::AsyncWriteExt;
    let (mut near, far) = tokio::io::duplex(64);
    let mut lines = Lines::new(far, 64);
    near.write_all(b"one ").await.unwrap();
    assert!(futures::poll!(Box::pin(lines.next())).is_pending());
    near.write_all(b"line\n").await.unwrap();
    assert_eq!(lines.next().await, Some(Line::Whole(b"one line\n".to_vec())));
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
        for (piece, bytes_max) in [(1, 0), (7, 10), (7, 3000), (100_000, 4000)] {
            let start = &line[..line.len().min(60)];
            assert_eq!(id_of(&line, piece, bytes_max), id, "{piece} {bytes_max}: {start}");
        }
    }
}
