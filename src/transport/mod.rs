//! The protocols: MCP over stdio and streamable HTTP, and the REST interface of the owner's own
//! tools.
//!
//! Speaks protocols and nothing else: no rules, no SQL, no state of tasks. Everything is asked
//! through [`Port`], with the [`Principal`](crate::model::Principal) who asks.

pub mod handoff;
pub mod http;
pub mod mcp;
mod port;
pub mod stdio;

pub use port::{Asked, Port};
