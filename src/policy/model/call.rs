//! Subject of a decision: a tool, its caller, the arguments and the time.

use serde_json::value::RawValue;

use crate::model::{Annotations, Operation, Schema, Timestamp};

/// Properties of a tool that policy uses.
#[derive(Debug, Clone, Copy)]
pub struct ToolFacts<'a> {
    /// Path of the tool: `<upstream>.<name>`, split at dots into segments.
    pub path: &'a str,
    /// Name of the upstream, as its owner configured it.
    pub upstream: &'a str,
    /// Name of the tool at the upstream.
    pub name: &'a str,
    /// JSON Schema of the arguments; needed for `validate: {required_args: true}`.
    pub input_schema: Option<&'a Schema>,
    /// Annotations that the upstream sends for the tool.
    pub annotations: Annotations,
    /// The owner declared that the upstream's annotations are true.
    pub trusted: bool,
    /// Underlying request, if an OpenAPI document or a GraphQL schema tells it.
    pub operation: Option<Operation>,
}

/// Caller of a tool.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
    /// Workspace.
    pub workspace: &'a str,
    /// Account within the workspace; `principal` in a scope.
    pub principal: &'a str,
    /// Role.
    pub role: &'a str,
    /// Label of the key that authenticated the caller.
    pub key: Option<&'a str>,
    /// Session. The caller chooses it, so it is never a security boundary.
    pub session: Option<&'a str>,
    /// Task that makes the call.
    pub task: &'a str,
}

/// One call, before it is sent.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// Tool that is called.
    pub tool: ToolFacts<'a>,
    /// Arguments as JSON: an object, or `null` for none. Policy parses them strictly; at most
    /// [`crate::policy::ARGS_BYTES_MAX`] bytes.
    pub args: &'a RawValue,
    /// Caller.
    pub caller: Caller<'a>,
    /// Time of the call; policy reads no clock.
    pub now: Timestamp,
}
