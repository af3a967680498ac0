//! Problems of policy files, with their positions.

use std::fmt;

use serde::Serialize;

/// Most problems that one load reports; further ones are only counted.
pub const PROBLEMS_MAX: usize = 100;

/// One error in a policy file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Name of the layer: that of the file.
    pub file: String,
    /// Line, from 1; 0 if the problem has no position.
    pub line: usize,
    /// Column in characters, from 1; 0 if the problem has no position.
    pub column: usize,
    /// JSON Pointer of the value.
    pub pointer: String,
    /// Description of the error.
    pub message: String,
    /// Suggested fix.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        write!(f, ": {}", self.message)?;
        if !self.pointer.is_empty() {
            write!(f, " (at {})", self.pointer)?;
        }
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}
