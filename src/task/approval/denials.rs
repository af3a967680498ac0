//! Calls that a person denied in one task. The same call is not asked about again, and neither is
//! any call of a tool of which many were denied, so that a program cannot wear a person down.

use std::collections::HashMap;

use parking_lot::Mutex;
use serde_json::Value;

use crate::{
    model::{Approval, ApprovalStatus},
    task::{call::rejection::CallRejection, record},
};

/// Calls of one tool that are denied in a task until nobody is asked about the tool any more.
pub(in crate::task) const DENIALS_PER_TOOL_MAX: usize = 5;

/// The denials of one task. After a restart it is made again from the approvals.
#[derive(Debug, Default)]
pub(in crate::task) struct Denials(Mutex<HashMap<String, Vec<DeniedCall>>>);

#[derive(Debug)]
struct DeniedCall {
    args_digest: String,
    approval: Approval,
}

impl Denials {
    /// Remembers a decision if it is a denial.
    pub(in crate::task) fn note(&self, decided: &Approval) {
        if decided.status != ApprovalStatus::Denied {
            return;
        }
        let Some(args_digest) = digest(&decided.args) else { return };
        let mut denied = self.0.lock();
        let of_tool = denied.entry(decided.tool.clone()).or_default();
        if of_tool.len() < DENIALS_PER_TOOL_MAX {
            of_tool.push(DeniedCall { args_digest, approval: decided.clone() });
        }
    }

    /// Returns the rejection of a call about which nobody is asked again; none if a person is to
    /// be asked.
    pub(in crate::task) fn rejection(&self, tool: &str, args: &str) -> Option<CallRejection> {
        let denied = self.0.lock();
        let of_tool = denied.get(tool)?;
        let args_digest = digest(args)?;
        if let Some(same) = of_tool.iter().find(|denied| denied.args_digest == args_digest) {
            let rejection = CallRejection::not_approved(&same.approval);
            let message = format!(
                "the same call was denied in this task before, so nobody was asked again: {}",
                rejection.message
            );
            return Some(CallRejection { message, ..rejection });
        }
        let last = of_tool.last().filter(|_| of_tool.len() >= DENIALS_PER_TOOL_MAX)?;
        let message = format!(
            "{DENIALS_PER_TOOL_MAX} calls of this tool were denied in this task, which is the \
            limit, so nobody was asked again"
        );
        Some(CallRejection { message, ..CallRejection::not_approved(&last.approval) })
    }
}

/// The digest of the arguments as canonical JSON; none if they are not JSON.
fn digest(args: &str) -> Option<String> {
    Some(record::digest(&serde_json::from_str::<Value>(args).ok()?))
}
