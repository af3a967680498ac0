//! The protocols: MCP over stdio and streamable HTTP, and the REST interface of the owner's own
//! tools.
//!
//! Speaks protocols and nothing else: no rules, no SQL, no state of tasks. Everything is asked of
//! [`Service::call`](crate::service::Service::call), with the
//! [`Principal`](crate::model::Principal) that [`auth`] makes.

pub mod auth;
pub mod handoff;
pub mod http;
pub mod mcp;
pub mod rate_limit;
mod request_ids;
pub mod stdio;
