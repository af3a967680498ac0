//! The shipped catalogue: the classes of the tools of well-known servers, curated by hand.
//!
//! An upstream is taken for an entry when its owner named it like one, or says so with `catalogue:`
//! in a file. Nothing that an upstream says of itself is looked at, so a server cannot choose its
//! entry.

use std::{collections::BTreeMap, sync::LazyLock};

use serde::Deserialize;

use super::Class;

/// One server.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::policy) struct Entry {
    /// What `catalogue:` calls it.
    pub(in crate::policy) id: String,
    /// Names of upstreams that are taken for it.
    pub(in crate::policy) names: Vec<String>,
    /// For people.
    #[expect(dead_code, reason = "told in the file itself, for those who read it")]
    server: String,
    /// Its tools.
    pub(in crate::policy) tools: BTreeMap<String, Class>,
}

/// All entries.
pub(in crate::policy) static ENTRIES: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    [
        include_str!("../catalogue/convex.json"),
        include_str!("../catalogue/trigger.json"),
        include_str!("../catalogue/mcpgraph.json"),
        include_str!("../catalogue/everything.json"),
        include_str!("../catalogue/filesystem.json"),
        include_str!("../catalogue/memory.json"),
        include_str!("../catalogue/time.json"),
        include_str!("../catalogue/git.json"),
        include_str!("../catalogue/sequential-thinking.json"),
        include_str!("../catalogue/github-mcp.json"),
    ]
    .iter()
    .map(|text| serde_json::from_str(text).expect("the shipped catalogue is checked by a test"))
    .collect()
});

/// The entry of an id.
pub(in crate::policy) fn entry(id: &str) -> Option<&'static Entry> {
    ENTRIES.iter().find(|entry| entry.id == id)
}

/// The entry that an upstream is named like.
pub(in crate::policy) fn named(upstream: &str) -> Option<&'static Entry> {
    ENTRIES.iter().find(|entry| entry.names.iter().any(|name| name == upstream))
}
