use futures::FutureExt;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::*;
use crate::catalog::upstream::response::LARGE_MAX as PLACES;

/// A message that passes as it is.
const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

/// An answer whose body comes in these pieces.
fn answered(status: u16, kind: &str, pieces: Vec<Vec<u8>>) -> Response {
    let pieces =
        stream::iter(pieces.into_iter().map(|piece| Ok::<_, std::io::Error>(Bytes::from(piece))));
    let response = http::Response::builder().status(status).header(CONTENT_TYPE, kind);
    response.body(reqwest::Body::wrap_stream(pieces)).unwrap().into()
}

fn incoming() -> Incoming {
    Incoming::new("its event stream")
}

fn awaited() -> Option<Awaited> {
    Some(Awaited::new(RequestId::Number(7)))
}

fn intake(kind: &str, pieces: Vec<Vec<u8>>, bytes_max: usize) -> Intake {
    Intake::new(
        answered(200, kind, pieces),
        ResponseLimits::default(),
        Bounds { bytes_max, ..SERVER },
    )
}

#[tokio::test]
async fn each_event_is_a_message_however_it_arrives_and_as_many_as_there_are() {
    let event = format!("event: message\r\ndata: {PING}\r\n\r\n: a comment\n\n");
    let text = event.repeat(30);
    for size in [1, 2, 7, 40, text.len()] {
        let pieces = text.as_bytes().chunks(size).map(<[u8]>::to_vec).collect();
        // The longest that is read between two ends of events is an event and the piece that its
        // end stands in.
        let events =
            intake("text/event-stream", pieces, event.len() + size).events(None, incoming());
        let data: Vec<String> =
            events.filter_map(async |event| event.unwrap().data).collect().await;
        assert_eq!(data, vec![PING; 30], "in pieces of {size}");
    }
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_an_error_to_the_call_that_waits_for_it() {
    let long = || vec![b"data: ".to_vec(), vec![b'x'; 600], vec![b'x'; 600]];
    assert!(matches!(
        intake("application/json", long(), 1_000).whole().await,
        Err(Broken::TooLong)
    ));
    let mut events = intake("text/event-stream", long(), 1_000).events(awaited(), incoming());
    let error: Value =
        serde_json::from_str(&events.next().await.unwrap().unwrap().data.unwrap()).unwrap();
    assert_eq!((&error["id"], &error["error"]["code"]), (&json!(7), &json!(OVERSIZED)));
    assert!(events.next().await.is_none());
    // Where nobody waits, it is left out, and the stream ends.
    assert!(
        intake("text/event-stream", long(), 1_000).events(None, incoming()).next().await.is_none()
    );
}

#[tokio::test]
async fn a_server_cannot_ask_for_a_pause_of_more_than_a_minute() {
    let text = "retry: 3\ndata: {}\n\nretry: 18446744073709551615\ndata: {}\n\n";
    let events = intake("text/event-stream", vec![text.into()], 1_000).events(None, incoming());
    let pauses: Vec<_> = events.map(|event| event.unwrap().retry).collect().await;
    assert_eq!(pauses, [Some(3), Some(RETRY_MS_MAX)]);
}

#[tokio::test]
async fn a_large_event_is_not_read_on_before_there_is_a_place_for_it() {
    let response_limits = ResponseLimits::default();
    let mut permits = Vec::new();
    for _ in 0..PLACES {
        permits.push(response_limits.memory_permit().await);
    }
    let large = || {
        let (begin, end) = PING.split_at(PING.len() - 1);
        let begin = format!("data: {begin},\"x\":\"");
        let end = format!("\"{end}\n\n");
        let pieces = vec![begin.into_bytes(), vec![b'x'; LARGE_BYTES], end.into_bytes()];
        answered(200, "text/event-stream", pieces)
    };
    let mut events = Intake::new(large(), response_limits.clone(), SERVER).events(None, incoming());
    assert!(events.next().now_or_never().is_none(), "all of it is there, and it waits");
    permits.pop();
    assert!(events.next().await.unwrap().unwrap().data.unwrap().len() > LARGE_BYTES);
    assert!(response_limits.memory_permit().now_or_never().is_some(), "its place is free again");
}

#[tokio::test]
async fn a_large_answer_that_does_not_come_to_its_end_is_given_up() {
    let long = Duration::from_secs(3_600);
    for (large_max, large_silence_max) in
        [(Duration::from_millis(50), long), (long, Duration::from_millis(50))]
    {
        let body =
            stream::iter([Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; LARGE_BYTES + 1]))])
                .chain(stream::pending());
        let response = http::Response::new(reqwest::Body::wrap_stream(body)).into();
        let bounds = Bounds { large_max, large_silence_max, ..SERVER };
        assert!(matches!(
            Intake::new(response, ResponseLimits::default(), bounds).whole().await,
            Err(Broken::Late)
        ));
    }
}

#[tokio::test]
async fn an_event_without_a_message_still_says_where_to_go_on_after_it() {
    let text = "id: 5\ndata: [DONE]\n\nevent: ping\ndata: {}\n\n";
    let events = intake("text/event-stream", vec![text.into()], 1_000).events(None, incoming());
    let events: Vec<_> = events.map(|event| event.unwrap()).collect().await;
    assert_eq!((events[0].id.as_deref(), &events[0].data), (Some("5"), &None));
    assert!(events.iter().all(|event| event.data.is_none()));
}

/// What is passed on of the events of a body to the request 7.
async fn passed(text: &str) -> Vec<String> {
    let events =
        intake("text/event-stream", vec![text.into()], 1_000).events(awaited(), incoming());
    events.filter_map(async |event| event.ok()?.data).collect().await
}

#[tokio::test]
async fn the_last_event_needs_no_empty_line_after_it_unless_it_is_cut() {
    for end in ["", "\n", "\r\n", "\n\n"] {
        assert_eq!(passed(&format!("data: {PING}{end}")).await, [PING], "{end:?}");
    }
    let cut = &PING[..PING.len() - 2];
    assert_eq!(passed(&format!("data: {PING}\n\ndata: {cut}")).await, [PING]);
    assert_eq!(passed(&format!("data: {PING}\n\nda")).await, [PING]);
}

#[tokio::test]
async fn a_stream_that_answers_another_request_is_an_error_at_its_end() {
    let answer = |id: i64| format!(r#"data: {{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#);
    let wrong = passed(&format!("{}\n\n", answer(8))).await;
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    assert!(wrong[0].contains("it names request 8 instead of 7"), "{wrong:?}");
    let right = passed(&format!("{}\n\n{}\n\n", answer(8), answer(7))).await;
    assert_eq!(right.len(), 1, "{right:?}");
    assert!(right[0].contains(r#""id":7,"result""#), "{right:?}");
}
