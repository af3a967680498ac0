//! Every integration test, in one binary: what a user sees, at a real boundary.

mod config;
mod store_contract;
mod support;
mod tidy;
