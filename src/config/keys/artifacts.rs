//! Keys of `[artifacts]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Retention and quotas of artifacts. A response over 8 MiB becomes an artifact, and so does each
/// image, sound or blob in a response; the program gets a handle in its place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ArtifactsKeys {
    /// Retention of an artifact, in hours.
    #[schemars(range(min = 1, max = 8760))]
    pub ttl_hours: u64,
    /// Total size of the artifacts of one workspace, in MiB. A call whose artifacts would exceed it
    /// fails.
    #[schemars(range(min = 8, max = 1_048_576))]
    pub workspace_mb: u64,
    /// Largest response of an upstream, in MiB of JSON. A larger response fails the call.
    #[schemars(range(min = 8, max = 64))]
    pub answer_mb: u64,
}

impl Default for ArtifactsKeys {
    fn default() -> Self {
        Self { ttl_hours: 24, workspace_mb: 1024, answer_mb: 64 }
    }
}
