//! Options and result of an import.

use crate::policy::{import::tree::Position, model::problem::Problem};

/// Format of an imported file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Intercept's `POLICY.md` YAML, and the YAML of PolicyLayer's website.
    Intercept,
    /// PolicyLayer's hosted JSON.
    PolicyLayer,
    /// Executor's rows of owner, pattern, action and position.
    Executor,
    /// The `permissions` of Claude Code's settings.
    ClaudeCode,
}

impl Dialect {
    /// All dialects.
    pub const ALL: [Self; 4] =
        [Self::Intercept, Self::PolicyLayer, Self::Executor, Self::ClaudeCode];

    /// Returns the name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Intercept => "intercept",
            Self::PolicyLayer => "policylayer",
            Self::Executor => "executor",
            Self::ClaudeCode => "claude-code",
        }
    }
}

/// Options of an import.
#[derive(Debug, Clone, Copy, Default)]
pub struct ImportOptions<'a> {
    /// Upstream of the tools that the file names without one.
    pub upstream: Option<&'a str>,
    /// Omit unsupported parts with a warning instead of failing.
    pub compat_warn: bool,
}

/// Result of an import.
#[derive(Debug, Clone)]
pub struct Imported {
    /// Files, at least one; one for each owner if the format has owners.
    pub layers: Vec<ImportedLayer>,
    /// Mapping of each part, in the order of the source.
    pub mappings: Vec<Mapping>,
    /// Parts that were omitted or have another meaning here, each with its position.
    pub warnings: Vec<Problem>,
}

/// One converted file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedLayer {
    /// `policy`, or the owner: `org`, `user`.
    pub owner: String,
    /// Text of the file: YAML.
    pub text: String,
}

/// Mapping of one part of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// Position in the source.
    pub position: Position,
    /// Part of the source.
    pub source: String,
    /// Part of the converted file.
    pub target: String,
}
