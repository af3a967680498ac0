//! Every integration test, in one binary: what a user sees, at a real boundary.

mod support;
#[cfg(feature = "v8")]
mod typings;
#[cfg(feature = "v8")]
mod web;
#[cfg(feature = "v8")]
mod worker;
