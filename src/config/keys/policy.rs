//! The keys of `[policy]` and `[approvals]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which calls of tools are allowed, and what is recorded about them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PolicyKeys {
    /// What holds where no rule speaks. `readonly`: what reads is allowed, the rest refused.
    /// `auto`: what reads is allowed, the rest waits for a person. `open`: everything but what
    /// destroys or spends is allowed. `strict`: nothing is.
    pub profile: Profile,
    /// The policy files, YAML or JSON; every one of them guards. A path, or `{ path, layer,
    /// workspace, key, upstream }`: `layer` is `organisation`, `workspace` or `key`, the latter two
    /// with the name they hold for; `upstream` is what the bare names of tools in the file belong
    /// to. Relative paths count from the folder of the file that names them. A changed file is
    /// taken at once; one that is not valid is not, and `/healthz` says so.
    pub files: Vec<PolicyFileKeys>,
    /// Whether the record of a call holds the values of its arguments. Without it: their names,
    /// size and digest.
    pub record_values: bool,
}

/// What holds where no rule speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// What reads is allowed, the rest refused.
    Readonly,
    /// What reads is allowed, the rest waits for a person.
    #[default]
    Auto,
    /// Everything but what destroys or spends is allowed.
    Open,
    /// Nothing is allowed.
    Strict,
}

/// One policy file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum PolicyFileKeys {
    /// Its path; it holds for everybody.
    Path(String),
    /// Its path and whom it holds for.
    Table(PolicyFileTable),
}

/// A policy file and whom it holds for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyFileTable {
    /// Its path.
    pub path: String,
    /// Whom it holds for.
    #[serde(default)]
    pub layer: LayerKind,
    /// The workspace, where `layer` is `workspace`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub workspace: Option<String>,
    /// The key, where `layer` is `key`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key: Option<String>,
    /// The upstream that bare names of tools belong to.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub upstream: Option<String>,
}

/// Whom a policy file holds for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LayerKind {
    /// Everybody.
    #[default]
    Organisation,
    /// One workspace.
    Workspace,
    /// One key.
    Key,
}

/// Who answers where policy asks, and for how long a call waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ApprovalsKeys {
    /// `owner`: the server's owner, on the command line or signed in to its pages. `nobody`: what
    /// policy would ask for is refused.
    pub by: Approver,
    /// How long a call waits for an answer, in milliseconds, where its rule does not say; then it
    /// is refused.
    #[schemars(range(min = 1_000, max = 86_400_000))]
    pub timeout_ms: u64,
    /// Calls of one task that may wait for an answer at once. Further ones are refused.
    #[schemars(range(min = 1, max = 256))]
    pub calls_max: u64,
    /// Tasks that may wait for an answer at once; each holds a worker. Never more than half of
    /// `sandbox.workers_max`.
    #[schemars(range(min = 1, max = 512))]
    pub tasks_max: u64,
}

impl Default for ApprovalsKeys {
    fn default() -> Self {
        Self { by: Approver::Owner, timeout_ms: 1_800_000, calls_max: 64, tasks_max: 32 }
    }
}

/// Who answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Approver {
    /// The server's owner.
    #[default]
    Owner,
    /// Nobody: to ask is to refuse.
    Nobody,
}
