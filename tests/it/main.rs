//! Every integration test, in one binary: what a user sees, at a real boundary.

mod catalog;
mod support;
