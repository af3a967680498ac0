//! Rejected calls: the error that the program sees, and the reason that the host records.

use std::time::Duration;

use serde_json::json;

use crate::{
    artifacts::ArtifactError,
    catalog::{FindError, NotFound, ResolveError, UpstreamError, UpstreamErrorCode},
    model::{Approval, ApprovalId, ApprovalStatus, ErrorCode, JsonObject},
    policy::{NOT_PERMITTED, RuleRef},
    sandbox::CallFailure,
};

/// Class name of an error that policy or a person caused.
pub(in crate::task) const POLICY_ERROR: &str = "ToolPolicyError";
/// Class name of an error about arguments. Its message may quote them.
pub(in crate::task) const ARGUMENT_ERROR: &str = "ToolArgumentError";
/// Characters of a person's note that reach the program.
const NOTE_CHARS_MAX: usize = 2000;

/// The codes of rejections, as the contract has them.
pub(in crate::task) const POLICY_DENIED: &str = ErrorCode::PolicyDenied.as_str();
pub(in crate::task) const APPROVAL_DENIED: &str = ErrorCode::ApprovalDenied.as_str();
pub(in crate::task) const APPROVAL_EXPIRED: &str = ErrorCode::ApprovalExpired.as_str();
pub(in crate::task) const RATE_LIMITED: &str = ErrorCode::RateLimited.as_str();
pub(in crate::task) const POLICY_FAILED: &str = ErrorCode::PolicyError.as_str();

/// The reason why a call is not made, or fails.
#[derive(Debug)]
pub(in crate::task) enum Rejected {
    /// Policy, a limit or a person rejects it.
    ByPolicy(CallRejection),
    /// It must look as if the tool did not exist.
    Hidden,
    /// It fails otherwise.
    Failed(CallFailure),
}

impl Rejected {
    /// The reason that the row of its unused approval gets.
    pub(in crate::task) fn reason(&self) -> String {
        match self {
            Self::ByPolicy(rejection) => {
                format!("policy refuses the call now: {}", rejection.message)
            }
            Self::Hidden => "policy hides the tool now".to_owned(),
            Self::Failed(failure) => failure.message.clone(),
        }
    }
}

impl From<CallRejection> for Rejected {
    fn from(rejection: CallRejection) -> Self {
        Self::ByPolicy(rejection)
    }
}

impl From<CallFailure> for Rejected {
    fn from(failure: CallFailure) -> Self {
        Self::Failed(failure)
    }
}

/// A call that policy, a limit or a person rejected.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::task) struct CallRejection {
    pub(in crate::task) code: &'static str,
    pub(in crate::task) rule: Option<Box<str>>,
    /// Where the rule stands, in words.
    pub(in crate::task) place: Option<Box<str>>,
    pub(in crate::task) message: String,
    pub(in crate::task) retry_after: Option<Duration>,
    pub(in crate::task) approval: Option<ApprovalId>,
}

impl CallRejection {
    pub(in crate::task) fn new(code: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { code, rule: None, place: None, message, retry_after: None, approval: None }
    }

    pub(in crate::task) fn rule(mut self, rule: Option<&RuleRef>) -> Self {
        self.rule = rule.map(|rule| (*rule.name).into());
        // Only rules of a file have a pointer.
        self.place = rule.map(|rule| match rule.pointer.is_empty() {
            true => (*rule.layer).into(),
            false => format!("rule `{}`", rule.name).into(),
        });
        self
    }

    pub(in crate::task) fn retry_after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }

    /// A call about which something is not known that must be.
    pub(in crate::task) fn in_doubt(message: impl Into<String>) -> Self {
        Self::new(POLICY_FAILED, message)
    }

    /// A call whose approval was denied, expired, or came to another end.
    pub(in crate::task) fn not_approved(approval: &Approval) -> Self {
        let (code, message) = match approval.status {
            ApprovalStatus::Denied => {
                let note = approval.note.iter().flat_map(|note| note.chars());
                let note: String = note.take(NOTE_CHARS_MAX).collect();
                let message = if note.is_empty() { "no reason was given".to_owned() } else { note };
                (APPROVAL_DENIED, message)
            }
            ApprovalStatus::Expired => {
                (APPROVAL_EXPIRED, format!("nobody answered until {}", approval.expires_at))
            }
            other => {
                let why = approval.why.clone();
                (APPROVAL_DENIED, why.unwrap_or_else(|| format!("the approval is {other}")))
            }
        };
        let rule = approval.asked.rule.as_ref().map(|rule| rule.name.as_str().into());
        Self { rule, approval: Some(approval.id), ..Self::new(code, message) }
    }

    /// The error that the program sees: the tool, the rule, and whether trying again can help.
    pub(in crate::task) fn failure(&self, tool: &str) -> CallFailure {
        let rule = match (&self.rule, self.approval) {
            (Some(rule), None) => format!(" by rule `{rule}`"),
            (Some(rule), Some(_)) => format!(" (rule `{rule}` asks)"),
            (None, _) => String::new(),
        };
        let again = match self.retry_after {
            Some(wait) => format!("; try again in {} ms", millis(wait)),
            None if self.code == RATE_LIMITED => "; trying again does not help in this task".into(),
            None => String::new(),
        };
        let what = match self.code {
            POLICY_DENIED => return self.denied(tool),
            APPROVAL_DENIED => "was refused by a person",
            APPROVAL_EXPIRED => "was not approved in time",
            RATE_LIMITED => "is over a limit",
            _ => "could not be decided about and is refused",
        };
        self.failure_of(tool, &format!("`{tool}` {what}{rule}: {}{again}", self.message))
    }

    /// The error of a call that policy denies: once where that stands, and why if it says more.
    fn denied(&self, tool: &str) -> CallFailure {
        let place = self.place.as_ref().map(|place| format!(" ({place})")).unwrap_or_default();
        let reason = self.message.strip_prefix(&format!("call of `{tool}`: "));
        let reason = match reason.unwrap_or(&self.message) {
            NOT_PERMITTED => String::new(),
            reason => format!(": {reason}"),
        };
        self.failure_of(tool, &format!("policy denies `{tool}`{place}{reason}"))
    }

    fn failure_of(&self, tool: &str, message: &str) -> CallFailure {
        let mut failure = failure(POLICY_ERROR, self.code, tool, message);
        failure.properties.insert("rule".into(), json!(self.rule));
        if let Some(wait) = self.retry_after {
            failure.properties.insert("retryAfterMs".into(), millis(wait).into());
        }
        if let Some(approval) = self.approval {
            failure.properties.insert("approvalId".into(), approval.to_string().into());
        }
        failure
    }
}

/// Whole milliseconds, rounded up, so that a retry after them is not too early.
fn millis(wait: Duration) -> u64 {
    wait.as_nanos().div_ceil(1_000_000) as u64
}

pub(in crate::task) fn failure(name: &str, code: &str, tool: &str, message: &str) -> CallFailure {
    let properties =
        JsonObject::from_iter([("code".into(), json!(code)), ("tool".into(), json!(tool))]);
    CallFailure { name: name.into(), message: message.into(), properties }
}

/// The answer to a call whose run is over. Nobody sees it.
/// The failure of a call that was sent by a server which stopped before the answer came.
pub(in crate::task) fn outcome_unknown(path: &str) -> CallFailure {
    let message = format!(
        "the server stopped after the call was sent and before its answer came: it is not known \
        whether `{path}` was carried out; check before you repeat it"
    );
    let mut failure = failure("ToolCallError", ErrorCode::OutcomeUnknown.as_str(), path, &message);
    failure.properties.insert("retryable".to_owned(), false.into());
    failure
}

/// The code of an error that policy or a person caused; none of other errors.
pub(in crate::task) fn code_of(failure: &CallFailure) -> Option<&'static str> {
    let code = failure.properties.get("code")?.as_str()?;
    let code = Some(code).filter(|_| failure.name == POLICY_ERROR)?;
    ErrorCode::of(code).map(ErrorCode::as_str)
}

pub(in crate::task) fn abandoned() -> CallFailure {
    failure("ToolCallError", "abandoned", "", "the task ended first")
}

/// The failure of a call, or of a host function, because of an artifact.
pub(in crate::task) fn artifact_failure(path: &str, error: ArtifactError) -> CallFailure {
    let message = error.to_string();
    let (code, is_retryable) = match &error {
        ArtifactError::InvalidArguments(_) => {
            return failure(
                ARGUMENT_ERROR,
                ErrorCode::InvalidToolArguments.as_str(),
                path,
                &message,
            );
        }
        ArtifactError::NotFound(_) => (ErrorCode::ArtifactNotFound, false),
        ArtifactError::ArgumentsTooLarge(_) => (ErrorCode::ArgumentsTooLarge, false),
        ArtifactError::QuotaExceeded { .. } => (ErrorCode::ArtifactQuotaExceeded, false),
        ArtifactError::Store(error) => {
            tracing::error!(%error, "an artifact could not be read or written");
            (ErrorCode::StoreUnavailable, true)
        }
        ArtifactError::Unreadable => {
            tracing::error!("an artifact is not what was written");
            (ErrorCode::StoreUnavailable, false)
        }
    };
    let mut made = failure("ToolCallError", code.as_str(), path, &message);
    made.properties.insert("retryable".into(), json!(is_retryable));
    if let ArtifactError::QuotaExceeded { used, bytes_max, .. } = error {
        made.properties
            .extend([("usedBytes".into(), json!(used)), ("maxBytes".into(), json!(bytes_max))]);
    }
    made
}

pub(in crate::task) fn not_found(path: &str, error: FindError) -> CallFailure {
    match error {
        FindError::Arguments(error) => failure(
            ARGUMENT_ERROR,
            ErrorCode::InvalidToolArguments.as_str(),
            path,
            &error.to_string(),
        ),
        FindError::Unresolved(error) => unresolved(error),
    }
}

pub(in crate::task) fn unresolved(error: ResolveError) -> CallFailure {
    match error {
        ResolveError::NotFound(error) => {
            let mut made = failure(
                "ToolNotFoundError",
                ErrorCode::ToolNotFound.as_str(),
                &error.path,
                &error.to_string(),
            );
            let NotFound { nearest, discover, .. } = error;
            made.properties
                .extend([("nearest".into(), json!(nearest)), ("discover".into(), json!(discover))]);
            made
        }
        ResolveError::Unavailable(error) => upstream_failure(&error),
    }
}

pub(in crate::task) fn upstream_failure(error: &UpstreamError) -> CallFailure {
    let is_caller = error.code == UpstreamErrorCode::InvalidArguments;
    let name = if is_caller { ARGUMENT_ERROR } else { "ToolCallError" };
    let mut made = failure(name, error.code.as_str(), &error.tool, &error.message);
    made.properties.insert("retryable".into(), json!(error.retryable));
    if let Some(status) = error.status {
        made.properties.insert("status".into(), json!(status));
    }
    made
}
