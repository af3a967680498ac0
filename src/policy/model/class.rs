//! Risk classes of tools.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Harm that a call can do, ordered by severity.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Changes nothing.
    Read,
    /// Makes a change that can be undone.
    Write,
    /// Nothing is known about the tool.
    Unknown,
    /// Starts or stops something.
    Execute,
    /// Destroys something.
    Destructive,
    /// Moves money.
    Financial,
}

impl Class {
    /// All classes, least severe first.
    pub const ALL: [Self; 6] =
        [Self::Read, Self::Write, Self::Unknown, Self::Execute, Self::Destructive, Self::Financial];

    /// Returns the name used in files and records.
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

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
