use rmcp::model::{ClientRequest, JsonRpcRequest};

use super::*;

#[tokio::test]
async fn the_session_unused_for_longest_gives_way() {
    let sessions = McpSessions::new(3);
    let mut ids = Vec::new();
    let mut transports = Vec::new();
    for _ in 0..3 {
        let (id, transport) = sessions.create_session().await.unwrap();
        ids.push(id);
        transports.push(transport);
    }
    assert!(sessions.has_session(&ids[0]).await.unwrap(), "and is used now");
    let (newest, _transport) = sessions.create_session().await.unwrap();
    assert!(!sessions.has_session(&ids[1]).await.unwrap());
    for kept in [&ids[0], &ids[2], &newest] {
        assert!(sessions.has_session(kept).await.unwrap());
    }
    assert_eq!(sessions.sessions.len(), 3);
}

fn request() -> JsonRpcRequest<ClientRequest> {
    serde_json::from_value(serde_json::json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}))
        .unwrap()
}

#[tokio::test]
async fn idle_sessions_give_way_before_those_that_listen_and_those_that_work() {
    let sessions = McpSessions::new(3);
    let mut ids = Vec::new();
    let mut transports = Vec::new();
    for _ in 0..3 {
        let (id, transport) = sessions.create_session().await.unwrap();
        ids.push(id);
        transports.push(transport);
    }
    // The one that works is unused for longest, then the one that listens.
    sessions.ids(&ids[0]).unwrap().admit(&mut request()).unwrap();
    let stream = sessions.stream_of(&ids[1]);
    let (newer, _newer) = sessions.create_session().await.unwrap();
    assert!(!sessions.has_session(&ids[2]).await.unwrap(), "the idle one gave way");
    sessions.ids(&newer).unwrap().admit(&mut request()).unwrap();
    let (newest, _newest) = sessions.create_session().await.unwrap();
    assert!(!sessions.has_session(&ids[1]).await.unwrap(), "then the one that listened");
    drop(stream);
    for kept in [&ids[0], &newer, &newest] {
        assert!(sessions.has_session(kept).await.unwrap());
    }
}

#[tokio::test]
async fn a_session_that_began_anew_is_not_ended_by_its_predecessor() {
    let sessions = McpSessions::new(1);
    let begin = async |id: &str| match sessions.restore_session(id.into()).await.unwrap() {
        RestoreOutcome::Restored(transport) => transport,
        _ => panic!("`{id}` is there"),
    };
    let a: SessionId = "a".into();
    let predecessor = begin("a").await;
    let other = begin("b").await;
    let successor = begin("a").await;
    // As rmcp does once the server of a session has ended.
    drop(predecessor);
    sessions.close_session(&a).await.unwrap();
    assert!(sessions.has_session(&a).await.unwrap(), "the successor goes on");
    drop(other);
    sessions.close_session(&"b".into()).await.unwrap();
    drop(successor);
    sessions.close_session(&a).await.unwrap();
    assert!(!sessions.has_session(&a).await.unwrap(), "and ends with its own server");
    assert!(sessions.finished.is_empty());
}

#[tokio::test]
async fn a_session_that_its_client_ends_is_not_kept_by_its_predecessor() {
    let sessions = McpSessions::new(1);
    let mut transports = Vec::new();
    for id in ["a", "b", "a"] {
        match sessions.restore_session(id.into()).await.unwrap() {
            RestoreOutcome::Restored(transport) => transports.push(transport),
            _ => panic!("`{id}` is there"),
        }
    }
    let a: SessionId = "a".into();
    // The client's end and rmcp's come in any order.
    drop(transports.remove(0));
    for _ in 0..2 {
        sessions.close_session(&a).await.unwrap();
    }
    assert!(!sessions.has_session(&a).await.unwrap());
}

#[tokio::test]
async fn a_session_that_begins_anew_takes_no_more_room_than_another() {
    let sessions = McpSessions::new(2);
    let mut transports = Vec::new();
    for id in ["a", "b", "c", "d"] {
        let restored = sessions.restore_session(id.into()).await.unwrap();
        let RestoreOutcome::Restored(transport) = restored else { panic!("`{id}` is there") };
        transports.push(transport);
    }
    assert_eq!(sessions.sessions.len(), 2);
}

#[tokio::test]
async fn an_ended_session_leaves_its_place() {
    let sessions = McpSessions::new(1);
    let (id, _transport) = sessions.create_session().await.unwrap();
    sessions.close_session(&id).await.unwrap();
    assert_eq!(sessions.sessions.len(), 0);
}

#[tokio::test]
async fn only_a_session_that_is_not_there_waits_for_its_turn() {
    let sessions = McpSessions::new(2);
    let first = sessions.turn("lost").await;
    assert!(first.is_some());
    let (id, _transport) = sessions.create_session().await.unwrap();
    sessions.sessions.get_mut(&id).unwrap().is_ready = true;
    assert!(sessions.turn(&id).await.is_none(), "nobody waits who need not");
}

#[test]
fn a_session_that_its_client_ended_does_not_begin_anew() {
    let lost = LostSessions::default();
    assert!(lost.may_begin("a") && lost.may_begin("b"));
    lost.end("a");
    lost.end("a");
    assert!(!lost.may_begin("a") && lost.may_begin("b"));
    assert!(!lost.may_begin("") && !lost.may_begin(&"x".repeat(ID_CHARS_MAX + 1)));
}

#[test]
fn ended_sessions_are_remembered_up_to_a_bound() {
    let lost = LostSessions::default();
    for number in 0..=ENDED_MAX {
        lost.end(&number.to_string());
    }
    assert!(lost.may_begin("0"), "the oldest is forgotten");
    assert!(!lost.may_begin("1") && !lost.may_begin(&ENDED_MAX.to_string()));
    assert_eq!(lost.ended.lock().ids.len(), ENDED_MAX);
}
