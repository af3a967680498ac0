//! What every store promises of counters, approvals and calls.

use std::{sync::Arc, time::Duration};

use airlock::{
    model::{
        Approval, ApprovalId, ApprovalStatus, Asked, AskingRule, EventData, EventKind, Principal,
        TaskEnded, TaskError, TaskId, Timestamp,
    },
    store::{
        ApprovalChange, ApprovalFilter, COUNTER_KEY_BYTES_MAX, CounterHold, CounterRead,
        CounterWindow, Decided, HOLDS_MAX, HoldToken, NewTask, Recovery, Reserved, StoreError,
        TaskChange,
    },
};

use super::{Shared, change, event, new_task, recorded, recovery};

/// Each case, as a test in a module of the implementation.
macro_rules! contract {
    ($($case:ident)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $case() {
            let opened = super::open().await;
            $crate::store_contract::policy::$case(opened.store()).await;
        })*
    };
}

/// The list of cases; a case that is missing here is an unused function, which the compiler
/// reports.
macro_rules! cases {
    () => {
        $crate::store_contract::policy::contract! {
            two_hundred_at_once_let_exactly_ten_through
            a_reservation_is_all_or_nothing
            what_is_given_back_may_be_taken_again
            a_part_of_a_reservation_can_be_given_back
            a_fixed_window_begins_anew_at_its_edge
            a_rolling_window_never_lets_more_through
            millionths_add_up_exactly
            a_cost_that_never_fits_is_never_told_to_wait
            windows_and_keys_do_not_share
            two_holds_on_one_counter_are_one_use
            a_reservation_that_makes_no_sense_is_refused
            an_approval_comes_back_as_it_was_asked
            racing_decisions_have_one_effect
            a_word_after_the_time_is_over_does_not_count
            an_approval_of_another_workspace_is_not_there
            approvals_are_listed_newest_first_and_paged
            what_a_dead_server_left_is_void
            a_call_that_had_left_is_told_from_one_that_had_not
        }
    };
}
pub(crate) use {cases, contract};

const MILLION: i64 = 1_000_000;
const MINUTE: CounterWindow = CounterWindow::Fixed(Duration::from_secs(60));

fn hold(key: &str, max: i64) -> CounterHold {
    CounterHold { key: key.into(), window: MINUTE, max: max * MILLION, cost: MILLION }
}

/// The middle of a minute, so that no case crosses its edge by chance.
fn moment() -> Timestamp {
    Timestamp::from_second(1_795_257_030).unwrap()
}

fn later(seconds: i64) -> Timestamp {
    moment() + jiff::SignedDuration::from_secs(seconds)
}

async fn value(store: &Shared, key: &str, window: CounterWindow) -> i64 {
    store.counters(moment(), &[CounterRead { key: key.into(), window }]).await.unwrap()[0]
}

fn held(reserved: Reserved) -> HoldToken {
    match reserved {
        Reserved::Held(token) => token,
        Reserved::Exceeded { .. } => panic!("it should fit: {reserved:?}"),
    }
}

pub(super) async fn two_hundred_at_once_let_exactly_ten_through(store: Shared) {
    let asked = (0..200).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { store.reserve(moment(), &[hold("k", 10)]).await.unwrap() })
    });
    let answers = futures::future::join_all(asked.collect::<Vec<_>>()).await;
    let held = answers
        .iter()
        .filter(|answer| matches!(answer.as_ref().unwrap(), Reserved::Held(_)))
        .count();
    assert_eq!(held, 10);
    assert_eq!(value(&store, "k", MINUTE).await, 10 * MILLION);
}

pub(super) async fn a_reservation_is_all_or_nothing(store: Shared) {
    held(store.reserve(moment(), &[hold("small", 1)]).await.unwrap());
    let refused = store
        .reserve(moment(), &[hold("large", 5), hold("small", 1), hold("other", 5)])
        .await
        .unwrap();
    let Reserved::Exceeded { index, value: counted, retry_after } = refused else {
        panic!("{refused:?}")
    };
    assert_eq!((index, counted, retry_after), (1, MILLION, Some(Duration::from_secs(30))));
    assert_eq!(
        (value(&store, "large", MINUTE).await, value(&store, "other", MINUTE).await),
        (0, 0)
    );
}

pub(super) async fn what_is_given_back_may_be_taken_again(store: Shared) {
    let token = held(store.reserve(moment(), &[hold("k", 1)]).await.unwrap());
    assert!(matches!(
        store.reserve(moment(), &[hold("k", 1)]).await.unwrap(),
        Reserved::Exceeded { .. }
    ));
    store.release(token).await.unwrap();
    let token = held(store.reserve(moment(), &[hold("k", 1)]).await.unwrap());
    assert!(matches!(
        store.reserve(moment(), &[hold("k", 1)]).await.unwrap(),
        Reserved::Exceeded { .. }
    ));
    // Given back too often it becomes no credit.
    store.release(token.clone()).await.unwrap();
    store.release(token).await.unwrap();
    assert_eq!(value(&store, "k", MINUTE).await, 0);
}

pub(super) async fn a_part_of_a_reservation_can_be_given_back(store: Shared) {
    let token =
        held(store.reserve(moment(), &[hold("tries", 5), hold("successes", 5)]).await.unwrap());
    store.release(token.part(|index| index == 1)).await.unwrap();
    assert_eq!(
        (value(&store, "tries", MINUTE).await, value(&store, "successes", MINUTE).await),
        (MILLION, 0)
    );
}

pub(super) async fn a_fixed_window_begins_anew_at_its_edge(store: Shared) {
    held(store.reserve(later(29), &[hold("k", 1)]).await.unwrap());
    let refused = store.reserve(later(29), &[hold("k", 1)]).await.unwrap();
    assert!(
        matches!(refused, Reserved::Exceeded { retry_after: Some(wait), .. } if wait == Duration::from_secs(1)),
        "{refused:?}"
    );
    held(store.reserve(later(30), &[hold("k", 1)]).await.unwrap());
}

pub(super) async fn a_rolling_window_never_lets_more_through(store: Shared) {
    let window = CounterWindow::Rolling(Duration::from_secs(64));
    let hold = CounterHold { window, ..hold("k", 5) };
    let mut let_through: Vec<i64> = vec![];
    for second in 0..400 {
        if let Reserved::Held(_) =
            store.reserve(later(second), std::slice::from_ref(&hold)).await.unwrap()
        {
            let_through.push(second);
        }
    }
    for at in 0..400 {
        let within = let_through.iter().filter(|second| (at - 64..at).contains(*second)).count();
        assert!(within <= 5, "{within} within 64 s before {at}: {let_through:?}");
    }
    // A call is forgotten after 64 s, and at most 4 s later.
    assert!(let_through.len() >= 5 * (400 / 68), "{let_through:?}");
}

pub(super) async fn millionths_add_up_exactly(store: Shared) {
    let cents = CounterHold { cost: 990_000, ..hold("spend", 10) };
    for _ in 0..10 {
        held(store.reserve(moment(), std::slice::from_ref(&cents)).await.unwrap());
    }
    assert_eq!(value(&store, "spend", MINUTE).await, 9_900_000);
    held(store.reserve(moment(), &[CounterHold { cost: 100_000, ..cents.clone() }]).await.unwrap());
    let refused = store.reserve(moment(), &[CounterHold { cost: 1, ..cents }]).await.unwrap();
    assert!(matches!(refused, Reserved::Exceeded { value: 10_000_000, .. }), "{refused:?}");
}

pub(super) async fn a_cost_that_never_fits_is_never_told_to_wait(store: Shared) {
    let huge = CounterHold { cost: i64::MAX, ..hold("k", 10) };
    let refused = store.reserve(moment(), &[huge]).await.unwrap();
    assert_eq!(refused, Reserved::Exceeded { index: 0, value: 0, retry_after: None });
    let whole = CounterHold { window: CounterWindow::Whole, ..hold("task", 1) };
    held(store.reserve(moment(), std::slice::from_ref(&whole)).await.unwrap());
    let refused = store.reserve(later(86_400), std::slice::from_ref(&whole)).await.unwrap();
    assert_eq!(refused, Reserved::Exceeded { index: 0, value: MILLION, retry_after: None });
}

pub(super) async fn windows_and_keys_do_not_share(store: Shared) {
    let hour =
        CounterHold { window: CounterWindow::Fixed(Duration::from_secs(3600)), ..hold("k", 1) };
    let whole = CounterHold { window: CounterWindow::Whole, ..hold("k", 1) };
    held(
        store
            .reserve(
                moment(),
                &[hold("k", 1), hour, whole, hold("K", 1), hold("k\u{0}", 1), hold("k'--", 1)],
            )
            .await
            .unwrap(),
    );
}

pub(super) async fn two_holds_on_one_counter_are_one_use(store: Shared) {
    let cheap = hold("k", 10);
    let dear = CounterHold { cost: 3 * MILLION, ..hold("k", 4) };
    held(store.reserve(moment(), &[cheap.clone(), dear.clone()]).await.unwrap());
    assert_eq!(value(&store, "k", MINUTE).await, 3 * MILLION);
    let refused = store.reserve(moment(), &[cheap, dear]).await.unwrap();
    assert!(
        matches!(refused, Reserved::Exceeded { index: 1, .. }),
        "the smaller bound speaks: {refused:?}"
    );
}

pub(super) async fn a_reservation_that_makes_no_sense_is_refused(store: Shared) {
    let wrong = [
        vec![CounterHold { cost: -1, ..hold("k", 10) }],
        vec![CounterHold { max: -1, ..hold("k", 10) }],
        vec![hold(&"k".repeat(COUNTER_KEY_BYTES_MAX + 1), 10)],
        (0..=HOLDS_MAX).map(|n| hold(&format!("k{n}"), 10)).collect(),
    ];
    for holds in wrong {
        let refused = store.reserve(moment(), &holds).await;
        assert!(matches!(refused, Err(StoreError::Invalid(_))), "{refused:?}");
    }
    assert_eq!(value(&store, "k", MINUTE).await, 0);
    held(store.reserve(moment(), &[]).await.unwrap());
}

fn approval() -> Approval {
    Approval {
        id: ApprovalId::new(),
        status: ApprovalStatus::Pending,
        principal: Principal::local("tests"),
        task_id: TaskId::new(),
        seq: 3,
        tool: "bank.pay".into(),
        args: "{ \"amount\": 1.0,\"to\": \"\u{202e}x\" }".into(),
        digest: "sha256:00".into(),
        asked: Asked {
            upstream: "bank".into(),
            class: "Financial".into(),
            rule: Some(AskingRule {
                name: "big".into(),
                pointer: "/tools/bank.pay".into(),
                layer: "p.yaml".into(),
            }),
            line: Some(7),
            ..Asked::default()
        },
        created_at: moment(),
        expires_at: later(60),
        decided_at: None,
        decided_by: None,
        note: None,
        why: None,
    }
}

/// A pending approval of a task that the starting instance itself runs.
async fn of_running_task(store: &Shared) -> Approval {
    let task = NewTask { instance_id: recovery().instance_id, ..new_task() };
    let approval = Approval { task_id: recorded(store, task).await, ..approval() };
    store.ask_approval(approval.clone()).await.unwrap();
    approval
}

async fn asked(store: &Shared) -> Approval {
    let approval = approval();
    store.ask_approval(approval.clone()).await.unwrap();
    approval
}

fn decision(approval: &Approval, from: ApprovalStatus, to: ApprovalStatus) -> ApprovalChange {
    ApprovalChange { id: approval.id, from, to, at: later(1), by: None, note: None, why: None }
}

fn word(approval: &Approval, to: ApprovalStatus) -> ApprovalChange {
    let note = Some("because".into());
    ApprovalChange {
        by: Some("owner".into()),
        note,
        ..decision(approval, ApprovalStatus::Pending, to)
    }
}

pub(super) async fn an_approval_comes_back_as_it_was_asked(store: Shared) {
    let approval = asked(&store).await;
    assert_eq!(store.approval("local", approval.id).await.unwrap(), Some(approval.clone()));
    let Decided::Changed(approved) =
        store.decide_approval("local", word(&approval, ApprovalStatus::Approved)).await.unwrap()
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
        let (store, word) = (Arc::clone(&store), word(&approval, to));
        tokio::spawn(async move { (to, store.decide_approval("local", word).await.unwrap()) })
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

pub(super) async fn a_word_after_the_time_is_over_does_not_count(store: Shared) {
    let approval = asked(&store).await;
    let late = ApprovalChange { at: later(60), ..word(&approval, ApprovalStatus::Approved) };
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
        store.decide_approval("other", word(&approval, ApprovalStatus::Approved)).await.unwrap(),
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
    store.decide_approval("local", word(&all[2], ApprovalStatus::Denied)).await.unwrap();
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
    let of_task =
        ApprovalFilter { task_id: Some(all[2].task_id), limit: 10, ..ApprovalFilter::default() };
    assert_eq!(ids(&store.approvals("local", of_task).await.unwrap().approvals), [all[2].id]);
    let foreign =
        ApprovalFilter { cursor: Some("x".into()), limit: 10, ..ApprovalFilter::default() };
    assert!(matches!(store.approvals("local", foreign).await, Err(StoreError::BadCursor(_))));
}

pub(super) async fn what_a_dead_server_left_is_void(store: Shared) {
    let (pending, approved, denied) =
        (asked(&store).await, asked(&store).await, asked(&store).await);
    store.decide_approval("local", word(&approved, ApprovalStatus::Approved)).await.unwrap();
    store.decide_approval("local", word(&denied, ApprovalStatus::Denied)).await.unwrap();
    let of_running = of_running_task(&store).await;
    let recovery = |at, why: &str| Recovery { at, why: why.into(), ..recovery() };
    let recovered = store.recover(recovery(later(5), "the server stopped")).await.unwrap();
    assert_eq!(recovered.approvals, 2);
    assert_eq!(store.recover(recovery(later(6), "again")).await.unwrap().approvals, 0);
    let row = store.approval("local", of_running.id).await.unwrap().unwrap();
    assert_eq!(row.status, ApprovalStatus::Pending, "its task is run by the one that starts");
    for (id, status) in [
        (pending.id, ApprovalStatus::Void),
        (approved.id, ApprovalStatus::Void),
        (denied.id, ApprovalStatus::Denied),
    ] {
        let row = store.approval("local", id).await.unwrap().unwrap();
        assert_eq!((row.status, row.args), (status, pending.args.clone()));
        assert_eq!(row.why.is_some(), status == ApprovalStatus::Void);
    }
}

pub(super) async fn a_call_that_had_left_is_told_from_one_that_had_not(store: Shared) {
    use EventKind::*;
    let errors = ["under way", "idle"]
        .map(|message| TaskError { message: message.into(), ..TaskError::default() });
    let table: [(&[(EventKind, u32)], usize); 6] = [
        (&[], 1),
        (&[(CallRequested, 1), (ApprovalRequested, 1)], 1),
        (&[(CallRequested, 1), (CallStarted, 1), (CallCompleted, 1), (CallRequested, 2)], 1),
        (&[(CallRequested, 1), (CallStarted, 1), (CallFailed, 1), (CallDenied, 2)], 1),
        (&[(CallRequested, 1), (CallStarted, 1)], 0),
        (&[(CallStarted, 1), (CallStarted, 2), (CallCompleted, 1), (ApprovalRequested, 3)], 0),
    ];
    let mut tasks = vec![];
    for (events, expected) in table {
        let id = recorded(&store, new_task()).await;
        let events = events.iter().map(|(kind, seq)| event(*kind, *seq)).collect();
        store.change_task(TaskChange { events, ..change(id) }).await.unwrap();
        tasks.push((id, expected));
    }
    let [under_way, idle] = errors.clone();
    let recovered = store.recover(Recovery { under_way, idle, ..recovery() }).await.unwrap();
    assert_eq!(recovered.tasks, 6);
    for (id, expected) in tasks {
        assert_eq!(
            store.task("local", id).await.unwrap().unwrap().error.as_ref(),
            Some(&errors[expected])
        );
        let events = store.events("local", id, 0, 20).await.unwrap();
        let failed = EventData::TaskFailed(TaskEnded::at_recovery(&errors[expected]));
        assert_eq!(events.last().unwrap().data, failed);
    }
}
