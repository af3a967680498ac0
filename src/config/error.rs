//! What is wrong with a configuration: everything at once, each with its place and the way out.

use std::{fmt, path::PathBuf};

/// The configuration cannot be used. Holds at least one problem.
#[derive(Debug)]
pub struct ConfigError {
    /// What is wrong, in the order in which it was written.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it was written.
    pub origin: Origin,
    /// What is wrong and what is allowed. Never the value of a key that may hold a secret.
    pub message: String,
}

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere: the built-in value.
    Default,
    /// In the file, on this line, counted from 1; line 0 stands for the file as a whole.
    File(PathBuf, usize),
    /// In this environment variable.
    Variable(String),
    /// As this flag.
    Flag(&'static str),
}

impl Origin {
    /// Orders problems as a person goes through them: the file from its top, then variables, then
    /// flags.
    fn rank(&self) -> (u8, usize, &str) {
        match self {
            Self::File(_, line) => (0, *line, ""),
            Self::Variable(name) => (1, 0, name),
            Self::Flag(name) => (2, 0, name),
            Self::Default => (3, 0, ""),
        }
    }
}

impl ConfigError {
    pub(super) fn new(mut problems: Vec<Problem>) -> Self {
        problems.sort_by(|a, b| a.origin.rank().cmp(&b.origin.rank()));
        Self { problems }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path, 0) => write!(f, "{}", path.display()),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.len() {
            1 => f.write_str("the configuration has a problem")?,
            many => write!(f, "the configuration has {many} problems")?,
        }
        self.problems
            .iter()
            .try_for_each(|problem| write!(f, "\n  {}: {}", problem.origin, problem.message))
    }
}

impl std::error::Error for ConfigError {}
