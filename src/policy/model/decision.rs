//! Decision about one call, visibility in lists, and budgets of tasks.

use std::time::Duration;

use serde::Serialize;

use super::{
    class::Class,
    reservation::Reservation,
    verdict::{RuleRef, Verdict},
};

/// Effect that a rule in shadow mode would have had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShadowFinding {
    /// Rule in shadow mode.
    pub rule: RuleRef,
    /// `ask` or `deny`.
    pub would: &'static str,
    /// Human-readable reason, with the limits of [`super::verdict::Denial::message`].
    pub message: String,
}

/// Decision about a call, with everything the audit record needs.
#[derive(Debug, Clone)]
pub struct Decision {
    /// Verdict.
    pub verdict: Verdict,
    /// Class of the tool.
    pub class: Class,
    /// Rule that decided.
    pub rule: Option<RuleRef>,
    /// Counters that must admit the call before it is sent; empty if the call is denied.
    pub reservations: Vec<Reservation>,
    /// Effects that rules in shadow mode would have had.
    pub shadow: Vec<ShadowFinding>,
    /// Time that the evaluation took.
    pub elapsed: Duration,
}

/// Visibility of a tool in lists, where the arguments are not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Listing {
    /// Not listed: the tool is hidden, or every call would be denied.
    Hidden,
    /// Listed as callable without approval, as far as is known without arguments.
    Auto,
    /// Listed as requiring approval.
    Required,
}

/// Tool budget of one task; `None` means that policy sets no bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Budget {
    /// Number of calls.
    pub calls: Option<u64>,
    /// Bytes of responses.
    pub bytes_returned: Option<u64>,
    /// Sum of the durations of all calls.
    pub wall_time: Option<Duration>,
}
