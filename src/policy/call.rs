//! What policy is asked about: a tool, who calls it, with which arguments, when.

use serde_json::value::RawValue;

use crate::model::{Annotations, Operation, Schema, Timestamp};

/// A tool, as far as policy looks at it.
#[derive(Debug, Clone, Copy)]
pub struct ToolFacts<'a> {
    /// Its address: `<upstream>.<name>`, split at dots into segments.
    pub path: &'a str,
    /// The upstream, by the name its owner gave it.
    pub upstream: &'a str,
    /// Its name at the upstream.
    pub name: &'a str,
    /// JSON Schema of its arguments; needed for `validate: {required_args: true}`.
    pub input_schema: Option<&'a Schema>,
    /// What it says about itself.
    pub annotations: Annotations,
    /// Whether its owner said that the upstream's claims are true.
    pub trusted: bool,
    /// The request behind it, where that is known from a description of an interface.
    pub operation: Option<Operation>,
}

/// Who calls.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
    /// The workspace.
    pub workspace: &'a str,
    /// The account within the workspace: what `principal` means in a scope.
    pub principal: &'a str,
    /// Its role.
    pub role: &'a str,
    /// The label of the key that it came with.
    pub key: Option<&'a str>,
    /// The session it says that it belongs to. Chosen by the caller: never a boundary.
    pub session: Option<&'a str>,
    /// The task that calls.
    pub task: &'a str,
}

/// One call, before it leaves.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// What is called.
    pub tool: ToolFacts<'a>,
    /// The arguments as JSON text: an object, or `null` for none. Parsed here, strictly; at most
    /// [`super::ARGS_BYTES_MAX`] bytes.
    pub args: &'a RawValue,
    /// Who calls.
    pub caller: Caller<'a>,
    /// When; nothing here reads a clock.
    pub now: Timestamp,
}
