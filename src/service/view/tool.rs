//! Tools, as the functions `tools.catalog.tools` and `tools.describe` answer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A page of tools.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ToolPage {
    /// By path, or the best match first where a query was given.
    pub results: Vec<ToolRow>,
    /// Tools that match, on this page or not.
    pub total: usize,
    /// Cursor of the next page, if there is one.
    pub next_cursor: Option<String>,
}

/// A tool in a list.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ToolRow {
    /// Its path.
    pub path: String,
    /// The upstream that offers it.
    pub source: String,
    /// The call's TypeScript signature.
    pub hint: String,
    /// Its description.
    pub description: String,
    /// `required` where a call waits for a person, else `auto`.
    pub approval: String,
    /// For the owner, the decision of the policy about a call, as far as it does not depend on the
    /// arguments: `allow`, `ask` or `deny`. An agent does not see a tool that is always denied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<String>,
    /// Match score; comparable within one answer only.
    pub score: f64,
    /// The reason why a call would fail now: its upstream is down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unavailable: Option<String>,
    /// JSON Schema of the arguments, if requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_schema: Option<Value>,
    /// JSON Schema of the response, if requested and known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<Value>,
}

/// One tool.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tool {
    /// Its path.
    pub path: String,
    /// Its description, whole.
    pub description: String,
    /// The TypeScript declaration of the call, its arguments and its response.
    pub typescript: String,
    /// JSON Schema of the arguments.
    pub input_schema: Value,
    /// JSON Schema of the response; null where the upstream gives none.
    pub output_schema: Option<Value>,
    /// `required` where a call waits for a person, else `auto`.
    pub approval: String,
    /// For the owner, the decision of the policy about a call, as far as it does not depend on the
    /// arguments: `allow`, `ask` or `deny`. An agent does not see a tool that is always denied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<String>,
    /// The reason why a call would fail now: its upstream is down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unavailable: Option<String>,
}

/// A namespace and how many tools it has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Namespace {
    /// Its name.
    pub namespace: String,
    /// Its tools, as last known; 0 where its upstream has not listed them yet.
    pub tools: usize,
    /// True if calls of them fail at present.
    pub is_down: bool,
}
