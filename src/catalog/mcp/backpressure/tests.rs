use rmcp::transport::async_rw::AsyncRwTransport;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};

use super::*;

type Stream = AsyncRwTransport<RoleClient, ReadHalf<DuplexStream>, WriteHalf<DuplexStream>>;

/// Our end, guarded, and the server's, over a pipe of so many bytes.
fn connected(
    pipe_bytes: usize,
    owed_max: usize,
    take_max: Duration,
) -> (BoundedTransport<Stream>, DuplexStream, CloseReason) {
    let (ours, theirs) = tokio::io::duplex(pipe_bytes);
    let (reader, writer) = tokio::io::split(ours);
    let close_reason = CloseReason::default();
    let guarded = BoundedTransport::new(
        AsyncRwTransport::new_client(reader, writer),
        close_reason.clone(),
        owed_max,
        Some(take_max),
        CallResults::default(),
    );
    (guarded, theirs, close_reason)
}

fn line(message: &Value) -> Vec<u8> {
    format!("{message}\n").into_bytes()
}

fn ping(id: Value) -> Vec<u8> {
    line(&json!({"jsonrpc": "2.0", "id": id, "method": "ping"}))
}

fn answer(id: i64) -> TxJsonRpcMessage<RoleClient> {
    serde_json::from_value(json!({"jsonrpc": "2.0", "id": id, "result": {}})).unwrap()
}

#[tokio::test]
async fn requests_beyond_the_bound_end_the_connection_with_the_number() {
    let (mut guarded, mut server, close_reason) = connected(1 << 16, 4, TAKE_MAX);
    for id in 0..5 {
        server.write_all(&ping(json!(id))).await.unwrap();
    }
    for _ in 0..4 {
        assert!(guarded.receive().await.is_some());
    }
    assert!(guarded.receive().await.is_none());
    let reason = close_reason.reason().unwrap();
    assert!(reason.contains("5 messages") && reason.contains("the limit is 4"), "{reason}");
    assert!(guarded.send(answer(0)).await.is_err(), "nothing leaves any more");
}

#[tokio::test]
async fn requests_that_are_answered_or_withdrawn_are_not_owed() {
    let (mut guarded, mut server, close_reason) = connected(1 << 16, 2, TAKE_MAX);
    for id in 0..100 {
        server.write_all(&ping(json!(id))).await.unwrap();
        assert!(guarded.receive().await.is_some());
        if id % 2 == 0 {
            guarded.send(answer(id)).await.unwrap();
        } else {
            let withdrawn = json!({
                "jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}
            });
            server.write_all(&line(&withdrawn)).await.unwrap();
            assert!(guarded.receive().await.is_some());
        }
    }
    assert_eq!(close_reason.reason(), None);
}

#[tokio::test]
async fn an_answer_that_is_not_read_is_still_owed_and_is_given_up_with_the_connection() {
    let (mut guarded, mut server, close_reason) = connected(16, 3, TAKE_MAX);
    let mut leaving = Vec::new();
    let mut served = 0;
    // The server writes in small pieces and never reads.
    let flood = tokio::spawn(async move {
        for id in 0.. {
            if server.write_all(&ping(json!(id))).await.is_err() {
                return;
            }
        }
    });
    while guarded.receive().await.is_some() {
        leaving.push(tokio::spawn(guarded.send(answer(served))));
        served += 1;
        assert!(served < 10, "it goes on without end");
        tokio::task::yield_now().await;
    }
    assert!(close_reason.reason().is_some());
    for send in leaving {
        // The first may have fitted into the pipe; none hangs.
        let _ = send.await.unwrap();
    }
    guarded.close().await.unwrap();
    drop(guarded);
    flood.await.unwrap();
}

#[tokio::test]
async fn a_message_that_is_not_taken_in_time_ends_the_connection_with_the_limit() {
    let (mut guarded, _server, close_reason) = connected(16, OWED_MAX, Duration::from_millis(50));
    assert!(guarded.send(answer(1)).await.is_err());
    assert!(close_reason.reason().unwrap().contains("within 50 ms"), "{:?}", close_reason.reason());
    assert!(guarded.receive().await.is_none());
}

#[tokio::test]
async fn an_id_is_bounded_and_a_refusal_does_not_repeat_what_was_said_at_length() {
    let (mut guarded, mut server, close_reason) = connected(1 << 16, OWED_MAX, TAKE_MAX);
    let refusal = json!({
        "jsonrpc": "2.0", "id": 1, "error": {"code": -32601, "message": "x".repeat(10_000)}
    });
    guarded.send(serde_json::from_value(refusal).unwrap()).await.unwrap();
    let mut written = vec![0; 1 << 16];
    let length = server.read(&mut written).await.unwrap();
    assert!(written[..length].ends_with(b"\n") && length < 500, "{length}");
    server.write_all(&ping(json!("i".repeat(257)))).await.unwrap();
    assert!(guarded.receive().await.is_none());
    assert!(close_reason.reason().unwrap().contains("256 bytes"));
}

fn call(id: i64, bytes: usize) -> TxJsonRpcMessage<RoleClient> {
    let params = json!({"name": "t", "arguments": {"text": "x".repeat(bytes)}});
    serde_json::from_value(
        json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}),
    )
    .unwrap()
}

#[tokio::test]
async fn a_large_call_that_finds_no_room_is_not_sent_and_the_connection_stays() {
    let (mut guarded, mut server, close_reason) = connected(16, OWED_MAX, TAKE_MAX);
    guarded.leaving_bytes_max = 300 * 1024;
    let first = tokio::spawn(guarded.send(call(1, 200 * 1024)));
    let crowded = guarded.send(call(2, 200 * 1024)).await.unwrap_err();
    assert!(is_crowded_out(&crowded), "{crowded}");
    assert_eq!(close_reason.reason(), None);
    // Small ones pass, and large ones again once the server took what was before them.
    let small = tokio::spawn(guarded.send(call(3, 10)));
    let drained = tokio::spawn(async move {
        let mut taken = vec![0; 1 << 20];
        while server.read(&mut taken).await.is_ok_and(|bytes| bytes > 0) {}
    });
    first.await.unwrap().unwrap();
    small.await.unwrap().unwrap();
    guarded.send(call(4, 200 * 1024)).await.unwrap();
    drained.abort();
}
