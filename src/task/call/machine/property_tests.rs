//! Random events: whatever happens to a call, its account is right.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{
    tests::{ALLOWED, allow, ask, decided, deny, rejected, row, row_of_another_call, token},
    *,
};

/// A response of the world to the action whose event is awaited.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Chance {
    /// The action succeeds; where several successes are possible this chooses one.
    Success(u8),
    Failure,
    RunDropped,
    /// An event that belongs to another action.
    Wrong(u8),
}

fn chance() -> impl Strategy<Value = Chance> {
    prop_oneof![
        40 => any::<u8>().prop_map(Chance::Success),
        2 => Just(Chance::Failure),
        1 => Just(Chance::RunDropped),
        1 => any::<u8>().prop_map(Chance::Wrong),
    ]
}

/// The surroundings of one call, and the account of what it does to them.
#[derive(Debug, Default)]
struct World {
    awaited: Option<&'static str>,
    id: Option<ApprovalId>,
    /// The latest verdict; none after a wait, until it is decided again.
    verdict: Option<&'static str>,
    decisions: usize,
    holds: usize,
    /// The statuses of the approvals.
    approvals: BTreeMap<ApprovalId, ApprovalStatus>,
    suspended: BTreeSet<ApprovalId>,
    resumed: BTreeSet<ApprovalId>,
    /// Whether the open approval is about the call itself, and not about a counter.
    asks_about_call: bool,
    is_call_approved: bool,
    /// The holds that are reserved, and neither sent nor given back.
    reserved: BTreeSet<usize>,
    is_noted: bool,
    is_started: bool,
    sent: usize,
    ends: usize,
    is_dropped: bool,
}

impl World {
    fn status(&mut self, status: ApprovalStatus) {
        let id = self.id.expect("an approval is open");
        self.approvals.insert(id, status);
    }

    /// Accounts for an action, and checks what must hold when it is performed.
    fn perform(&mut self, action: &CallAction) {
        assert_eq!(self.ends, 0, "after the end: {action:?}");
        self.awaited = None;
        match action {
            CallAction::NoteRequested(_) => {
                assert!(
                    !std::mem::replace(&mut self.is_noted, true),
                    "its request is recorded once"
                );
            }
            CallAction::Suspend => {
                assert!(self.is_noted && self.suspended.insert(self.id.unwrap()));
                self.awaited = Some("suspend");
            }
            CallAction::Resume(id, _) => {
                assert!(self.suspended.contains(id) && self.resumed.insert(*id));
            }
            CallAction::WithdrawApproval(_) => {
                assert_eq!(self.approvals[&self.id.unwrap()], ApprovalStatus::Approved);
                self.status(ApprovalStatus::Cancelled);
            }
            CallAction::CancelApproval(_) => self.status(ApprovalStatus::Cancelled),
            CallAction::ConsumeApproval => {
                assert_eq!(self.approvals[&self.id.unwrap()], ApprovalStatus::Approved);
                self.awaited = Some("consume");
            }
            CallAction::OpenApproval(request) => {
                self.asks_about_call = !request.terms.reason.contains("limit of");
                self.awaited = Some("open");
            }
            CallAction::GiveBack(token) => {
                assert!(!token.is_empty());
                for slot in token.slots() {
                    assert!(self.reserved.remove(&slot.index), "given back once");
                }
            }
            CallAction::RecordStart(..) => {
                assert!(self.is_noted && !self.is_started);
                self.is_started = true;
                self.awaited = Some("start");
            }
            CallAction::Dispatch(_) => self.dispatch(),
            CallAction::Complete | CallAction::Fail(_) => {
                assert!(self.sent == 1 && self.is_started);
                self.ends += 1;
            }
            CallAction::Reject(_) => {
                assert!(self.sent == 0 && self.is_noted, "recorded with its request");
                self.ends += 1;
            }
            CallAction::GiveUp(_) => {
                assert!(self.sent == 0 && self.is_started);
                self.ends += 1;
            }
            CallAction::Abandon => {
                assert!(self.is_started && self.is_dropped);
                self.ends += 1;
            }
            CallAction::CloseApproval | CallAction::ReleasePermit => {}
            waits => self.awaited = Some(name(waits)),
        }
    }

    fn dispatch(&mut self) {
        self.sent += 1;
        assert_eq!(self.sent, 1, "sent once");
        match self.verdict.expect("decided after the last wait") {
            "allow" => {}
            "ask" => assert!(self.is_call_approved, "an approval is consumed for it"),
            verdict => panic!("sent in spite of {verdict}"),
        }
        assert_eq!(self.reserved.len(), self.holds, "all counters of the last decision");
        assert!(self.approvals.values().all(|status| *status == ApprovalStatus::Consumed));
        self.awaited = Some("dispatch");
    }

    /// The event of the awaited action.
    fn event(&mut self, chance: Chance) -> CallEvent {
        let n = match chance {
            Chance::Success(n) => n,
            Chance::Failure if self.awaited == Some("dispatch") => {
                self.reserved.retain(|index| *index > 0);
                return CallEvent::NoEffect(CallRejection::in_doubt("lost").into());
            }
            Chance::Failure => return rejected(),
            Chance::RunDropped => {
                self.is_dropped = true;
                return CallEvent::RunDropped(DropCause::RunEnded);
            }
            Chance::Wrong(n) if n.is_multiple_of(2) => return CallEvent::Started,
            Chance::Wrong(_) => return row_of_another_call(),
        };
        match self.awaited.expect("something is awaited") {
            "resolve" => CallEvent::Resolved,
            "check" => CallEvent::Checked,
            "decide" => self.decide(n),
            "count" => CallEvent::Counted,
            "open" => {
                let id = *self.id.insert(ApprovalId::new());
                self.approvals.insert(id, ApprovalStatus::Pending);
                CallEvent::ApprovalOpened(id)
            }
            "suspend" => CallEvent::Suspended,
            "await" => {
                let statuses = [ApprovalStatus::Denied, ApprovalStatus::Expired];
                let status = statuses.get(usize::from(n / 8)).copied();
                let status = status.unwrap_or(ApprovalStatus::Approved);
                self.status(status);
                self.verdict = None;
                CallEvent::ApprovalDecided(row(self.id.unwrap(), status))
            }
            "verify" => CallEvent::Verified,
            "permit" => {
                let waited = n.is_multiple_of(4);
                if waited {
                    self.verdict = None;
                }
                CallEvent::PermitAcquired { waited }
            }
            "consume" => {
                self.status(ApprovalStatus::Consumed);
                self.is_call_approved |= self.asks_about_call;
                CallEvent::ApprovalConsumed
            }
            "reserve" if !n.is_multiple_of(3) => {
                self.reserved = (0..self.holds).collect();
                CallEvent::Reserved(token(self.holds))
            }
            "reserve" => {
                let retry_after =
                    (!n.is_multiple_of(5)).then(|| Duration::from_millis(u64::from(n)));
                let at = Duration::from_millis(u64::from(n) * 20);
                CallEvent::Exceeded { index: usize::from(n / 3 % 4), retry_after, at }
            }
            "wait" => {
                self.verdict = None;
                CallEvent::Waited
            }
            "expand" => CallEvent::Expanded,
            "start" => CallEvent::Started,
            "dispatch" => CallEvent::Responded { is_stored: n.is_multiple_of(2) },
            "store" => CallEvent::Stored,
            other => panic!("{other}"),
        }
    }

    fn decide(&mut self, n: u8) -> CallEvent {
        self.decisions += 1;
        let has_limits = !n.is_multiple_of(4);
        self.holds = if has_limits { ALLOWED.reservations.len() } else { 0 };
        let verdict = match n / 8 {
            0 => deny(true),
            1 => deny(false),
            2..12 => ask(),
            _ => allow(),
        };
        self.verdict = Some(verdict.as_str());
        decided(verdict, has_limits)
    }
}

fn name(action: &CallAction) -> &'static str {
    match action {
        CallAction::Resolve => "resolve",
        CallAction::Check => "check",
        CallAction::Decide => "decide",
        CallAction::CountAgainst(_) => "count",
        CallAction::AwaitDecision => "await",
        CallAction::Verify(_) => "verify",
        CallAction::AcquirePermit => "permit",
        CallAction::Reserve(_) => "reserve",
        CallAction::Wait(_) => "wait",
        CallAction::Expand => "expand",
        CallAction::StoreResponse => "store",
        other => panic!("{other:?} has no event of its own"),
    }
}

/// Takes a call through these chances. Returns the world, and whether the call has ended.
fn play(chances: &[Chance]) -> (World, bool) {
    let mut world = World::default();
    let (mut state, mut actions) = CallState::begin();
    for chance in chances {
        let is_denied = world.verdict == Some("deny");
        assert!(!is_denied || actions.iter().any(|a| matches!(a, CallAction::Reject(_))));
        for action in std::mem::take(&mut actions) {
            world.perform(&action);
        }
        let in_vain = state.phase == Phase::ReservingInVain;
        if state.phase == Phase::Ended || (world.awaited.is_none() && !in_vain) {
            break;
        }
        let event = match in_vain {
            // The reservation that was on its way when the run ended.
            true => {
                world.reserved = (0..world.holds).collect();
                CallEvent::Reserved(token(world.holds))
            }
            false => world.event(*chance),
        };
        (state, actions) = state.step(event);
        assert!(world.decisions <= ROUNDS_MAX);
    }
    let is_over = state.phase == Phase::Ended;
    if is_over {
        actions.iter().for_each(|action| world.perform(action));
        for late in [CallEvent::Started, rejected(), CallEvent::RunDropped(DropCause::RunEnded)] {
            let (after, actions) = state.step(late);
            assert!(actions.is_empty(), "nothing happens after the end");
            state = after;
        }
    }
    (world, is_over)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_a_call_keeps_its_account(
        chances in prop::collection::vec(chance(), 1..120),
    ) {
        let (world, is_over) = play(&chances);
        if !is_over {
            return Ok(());
        }
        // What was checked on the way: sent only as decided, counted and approved.
        prop_assert!(world.ends == 1 || (world.is_dropped && !world.is_started), "one end");
        prop_assert!(
            world.sent == 1 || world.reserved.is_empty(),
            "what is not sent is given back: {:?}", world
        );
        prop_assert_eq!(&world.suspended, &world.resumed);
        let is_open = |status: &ApprovalStatus| {
            matches!(status, ApprovalStatus::Approved | ApprovalStatus::Pending)
        };
        let open = world.approvals.iter().filter(|(id, status)| {
            // One that was never recorded cannot be open.
            is_open(status) && world.suspended.contains(id)
        });
        prop_assert_eq!(open.count(), 0, "no approval stays open: {:?}", world);
    }
}
