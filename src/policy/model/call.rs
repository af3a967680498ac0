//! Subject of a decision: a tool, its caller, the arguments and the time.

use serde_json::value::RawValue;

use super::pattern::Pattern;
use crate::model::{Annotations, Operation, Schema, Timestamp};

/// Path that a tool had in the release before. Rules that were written for it go on holding: a rule
/// matches a tool by either path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FormerPath<'a> {
    /// The path.
    pub path: &'a str,
    /// So many leading segments of the present path no tool of the upstream had in the release
    /// before: a pattern that names them cannot have been written for that.
    pub new_from: usize,
}

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
    /// Path in the release before, if that was another.
    pub former: Option<FormerPath<'a>>,
}

impl<'a> ToolFacts<'a> {
    /// Returns true if the pattern matches the path of the tool, or the one that it had before.
    pub fn is_matched_by(&self, pattern: &Pattern) -> bool {
        pattern.matches(self.path) || self.has_former(pattern)
    }

    /// Returns true if the pattern matches the path that the tool had before.
    pub fn has_former(&self, pattern: &Pattern) -> bool {
        self.former.is_some_and(|former| pattern.matches(former.path))
    }

    /// Returns true if a pattern that matches the present path may only restrict the tool: it may
    /// have been written before the tool had that path, and does not match the one that it had.
    pub fn is_only_restricted_by(&self, pattern: &Pattern) -> bool {
        self.former
            .is_some_and(|former| pattern.leading() < former.new_from && !self.has_former(pattern))
    }

    /// Returns the name at the upstream that the tool had before.
    pub fn former_name(&self) -> Option<&'a str> {
        let former = self.former?.path;
        former.strip_prefix(self.upstream)?.strip_prefix('.')
    }
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
