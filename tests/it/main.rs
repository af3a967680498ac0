//! Every integration test, in one binary: what a user sees, at a real boundary.

#[cfg(feature = "v8")]
mod approvals;
#[cfg(feature = "v8")]
mod artifacts;
mod catalog;
mod cli;
mod config;
mod finding_turns;
mod graphql;
#[cfg(feature = "v8")]
mod guests;
mod intake;
mod mcp_protocol;
mod oauth;
mod openapi;
#[cfg(feature = "v8")]
mod owner;
#[cfg(feature = "v8")]
mod policy_cli;
#[cfg(feature = "v8")]
mod policy_enforce;
mod policy_import;
mod policy_model;
#[cfg(feature = "v8")]
mod repair;
#[cfg(feature = "v8")]
mod restart;
#[cfg(feature = "v8")]
mod secret_canary;
#[cfg(feature = "v8")]
mod shared_database;
#[cfg(feature = "v8")]
mod statuses;
mod store_contract;
mod support;
mod tidy;
mod typings;
#[cfg(feature = "v8")]
mod upstream_faults;
mod upstream_net;
mod web;
#[cfg(feature = "v8")]
mod worker;
#[cfg(feature = "v8")]
mod worker_life;
mod worker_limits;
mod worker_seal;
mod worker_values;
