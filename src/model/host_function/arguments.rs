//! Argument types of the host functions. Their JSON Schemas are what calls are validated against.

use schemars::JsonSchema;
use serde::Deserialize;

/// Arguments of `tools.discover`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DiscoverQuery {
    /// What is wanted, in words.
    #[schemars(length(max = 2000))]
    pub query: String,
    /// Results at most, 1 to 50; 8 by default.
    #[schemars(range(min = 1, max = 50))]
    pub limit: Option<u32>,
    /// Whether descriptions are cut to their first line; true by default.
    pub compact: Option<bool>,
    /// Whether results carry their JSON Schemas; false by default.
    pub include_schemas: Option<bool>,
    /// Only tools of this upstream, or below this path.
    pub namespace: Option<String>,
}

/// Arguments of `tools.catalog.namespaces`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NamespacesQuery {
    /// Namespaces at most, 1 to 200; 200 by default.
    #[schemars(range(min = 1, max = 200))]
    pub limit: Option<u32>,
}

/// Arguments of `tools.catalog.tools`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ToolsQuery {
    /// Only tools of this upstream, or below this path.
    pub namespace: Option<String>,
    /// Only tools that match these words, the best first.
    #[schemars(length(max = 2000))]
    pub query: Option<String>,
    /// Tools at most, 1 to 200; 50 by default.
    #[schemars(range(min = 1, max = 200))]
    pub limit: Option<u32>,
    /// `nextCursor` of the page before.
    pub cursor: Option<String>,
}

/// Arguments of `tools.describe`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DescribeQuery {
    /// The path of a tool.
    pub path: String,
}

/// Arguments of `tools.artifacts.read`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadArtifact {
    /// The id in a handle.
    pub id: String,
    /// The byte to begin with.
    #[serde(default)]
    pub offset: u64,
    /// How many bytes.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub length: Option<u64>,
    /// JSON Pointer of a string in the artifact, such as `/content`, which is read instead.
    pub pointer: Option<String>,
}

/// Arguments of `tools.artifacts.lines`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArtifactLines {
    /// The id in a handle.
    pub id: String,
    /// The line to begin with, from 1.
    #[schemars(range(min = 1))]
    pub from: Option<u64>,
    /// How many lines.
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<u32>,
    /// JSON Pointer of a string in the artifact, such as `/content`, whose lines are meant.
    pub pointer: Option<String>,
}

/// Arguments of `tools.artifacts.search`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchArtifact {
    /// The id in a handle.
    pub id: String,
    /// A regular expression, without look-around and back references.
    pub pattern: String,
    /// How many hits.
    #[schemars(range(min = 1, max = 200))]
    pub limit: Option<u32>,
    /// The line to begin with, from 1.
    #[schemars(range(min = 1))]
    pub from: Option<u64>,
    /// The byte to begin with: `nextOffset` of the answer before.
    pub offset: Option<u64>,
    /// JSON Pointer of a string in the artifact, such as `/content`, which is searched instead.
    pub pointer: Option<String>,
}

/// Arguments of `tools.artifacts.json`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArtifactJson {
    /// The id in a handle.
    pub id: String,
    /// A JSON Pointer, such as `/items/0/name`.
    pub pointer: String,
}

/// Arguments of `tools.artifacts.list`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListArtifacts {
    /// How many.
    #[schemars(range(min = 1, max = 200))]
    pub limit: Option<u32>,
    /// `nextCursor` of the page before.
    pub cursor: Option<String>,
}

/// Arguments of `tools.artifacts.remove`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveArtifact {
    /// The id in a handle.
    pub id: String,
}
