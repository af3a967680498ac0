//! Problems of a configuration, each with its origin and the allowed values.

use std::{fmt, path::PathBuf};

/// The configuration is invalid. Contains at least one problem.
#[derive(Debug)]
pub struct ConfigError {
    /// Problems, in the order of their origins.
    pub problems: Vec<Problem>,
    /// File that was read, if any, as an absolute path.
    pub file: Option<PathBuf>,
    /// Instance file of its server, if that much of it can be read.
    pub instance_file: Option<PathBuf>,
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Origin of the value.
    pub origin: Origin,
    /// Description and allowed values. Never contains the value of a key that may hold a secret.
    pub message: String,
}

/// Origin of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Built-in default.
    Default,
    /// File and line, from 1; line 0 is the file as a whole.
    File(PathBuf, usize),
    /// Environment variable.
    Variable(String),
    /// Flag of the command line.
    Flag(&'static str),
}

impl Origin {
    /// Returns the sort key: the file by line, then variables, then flags.
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
        Self { problems, file: None, instance_file: None }
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

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.message)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.len() {
            1 => f.write_str("the configuration has a problem")?,
            many => write!(f, "the configuration has {many} problems")?,
        }
        self.problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for ConfigError {}
