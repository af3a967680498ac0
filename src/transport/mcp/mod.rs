//! The MCP server: four tools, the same over every transport and in every revision of the protocol.
//!
//! Turns arguments into requests to the [`Port`](super::Port) and answers into MCP results. Decides
//! nothing about tasks.

pub mod answer;
mod arguments;
mod describe;
mod listeners;
mod schema;
mod server;

pub use server::Mcp;

use std::time::Duration;

/// Bytes of a result that an answer holds whole, at most. A larger one is read in pages.
pub const RESULT_BYTES_MAX: u64 = 1024 * 1024;

/// What the tools' schemas and descriptions state; the service enforces it.
#[derive(Debug, Clone)]
pub struct McpOptions {
    /// Bytes of code, at most. 262144 unless configured.
    pub code_bytes_max: usize,
    /// Milliseconds a program may run where the call does not say. 300000 unless configured.
    pub timeout_ms: u64,
    /// The runtime where the call does not say.
    pub runtime_id: String,
    /// The runtimes that a call may name.
    pub runtimes: Vec<String>,
    /// How often a waiting client that wants progress hears of it, 10 to 15 s: clients drop a call
    /// that is silent for longer.
    pub progress_every: Duration,
}

impl Default for McpOptions {
    fn default() -> Self {
        Self {
            code_bytes_max: 256 * 1024,
            timeout_ms: 300_000,
            runtime_id: "local-v8".to_owned(),
            runtimes: vec![],
            progress_every: Duration::from_secs(10),
        }
    }
}
