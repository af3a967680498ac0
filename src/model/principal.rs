//! Who asks.

use serde::{Deserialize, Serialize};

/// The identity on every request. Tasks, approvals and counters belong to its workspace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Principal {
    /// The workspace; `local` where there are no keys.
    pub workspace_id: String,
    /// The account within the workspace; `local` where there are no keys.
    pub account_id: String,
    /// The program that speaks for the account, by the name it gives itself: `claude-code`, `cli`.
    /// Never a boundary.
    pub client_id: String,
}

impl Principal {
    /// The single user of a server on loopback without keys.
    pub fn local(client_id: impl Into<String>) -> Self {
        Self {
            workspace_id: "local".into(),
            account_id: "local".into(),
            client_id: client_id.into(),
        }
    }
}
