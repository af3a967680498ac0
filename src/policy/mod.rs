//! Policy: decides who may call which tool, with which arguments and how often.
//!
//! Pure: the text of policy files goes in and a loaded [`Policy`] comes out; a [`Call`] goes in and
//! a [`Decision`] comes out. Policy opens no file, reads no clock, counts nothing, asks nobody and
//! calls no tool. *Guards add up; permission goes to the most specific; deny always wins.* Any
//! failure while deciding is a denial.
//!
//! The floors, lowest first. A file imports only from its own floor and from those below;
//! `tests/it/tidy/arrows.rs` checks it.
//!
//! | floor | contains |
//! |---|---|
//! | `model` | plain data: calls, classes, counters, decisions, patterns, problems |
//! | `args`, `classify`, `file` | parsing of arguments; risk classes and presets; the file format |
//! | `condition` | the condition language: comparisons and CEL |
//! | `compiled` | the compiled layers, entries and rules |
//! | `compile` | turns files into compiled rules |
//! | `loaded` | [`Policy`]: compiled rules with their indexes |
//! | `view`, `decide` | read-only views of rules; decisions and explanations |
//! | `policy_tests`, `lint`, `import`, `fuzz` | everything on top of decisions |

mod args;
mod classify;
mod compile;
mod compiled;
mod condition;
mod decide;
pub mod file;
#[doc(hidden)]
pub mod fuzz;
pub mod import;
pub mod lint;
mod loaded;
mod model;
mod policy_tests;
mod view;

pub use args::ARGS_BYTES_MAX;
pub use compile::{APPROVAL_MAX, LAYERS_MAX, RULES_MAX};
pub use condition::ArgPath;
pub use loaded::Policy;
pub use model::{
    amount::{Amount, AmountError},
    call::{Call, Caller, FormerPath, ToolFacts},
    class::Class,
    counter::{
        Count, CounterKey, CounterRead, CounterValues, FixedWindow, PLAIN_KEY_BYTES_MAX, Window,
    },
    decision::{Budget, Decision, Listing, ShadowFinding},
    explanation::{Explanation, STEPS_MAX, Step},
    layer::{Layer, LayerScope, Options, Profile},
    pattern::{PATTERN_BYTES_MAX, Pattern, PatternError, SEGMENTS_MAX},
    problem::{PROBLEMS_MAX, Problem},
    reservation::{OnExceed, Reservation},
    verdict::{AskTerms, Denial, DenialCode, NOT_PERMITTED, RuleRef, Verdict},
};
pub use policy_tests::TestReport;
pub use view::{EntryView, LayerView, RuleView};

#[cfg(test)]
mod tests;
