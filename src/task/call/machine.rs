//! The steps of one tool call as a pure machine: resolve, check, decide, ask, count, record, send,
//! settle. State and event to state and actions; no clock, no store, no waiting.
//!
//! A doubt is a rejection. After every wait the call is decided again by the policy then in force:
//! a denial always wins, and an approval only answers the question that policy asks. Counters are
//! reserved before the call is sent, and given back where it had no effect.
//!
//! [`CallPipeline`](super::pipeline::CallPipeline) performs the actions and feeds the events back.
//! Of the actions of one step it performs all, in their order; the last one alone may lead to an
//! event.

use std::{collections::HashSet, time::Duration};

use super::{
    event::{CallAction, CallEvent, DropCause, PolicyDecision},
    rejection::{CallRejection, RATE_LIMITED, Rejected},
};
use crate::{
    model::{Approval, ApprovalId, ApprovalStatus},
    policy::{AskTerms, Budget, Count, CounterKey, OnExceed, Reservation, Verdict},
    store::{CounterHold, HoldToken},
    task::{approval::request::ApprovalRequest, policy_view::counter_window, record},
};

/// The most decisions about one call: the first, and one after each wait.
pub(in crate::task) const ROUNDS_MAX: usize = 1000;
/// The shortest wait for a counter that is used up.
pub(in crate::task) const WAIT_MIN: Duration = Duration::from_millis(10);

/// The state of one tool call.
#[derive(Debug)]
pub(in crate::task) struct CallState {
    phase: Phase,
    decisions: usize,
    /// The latest decision, and its budget.
    decided: Option<Box<PolicyDecision>>,
    /// True if it is counted against the task's budget.
    is_counted: bool,
    /// True if a person has agreed to what policy asks about.
    is_agreed: bool,
    /// The counters beyond whose bound a person lets it go.
    beyond: HashSet<CounterKey>,
    approval: ApprovalUse,
    /// Longest wait for counters, since its beginning.
    patience: Option<Duration>,
    has_permit: bool,
    reserved: Option<Reserved>,
}

/// The use of the latest approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ApprovalUse {
    None,
    Granted(ApprovalId),
    Consumed(ApprovalId),
}

/// Counters that were reserved.
#[derive(Debug)]
struct Reserved {
    reservations: Vec<Reservation>,
    token: HoldToken,
}

/// The action whose event is awaited.
#[derive(Debug, PartialEq)]
enum Phase {
    Resolving,
    Checking,
    Deciding,
    Counting,
    OpeningApproval(Question),
    Suspending(Question, ApprovalId),
    AwaitingDecision(Question, ApprovalId),
    Verifying(Question),
    AcquiringPermit,
    ConsumingApproval(ApprovalId),
    Reserving,
    /// The run is over, and what is reserved by then is given back.
    ReservingInVain,
    WaitingForCounter,
    Expanding,
    Starting,
    Dispatching,
    Storing,
    Ended,
}

/// The question that a person is asked.
#[derive(Debug, Clone, PartialEq)]
enum Question {
    /// Policy asks about the call.
    Call,
    /// A counter is used up, and its rule asks.
    Counter(CounterKey),
}

type Next = (CallState, Vec<CallAction>);

impl CallState {
    /// A call that the program has just made, and the first actions.
    pub(in crate::task) fn begin() -> Next {
        let state = Self {
            phase: Phase::Resolving,
            decisions: 0,
            decided: None,
            is_counted: false,
            is_agreed: false,
            beyond: HashSet::new(),
            approval: ApprovalUse::None,
            patience: None,
            has_permit: false,
            reserved: None,
        };
        (state, vec![CallAction::Resolve])
    }

    /// The state after an event, and what has to be done. An event that the state does not expect
    /// rejects the call; after the end nothing happens any more.
    pub(in crate::task) fn step(mut self, event: CallEvent) -> Next {
        use CallEvent as Event;
        match (std::mem::replace(&mut self.phase, Phase::Ended), event) {
            (Phase::Ended, _) => (self, vec![]),
            (phase, Event::RunDropped(cause)) => self.drop_run(phase, cause),
            (Phase::ReservingInVain, Event::Reserved(token)) => {
                self.reserved = Some(Reserved { reservations: vec![], token });
                let given_back = self.give_back_all();
                (self, given_back)
            }
            (Phase::ReservingInVain, _) => (self, vec![]),
            (phase, Event::Rejected(rejected)) => self.reject_in(phase, rejected),
            (Phase::Resolving, Event::Resolved) => self.on(Phase::Checking, CallAction::Check),
            (Phase::Checking, Event::Checked) => self.decide(),
            (Phase::Deciding, Event::Decided(decided)) => self.decided(decided),
            (Phase::Counting, Event::Counted) => {
                self.is_counted = true;
                self.authorize()
            }
            (Phase::OpeningApproval(question), Event::ApprovalOpened(id)) => {
                self.on(Phase::Suspending(question, id), CallAction::Suspend)
            }
            (Phase::Suspending(question, id), Event::Suspended) => {
                self.on(Phase::AwaitingDecision(question, id), CallAction::AwaitDecision)
            }
            (Phase::AwaitingDecision(question, id), Event::ApprovalDecided(row))
                if row.id == id =>
            {
                self.approval_decided(question, row)
            }
            (Phase::Verifying(question), Event::Verified) => {
                match question {
                    Question::Call => self.is_agreed = true,
                    Question::Counter(key) => drop(self.beyond.insert(key)),
                }
                self.decide()
            }
            (Phase::AcquiringPermit, Event::PermitAcquired { waited }) => {
                self.has_permit = true;
                if waited { self.decide() } else { self.consume_approval() }
            }
            (Phase::ConsumingApproval(id), Event::ApprovalConsumed) => {
                self.approval = ApprovalUse::Consumed(id);
                self.authorize()
            }
            (Phase::Reserving, Event::Reserved(token)) => self.reserved(token),
            (Phase::Reserving, Event::Exceeded { index, retry_after, at }) => {
                self.exceeded(index, retry_after, at)
            }
            (Phase::WaitingForCounter, Event::Waited) => self.decide(),
            (Phase::Expanding, Event::Expanded) => self.start(),
            (Phase::Starting, Event::Started) => {
                let budget = self.decided.as_ref().map_or_else(Budget::default, |d| d.budget);
                self.on(Phase::Dispatching, CallAction::Dispatch(budget))
            }
            (Phase::Dispatching, Event::Responded { is_stored: true }) => {
                self.on(Phase::Storing, CallAction::StoreResponse)
            }
            (Phase::Dispatching, Event::Responded { is_stored: false })
            | (Phase::Storing, Event::Stored) => (self, vec![CallAction::Complete]),
            (Phase::Dispatching, Event::NoEffect(rejected)) => self.had_no_effect(rejected),
            (phase, _) => {
                let rejection = CallRejection::in_doubt("its steps came in a wrong order");
                self.reject_in(phase, rejection.into())
            }
        }
    }

    fn on(self, phase: Phase, action: CallAction) -> Next {
        self.on_all(phase, vec![action])
    }

    fn on_all(mut self, phase: Phase, actions: Vec<CallAction>) -> Next {
        self.phase = phase;
        (self, actions)
    }

    fn decide(self) -> Next {
        if self.decisions == ROUNDS_MAX {
            let message = format!("it was decided {ROUNDS_MAX} times without an end");
            return self.reject(CallRejection::in_doubt(message).into(), vec![]);
        }
        self.on(Phase::Deciding, CallAction::Decide)
    }

    fn decided(mut self, decided: Box<PolicyDecision>) -> Next {
        self.decisions += 1;
        let PolicyDecision { decision, revision, budget } = &*decided;
        let budget = *budget;
        let request = (self.decisions == 1)
            .then(|| CallAction::NoteRequested(Some(record::decision(decision, revision))));
        let denied = match &decision.verdict {
            Verdict::Deny(denial) if denial.hidden => Some(Rejected::Hidden),
            Verdict::Deny(denial) => {
                let rejection = CallRejection::new(denial.code.as_str(), denial.message.clone())
                    .rule(decision.rule.as_ref())
                    .retry_after(denial.retry_after);
                Some(rejection.into())
            }
            Verdict::Allow | Verdict::Ask(_) => None,
        };
        self.decided = Some(decided);
        let request = Vec::from_iter(request);
        match denied {
            Some(rejected) => self.reject(rejected, request),
            None if self.is_counted => {
                let (state, next) = self.authorize();
                (state, request.into_iter().chain(next).collect())
            }
            None => {
                let count = CallAction::CountAgainst(budget);
                self.on_all(Phase::Counting, request.into_iter().chain([count]).collect())
            }
        }
    }

    /// The latest decision is no denial: what is still missing before the call is sent?
    fn authorize(self) -> Next {
        let Some(decided) = &self.decided else { return self.out_of_order() };
        match &decided.decision.verdict {
            // An approval about a counter answers no other question. It is used before the next
            // one is asked, so that none stays open.
            Verdict::Ask(_) if !self.is_agreed && self.has_unused_approval() => {
                self.consume_approval()
            }
            Verdict::Ask(terms) if !self.is_agreed => {
                let rule = decided.decision.rule.clone();
                let request = decided.request(rule, terms.clone());
                self.ask(Question::Call, request)
            }
            _ if !self.has_permit => self.on(Phase::AcquiringPermit, CallAction::AcquirePermit),
            _ => self.consume_approval(),
        }
    }

    fn has_unused_approval(&self) -> bool {
        matches!(self.approval, ApprovalUse::Granted(_))
    }

    fn out_of_order(self) -> Next {
        let rejection = CallRejection::in_doubt("it was not decided");
        self.reject(rejection.into(), vec![])
    }

    fn ask(self, question: Question, request: ApprovalRequest) -> Next {
        let open = CallAction::OpenApproval(Box::new(request));
        self.on(Phase::OpeningApproval(question), open)
    }

    fn approval_decided(mut self, question: Question, row: Box<Approval>) -> Next {
        let resume = CallAction::Resume(row.id, row.status);
        if row.status == ApprovalStatus::Approved {
            self.approval = ApprovalUse::Granted(row.id);
            return self.on_all(Phase::Verifying(question), vec![resume, CallAction::Verify(row)]);
        }
        let rejection = CallRejection::not_approved(&row);
        self.reject(rejection.into(), vec![resume, CallAction::CloseApproval])
    }

    fn consume_approval(self) -> Next {
        match self.approval {
            ApprovalUse::Granted(id) => {
                self.on(Phase::ConsumingApproval(id), CallAction::ConsumeApproval)
            }
            ApprovalUse::None | ApprovalUse::Consumed(_) => self.reserve(),
        }
    }

    /// Reserves all counters of the decision. Those that a person let it go beyond are counted
    /// without their bound.
    fn reserve(self) -> Next {
        let Some(decided) = &self.decided else { return self.out_of_order() };
        let holds: Vec<_> = decided
            .decision
            .reservations
            .iter()
            .map(|limit| CounterHold {
                key: limit.key.to_string(),
                window: counter_window(limit.window),
                max: if self.beyond.contains(&limit.key) {
                    i64::MAX
                } else {
                    limit.max.millionths()
                },
                cost: limit.cost.millionths(),
            })
            .collect();
        match holds.is_empty() {
            true => self.reserved(HoldToken::default()),
            false => self.on(Phase::Reserving, CallAction::Reserve(holds)),
        }
    }

    fn reserved(mut self, token: HoldToken) -> Next {
        let of_decision =
            self.decided.as_ref().map(|decided| decided.decision.reservations.clone());
        let reservations = of_decision.unwrap_or_default();
        self.reserved = Some(Reserved { reservations, token });
        self.on(Phase::Expanding, CallAction::Expand)
    }

    /// A counter is used up: the call is rejected, waits, or a person is asked. Then it is decided
    /// again, and waits for a new permit.
    fn exceeded(mut self, index: usize, retry_after: Option<Duration>, at: Duration) -> Next {
        self.has_permit = false;
        let decided = self.decided.clone();
        let limit = decided.as_ref().and_then(|decided| decided.decision.reservations.get(index));
        let (Some(decided), Some(limit)) = (&decided, limit) else {
            let rejection = CallRejection::in_doubt("a limit is not known");
            return self.reject(rejection.into(), vec![CallAction::ReleasePermit]);
        };
        let (mut state, next) = match &limit.on_exceed {
            OnExceed::Wait { max } => {
                let until = *self.patience.get_or_insert(at + *max);
                match retry_after.map(|wait| wait.max(WAIT_MIN)) {
                    Some(wait) if at + wait <= until => {
                        self.on(Phase::WaitingForCounter, CallAction::Wait(wait))
                    }
                    _ => self.reject(limit_reached(limit, retry_after), vec![]),
                }
            }
            // Only the bound could stop it then, so it asks once.
            OnExceed::Ask(terms) if !self.beyond.contains(&limit.key) => {
                let terms = AskTerms { reason: limit.used_up(), ..terms.clone() };
                let request = decided.request(Some(limit.rule.clone()), terms);
                self.ask(Question::Counter(limit.key.clone()), request)
            }
            OnExceed::Deny | OnExceed::Ask(_) => {
                self.reject(limit_reached(limit, retry_after), vec![])
            }
        };
        state.has_permit = false;
        (state, [CallAction::ReleasePermit].into_iter().chain(next).collect())
    }

    fn start(self) -> Next {
        let approval = match self.approval {
            ApprovalUse::Consumed(id) => Some(id),
            ApprovalUse::None | ApprovalUse::Granted(_) => None,
        };
        let redecided = self
            .decided
            .as_ref()
            .filter(|_| self.decisions > 1)
            .map(|decided| record::decision(&decided.decision, &decided.revision));
        self.on(Phase::Starting, CallAction::RecordStart(approval, redecided))
    }

    /// Gives back what counts successes only.
    fn had_no_effect(mut self, rejected: Rejected) -> Next {
        let mut actions = vec![];
        if let Some(Reserved { reservations, token }) = self.reserved.take() {
            let counts_success = |index: usize| {
                reservations.get(index).is_some_and(|limit| limit.count == Count::Success)
            };
            actions.extend(give_back(token.part(counts_success)));
        }
        actions.push(CallAction::Fail(rejected));
        (self, actions)
    }

    fn give_back_all(&mut self) -> Vec<CallAction> {
        let token = self.reserved.take().map(|reservation| reservation.token);
        token.and_then(give_back).into_iter().collect()
    }

    /// Ends a call whose awaited action did not succeed.
    fn reject_in(mut self, phase: Phase, rejected: Rejected) -> Next {
        match phase {
            Phase::Suspending(_, id) | Phase::AwaitingDecision(_, id) => {
                let cancelled = CallAction::Resume(id, ApprovalStatus::Cancelled);
                let cancel = CallAction::CancelApproval(DropCause::RunEnded);
                self.reject(rejected, vec![cancelled, cancel])
            }
            // It is not sent, and the record, which failed, says nothing more of it.
            Phase::Starting => {
                let mut actions = self.give_back_all();
                actions.push(CallAction::GiveUp(rejected));
                (self, actions)
            }
            Phase::Dispatching | Phase::Storing => (self, vec![CallAction::Fail(rejected)]),
            _ => self.reject(rejected, vec![]),
        }
    }

    /// Ends a call that was not sent, after these actions.
    fn reject(mut self, rejected: Rejected, mut actions: Vec<CallAction>) -> Next {
        self.phase = Phase::Ended;
        if self.has_unused_approval() {
            actions.push(CallAction::WithdrawApproval(rejected.reason()));
        }
        actions.extend(self.give_back_all());
        if self.decisions == 0 {
            actions.push(CallAction::NoteRequested(None));
        }
        actions.push(CallAction::Reject(rejected));
        (self, actions)
    }

    /// Ends a call whose run is over. Nobody waits for its answer.
    fn drop_run(mut self, phase: Phase, cause: DropCause) -> Next {
        if cause == DropCause::Postponed {
            return self.postpone(phase);
        }
        let mut actions = match phase {
            Phase::Reserving | Phase::ReservingInVain => {
                return self.on_all(Phase::ReservingInVain, vec![]);
            }
            Phase::Suspending(_, id) | Phase::AwaitingDecision(_, id) => vec![
                CallAction::Resume(id, ApprovalStatus::Cancelled),
                CallAction::CancelApproval(cause),
            ],
            Phase::Expanding => self.give_back_all(),
            Phase::Starting => {
                let mut actions = self.give_back_all();
                actions.push(CallAction::Abandon);
                actions
            }
            Phase::Dispatching | Phase::Storing => vec![CallAction::Abandon],
            _ => vec![],
        };
        if self.has_unused_approval() {
            actions.push(CallAction::CancelApproval(cause));
        }
        (self, actions)
    }

    /// Leaves a call to the next start of the server: its approval stays as it is, and one that was
    /// sent stays without an end.
    fn postpone(mut self, phase: Phase) -> Next {
        match phase {
            Phase::Reserving | Phase::ReservingInVain => {
                self.on_all(Phase::ReservingInVain, vec![])
            }
            Phase::Expanding => {
                let given_back = self.give_back_all();
                (self, given_back)
            }
            _ => (self, vec![]),
        }
    }
}

fn give_back(token: HoldToken) -> Option<CallAction> {
    (!token.is_empty()).then_some(CallAction::GiveBack(token))
}

fn limit_reached(limit: &Reservation, retry_after: Option<Duration>) -> Rejected {
    let message = limit.denial(retry_after).message;
    CallRejection::new(RATE_LIMITED, message)
        .rule(Some(&limit.rule))
        .retry_after(retry_after)
        .into()
}

#[cfg(test)]
#[path = "machine/property_tests.rs"]
mod property_tests;
#[cfg(test)]
#[path = "machine/tests.rs"]
mod tests;
