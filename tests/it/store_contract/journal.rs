//! What every store promises of the journals of tasks.

use airlock::{
    model::{EventKind, TaskStatus},
    store::{JournalRow, TaskChange},
};

use super::{Shared, change, end, event, kinds, new_task, recorded};

super::contract! { journal:
    events_are_numbered_without_gaps
    concurrent_events_of_one_task_have_no_gaps
    a_journal_comes_back_as_it_was_written
}

pub(super) async fn events_are_numbered_without_gaps(store: Shared) {
    let id = recorded(&store, new_task()).await;
    let events = (0..3).map(|n| event(EventKind::CallRequested, n)).collect();
    store.change_task(TaskChange { events, ..change(id) }).await.unwrap();
    store.change_task(end(id, TaskStatus::Completed, None)).await.unwrap();
    use EventKind::{CallRequested, TaskCompleted, TaskCreated, TaskQueued};
    let all = [
        (1, TaskCreated),
        (2, TaskQueued),
        (3, CallRequested),
        (4, CallRequested),
        (5, CallRequested),
        (6, TaskCompleted),
    ];
    assert_eq!(kinds(&store, id).await, all);
    let some = store.events("local", id, 3, 2).await.unwrap();
    assert_eq!(
        some.iter().map(|event| (event.seq, event.data.call())).collect::<Vec<_>>(),
        [(4, Some(1)), (5, Some(2))]
    );
}

pub(super) async fn concurrent_events_of_one_task_have_no_gaps(store: Shared) {
    let id = recorded(&store, new_task()).await;
    let writes = (0..300).map(|n| {
        let events = vec![event(EventKind::CallStarted, n), event(EventKind::CallCompleted, n)];
        store.change_task(TaskChange { events, ..change(id) })
    });
    for written in futures::future::join_all(writes).await {
        written.unwrap();
    }
    let events = store.events("local", id, 2, 1000).await.unwrap();
    assert_eq!(events.len(), 600);
    for (place, event) in events.iter().enumerate() {
        assert_eq!((event.seq, event.data.call()), (place as u64 + 3, Some(place as u32 / 2)));
    }
}

pub(super) async fn a_journal_comes_back_as_it_was_written(store: Shared) {
    let (id, other) = (recorded(&store, new_task()).await, recorded(&store, new_task()).await);
    let row = |n: u32, entries: &str| JournalRow { n, entries: entries.to_owned() };
    let large = format!("[\"{}\"]", "x".repeat(3 * 1024 * 1024));
    let rows = [
        row(0, "[{ \"n\": 9007199254740993, \"x\": 1.0,\n \"t\": \"\\u0000\u{202e}\" }]"),
        row(1, "not JSON at all"),
        row(2, &large),
    ];
    let write = |id, rows: &[JournalRow]| {
        let events = vec![event(EventKind::CallRequested, 1)];
        store.change_task(TaskChange { events, journal: rows.to_vec(), ..change(id) })
    };
    let written = [write(id, &rows[..1]), write(other, &rows[..1]), write(id, &rows[1..])];
    for written in futures::future::join_all(written).await {
        written.unwrap();
    }
    assert!(store.journal("local", id).await.unwrap() == rows, "to the byte");
    assert_eq!(store.journal("local", other).await.unwrap().len(), 1);
    assert!(store.journal("elsewhere", id).await.unwrap().is_empty());
    store.change_task(end(id, TaskStatus::Completed, None)).await.unwrap();
    assert!(write(id, &[row(3, "[]")]).await.is_err(), "it has ended");
    assert_eq!(store.journal("local", id).await.unwrap().len(), 3);
}
