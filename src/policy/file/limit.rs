//! Limits, as the file writes them.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Number;

use super::DurationText;

/// A bound on how often, or for how much.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// The name of the counter; without it the rule's, or `rate` with the window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counter: Option<String>,
    /// Over what time: `minute`, `hour`, `day`, `task`, seconds, or text such as `90s`.
    pub window: WindowText,
    /// What the counter may reach.
    pub max: Number,
    /// For whom the counter stands. Without it: the workspace and the tool at an exact address, the
    /// workspace alone at one with `*`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<super::OneOr<Scope>>")]
    pub scope: Option<Vec<Scope>>,
    /// What one call adds; without it 1.
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
    /// How long a call waits at the most, with `on_exceed: wait`; without it 30 s, at most 5
    /// minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait: Option<DurationText>,
    /// What the caller is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// A limit on a rule, in short or at length.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum RateLimit {
    /// `5/hour`: a number, and `minute`, `hour` or `day`.
    Short(String),
    /// At length.
    Full(Box<Limit>),
}

/// The length of a window.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum WindowText {
    /// Whole seconds.
    Seconds(u64),
    /// `minute`, `hour`, `day`, `task`, or `90s`, `5m`, `2h`, `7d`.
    Text(String),
}

/// What one call adds.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Cost {
    /// Always this.
    Fixed(Number),
    /// The argument at `args.a.b`, or the value of a CEL expression.
    Of(String),
}

/// For whom a counter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// All together.
    Global,
    /// Each workspace.
    Workspace,
    /// Each account of a workspace.
    Principal,
    /// Each session of an account; the caller chooses it, so it is no boundary.
    Session,
    /// Each task.
    Task,
    /// Each tool.
    Tool,
    /// Each upstream.
    Upstream,
}

impl Scope {
    /// All, as they are written.
    pub const ALL: [(&'static str, Self); 7] = [
        ("global", Self::Global),
        ("workspace", Self::Workspace),
        ("principal", Self::Principal),
        ("session", Self::Session),
        ("task", Self::Task),
        ("tool", Self::Tool),
        ("upstream", Self::Upstream),
    ];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, scope)| *scope == self).map_or("", |(name, _)| name)
    }
}

/// How a window moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// Aligned to the calendar.
    Fixed,
    /// With the time.
    Rolling,
}

/// What counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Counting {
    /// Calls that succeed.
    Success,
    /// Calls that leave.
    Attempt,
}

/// What happens to a call over the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Exceeded {
    /// It is refused.
    Deny,
    /// It waits.
    Wait,
    /// A person is asked.
    Ask,
}
