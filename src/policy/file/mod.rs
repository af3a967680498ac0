//! File format of policies. Reading is strict and reports all problems at once; serialising gives a
//! form that reading accepts. Must not compile conditions, decide, or open files.

mod condition;
mod form;
mod limit;
mod parse;
mod policy_file;
mod reader;
mod rule;
mod schema;
pub(super) mod tree;
mod values;

pub use condition::{Comparison, Condition, ConditionGroup, Op, Requirement, When};
pub use limit::{Algorithm, Cost, Counting, Exceeded, Limit, RateLimit, Scope};
pub use policy_file::{Budgets, DefaultAction, Entry, Expected, PolicyFile, TestCaller, TestCase};
pub use rule::{Action, AppliesTo, Approval, Rule, State, Validate};
pub use schema::json_schema;
pub use tree::FILE_BYTES_MAX;
pub use values::{DurationText, Mode, OneOrMany, WindowText};

pub(super) use parse::Document;
pub(super) use reader::{Reader, type_name};
pub(super) use tree::{Positions, escape_token};

#[cfg(test)]
mod tests;
