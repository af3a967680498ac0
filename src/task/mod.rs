//! Tasks: what they may become ([`machine`]) and the engine that runs them and writes down what happened ([`engine`]).
//!
//! The one place that knows sandbox, catalog and store together. Calls of guests come in through [`host`], where policy will stand.

pub mod engine;
pub mod host;
pub mod machine;
