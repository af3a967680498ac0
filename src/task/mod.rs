//! Tasks: their life as a pure machine ([`machine`]), the engine that runs them ([`engine`]), and
//! the one writer of each task's record.
//!
//! The one place that knows sandbox, policy, catalog and store together. Calls of programs come in
//! through [`host`] and are decided by the policy in force ([`policy_reload`]); they wait for a
//! person where it asks for one ([`approval`]).

pub mod approval;
mod call;
pub mod engine;
mod handle;
pub mod host;
mod journal;
pub mod machine;
pub mod policy_reload;
pub mod policy_view;
mod record;
mod replay;
mod run;

pub use self::{
    call::{concurrency::UpstreamConcurrency, context::Services},
    handle::{Latest, TaskHandle, TaskOutcome},
};
