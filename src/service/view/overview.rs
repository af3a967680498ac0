//! How much is on record, and ids by their first characters.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Ids that begin as asked.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct IdList {
    /// The newest first, at most 10.
    pub ids: Vec<String>,
}

/// How much the workspace has on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Overview {
    /// Tasks.
    pub tasks: u64,
    /// Tasks that have not ended.
    pub unfinished_tasks: u64,
    /// Approvals that wait for a decision.
    pub pending_approvals: u64,
    /// Artifacts.
    pub artifacts: u64,
}
