//! The name that a tool had in the release before.

use serde::{Deserialize, Serialize};

/// The name that a tool had in the release before, which programs and policies may still hold.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FormerName {
    /// The name at its upstream.
    pub name: String,
    /// So many leading segments of the present name no name of the release before begins with:
    /// whoever writes them means the present names.
    pub new_from: usize,
}
