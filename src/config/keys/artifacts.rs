//! The keys of kept answers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Answers of tools over 8 MiB: they are kept, and code gets a handle that it reads them by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ArtifactsKeys {
    /// How long an answer is kept, in hours.
    #[schemars(range(min = 1, max = 8760))]
    pub ttl_hours: u64,
    /// Kept answers of one workspace, in MiB. A call whose answer finds no room fails.
    #[schemars(range(min = 8, max = 1_048_576))]
    pub workspace_mb: u64,
    /// The largest answer that an upstream may give, in MiB of JSON. What is larger fails the call.
    #[schemars(range(min = 8, max = 64))]
    pub answer_mb: u64,
}

impl Default for ArtifactsKeys {
    fn default() -> Self {
        Self { ttl_hours: 24, workspace_mb: 1024, answer_mb: 64 }
    }
}
