//! Whether the answer about a tool can hang on the arguments of a call. Must not decide.

use crate::policy::{Pattern, Policy};

/// The addresses where something looks at arguments.
pub struct Reliance<'p>(Vec<&'p Pattern>);

impl<'p> Reliance<'p> {
    /// Of this policy.
    pub fn of(policy: &'p Policy) -> Self {
        Self(policy.rules().filter(|rule| rule.looks_at_args).map(|rule| rule.pattern).collect())
    }

    /// Whether a call of this tool may be answered differently for its arguments.
    pub fn on_arguments(&self, path: &str) -> bool {
        self.0.iter().any(|pattern| pattern.fits(path))
    }
}
