//! Conditions, as the file writes them.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// How a value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// The same value; 1 and 1.0 are.
    Eq,
    /// Another value.
    Neq,
    /// One of a list.
    In,
    /// None of a list.
    NotIn,
    /// A number less than.
    Lt,
    /// A number at most.
    Lte,
    /// A number more than.
    Gt,
    /// A number at least.
    Gte,
    /// A text in which the pattern is found; the syntax of RE2.
    Regex,
    /// A text that contains this text, or a list that contains this value.
    Contains,
    /// `true`: it is there; `false`: it is not.
    Exists,
}

impl Op {
    /// All, as they are written.
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

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, op)| *op == self).map_or("", |(name, _)| name)
    }
}

/// A value of the call, compared.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Structured {
    /// `args.a.b`, or `state.TOOL.COUNTER` for the value of a counter.
    pub path: String,
    /// How.
    pub op: Op,
    /// With what; `exists` may go without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
}

/// One condition.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Condition {
    /// A CEL expression, at most 4 KiB, that gives a truth value.
    Cel(String),
    /// A comparison.
    Structured(Structured),
}

/// When a rule speaks: all of these must hold.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum When {
    /// One.
    One(Condition),
    /// All of them; an empty list always holds.
    All(Vec<Condition>),
}

impl When {
    /// The conditions.
    pub fn conditions(&self) -> &[Condition] {
        match self {
            Self::One(condition) => std::slice::from_ref(condition),
            Self::All(conditions) => conditions,
        }
    }
}

/// An item of `require` or `deny_if`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Requirement {
    /// One condition.
    Plain(Condition),
    /// Several, all of which must hold, with what is said to the caller.
    Spoken(Spoken),
}

/// Conditions with a message.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spoken {
    /// The conditions; an empty list always holds.
    pub conditions: Vec<Condition>,
    /// What the caller is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}
