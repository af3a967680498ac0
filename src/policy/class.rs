//! The risk classes of tools.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How much harm a call can do. The order is that of severity: an untrusted claim may only move a tool to a later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Changes nothing.
    Read,
    /// Changes something that can be changed back.
    Write,
    /// Nothing is known about it.
    Unknown,
    /// Runs something, or stops it.
    Execute,
    /// Destroys something.
    Destructive,
    /// Moves money.
    Financial,
}

impl Class {
    /// All, the mildest first.
    pub const ALL: [Self; 6] = [Self::Read, Self::Write, Self::Unknown, Self::Execute, Self::Destructive, Self::Financial];

    /// Its name in files and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Unknown => "unknown",
            Self::Execute => "execute",
            Self::Destructive => "destructive",
            Self::Financial => "financial",
        }
    }
}

impl std::fmt::Display for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
