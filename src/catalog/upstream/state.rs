//! The state of the connection to one upstream, as it is kept and as it is reported.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde::Serialize;

use super::Connection;

/// Status of an upstream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UpstreamStatus {
    /// Its name.
    pub name: String,
    /// `mcp`.
    pub kind: &'static str,
    /// State of its connection.
    pub status: UpstreamState,
    /// Tools in the catalog; those of an upstream that is down are the last known.
    pub tools: usize,
    /// Fault, or tools that were left out, and the remedy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Operations of its document that are read, and all of them, once their number is known.
    #[serde(skip)]
    pub progress: (usize, usize),
}

/// State of an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum UpstreamState {
    /// Connecting; calls wait.
    Connecting,
    /// Connected.
    Ready,
    /// Not connected; tried again after a pause, calls fail meanwhile.
    Failed,
}

/// Current state of the connection to an upstream.
#[derive(Clone)]
pub(super) enum ConnectionState {
    Connecting,
    Ready { connection: Arc<dyn Connection>, note: Option<String> },
    Failed { reason: String, next: RetryAt },
    Stopped,
}

/// Time at which a failed upstream is tried again.
#[derive(Clone, Copy)]
pub(super) struct RetryAt {
    pub(super) at: Instant,
    /// True if no attempt helps before the configuration changes.
    pub(super) permanent: bool,
}

impl RetryAt {
    pub(super) fn summary(self) -> String {
        match self.at.saturating_duration_since(Instant::now()) {
            Duration::ZERO => "it is being tried again".to_owned(),
            wait => format!("the next try is made in {} s", wait.as_secs().max(1)),
        }
    }
}
