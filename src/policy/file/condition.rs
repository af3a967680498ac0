//! Conditions in the file format.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// Operator of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// Equal; 1 and 1.0 are equal.
    Eq,
    /// Not equal.
    Neq,
    /// Equal to one of the list.
    In,
    /// Equal to none of the list.
    NotIn,
    /// Number less than.
    Lt,
    /// Number less than or equal to.
    Lte,
    /// Number greater than.
    Gt,
    /// Number greater than or equal to.
    Gte,
    /// String in which the pattern is found, in RE2 syntax.
    Regex,
    /// String that contains this string, or list that contains this value.
    Contains,
    /// `true`: the value is present; `false`: it is missing.
    Exists,
}

impl Op {
    /// All operators, with their names in files.
    pub const ALL: [(&'static str, Self); 11] = [
        ("eq", Self::Eq),
        ("neq", Self::Neq),
        ("in", Self::In),
        ("not_in", Self::NotIn),
        ("lt", Self::Lt),
        ("lte", Self::Lte),
        ("gt", Self::Gt),
        ("gte", Self::Gte),
        ("regex", Self::Regex),
        ("contains", Self::Contains),
        ("exists", Self::Exists),
    ];

    /// Returns the name in files.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, op)| *op == self).map_or("", |(name, _)| name)
    }
}

/// Comparison of an argument or a counter with a value.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// `args.a.b` for an argument, or `state.TOOL.COUNTER` for the value of a counter.
    pub path: String,
    /// Operator.
    pub op: Op,
    /// Value to compare with; optional for `exists`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
}

/// One condition.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Condition {
    /// CEL expression of at most 4 KiB that returns a boolean.
    Cel(String),
    /// Comparison.
    Comparison(Comparison),
}

/// One condition, or several that must all hold.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum When {
    /// One condition.
    One(Condition),
    /// Conditions that must all hold; an empty list always holds.
    All(Vec<Condition>),
}

impl When {
    /// Returns the conditions.
    pub fn conditions(&self) -> &[Condition] {
        match self {
            Self::One(condition) => std::slice::from_ref(condition),
            Self::All(conditions) => conditions,
        }
    }
}

/// Item of `require` or `deny_if`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Requirement {
    /// One condition.
    Single(Condition),
    /// Several conditions that must all hold, with a message to the caller.
    Group(ConditionGroup),
}

/// Conditions with a message.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConditionGroup {
    /// Conditions that must all hold; an empty list always holds.
    pub conditions: Vec<Condition>,
    /// Message to the caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}
