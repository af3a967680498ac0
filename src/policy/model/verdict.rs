//! Verdict about one call, and the terms and reasons that come with it.

use std::{fmt, sync::Arc, time::Duration};

use serde::Serialize;

use crate::model::ErrorCode;

/// Reference to a rule in records, errors and explanations.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct RuleRef {
    /// Name of the rule, or its position: `rules[0]`, `default`, `class default`.
    pub name: Arc<str>,
    /// JSON Pointer into the file; empty if the rule is not in a file.
    pub pointer: Arc<str>,
    /// Name of the file, or `profile auto`.
    pub layer: Arc<str>,
}

impl fmt::Display for RuleRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}{})", self.name, self.layer, self.pointer)
    }
}

/// Terms of the approval that a call needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AskTerms {
    /// Longest wait for a decision; `None` for the server's configured default.
    pub timeout: Option<Duration>,
    /// Reason for the approval, shown to the approver.
    pub reason: String,
    /// Message of the rule to the caller.
    pub message: Option<Arc<str>>,
}

/// Machine-readable reason of a denial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DenialCode {
    /// A rule or a default denies the call.
    PolicyDenied,
    /// A limit is exhausted.
    RateLimited,
    /// The evaluation failed; a failed evaluation always denies.
    PolicyError,
}

impl DenialCode {
    /// Returns the name used in errors and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PolicyDenied => ErrorCode::PolicyDenied.as_str(),
            Self::RateLimited => ErrorCode::RateLimited.as_str(),
            Self::PolicyError => ErrorCode::PolicyError.as_str(),
        }
    }
}

/// Reason of a denial that a default or the profile gives.
pub const NOT_PERMITTED: &str = "not permitted by policy";

/// Denial of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Denial {
    /// Machine-readable reason.
    pub code: DenialCode,
    /// Human-readable reason of at most 2 KiB. Contains no argument values and no policy text
    /// except the message of the rule.
    pub message: String,
    /// The tool is hidden from the caller, who must get the error for a tool that does not exist.
    pub hidden: bool,
    /// Time after which a retry can succeed.
    pub retry_after: Option<Duration>,
}

/// Verdict about one call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The call may be sent once all its reservations are made.
    Allow,
    /// A person must approve the call first.
    Ask(AskTerms),
    /// The call must not be sent.
    Deny(Denial),
}

impl Verdict {
    /// Returns `allow`, `ask` or `deny`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Ask(_) => "ask",
            Self::Deny(_) => "deny",
        }
    }
}
