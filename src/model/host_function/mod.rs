//! Host functions: the members of `tools` that the host performs itself. This table is the only
//! description of them; reserved names, the argument forms of `runtime-js/tools.ts`, search entries
//! and `tools.describe` are derived from it, and a test compares `typings/runtime.d.ts` with it.
//!
//! Performs nothing: the parts that own the functions match on [`HostFunctionId`].

pub(super) mod arguments;
mod output;

use serde_json::Value;

/// Identifies a host function by the part that performs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostFunctionId {
    /// Finds tools.
    Discovery(DiscoveryFunction),
    /// Reads kept responses.
    Artifacts(ArtifactFunction),
}

impl HostFunctionId {
    /// Name of the built-in rule that allows the function, as the record has it.
    pub fn rule(self) -> &'static str {
        match self {
            Self::Discovery(_) => "finding",
            Self::Artifacts(_) => "artifacts",
        }
    }
}

/// The host functions that find tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiscoveryFunction {
    /// `tools.discover`.
    Discover,
    /// `tools.catalog.namespaces`.
    Namespaces,
    /// `tools.catalog.tools`.
    Tools,
    /// `tools.describe`.
    Describe,
}

/// The host functions that read and remove kept responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArtifactFunction {
    /// `tools.artifacts.read`.
    Read,
    /// `tools.artifacts.lines`.
    Lines,
    /// `tools.artifacts.search`.
    Search,
    /// `tools.artifacts.json`.
    Json,
    /// `tools.artifacts.list`.
    List,
    /// `tools.artifacts.remove`.
    Remove,
}

/// A value that may stand alone for the arguments object: `describe("a.b")` is
/// `describe({ path: "a.b" })`. Further fields may follow in an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlainArgument {
    /// Field that the value stands for.
    pub field: &'static str,
    /// An object followed by an object of further fields is taken too; a string always is.
    pub is_handle: bool,
}

/// One host function.
#[derive(Debug)]
pub struct HostFunction {
    /// The part that performs it, and its identity there.
    pub id: HostFunctionId,
    /// Path below `tools`; its first segment is reserved.
    pub path: &'static str,
    /// One line for agents.
    pub description: &'static str,
    /// Value that may stand alone for the arguments.
    pub plain_argument: Option<PlainArgument>,
    /// Arguments of a correct call, as TypeScript; ASCII.
    pub example: &'static str,
    /// JSON Schema of the arguments, made from their type in [`arguments`].
    pub arguments: fn() -> Value,
    /// JSON Schema of the result; `{}` where it can be any value.
    pub output: fn() -> Value,
}

/// Every host function, in the order in which errors list those of a namespace.
pub static HOST_FUNCTIONS: [HostFunction; 10] = [
    HostFunction {
        id: HostFunctionId::Discovery(DiscoveryFunction::Discover),
        path: "discover",
        description: "Finds tools by what they do.",
        plain_argument: Some(PlainArgument { field: "query", is_handle: false }),
        example: r#"{ query: "x", limit: 5 }"#,
        arguments: schema_of::<arguments::DiscoverQuery>,
        output: output::discover,
    },
    HostFunction {
        id: HostFunctionId::Discovery(DiscoveryFunction::Namespaces),
        path: "catalog.namespaces",
        description: "Lists the namespaces with a tool that the caller may see.",
        plain_argument: None,
        example: "{ limit: 20 }",
        arguments: schema_of::<arguments::NamespacesQuery>,
        output: output::namespaces,
    },
    HostFunction {
        id: HostFunctionId::Discovery(DiscoveryFunction::Tools),
        path: "catalog.tools",
        description: "Lists tools in pages.",
        plain_argument: None,
        example: r#"{ namespace: "x", limit: 20 }"#,
        arguments: schema_of::<arguments::ToolsQuery>,
        output: output::tools,
    },
    HostFunction {
        id: HostFunctionId::Discovery(DiscoveryFunction::Describe),
        path: "describe",
        description: "Describes one tool: its TypeScript declaration and both schemas.",
        plain_argument: Some(PlainArgument { field: "path", is_handle: false }),
        example: r#"{ path: "namespace.tool" }"#,
        arguments: schema_of::<arguments::DescribeQuery>,
        output: output::describe,
    },
    HostFunction {
        id: HostFunctionId::Artifacts(ArtifactFunction::Read),
        path: "artifacts.read",
        description: "Reads a slice of an artifact, in bytes; `id` is the handle or its id.",
        plain_argument: HANDLE,
        example: "{ id: handle, offset: 0 }",
        arguments: schema_of::<arguments::ReadArtifact>,
        output: output::read_artifact,
    },
    HostFunction {
        id: HostFunctionId::Artifacts(ArtifactFunction::Lines),
        path: "artifacts.lines",
        description: "Reads lines of an artifact, from 1; `id` is the handle or its id.",
        plain_argument: HANDLE,
        example: "{ id: handle, from: 1 }",
        arguments: schema_of::<arguments::ArtifactLines>,
        output: output::artifact_lines,
    },
    HostFunction {
        id: HostFunctionId::Artifacts(ArtifactFunction::Search),
        path: "artifacts.search",
        description: "Searches an artifact for a regular expression, line by line; `id` is the \
            handle or its id.",
        plain_argument: HANDLE,
        example: r#"{ id: handle, pattern: "x" }"#,
        arguments: schema_of::<arguments::SearchArtifact>,
        output: output::search_artifact,
    },
    HostFunction {
        id: HostFunctionId::Artifacts(ArtifactFunction::Json),
        path: "artifacts.json",
        description: "Returns the value at a JSON Pointer of an artifact; `id` is the handle or \
            its id.",
        plain_argument: HANDLE,
        example: r#"{ id: handle, pointer: "/x" }"#,
        arguments: schema_of::<arguments::ArtifactJson>,
        output: output::artifact_json,
    },
    HostFunction {
        id: HostFunctionId::Artifacts(ArtifactFunction::List),
        path: "artifacts.list",
        description: "Lists the artifacts of this workspace, the newest first.",
        plain_argument: None,
        example: "{ limit: 20 }",
        arguments: schema_of::<arguments::ListArtifacts>,
        output: output::list_artifacts,
    },
    HostFunction {
        id: HostFunctionId::Artifacts(ArtifactFunction::Remove),
        path: "artifacts.remove",
        description: "Removes an artifact before it expires; `id` is the handle or its id.",
        plain_argument: HANDLE,
        example: "{ id: handle }",
        arguments: schema_of::<arguments::RemoveArtifact>,
        output: output::remove_artifact,
    },
];

/// The handle of an artifact, or its id.
const HANDLE: Option<PlainArgument> = Some(PlainArgument { field: "id", is_handle: true });

impl HostFunction {
    /// The function of this id.
    pub fn of(id: HostFunctionId) -> &'static Self {
        let found = HOST_FUNCTIONS.iter().find(|function| function.id == id);
        found.expect("the table has every id, as a test shows")
    }

    /// First segment of the path.
    pub fn namespace(&self) -> &'static str {
        self.path.split('.').next().unwrap_or(self.path)
    }
}

fn schema_of<Args: schemars::JsonSchema>() -> Value {
    schemars::schema_for!(Args).to_value()
}

#[cfg(test)]
mod tests;
