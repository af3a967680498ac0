//! What every store promises of lists of tasks: their order, their pages and their filters.

use airlock::{
    model::{JsonObject, TaskStatus},
    store::{LIST_BYTES_MAX, NewTask, StoreError, TaskFilter},
};
use serde_json::json;

use super::{Shared, by, completed, end, limit, listed, new_task, object, recorded, with_metadata};

super::contract! { lists:
    lists_are_newest_first_and_paged
    pages_stay_in_place_while_tasks_arrive
    lists_filter_by_status_and_session
    lists_filter_by_metadata_as_values
    hostile_metadata_keys_are_only_keys
    a_foreign_cursor_is_refused
    a_page_is_bounded_in_bytes
}

pub(super) async fn lists_are_newest_first_and_paged(store: Shared) {
    let mut all = Vec::new();
    for _ in 0..7 {
        all.insert(0, recorded(&store, new_task()).await);
    }
    for size in 1..=8 {
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let page = store.tasks("local", TaskFilter { cursor, ..limit(size) }).await.unwrap();
            assert!(page.tasks.len() <= size as usize);
            seen.extend(page.tasks.iter().map(|task| task.task_id));
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, all);
    }
}

pub(super) async fn pages_stay_in_place_while_tasks_arrive(store: Shared) {
    let mut all = Vec::new();
    for _ in 0..6 {
        all.insert(0, recorded(&store, new_task()).await);
    }
    let first = store.tasks("local", limit(3)).await.unwrap();
    for _ in 0..5 {
        recorded(&store, new_task()).await;
    }
    store.change_task(end(all[4], TaskStatus::Completed, None)).await.unwrap();
    let second = listed(&store, TaskFilter { cursor: first.next_cursor, ..limit(3) }).await;
    assert_eq!(second, all[3..]);
}

pub(super) async fn lists_filter_by_status_and_session(store: Shared) {
    let plain = completed(&store, "1").await;
    let in_session =
        recorded(&store, by(new_task(), |who| who.session_id = Some("s".into()))).await;
    let ended = recorded(&store, by(new_task(), |who| who.session_id = Some("s".into()))).await;
    store.change_task(end(ended, TaskStatus::Denied, None)).await.unwrap();
    let status = |status| TaskFilter { status: Some(status), ..limit(10) };
    let session = || TaskFilter { session_id: Some("s".into()), ..limit(10) };
    assert_eq!(listed(&store, status(TaskStatus::Completed)).await, [plain]);
    assert_eq!(listed(&store, status(TaskStatus::TimedOut)).await, []);
    assert_eq!(listed(&store, session()).await, [ended, in_session]);
    assert_eq!(
        listed(&store, TaskFilter { status: Some(TaskStatus::Denied), ..session() }).await,
        [ended]
    );
}

pub(super) async fn lists_filter_by_metadata_as_values(store: Shared) {
    let values = json!([
        1, 1.5, "1", true, null, [1, 2], {"a": 1, "b": {"c": []}}, "", 12345678901234567890u64, -1
    ]);
    let mut ids = Vec::new();
    for value in values.as_array().unwrap() {
        let metadata = object(json!({"key": value, "also": "x"}));
        ids.push(recorded(&store, NewTask { metadata: Some(metadata), ..new_task() }).await);
    }
    recorded(&store, new_task()).await;
    recorded(&store, NewTask { metadata: Some(object(json!({"other": 1}))), ..new_task() }).await;
    for (value, id) in values.as_array().unwrap().iter().zip(&ids) {
        assert_eq!(listed(&store, with_metadata(json!({"key": value}))).await, [*id], "{value}");
        assert_eq!(
            listed(&store, with_metadata(json!({"also": "x", "key": value}))).await,
            [*id],
            "{value}"
        );
        assert_eq!(
            listed(&store, with_metadata(json!({"also": "y", "key": value}))).await,
            [],
            "{value}"
        );
    }
    // The order of an object's keys says nothing; that of a list does.
    assert_eq!(
        listed(&store, with_metadata(json!({"key": {"b": {"c": []}, "a": 1}}))).await,
        [ids[6]]
    );
    assert_eq!(listed(&store, with_metadata(json!({"key": [2, 1]}))).await, []);
    assert_eq!(listed(&store, with_metadata(json!({}))).await.len(), ids.len() + 2);
    let all = store
        .tasks("local", TaskFilter { limit: 3, ..with_metadata(json!({"also": "x"})) })
        .await
        .unwrap();
    let rest = TaskFilter { cursor: all.next_cursor, ..with_metadata(json!({"also": "x"})) };
    assert_eq!(listed(&store, rest).await.len(), ids.len() - 3);
}

pub(super) async fn hostile_metadata_keys_are_only_keys(store: Shared) {
    let keys = [
        "a.b",
        "$",
        "$.a",
        "$[0]",
        "a\"b",
        "a'b",
        "'; DROP TABLE tasks;--",
        "",
        "\u{0}",
        "a\u{0}b",
        "*",
        "%",
        "\\",
        "\\u0061",
        "[0]",
        "#-1",
    ];
    let mut ids = Vec::new();
    for key in keys {
        let metadata = object(json!({key: "found"}));
        ids.push(recorded(&store, NewTask { metadata: Some(metadata), ..new_task() }).await);
    }
    recorded(
        &store,
        NewTask { metadata: Some(object(json!({"a": {"b": "found"}}))), ..new_task() },
    )
    .await;
    for (key, id) in keys.iter().zip(&ids) {
        assert_eq!(listed(&store, with_metadata(json!({*key: "found"}))).await, [*id], "{key:?}");
        assert_eq!(listed(&store, with_metadata(json!({*key: "not"}))).await, [], "{key:?}");
    }
    let many: JsonObject = (0..2000).map(|n| (format!("k{n}"), n.into())).collect();
    let id = recorded(&store, NewTask { metadata: Some(many.clone()), ..new_task() }).await;
    assert_eq!(listed(&store, with_metadata(many.clone().into())).await, [id]);
    let mut one_off = many;
    one_off["k1999"] = json!("else");
    assert_eq!(listed(&store, with_metadata(one_off.into())).await, []);
}

pub(super) async fn a_foreign_cursor_is_refused(store: Shared) {
    recorded(&store, new_task()).await;
    for cursor in
        ["", "x", "AAAA", "AAAAAAAAAAA", "_________38A", "__________8", "!!!", &"A".repeat(10_000)]
    {
        let refused =
            store.tasks("local", TaskFilter { cursor: Some(cursor.into()), ..limit(10) }).await;
        assert!(
            matches!(&refused, Err(StoreError::BadCursor(shown)) if shown.len() <= 80),
            "{cursor}: {refused:?}"
        );
    }
}

pub(super) async fn a_page_is_bounded_in_bytes(store: Shared) {
    let code = "x".repeat(256 * 1024);
    for _ in 0..40 {
        drop(store.create_task(NewTask { code: code.clone(), ..new_task() }));
    }
    recorded(&store, new_task()).await;
    let page = store.tasks("local", limit(200)).await.unwrap();
    let bytes: usize = page.tasks.iter().map(|task| task.code.len()).sum();
    assert!(bytes >= LIST_BYTES_MAX && bytes < LIST_BYTES_MAX + 2 * code.len(), "{bytes}");
    let rest =
        store.tasks("local", TaskFilter { cursor: page.next_cursor, ..limit(200) }).await.unwrap();
    assert_eq!(page.tasks.len() + rest.tasks.len(), 41);
    assert_eq!(rest.next_cursor, None);
}
