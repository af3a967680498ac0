//! Requests for an approval: the terms that policy sets, and the row that a person is shown. Pure
//! but for the row's id and time.

use std::time::Duration;

use crate::{
    model::{
        Approval, ApprovalId, ApprovalRequested, ApprovalStatus, Asked, AskingRule, EventDetails,
        NewEvent, Timestamp,
    },
    policy::{AskTerms, RuleRef},
    sandbox::ToolCall,
    task::{call::rejection::CallRejection, record::Binding},
};

/// The terms on which a person is asked about one call.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::task) struct ApprovalRequest {
    /// The rule that asks; none where the profile does.
    pub(in crate::task) rule: Option<RuleRef>,
    pub(in crate::task) terms: AskTerms,
    /// The class of risk that the tool was taken for.
    pub(in crate::task) class: String,
    /// The revision of the policy that asks.
    pub(in crate::task) revision: String,
}

impl ApprovalRequest {
    /// The row of the approval: the exact call, and everything that a person must see of it.
    ///
    /// # Errors
    /// If the arguments are not JSON, or the time to wait is without end.
    pub(in crate::task) fn row(
        self,
        binding: Binding<'_>,
        call: &ToolCall,
        timeout: Duration,
    ) -> Result<Approval, CallRejection> {
        let now = Timestamp::now();
        let args = call.args.get().to_owned();
        let digest = binding
            .digest(&args)
            .ok_or_else(|| CallRejection::in_doubt("the arguments are not JSON"))?;
        let expires_at = jiff::SignedDuration::try_from(timeout)
            .ok()
            .and_then(|timeout| now.checked_add(timeout).ok())
            .ok_or_else(|| CallRejection::in_doubt("the time to wait has no end"))?;
        Ok(Approval {
            id: ApprovalId::new(),
            status: ApprovalStatus::Pending,
            principal: binding.principal.clone(),
            task_id: binding.task_id,
            seq: binding.seq,
            tool: binding.tool.path.clone(),
            args,
            digest,
            asked: Asked {
                upstream: binding.tool.upstream.to_string(),
                class: self.class,
                schema_hash: binding.tool.schema_hash.clone(),
                rule: self.rule.as_ref().map(asking_rule),
                revision: self.revision,
                reason: self.terms.reason,
                line: call.line,
            },
            created_at: now,
            expires_at,
            decided_at: None,
            decided_by: None,
            note: None,
            why: None,
        })
    }
}

fn asking_rule(rule: &RuleRef) -> AskingRule {
    AskingRule {
        name: rule.name.to_string(),
        pointer: rule.pointer.to_string(),
        layer: rule.layer.to_string(),
    }
}

/// The event of a request that was made.
pub(in crate::task) fn requested(approval: &Approval) -> NewEvent {
    NewEvent::now(EventDetails::ApprovalRequested(ApprovalRequested {
        seq: approval.seq,
        approval_id: approval.id,
        tool: approval.tool.clone(),
        digest: approval.digest.clone(),
        rule: approval.asked.rule.as_ref().map(|rule| rule.name.clone()),
        reason: approval.asked.reason.clone(),
        expires_at: approval.expires_at,
    }))
}
