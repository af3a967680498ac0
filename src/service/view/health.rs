//! The state of the server and of its upstreams.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    catalog::{UpstreamState, UpstreamStatus},
    sandbox::{LockTier, Locks},
};

/// The state of the server: the answer of `/healthz`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// `ok`, or `degraded` where something that is needed does not work.
    pub status: String,
    /// The server's version.
    pub version: String,
    /// Its runtimes.
    pub sandbox: SandboxHealth,
    /// Its store.
    pub store: StoreHealth,
    /// The policy in force.
    pub policy: PolicyHealth,
    /// The configuration in force; none where the server cannot read it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<ConfigHealth>,
    /// One entry per configured upstream.
    pub upstreams: Vec<Upstream>,
}

/// The state of the sandbox.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SandboxHealth {
    /// `ok`, or `none` where the server has no runtime.
    pub status: String,
    /// The runtimes.
    pub runtimes: Vec<RuntimeHealth>,
}

/// The state of one runtime.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RuntimeHealth {
    /// Its id.
    pub runtime_id: String,
    /// Name and version of its engine, or `not used yet`.
    pub engine: String,
    /// The tier of the locks on its workers; none before the first use.
    pub tier: Option<LockTier>,
    /// The operating system's locks on its workers; empty before the first use.
    pub locks: Locks,
    /// Worker processes.
    pub workers: usize,
    /// Tasks that wait for a worker.
    pub queued: usize,
}

/// The state of the store.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct StoreHealth {
    /// `ok` or `failed`.
    pub status: String,
    /// Tasks that have not ended, where the store works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tasks: Option<usize>,
    /// The reason why it does not work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// The state of the policy.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyHealth {
    /// `ok`, or `degraded` where the files cannot be used and an earlier version is in force.
    pub status: String,
    /// The profile.
    pub profile: String,
    /// The revision in force.
    pub revision: String,
    /// Tasks that wait for an approval.
    pub parked_tasks: usize,
    /// The reasons why the files cannot be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The remedy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// The state of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigHealth {
    /// `ok`; `degraded` where the file cannot be used and the last valid one is in force;
    /// `restart_needed` where the file is in force but for some keys.
    pub status: String,
    /// Keys that differ from those in force and take effect at the next start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs_restart: Vec<String>,
    /// The reasons why the file cannot be used, or the keys that need a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The remedy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// The states of upstreams.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct UpstreamList {
    /// By name.
    pub results: Vec<Upstream>,
}

/// The state of one upstream.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Upstream {
    /// Its name.
    pub name: String,
    /// `mcp`, `openapi` or `graphql`.
    pub kind: String,
    /// `connecting`, `ready` or `failed`.
    pub status: String,
    /// Its tools; those of an upstream that is down are the last known.
    pub tools: usize,
    /// The problem, or the tools that were omitted, and the remedy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl From<UpstreamStatus> for Upstream {
    fn from(status: UpstreamStatus) -> Self {
        let state = match status.status {
            UpstreamState::Connecting => "connecting",
            UpstreamState::Ready => "ready",
            UpstreamState::Failed => "failed",
        };
        Self {
            name: status.name,
            kind: status.kind.to_string(),
            status: state.into(),
            tools: status.tools,
            message: status.message,
        }
    }
}
