//! The bounds that the tools' schemas and descriptions state.

use std::time::Duration;

use tokio::sync::watch;

/// Bytes of a result that an answer holds whole, at most. A larger one is read in pages.
pub(super) const RESULT_BYTES_MAX: u64 = 1024 * 1024;

/// The bounds that the tools' schemas and descriptions state; the service enforces them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct McpOptions {
    /// Bytes of code, at most. 262144 unless configured.
    pub code_bytes_max: usize,
    /// Milliseconds a program may run where the call does not say. 300000 unless configured.
    pub timeout_ms: u64,
    /// The runtime where the call does not say.
    pub runtime_id: String,
    /// The runtimes that a call may name.
    pub runtimes: Vec<String>,
    /// Why there may be no tools, for the instructions of a server without any.
    pub why_no_tools: String,
    /// Time between two progress notifications, 10 to 15 s: clients drop a call that is silent for
    /// longer.
    pub progress_every: Duration,
}

/// The bounds in force, which change with the configuration.
pub type LiveMcpOptions = watch::Receiver<McpOptions>;

impl Default for McpOptions {
    fn default() -> Self {
        Self {
            code_bytes_max: 256 * 1024,
            timeout_ms: 300_000,
            runtime_id: "local-v8".to_owned(),
            runtimes: vec![],
            why_no_tools: String::new(),
            progress_every: Duration::from_secs(10),
        }
    }
}
