//! What every store promises of ids by their beginnings, and of the numbers of what is on record.

use airlock::{
    model::{IdBeginning, IdKind, TaskStatus, Timestamp},
    store::{Counts, IDS_MAX},
};

use super::{Shared, by, completed, end, new_task, recorded};

super::contract! { overview:
    ids_are_found_by_their_beginning_the_newest_first
    what_is_on_record_is_counted_for_each_workspace
}

fn beginning(text: &str) -> IdBeginning {
    text.parse().unwrap()
}

pub(super) async fn ids_are_found_by_their_beginning_the_newest_first(store: Shared) {
    let mut all = Vec::new();
    for _ in 0..=IDS_MAX {
        all.push(recorded(&store, new_task()).await.to_string());
    }
    let foreign = by(new_task(), |who| who.workspace_id = "other".into());
    let foreign = recorded(&store, foreign).await.to_string();
    let ids = async |workspace: &str, text: &str| {
        store.ids(workspace, Timestamp::now(), beginning(text)).await.unwrap()
    };
    for id in &all {
        assert_eq!(ids("local", id).await, std::slice::from_ref(id));
    }
    assert_eq!(ids("local", &foreign).await, <[String; 0]>::default());
    assert_eq!(ids("other", &foreign[..12]).await, std::slice::from_ref(&foreign));
    let common = &all[0][..9];
    let mut newest: Vec<_> = all.iter().filter(|id| id.starts_with(common)).cloned().collect();
    newest.sort_unstable_by(|a, b| b.cmp(a));
    newest.truncate(IDS_MAX as usize);
    assert_eq!(ids("local", common).await, newest);
    for kind in [IdKind::Approval, IdKind::Artifact] {
        let digits = &all[0]["task_".len()..];
        let other = IdBeginning::of(kind, digits).unwrap();
        let found = store.ids("local", Timestamp::now(), other).await.unwrap();
        assert_eq!(found, <[String; 0]>::default(), "a task is no {}", kind.noun());
    }
}

pub(super) async fn what_is_on_record_is_counted_for_each_workspace(store: Shared) {
    let counts = async |workspace: &str| store.counts(workspace, Timestamp::now()).await.unwrap();
    assert_eq!(counts("local").await, Counts::default());
    completed(&store, "1").await;
    let failed = recorded(&store, new_task()).await;
    store.change_task(end(failed, TaskStatus::Failed, None)).await.unwrap();
    recorded(&store, new_task()).await;
    recorded(&store, by(new_task(), |who| who.workspace_id = "other".into())).await;
    assert_eq!(
        counts("local").await,
        Counts { tasks: 3, unfinished_tasks: 1, ..Counts::default() }
    );
    assert_eq!(counts("other").await.tasks, 1);
}
