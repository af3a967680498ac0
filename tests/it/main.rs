//! Every integration test, in one binary: what a user sees, at a real boundary.

#[cfg(feature = "v8")]
mod intake;
mod support;
#[cfg(feature = "v8")]
mod typings;
#[cfg(feature = "v8")]
mod web;
#[cfg(feature = "v8")]
mod worker;
#[cfg(feature = "v8")]
mod worker_limits;
#[cfg(feature = "v8")]
mod worker_seal;
#[cfg(feature = "v8")]
mod worker_values;
