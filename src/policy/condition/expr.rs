//! Interface of compiled conditions.

use std::fmt;

use super::{
    counter::Counter,
    subject::{ArgPath, EvaluationError, Subject},
};

/// Compiled condition.
pub(in crate::policy) trait Expr: fmt::Debug + Send + Sync {
    /// Evaluates the condition.
    fn holds(&self, subject: &Subject<'_>) -> Result<bool, EvaluationError>;
    /// Returns the condition as written.
    fn source(&self) -> String;
    /// Returns the values compared, for `explain`.
    fn observed(&self, subject: &Subject<'_>) -> String;
    /// Returns the counters whose values it reads.
    fn counters(&self) -> &[Counter];
    /// Returns the arguments that it reads.
    fn arg_paths(&self) -> Vec<ArgPath>;
}
