//! Every integration test, in one binary: what a user sees, at a real boundary.

mod config;
mod guests;
mod restart;
mod statuses;
mod store_contract;
mod support;
mod tidy;
