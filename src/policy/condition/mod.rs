//! Condition language: comparisons and CEL expressions about a call. Conditions are compiled when a
//! policy is loaded and bounded in size, depth and work. Must not know rules.

mod cel;
mod comparison;
mod counter;
mod expr;
mod regex;
mod subject;
mod value;

pub(super) use cel::Expression;
pub(super) use comparison::CompiledComparison;
pub(super) use counter::Counter;
pub(super) use expr::Expr;
pub use subject::ArgPath;
pub(super) use subject::{EvaluationError, Subject};

#[cfg(test)]
mod tests;
