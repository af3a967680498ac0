//! Tells if the decision about a tool can depend on the arguments of a call. Must not decide.

use crate::policy::{
    loaded::Policy,
    model::{call::ToolFacts, pattern::Pattern},
};

/// Patterns whose rules read arguments.
pub struct ArgumentUse<'p>(Vec<&'p Pattern>);

impl<'p> ArgumentUse<'p> {
    /// Collects the patterns of a policy.
    pub fn of(policy: &'p Policy) -> Self {
        Self(policy.rules().filter(|rule| rule.depends_on_args).map(|rule| rule.pattern).collect())
    }

    /// Returns true if the decision about this tool can depend on its arguments.
    pub fn affects(&self, tool: &ToolFacts<'_>) -> bool {
        self.0.iter().any(|pattern| tool.is_matched_by(pattern))
    }
}
