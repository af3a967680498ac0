//! Small values that several parts of the file format use.

use schemars::JsonSchema;
use serde::Serialize;

/// Enforcement of a file or a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Enforced.
    Enforce,
    /// Only recorded. Limits are not counted.
    Shadow,
}

/// Duration: seconds, or a number with the unit `s`, `m`, `h` or `d`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum DurationText {
    /// Whole seconds.
    Seconds(u64),
    /// `90s`, `30m`, `24h`, `7d`.
    Text(String),
}

/// Length of a window.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum WindowText {
    /// Whole seconds.
    Seconds(u64),
    /// `minute`, `hour`, `day`, `task`, or `90s`, `5m`, `2h`, `7d`.
    Text(String),
}

/// A string, or a list of strings.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One string.
    One(String),
    /// Several strings; any of them may match.
    Many(Vec<String>),
}

impl OneOrMany {
    /// Returns the strings.
    pub fn as_slice(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

/// Schema of a list that may be written as its single item. Not used for reading.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its JSON Schema is used")]
pub(super) enum OneOr<T> {
    /// One item.
    One(T),
    /// Several items.
    Many(Vec<T>),
}
