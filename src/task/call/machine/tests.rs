use std::sync::LazyLock;

use serde_json::value::RawValue;

use super::*;
use crate::{
    model::{Annotations, Asked, Principal, TaskId, Timestamp},
    policy::{
        Call, Caller, CounterValues, Decision, Denial, DenialCode, Layer, LayerScope, Options,
        Policy, Profile, ToolFacts,
    },
    store::Slot,
    task::call::rejection::POLICY_DENIED,
};

/// Three limits, which reject, wait and ask. The first counts attempts, the others successes.
const LIMITS: &str = r#"
version: "1"
default: allow
tools:
  up.do:
    limits:
      - {counter: rejects, window: minute, max: 1, count: attempt}
      - {counter: waits, window: minute, max: 1, on_exceed: wait, wait: 10s}
      - {counter: asks, window: minute, max: 1, on_exceed: ask}
"#;

/// The decision of an allowed call with these limits.
pub(super) static ALLOWED: LazyLock<Decision> = LazyLock::new(|| {
    let layer = Layer {
        scope: LayerScope::Organisation,
        name: "limits.yaml".into(),
        upstream: None,
        text: LIMITS.into(),
    };
    let options = Options { profile: Profile::default(), approvals: true };
    let policy = Policy::load(vec![layer], options).unwrap();
    let tool = ToolFacts {
        path: "up.do",
        upstream: "up",
        name: "do",
        input_schema: None,
        annotations: Annotations::default(),
        trusted: false,
        operation: None,
        former: None,
    };
    let caller = Caller {
        workspace: "local",
        principal: "local",
        role: "agent",
        key: None,
        session: None,
        task: "t",
    };
    let args = serde_json::from_str::<&RawValue>("{}").unwrap();
    let call = Call { tool, args, caller, now: Timestamp::UNIX_EPOCH };
    let decision = policy.decide(&call, &CounterValues::none());
    assert_eq!((decision.reservations.len(), &decision.verdict), (3, &Verdict::Allow));
    decision
});

pub(super) fn allow() -> Verdict {
    Verdict::Allow
}

pub(super) fn ask() -> Verdict {
    Verdict::Ask(AskTerms { timeout: None, reason: "why not".into(), message: None })
}

pub(super) fn deny(hidden: bool) -> Verdict {
    let (code, message) = (DenialCode::PolicyDenied, "no".into());
    Verdict::Deny(Denial { code, message, hidden, retry_after: None })
}

pub(super) fn decided(verdict: Verdict, has_limits: bool) -> CallEvent {
    let mut decision = Decision { verdict, ..ALLOWED.clone() };
    if !has_limits {
        decision.reservations.clear();
    }
    let (revision, budget) = ("r1".to_owned(), Budget::default());
    CallEvent::Decided(Box::new(PolicyDecision { decision, revision, budget }))
}

pub(super) fn row(id: ApprovalId, status: ApprovalStatus) -> Box<Approval> {
    Box::new(Approval {
        id,
        status,
        principal: Principal::local("test"),
        task_id: TaskId::new(),
        seq: 1,
        tool: "up.do".into(),
        args: "{}".into(),
        digest: "sha256:0".into(),
        asked: Asked::default(),
        created_at: Timestamp::UNIX_EPOCH,
        expires_at: Timestamp::UNIX_EPOCH,
        decided_at: None,
        decided_by: None,
        note: None,
        why: None,
    })
}

pub(super) fn token(holds: usize) -> HoldToken {
    let slot = |index| Slot {
        index,
        key: index.to_string(),
        width: 1,
        bucket: 0,
        first: 0,
        expires_at: 1,
        cost: 1,
        max: 1,
    };
    HoldToken::of((0..holds).map(slot).collect())
}

pub(super) fn rejected() -> CallEvent {
    CallEvent::Rejected(CallRejection::new(POLICY_DENIED, "no").into())
}

pub(super) fn row_of_another_call() -> CallEvent {
    CallEvent::ApprovalDecided(row(ApprovalId::new(), ApprovalStatus::Approved))
}

/// Takes a call through these events. Returns the actions of the last one.
fn after(events: Vec<CallEvent>) -> Vec<CallAction> {
    let (mut state, mut actions) = CallState::begin();
    for event in events {
        (state, actions) = state.step(event);
    }
    actions
}

fn until_decision(verdict: Verdict) -> Vec<CallEvent> {
    vec![CallEvent::Resolved, CallEvent::Checked, decided(verdict, true)]
}

/// The events of a call that is asked about and approved.
fn until_approval(id: ApprovalId) -> Vec<CallEvent> {
    let mut events = until_decision(ask());
    events.extend([
        CallEvent::Counted,
        CallEvent::ApprovalOpened(id),
        CallEvent::Suspended,
        CallEvent::ApprovalDecided(row(id, ApprovalStatus::Approved)),
        CallEvent::Verified,
    ]);
    events
}

/// The events of a call whose counter of this index is used up.
fn until_exceeded(index: usize, retry_after: Option<Duration>, at: Duration) -> Vec<CallEvent> {
    let mut events = until_decision(allow());
    events.extend([
        CallEvent::Counted,
        CallEvent::PermitAcquired { waited: false },
        CallEvent::Exceeded { index, retry_after, at },
    ]);
    events
}

fn rejection(actions: &[CallAction]) -> &CallRejection {
    match actions.last() {
        Some(CallAction::Reject(Rejected::ByPolicy(rejection))) => rejection,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_denial_after_an_approval_wins_and_takes_the_approval_back() {
    let mut events = until_approval(ApprovalId::new());
    events.push(decided(deny(false), true));
    let actions = after(events);
    assert!(matches!(&actions[0], CallAction::WithdrawApproval(why) if why.contains("no")));
    assert_eq!(rejection(&actions).code, POLICY_DENIED);
}

#[test]
fn an_approval_is_used_for_the_call_it_was_given_for_and_no_other() {
    let id = ApprovalId::new();
    let mut events = until_approval(id);
    events.extend([decided(ask(), true), CallEvent::PermitAcquired { waited: false }]);
    assert!(matches!(after(events)[..], [CallAction::ConsumeApproval]));
    let mut events = until_approval(id);
    events.truncate(events.len() - 2);
    events.push(row_of_another_call());
    let actions = after(events);
    assert!(
        matches!(actions[0], CallAction::Resume(of, ApprovalStatus::Cancelled) if of == id),
        "{actions:?}"
    );
    assert!(matches!(actions.last(), Some(CallAction::Reject(_))));
}

#[test]
fn an_approval_about_a_counter_is_used_before_policy_asks_about_the_call() {
    let id = ApprovalId::new();
    let mut events = until_exceeded(2, None, Duration::ZERO);
    events.extend([
        CallEvent::ApprovalOpened(id),
        CallEvent::Suspended,
        CallEvent::ApprovalDecided(row(id, ApprovalStatus::Approved)),
        CallEvent::Verified,
        decided(ask(), true),
    ]);
    let (mut state, mut actions) = CallState::begin();
    for event in events {
        (state, actions) = state.step(event);
    }
    assert!(matches!(actions[..], [CallAction::ConsumeApproval]), "{actions:?}");
    let (_, actions) = state.step(CallEvent::ApprovalConsumed);
    assert!(matches!(actions[..], [CallAction::OpenApproval(_)]), "{actions:?}");
}

#[test]
fn a_call_that_waited_for_its_permit_is_decided_again() {
    let mut events = until_decision(allow());
    events.extend([CallEvent::Counted, CallEvent::PermitAcquired { waited: true }]);
    assert!(matches!(after(events)[..], [CallAction::Decide]));
}

#[test]
fn a_used_up_counter_rejects_waits_or_asks() {
    let second = Duration::from_secs(1);
    let rejects = after(until_exceeded(0, Some(second), Duration::ZERO));
    assert!(matches!(rejects[0], CallAction::ReleasePermit));
    assert_eq!(
        (rejection(&rejects).code, rejection(&rejects).retry_after),
        (RATE_LIMITED, Some(second))
    );
    let waits = after(until_exceeded(1, Some(second), Duration::ZERO));
    assert!(
        matches!(waits[..], [CallAction::ReleasePermit, CallAction::Wait(wait)] if wait == second)
    );
    let short = after(until_exceeded(1, Some(Duration::ZERO), Duration::ZERO));
    assert!(matches!(short[..], [_, CallAction::Wait(WAIT_MIN)]));
    let never = after(until_exceeded(1, None, Duration::ZERO));
    assert_eq!(rejection(&never).code, RATE_LIMITED);
    let asks = after(until_exceeded(2, None, Duration::ZERO));
    let [CallAction::ReleasePermit, CallAction::OpenApproval(request)] = &asks[..] else {
        panic!("{asks:?}")
    };
    assert!(request.terms.reason.contains("limit of 1 per minute"), "{request:?}");
    let unknown = after(until_exceeded(9, None, Duration::ZERO));
    assert_eq!(rejection(&unknown).code, "policy_error");
}

#[test]
fn the_patience_for_counters_is_of_the_whole_call_and_not_of_each_wait() {
    let (second, begun) = (Duration::from_secs(1), Duration::from_secs(5));
    // Ten seconds from the first wait on.
    let again = |at: Duration| {
        let mut events = until_exceeded(1, Some(second), begun);
        events.extend([
            CallEvent::Waited,
            decided(allow(), true),
            CallEvent::PermitAcquired { waited: false },
            CallEvent::Exceeded { index: 1, retry_after: Some(second), at },
        ]);
        after(events)
    };
    assert!(matches!(again(Duration::from_secs(14))[..], [_, CallAction::Wait(_)]));
    assert_eq!(rejection(&again(Duration::from_millis(14_001))).code, RATE_LIMITED);
}

#[test]
fn a_call_is_decided_so_often_and_no_more() {
    let mut events = vec![CallEvent::Resolved, CallEvent::Checked];
    let retry_after = Some(Duration::ZERO);
    for round in 0..ROUNDS_MAX {
        events.push(decided(allow(), true));
        if round == 0 {
            events.push(CallEvent::Counted);
        }
        events.extend([
            CallEvent::PermitAcquired { waited: false },
            CallEvent::Exceeded { index: 1, retry_after, at: Duration::ZERO },
            CallEvent::Waited,
        ]);
    }
    let actions = after(events);
    assert_eq!(rejection(&actions).code, "policy_error");
    assert!(rejection(&actions).message.contains("1000 times"));
}

#[test]
fn what_had_no_effect_gives_back_what_counts_successes() {
    let until = |ends: Vec<CallEvent>| {
        let mut events = until_decision(allow());
        events.extend([
            CallEvent::Counted,
            CallEvent::PermitAcquired { waited: false },
            CallEvent::Reserved(token(3)),
            CallEvent::Expanded,
        ]);
        events.extend(ends);
        after(events)
    };
    let given_back = |actions: &[CallAction]| match &actions[0] {
        CallAction::GiveBack(token) => token.slots().iter().map(|slot| slot.index).collect(),
        _ => vec![],
    };
    let failed = CallEvent::NoEffect(CallRejection::in_doubt("lost").into());
    let actions = until(vec![CallEvent::Started, failed]);
    assert_eq!(given_back(&actions), [1, 2]);
    // What may have had an effect stays counted.
    assert_eq!(given_back(&until(vec![CallEvent::Started, rejected()])), Vec::<usize>::new());
    // What was not sent is given back whole.
    assert_eq!(given_back(&until(vec![rejected()])), [0, 1, 2]);
    let dropped = || CallEvent::RunDropped(DropCause::RunEnded);
    let actions = until(vec![dropped()]);
    assert_eq!(given_back(&actions), [0, 1, 2]);
    assert!(matches!(actions[1..], [CallAction::Abandon]), "its start may be on record");
    let actions = until(vec![CallEvent::Started, dropped()]);
    assert!(matches!(actions[..], [CallAction::Abandon]));
}

#[test]
fn a_reservation_that_comes_after_the_end_of_the_run_is_given_back() {
    let mut events = until_decision(allow());
    events.extend([
        CallEvent::Counted,
        CallEvent::PermitAcquired { waited: false },
        CallEvent::RunDropped(DropCause::RunEnded),
        CallEvent::Reserved(token(3)),
    ]);
    let actions = after(events);
    assert!(matches!(&actions[..], [CallAction::GiveBack(given)] if given.slots().len() == 3));
}

#[test]
fn a_run_that_ends_while_a_person_is_asked_cancels_the_approval() {
    let id = ApprovalId::new();
    let mut events = until_approval(id);
    events.truncate(events.len() - 2);
    events.push(CallEvent::RunDropped(DropCause::RunEnded));
    let actions = after(events);
    let [CallAction::Resume(of, status), CallAction::CancelApproval(cause)] = &actions[..] else {
        panic!("{actions:?}")
    };
    assert_eq!((*of, *status), (id, ApprovalStatus::Cancelled));
    assert_eq!(cause.as_str(), "its task ended first");
}
