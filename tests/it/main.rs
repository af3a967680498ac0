//! Every integration test, in one binary: what a user sees, at a real boundary.

mod support;
#[cfg(feature = "v8")]
mod web;
mod worker;
