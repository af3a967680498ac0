//! Limits in the file format.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Number;

use super::values::{DurationText, OneOr, WindowText};

/// Limit on the number or the total cost of calls.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Name of the counter; default: the name of the rule, or `rate` with the window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counter: Option<String>,
    /// Window: `minute`, `hour`, `day`, `task`, seconds, or a string such as `90s`.
    pub window: WindowText,
    /// Highest value that the counter may reach.
    pub max: Number,
    /// Scope of the counter. Default: the workspace and the tool for an exact path, the workspace
    /// alone for a pattern with `*`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<OneOr<Scope>>")]
    pub scope: Option<Vec<Scope>>,
    /// Amount that one call adds; default 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
    /// `fixed`, the default, or `rolling`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algo: Option<Algorithm>,
    /// `success`, the default, or `attempt`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<Counting>,
    /// `deny`, the default, `wait` or `ask`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_exceed: Option<Exceeded>,
    /// Longest wait of a call with `on_exceed: wait`; default 30 s, at most 5 minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait: Option<DurationText>,
    /// Message to the caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Limit of a rule, in short or in full form.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum RateLimit {
    /// `5/hour`: a number, and `minute`, `hour` or `day`.
    Short(String),
    /// Full form.
    Full(Box<Limit>),
}

/// Amount that one call adds.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Cost {
    /// Fixed amount.
    Fixed(Number),
    /// Argument at `args.a.b`, or result of a CEL expression.
    Of(String),
}

/// Scope of a counter: each distinct value has a counter of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// One counter for everything.
    Global,
    /// Each workspace.
    Workspace,
    /// Each account of a workspace.
    Principal,
    /// Each session of an account. The caller chooses it, so it is no security boundary.
    Session,
    /// Each task.
    Task,
    /// Each tool.
    Tool,
    /// Each upstream.
    Upstream,
}

impl Scope {
    /// All scopes, with their names in files.
    pub const ALL: [(&'static str, Self); 7] = [
        ("global", Self::Global),
        ("workspace", Self::Workspace),
        ("principal", Self::Principal),
        ("session", Self::Session),
        ("task", Self::Task),
        ("tool", Self::Tool),
        ("upstream", Self::Upstream),
    ];

    /// Returns the name in files.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, scope)| *scope == self).map_or("", |(name, _)| name)
    }
}

/// Kind of window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// Aligned to the calendar.
    Fixed,
    /// The most recent span of the window's length.
    Rolling,
}

/// Calls that count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Counting {
    /// Calls that succeed.
    Success,
    /// Every call that is sent.
    Attempt,
}

/// Outcome for a call over the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Exceeded {
    /// The call is denied.
    Deny,
    /// The call waits.
    Wait,
    /// A person is asked.
    Ask,
}
