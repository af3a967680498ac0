//! The events and actions of one tool call: what the [machine](super::machine) is told, and what it
//! has the pipeline do. Plain data.

use std::time::Duration;

use super::rejection::{CallRejection, Rejected};
use crate::{
    model::{Approval, ApprovalId, ApprovalStatus, CallDecision},
    policy::{AskTerms, Budget, Decision, RuleRef},
    sandbox::CallFailure,
    store::{CounterHold, HoldToken},
    task::approval::request::ApprovalRequest,
};

/// A decision of the policy, and what goes with it.
#[derive(Debug, Clone)]
pub(in crate::task) struct PolicyDecision {
    pub(in crate::task) decision: Decision,
    /// The revision of the policy that decided.
    pub(in crate::task) revision: String,
    /// The task's budget by that policy.
    pub(in crate::task) budget: Budget,
}

impl PolicyDecision {
    /// A request for an approval on these terms.
    pub(in crate::task) fn request(
        &self,
        rule: Option<RuleRef>,
        terms: AskTerms,
    ) -> ApprovalRequest {
        let (class, revision) = (self.decision.class.to_string(), self.revision.clone());
        ApprovalRequest { rule, terms, class, revision }
    }
}

/// Reasons for dropping the calls of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::task) enum DropCause {
    /// The run is over: it returned, threw, reached a limit or was stopped.
    RunEnded,
    /// The task could not be recorded.
    TaskUnrecorded,
    /// The server stops, and its next start goes on with the task.
    Postponed,
}

impl DropCause {
    /// The reason with which its approvals are cancelled.
    pub(in crate::task) fn as_str(self) -> &'static str {
        match self {
            Self::RunEnded => "its task ended first",
            Self::TaskUnrecorded => "its task could not be recorded",
            Self::Postponed => "the server stops",
        }
    }
}

/// Something that happens to a call.
#[derive(Debug)]
pub(in crate::task) enum CallEvent {
    /// The tool is found.
    Resolved,
    /// The arguments are valid, or hold artifacts and are checked once these are expanded.
    Checked,
    /// Policy has decided.
    Decided(Box<PolicyDecision>),
    /// The call is counted against the task's budget.
    Counted,
    /// An approval is prepared, and the call will be woken once it is decided.
    ApprovalOpened(ApprovalId),
    /// The approval is durable.
    Suspended,
    /// The approval's row as it was decided, or as it expired.
    ApprovalDecided(Box<Approval>),
    /// The approved call still means the same.
    Verified,
    /// It may run at the upstream. `waited` where that took a while.
    PermitAcquired {
        /// True if it waited.
        waited: bool,
    },
    /// The approval is used up by this call.
    ApprovalConsumed,
    /// All counters are reserved.
    Reserved(HoldToken),
    /// Nothing is reserved, because one counter is used up.
    Exceeded {
        /// The counter's index among the decision's reservations.
        index: usize,
        /// Time until there may be room again; none if there never will be.
        retry_after: Option<Duration>,
        /// Now, since the beginning of the call.
        at: Duration,
    },
    /// The wait for a counter is over.
    Waited,
    /// The arguments are as they will be sent.
    Expanded,
    /// The start is durable.
    Started,
    /// The upstream responded, and the response is within the task's budget.
    Responded {
        /// True if it is too large for a program, or holds images, sounds or blobs.
        is_stored: bool,
    },
    /// The upstream failed, and the call certainly had no effect.
    NoEffect(Rejected),
    /// What the program gets handles for is stored.
    Stored,
    /// The awaited action failed, or says that the call must not go on.
    Rejected(Rejected),
    /// The run is over. The action under way is abandoned, except a reservation, whose event still
    /// comes.
    RunDropped(DropCause),
}

/// Something that the pipeline has to do for a call.
#[derive(Debug)]
pub(in crate::task) enum CallAction {
    /// Find the tool: `Resolved`.
    Resolve,
    /// Validate the arguments: `Checked`.
    Check,
    /// Keep the event of the call's request, with the first decision, until the next commit.
    NoteRequested(Option<CallDecision>),
    /// Let policy decide: `Decided`.
    Decide,
    /// Count the call against the task's budget: `Counted`.
    CountAgainst(Budget),
    /// Prepare an approval: `ApprovalOpened`.
    OpenApproval(Box<ApprovalRequest>),
    /// Record that the call waits for the approval: `Suspended`.
    Suspend,
    /// Wait for the decision while the task's clock stands still: `ApprovalDecided`.
    AwaitDecision,
    /// Enqueue that the call does not wait any more.
    Resume(ApprovalId, ApprovalStatus),
    /// Forget an approval that was decided and will not be used.
    CloseApproval,
    /// Take the call from the approval's row, if it still means the same: `Verified`.
    Verify(Box<Approval>),
    /// Take back an approval that was granted and not consumed, with this reason.
    WithdrawApproval(String),
    /// Enqueue the cancellation of the approval.
    CancelApproval(DropCause),
    /// Wait for a permit at the upstream: `PermitAcquired`.
    AcquirePermit,
    /// Give the permit back.
    ReleasePermit,
    /// Use the approval: `ApprovalConsumed`.
    ConsumeApproval,
    /// Reserve all of these counters or none: `Reserved`, `Exceeded`.
    Reserve(Vec<CounterHold>),
    /// Enqueue that this part of the reservation is taken back.
    GiveBack(HoldToken),
    /// Wait for a counter: `Waited`.
    Wait(Duration),
    /// Put the artifacts into the arguments and validate these: `Expanded`.
    Expand,
    /// Record the start, with the approval that lets it go and the decision that does where that
    /// was not the first: `Started`.
    RecordStart(Option<ApprovalId>, Option<CallDecision>),
    /// Send it, within this budget: `Responded`, `NoEffect`.
    Dispatch(Budget),
    /// Store the response, or the images, sounds and blobs in it, as artifacts: `Stored`.
    StoreResponse,
    /// End: record the success and answer the program.
    Complete,
    /// End a call that was not sent: record why and answer the program.
    Reject(Rejected),
    /// End a call that was sent: record its failure and answer the program.
    Fail(Rejected),
    /// End a call whose record failed: answer the program.
    GiveUp(Rejected),
    /// End a call that was recorded as started and whose run is over: record that.
    Abandon,
}

impl From<Rejected> for CallEvent {
    fn from(rejected: Rejected) -> Self {
        Self::Rejected(rejected)
    }
}

impl From<CallRejection> for CallEvent {
    fn from(rejection: CallRejection) -> Self {
        Self::Rejected(rejection.into())
    }
}

impl From<CallFailure> for CallEvent {
    fn from(failure: CallFailure) -> Self {
        Self::Rejected(failure.into())
    }
}

impl From<DropCause> for CallEvent {
    fn from(cause: DropCause) -> Self {
        Self::RunDropped(cause)
    }
}
