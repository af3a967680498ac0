//! Keys of `[policy]` and `[approvals]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Policy for tool calls, and what the record contains of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PolicyKeys {
    /// Decision for tools that no policy file decides about. `readonly` allows tools that only read
    /// and denies the others. `auto` allows tools that only read and asks a person about the
    /// others. `open` allows everything except tools that destroy something or move money, which it
    /// asks about. `strict` denies everything.
    pub profile: Profile,
    /// Policy files, YAML or JSON; the guards of all of them apply. Each is a path, or `{ path,
    /// layer, workspace, key, upstream }`. `layer` is `organisation`, `workspace` or `key`; the
    /// last two need the name in `workspace` or `key`. `upstream` is the upstream of the tool names
    /// in the file. A relative path is relative to the folder of the configuration file. Airlock
    /// reloads a changed file at once. If a changed file is not valid, the last valid policy stays
    /// in force and `/healthz` reports the problem.
    pub files: Vec<PolicyFileKeys>,
    /// Records the values of arguments. Otherwise the record of a call contains only their names,
    /// size and digest.
    pub record_values: bool,
}

/// Decision for tools that no policy file decides about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Allows tools that only read; denies the others.
    Readonly,
    /// Allows tools that only read; asks about the others.
    #[default]
    Auto,
    /// Asks about tools that destroy something or move money; allows the others.
    Open,
    /// Denies everything.
    Strict,
}

/// One policy file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum PolicyFileKeys {
    /// Path of a file for every caller.
    Path(String),
    /// Path with a scope.
    Table(PolicyFileTable),
}

/// Policy file with a scope.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyFileTable {
    /// Path of the file.
    pub path: String,
    /// Callers that the file applies to.
    #[serde(default)]
    pub layer: LayerKind,
    /// Workspace, if `layer` is `workspace`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub workspace: Option<String>,
    /// Label of the key, if `layer` is `key`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key: Option<String>,
    /// Upstream of the tool names in the file.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub upstream: Option<String>,
}

/// Callers that a policy file applies to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LayerKind {
    /// Every caller.
    #[default]
    Organisation,
    /// Callers of one workspace.
    Workspace,
    /// Callers with one key.
    Key,
}

/// Approval of the calls that policy asks about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ApprovalsKeys {
    /// Approver. `owner`: the owner of the server decides, on the command line or signed in to its
    /// pages. `nobody`: calls that policy asks about are denied.
    pub by: Approver,
    /// Time after which a call without a decision is denied, in milliseconds. A rule can set
    /// another time.
    #[schemars(range(min = 1_000, max = 86_400_000))]
    pub timeout_ms: u64,
    /// Calls of one task that may wait for approval at the same time. Further calls are denied.
    #[schemars(range(min = 1, max = 256))]
    pub calls_max: u64,
    /// Tasks that may wait for approval at the same time.
    #[schemars(range(min = 1, max = 100_000))]
    pub tasks_max: u64,
    /// Time after which a program that only waits for approvals gives up its process, in
    /// milliseconds; a second is enough if other programs wait for one. Once the approvals are
    /// decided, it runs again to the same point, without sending anything twice.
    #[schemars(range(min = 0, max = 86_400_000))]
    pub spill_after_ms: u64,
}

impl Default for ApprovalsKeys {
    fn default() -> Self {
        Self {
            by: Approver::Owner,
            timeout_ms: 1_800_000,
            calls_max: 64,
            tasks_max: 1_000,
            spill_after_ms: 30_000,
        }
    }
}

/// Approver of calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Approver {
    /// The owner of the server.
    #[default]
    Owner,
    /// Nobody: asking denies.
    Nobody,
}
