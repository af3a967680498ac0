//! What is wrong with a policy file, and where.

use std::fmt;

use serde::Serialize;

/// Most problems that one load reports; the rest is counted.
pub const PROBLEMS_MAX: usize = 100;

/// One thing that is wrong with a policy file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file, as its layer is named.
    pub file: String,
    /// Line, from 1; 0 if it belongs to no place.
    pub line: usize,
    /// Column in characters, from 1; 0 if it belongs to no place.
    pub column: usize,
    /// JSON Pointer of the place.
    pub pointer: String,
    /// What is wrong.
    pub message: String,
    /// The way out.
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
