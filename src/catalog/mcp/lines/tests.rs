use tokio::io::AsyncReadExt;

use super::*;
use crate::catalog::upstream::response::LARGE_MAX;

/// A message that passes as it is.
const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

fn lines(response_limits: ResponseLimits) -> LineReader {
    let incoming = Incoming::new("lines to its standard output");
    LineReader { response_limits, incoming, close_reason: CloseReason::default() }
}

/// Reads a child to its end.
async fn relay(
    from: impl AsyncRead + Unpin,
    to: DuplexStream,
    bounds: Bounds,
    response_limits: ResponseLimits,
) {
    lines(response_limits).relay(from, to, bounds).await;
}

async fn relayed(input: &str, line_bytes_max: usize) -> String {
    let (mut reader, writer) = tokio::io::duplex(1 << 20);
    relay(input.as_bytes(), writer, Bounds { line_bytes_max, ..CHILD }, ResponseLimits::default())
        .await;
    let mut out = String::new();
    reader.read_to_string(&mut out).await.unwrap();
    out
}

#[tokio::test]
async fn messages_within_the_bound_pass_as_they_are_and_other_lines_do_not() {
    let input = format!("{PING}\nnot json\n{{\"level\":30}}\n\n{PING}\r\n");
    assert_eq!(relayed(&input, 100).await, format!("{PING}\n{PING}\n"));
}

#[tokio::test]
async fn lines_without_a_message_are_bounded_and_the_reason_is_told() {
    let noise = "{\"level\":30,\"msg\":\"up\"}\n";
    let noise_bytes_max = 100 * noise.len();
    let bounds = Bounds { noise_bytes_max, line_bytes_max: 1_000, ..CHILD };
    for (input, ends) in [
        (format!("{}{PING}\n", noise.repeat(200)), true),
        // Counted since the last message.
        (format!("{}{PING}\n", noise.repeat(99)).repeat(3), false),
        // A message that is too long is none of it.
        (format!("{{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":\"{}\"}}\n", "x".repeat(9_000)), false),
    ] {
        let reader = lines(ResponseLimits::default());
        let close_reason = reader.close_reason.clone();
        let (mut passed, writer) = tokio::io::duplex(1 << 20);
        reader.relay(input.as_bytes(), writer, bounds).await;
        let mut out = String::new();
        passed.read_to_string(&mut out).await.unwrap();
        assert_eq!(out.is_empty(), ends, "{out}");
        let reason = close_reason.reason().unwrap_or_default();
        assert_eq!(reason.contains("bytes to its standard output without a message"), ends);
    }
}

#[tokio::test]
async fn an_overlong_answer_becomes_an_error_with_its_id_and_the_next_line_passes() {
    for message in [
        format!(r#"{{"jsonrpc":"2.0","id":7,"result":{{"id":1,"text":"{}"}}}}"#, "x".repeat(2_000)),
        format!(r#"{{"result":{{"text":"{}","id":1}},"jsonrpc":"2.0","id":7}}"#, "x".repeat(2_000)),
        format!(r#"{{"result":{{"text":"{}"}},"id":7,"jsonrpc":"2.0"}}"#, "x".repeat(200_000)),
    ] {
        let out = relayed(&format!("{message}\n{PING}\n"), 1_000).await;
        let mut lines = out.lines();
        let error: serde_json::Value = serde_json::from_str(lines.next().unwrap()).unwrap();
        assert_eq!(
            (error["id"].as_u64(), error["error"]["code"].as_i64()),
            (Some(7), Some(i64::from(OVERSIZED)))
        );
        assert_eq!((lines.next(), lines.next()), (Some(PING), None));
    }
}

#[tokio::test]
async fn a_number_inside_an_overlong_answer_is_not_taken_for_its_id() {
    let message = format!(r#"{{"result":{{"id":3,"text":"{}","id":4}}}}"#, "x".repeat(2_000));
    assert_eq!(relayed(&format!("{message}\n"), 1_000).await, "");
}

#[tokio::test]
async fn a_large_message_of_very_many_values_becomes_an_error() {
    let message = |value: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":7,"result":[{}1]}}"#,
            value.repeat(9_000_000 / value.len())
        )
    };
    let out = relayed(&format!("{}\n{PING}\n", message("10,")), message::BYTES_MAX).await;
    assert!(
        out.contains(&OVERSIZED.to_string()) && out.trim_end().ends_with(PING) && out.len() < 200,
        "{}",
        &out[..out.len().min(200)]
    );
}

#[tokio::test]
async fn an_answer_without_end_is_told_at_once_and_ends_the_connection() {
    let (mut reader, writer) = tokio::io::duplex(1 << 20);
    // What it is read from never ends either.
    let endless = AsyncReadExt::chain(
        &br#"{"jsonrpc":"2.0","id":7,"result":{"text":""#[..],
        tokio::io::repeat(b'x'),
    );
    let bounds = Bounds { line_bytes_max: 1_000, dropped_bytes_max: 100_000, ..CHILD };
    relay(endless, writer, bounds, ResponseLimits::default()).await;
    let mut out = String::new();
    reader.read_to_string(&mut out).await.unwrap();
    let error: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (error["id"].as_u64(), error["error"]["code"].as_i64()),
        (Some(7), Some(i64::from(OVERSIZED)))
    );
}

#[tokio::test]
async fn a_large_message_that_does_not_come_to_its_end_in_time_ends_the_connection() {
    let short =
        |large_line_max, large_silence_max| Bounds { large_line_max, large_silence_max, ..CHILD };
    let long = Duration::from_secs(3_600);
    for bounds in [short(Duration::ZERO, long), short(long, Duration::ZERO)] {
        let (mut child, from) = tokio::io::duplex(PIPE_BYTES);
        let (_reader, writer) = tokio::io::duplex(PIPE_BYTES);
        let relayed = tokio::spawn(relay(from, writer, bounds, ResponseLimits::default()));
        child.write_all(&vec![b'x'; LARGE_BYTES + 1]).await.unwrap();
        // The child stays, and says nothing more.
        tokio::time::timeout(Duration::from_secs(20), relayed)
            .await
            .expect("it is given up")
            .unwrap();
    }
}

#[tokio::test]
async fn a_large_message_is_not_read_on_before_there_is_a_place_for_it() {
    let response_limits = ResponseLimits::default();
    let mut permits = Vec::new();
    for _ in 0..LARGE_MAX {
        permits.push(response_limits.memory_permit().await);
    }
    let text = format!("{}\n", "x".repeat(2 * LARGE_BYTES));
    let mut unread = text.as_bytes();
    let (_reader, writer) = tokio::io::duplex(text.len());
    let mut relayed = Box::pin(relay(&mut unread, writer, CHILD, response_limits.clone()));
    assert!(futures::poll!(&mut relayed).is_pending());
    permits.pop();
    relayed.await;
    assert!(unread.is_empty());
}

#[tokio::test]
async fn a_message_over_several_lines_passes_as_one() {
    let indented = "{\n  \"jsonrpc\": \"2.0\",\n  \"id\": 1,\n  \"method\": \"ping\"\n}\n";
    let one = indented.trim_end().replace('\n', " ");
    for (input, expected) in [
        (indented.to_owned(), format!("{one}\n")),
        (indented.replace('\n', "\r\n"), format!("{one}\n")),
        (format!("{indented}{PING}\n{indented}"), format!("{one}\n{PING}\n{one}\n")),
        // What is open and is none gives way to a message.
        (format!("{{ \"port\":\n{PING}\n"), format!("{PING}\n")),
        (format!("{{\n{indented}"), format!("{one}\n")),
        (format!("{{\n\"jsonrpc\": \"2.0\",\n{PING}\n"), format!("{PING}\n")),
    ] {
        let passed = relayed(&input, 1_000).await.replace("  ", " ");
        assert_eq!(passed, expected.replace("  ", " "), "{input}");
    }
    // Its lines together are bounded as one is.
    let passed = relayed(&format!("{indented}{PING}\n"), 50).await;
    assert!(passed.contains("message too long"), "{passed}");
    assert!(passed.ends_with(&format!("{PING}\n")), "{passed}");
}

#[tokio::test]
async fn a_message_that_does_not_go_on_is_given_up_in_time() {
    let (mut child, from) = tokio::io::duplex(PIPE_BYTES);
    let (mut reader, writer) = tokio::io::duplex(PIPE_BYTES);
    let bounds = Bounds { next_line_max: Duration::from_millis(50), ..CHILD };
    let relayed = tokio::spawn(relay(from, writer, bounds, ResponseLimits::default()));
    child.write_all(b"{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\n").await.unwrap();
    let mut error = vec![0; 30];
    // The child stays, and says nothing more.
    let read = tokio::time::timeout(Duration::from_secs(20), reader.read_exact(&mut error));
    read.await.expect("it is given up").unwrap();
    child.write_all(format!("\"late\": 1}}}}\n{PING}\n").as_bytes()).await.unwrap();
    drop(child);
    relayed.await.unwrap();
    let mut rest = String::new();
    reader.read_to_string(&mut rest).await.unwrap();
    assert!(rest.ends_with(&format!("{PING}\n")), "{rest}");
}
