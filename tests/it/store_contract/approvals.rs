//! What every store promises of approvals.

use std::sync::Arc;

use airlock::{
    model::{Approval, ApprovalStatus},
    store::{ApprovalChange, ApprovalCounts, ApprovalFilter, Decided, StoreError},
};

use super::{Shared, asked, decided_by_a_person, decision, later};

super::contract! { approvals:
    an_approval_comes_back_as_it_was_asked
    racing_decisions_have_one_effect
    a_decision_after_the_time_is_over_does_not_count
    an_approval_of_another_workspace_is_not_there
    approvals_are_listed_newest_first_and_paged
}

pub(super) async fn an_approval_comes_back_as_it_was_asked(store: Shared) {
    let approval = asked(&store).await;
    assert_eq!(store.approval("local", approval.id).await.unwrap(), Some(approval.clone()));
    let Decided::Changed(approved) = store
        .decide_approval("local", decided_by_a_person(&approval, ApprovalStatus::Approved))
        .await
        .unwrap()
    else {
        panic!("it was pending")
    };
    assert_eq!(
        (approved.status, approved.decided_by.as_deref()),
        (ApprovalStatus::Approved, Some("owner"))
    );
    let consume = decision(&approval, ApprovalStatus::Approved, ApprovalStatus::Consumed);
    let Decided::Changed(consumed) = store.decide_approval("local", consume.clone()).await.unwrap()
    else {
        panic!("it was approved")
    };
    // Who decided it and when stays, and so does the call.
    let expected = Approval { status: ApprovalStatus::Consumed, ..*approved };
    assert_eq!((&*consumed, consumed.args.as_str()), (&expected, approval.args.as_str()));
    assert_eq!(store.decide_approval("local", consume).await.unwrap(), Decided::Refused(consumed));
}

pub(super) async fn racing_decisions_have_one_effect(store: Shared) {
    let approval = asked(&store).await;
    let racers = (0..40).map(|n| {
        let to = if n % 2 == 0 { ApprovalStatus::Approved } else { ApprovalStatus::Denied };
        let (store, decided_by_a_person) = (Arc::clone(&store), decided_by_a_person(&approval, to));
        tokio::spawn(async move {
            (to, store.decide_approval("local", decided_by_a_person).await.unwrap())
        })
    });
    let ended = futures::future::join_all(racers.collect::<Vec<_>>()).await;
    let won: Vec<_> = ended
        .into_iter()
        .map(Result::unwrap)
        .filter(|(_, decided)| matches!(decided, Decided::Changed(_)))
        .collect();
    assert_eq!(won.len(), 1);
    assert_eq!(store.approval("local", approval.id).await.unwrap().unwrap().status, won[0].0);
}

pub(super) async fn a_decision_after_the_time_is_over_does_not_count(store: Shared) {
    let approval = asked(&store).await;
    let late = ApprovalChange {
        at: later(60),
        ..decided_by_a_person(&approval, ApprovalStatus::Approved)
    };
    assert_eq!(
        store.decide_approval("local", late).await.unwrap(),
        Decided::Refused(Box::new(approval.clone()))
    );
    let expire = ApprovalChange {
        at: later(61),
        why: Some("nobody answered".into()),
        ..decision(&approval, ApprovalStatus::Pending, ApprovalStatus::Expired)
    };
    let Decided::Changed(expired) = store.decide_approval("local", expire).await.unwrap() else {
        panic!("it was pending")
    };
    assert_eq!(
        (expired.status, expired.why.as_deref(), expired.decided_by),
        (ApprovalStatus::Expired, Some("nobody answered"), None)
    );
}

pub(super) async fn an_approval_of_another_workspace_is_not_there(store: Shared) {
    let approval = asked(&store).await;
    assert_eq!(store.approval("other", approval.id).await.unwrap(), None);
    assert_eq!(
        store
            .decide_approval("other", decided_by_a_person(&approval, ApprovalStatus::Approved))
            .await
            .unwrap(),
        Decided::Absent
    );
    let filter = ApprovalFilter { limit: 10, ..ApprovalFilter::default() };
    assert!(store.approvals("other", filter).await.unwrap().approvals.is_empty());
    assert_eq!(store.approval("local", approval.id).await.unwrap(), Some(approval));
}

pub(super) async fn approvals_are_listed_newest_first_and_paged(store: Shared) {
    let mut all = vec![];
    for _ in 0..5 {
        all.push(asked(&store).await);
    }
    store
        .decide_approval("local", decided_by_a_person(&all[2], ApprovalStatus::Denied))
        .await
        .unwrap();
    let ids = |page: &[Approval]| page.iter().map(|approval| approval.id).collect::<Vec<_>>();
    let pending = ApprovalFilter {
        status: Some(ApprovalStatus::Pending),
        limit: 3,
        ..ApprovalFilter::default()
    };
    let first = store.approvals("local", pending.clone()).await.unwrap();
    assert_eq!(ids(&first.approvals), [all[4].id, all[3].id, all[1].id]);
    let rest = store
        .approvals("local", ApprovalFilter { cursor: first.next_cursor, ..pending })
        .await
        .unwrap();
    assert_eq!((ids(&rest.approvals), rest.next_cursor), (vec![all[0].id], None));
    let past = ApprovalFilter { past: true, limit: 10, ..ApprovalFilter::default() };
    assert_eq!(ids(&store.approvals("local", past).await.unwrap().approvals), [all[2].id]);
    let counts = ApprovalCounts { waiting: 4, past: 1 };
    assert_eq!(store.count_approvals("local").await.unwrap(), counts);
    assert_eq!(store.count_approvals("other").await.unwrap(), ApprovalCounts::default());
    let of_task =
        ApprovalFilter { task_id: Some(all[2].task_id), limit: 10, ..ApprovalFilter::default() };
    assert_eq!(ids(&store.approvals("local", of_task).await.unwrap().approvals), [all[2].id]);
    let foreign =
        ApprovalFilter { cursor: Some("x".into()), limit: 10, ..ApprovalFilter::default() };
    assert!(matches!(store.approvals("local", foreign).await, Err(StoreError::BadCursor(_))));
}
