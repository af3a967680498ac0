//! What policy answers.

use std::{sync::Arc, time::Duration};

use serde::Serialize;

use super::{Class, Hold};
use crate::model::ErrorCode;

/// Names a rule: in records, in errors and in `explain`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct RuleRef {
    /// The rule's own name, or its place: `rules[0]`, `default`, `class default`.
    pub name: Arc<str>,
    /// JSON Pointer into the file; empty for what no file says.
    pub pointer: Arc<str>,
    /// The file, or `profile auto`.
    pub layer: Arc<str>,
}

impl std::fmt::Display for RuleRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({}{})", self.name, self.layer, self.pointer)
    }
}

/// On which terms a person is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AskTerms {
    /// How long the call waits for an answer; none: what the server's configuration says.
    pub timeout: Option<Duration>,
    /// Why it is asked, for the person who decides.
    pub reason: String,
    /// What the rule says to the caller.
    pub message: Option<Arc<str>>,
}

/// Why a call is refused, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DenialCode {
    /// A rule, or a default, says no.
    PolicyDenied,
    /// A limit is used up.
    RateLimited,
    /// Deciding failed; in doubt the answer is no.
    PolicyError,
}

impl DenialCode {
    /// Its name in errors and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PolicyDenied => ErrorCode::PolicyDenied.as_str(),
            Self::RateLimited => ErrorCode::RateLimited.as_str(),
            Self::PolicyError => ErrorCode::PolicyError.as_str(),
        }
    }
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Denial {
    /// Why, for programs.
    pub code: DenialCode,
    /// Why, for people: never the arguments of others, never the text of the policy beyond the
    /// rule's own message. At most 2 KiB.
    pub message: String,
    /// The tool is hidden from the caller: the answer must be the one for a tool that does not
    /// exist.
    pub hidden: bool,
    /// When trying again can help.
    pub retry_after: Option<Duration>,
}

/// The answer about one call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It may leave, once its [`Decision::holds`] are reserved.
    Allow,
    /// A person must agree first.
    Ask(AskTerms),
    /// It may not leave.
    Deny(Denial),
}

impl Verdict {
    /// `allow`, `ask` or `deny`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Ask(_) => "ask",
            Self::Deny(_) => "deny",
        }
    }
}

/// What a rule in shadow mode would have done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShadowFinding {
    /// The rule.
    pub rule: RuleRef,
    /// `ask` or `deny`.
    pub would: &'static str,
    /// Why, as for [`Denial::message`].
    pub message: String,
}

/// The answer, and what the record says about it.
#[derive(Debug, Clone)]
pub struct Decision {
    /// The answer.
    pub verdict: Verdict,
    /// The class the tool was taken for.
    pub class: Class,
    /// What decided.
    pub rule: Option<RuleRef>,
    /// Counters that must admit the call before it leaves; none when it is denied.
    pub holds: Vec<Hold>,
    /// What rules in shadow mode would have done.
    pub shadow: Vec<ShadowFinding>,
    /// How long deciding took.
    pub elapsed: Duration,
}

/// What a list shows of a tool, whose arguments are not known yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Listing {
    /// Nothing: it is hidden, or every call would be denied.
    Hidden,
    /// It can be called without asking, as far as is known without arguments.
    Auto,
    /// A call waits for a person.
    Required,
}

/// What one task may use of tools altogether; none: no bound by policy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Budget {
    /// Calls.
    pub calls: Option<u64>,
    /// Bytes of answers.
    pub bytes_returned: Option<u64>,
    /// Time that tools take, summed over calls.
    pub wall_time: Option<Duration>,
}
