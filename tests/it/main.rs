//! Every integration test, in one binary: what a user sees, at a real boundary.

#![allow(clippy::disallowed_methods, reason = "tests have an environment of their own")]

mod approvals;
mod artifacts;
mod asking;
mod catalog;
mod cli;
mod config;
mod configurations;
mod deno;
mod finding_turns;
mod graphql;
mod guests;
mod intake;
mod large_integers;
mod mcp_oddities;
mod mcp_protocol;
mod oauth;
mod openapi;
mod owner;
mod policy_cli;
mod policy_enforce;
mod policy_import;
mod policy_model;
mod real;
mod repair;
mod restart;
mod roles;
mod secret_canary;
mod shared_database;
mod statuses;
mod store_contract;
mod support;
mod tidy;
mod typings;
mod upstream_faults;
mod upstream_net;
mod waiting;
mod web;
mod worker;
mod worker_life;
mod worker_limits;
mod worker_seal;
mod worker_values;
