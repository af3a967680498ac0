//! Shipped presets: the classes of the tools of well-known servers, curated by hand.
//!
//! An upstream uses a preset if its owner gave it a name that the preset lists, or assigned the
//! preset with `presets` in a policy file. Nothing that an upstream reports about itself is used,
//! so a server cannot choose its preset.

use std::{collections::BTreeMap, sync::LazyLock};

use serde::Deserialize;

use crate::policy::model::class::Class;

/// Preset of one server.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::policy) struct Preset {
    /// Id in policy files.
    pub(in crate::policy) id: String,
    /// Names of upstreams that use the preset by default.
    pub(in crate::policy) names: Vec<String>,
    /// Description of the server.
    #[expect(dead_code, reason = "only for readers of the preset's file")]
    server: String,
    /// Classes of its tools.
    pub(in crate::policy) tools: BTreeMap<String, Class>,
}

/// All presets.
pub(in crate::policy) static PRESETS: LazyLock<Vec<Preset>> = LazyLock::new(|| {
    [
        include_str!("presets/convex.json"),
        include_str!("presets/trigger.json"),
        include_str!("presets/mcpgraph.json"),
        include_str!("presets/everything.json"),
        include_str!("presets/filesystem.json"),
        include_str!("presets/memory.json"),
        include_str!("presets/time.json"),
        include_str!("presets/git.json"),
        include_str!("presets/sequential-thinking.json"),
        include_str!("presets/github-mcp.json"),
    ]
    .iter()
    .map(|json| serde_json::from_str(json).expect("a test checks the shipped presets"))
    .collect()
});

/// Returns the preset with an id.
pub(in crate::policy) fn by_id(id: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.id == id)
}

/// Returns the preset that an upstream of this name uses by default.
pub(in crate::policy) fn by_upstream_name(upstream: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.names.iter().any(|name| name == upstream))
}
