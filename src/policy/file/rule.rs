//! Rules, as the file writes them.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{DurationText, Mode, RateLimit, Requirement, When};

/// What a rule answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It may be called; also written `approve`.
    Allow,
    /// A person is asked; also written `require_approval`.
    Ask,
    /// It may not be called; also written `block`.
    Deny,
    /// Nothing: the rule only guards. The default.
    Evaluate,
}

/// One rule.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name in records; without it `rules[0]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Callers it applies to; all of them if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applies_to: Option<AppliesTo>,
    /// When it speaks; without it always.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<When>,
    /// As Intercept writes them: with `action: deny` or `ask` the same as `when`, otherwise the
    /// same as `require`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conditions: Option<When>,
    /// What must hold when it speaks; otherwise the call is denied.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Option<super::OneOr<Requirement>>")]
    pub require: Vec<Requirement>,
    /// What it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// How often; also written `rate_limit`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<RateLimit>,
    /// A counter as Intercept writes it. Its bound stands in this rule's conditions, as `lt` or
    /// `lte` of `state.TOOL.COUNTER`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// What the arguments must satisfy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validate: Option<Validate>,
    /// Terms of the approval, with `action: ask`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// The same as `approval: {timeout}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval_timeout: Option<DurationText>,
    /// What the caller is told; also written `on_deny` or `reason`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// `shadow`: nothing of this rule is applied, only recorded. Its limits are not counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
}

/// One text, or a list of texts.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Any of these.
    Many(Vec<String>),
}

impl OneOrMany {
    /// The texts.
    pub fn as_slice(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

/// For whom a rule speaks: what is given must fit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AppliesTo {
    /// Any of these roles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<OneOrMany>,
    /// Any key with one of these labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<OneOrMany>,
    /// Any of these workspaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<OneOrMany>,
}

/// A counter as Intercept writes it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Its name.
    pub counter: String,
    /// `minute`, `hour` or `day`.
    pub window: super::WindowText,
    /// What one call adds; without it, and with 0, it is 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub increment: Option<u64>,
    /// The argument that says what one call adds: `args.amount`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub increment_from: Option<String>,
}

/// What the arguments must satisfy.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Validate {
    /// Every argument that the tool's own schema requires is there and is not null.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub required_args: Option<bool>,
    /// A JSON Schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<std::collections::BTreeMap<String, Value>>")]
    pub schema: Option<Value>,
}

/// Terms of an approval.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// How long the call waits for an answer; then it is denied. Seconds, or text such as `30m`; at
    /// most 24 h.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<DurationText>,
}
