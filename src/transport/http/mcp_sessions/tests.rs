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
    assert_eq!(sessions.used.len(), 3);
}

#[tokio::test]
async fn an_ended_session_leaves_its_place() {
    let sessions = McpSessions::new(1);
    let (id, _transport) = sessions.create_session().await.unwrap();
    sessions.close_session(&id).await.unwrap();
    assert_eq!(sessions.used.len(), 0);
}
