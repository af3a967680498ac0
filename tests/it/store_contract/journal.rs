//! What every store promises of the journals of tasks.

use airlock::{
    model::{EventKind, TaskStatus},
    store::TaskChange,
};

use super::{Shared, change, end, event, kinds, new_task, recorded};

super::contract! { journal:
    events_are_numbered_without_gaps
    concurrent_events_of_one_task_have_no_gaps
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
