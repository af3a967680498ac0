//! Tasks: what they may become ([`machine`]) and the engine that runs them and writes down what
//! happened ([`engine`]).
//!
//! The one place that knows sandbox, policy, catalog and store together. Calls of guests come in
//! through [`host`], where the policy in force ([`live_policy`]) decides about each, wait at the
//! [`desk`] where it asks for a person, and leave answers that are too large among the
//! [`artifacts`].

pub mod artifacts;
pub mod desk;
pub mod engine;
pub mod host;
pub mod live_policy;
pub mod machine;
mod passage;
mod record;
mod refusal;
mod shares;
mod spending;
mod warnings;

pub use self::shares::Turns;
