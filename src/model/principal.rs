//! The identity behind a request, and the roles that say what it may ask for.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// A permission of an identity. Roles add up; none contains another.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Runs code and reads its own tasks and tools. Never approves, never changes policy.
    Agent,
    /// Reads approvals and decides them.
    Approver,
    /// Reads artifacts, policy and the status of upstreams, and changes them.
    Admin,
}

impl Role {
    /// Its name in errors and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Approver => "approver",
            Self::Admin => "admin",
        }
    }
}

/// The identity that every request carries. It is stored whole with each task and approval;
/// tasks, approvals and counters belong to its workspace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Principal {
    /// The workspace; `local` on a server without keys.
    pub workspace_id: String,
    /// The account within the workspace; `local` on a server without keys.
    pub account_id: String,
    /// The roles it has.
    pub roles: BTreeSet<Role>,
    /// The API key that identified it; none on a server without keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// The program that speaks for the account, by the name it gives itself: `claude-code`, `cli`.
    /// Never a boundary.
    pub client_id: String,
    /// The caller's own grouping of tasks. Never a boundary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
}

impl Principal {
    /// An agent of the single user of a server on loopback without keys.
    pub fn local(client_id: impl Into<String>) -> Self {
        Self::of_local([Role::Agent], client_id)
    }

    /// The owner of a server on loopback without keys, identified by the owner's token or a
    /// browser session: every role.
    pub fn owner(client_id: impl Into<String>) -> Self {
        Self::of_local([Role::Agent, Role::Approver, Role::Admin], client_id)
    }

    fn of_local(roles: impl Into<BTreeSet<Role>>, client_id: impl Into<String>) -> Self {
        Self {
            workspace_id: "local".into(),
            account_id: "local".into(),
            roles: roles.into(),
            key_id: None,
            client_id: client_id.into(),
            session_id: None,
        }
    }

    /// Returns true if it has this role.
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}
