//! The MCP server: four tools, the same over every transport and in every revision of the protocol.
//!
//! Turns arguments into requests to the [`Service`](crate::service::Service) and answers into MCP
//! results. Decides nothing about tasks.

mod answer;
mod arguments;
mod describe;
mod listeners;
mod options;
mod reading;
mod reporter;
mod schema;
mod server;
mod unserved;

pub use options::{LiveMcpOptions, McpOptions};
pub(super) use reading::{completed, unmarked, wrong_id};
pub use server::Mcp;
pub(super) use server::counts;
pub(super) use unserved::{doubled_key, explain};
