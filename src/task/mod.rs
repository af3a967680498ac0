//! Tasks: what they may become ([`machine`]) and the engine that runs them and writes down what
//! happened ([`engine`]).
//!
//! The one place that knows sandbox, policy, catalog and store together. Calls of guests come in
//! through [`host`], where the policy in force ([`policy_reload`]) decides about each, wait at the
//! [`approval_waiters`] where it asks for a person, and leave answers that are too large among the
//! [`artifacts`].

pub mod approval_waiters;
pub mod artifacts;
mod call;
pub mod engine;
pub mod host;
pub mod machine;
pub mod policy_reload;
mod record;
mod warnings;

pub use self::call::concurrency::UpstreamConcurrency;
