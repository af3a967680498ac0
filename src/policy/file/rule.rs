//! Rules in the file format.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{
    condition::{Requirement, When},
    limit::RateLimit,
    values::{DurationText, Mode, OneOr, OneOrMany, WindowText},
};

/// Action of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Allows the call; also written `approve`.
    Allow,
    /// Asks a person; also written `require_approval`.
    Ask,
    /// Denies the call; also written `block`.
    Deny,
    /// Takes no action, so the rule is only a guard. The default.
    Evaluate,
}

/// One rule.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Name in records; default `rules[0]` and so on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Callers that the rule applies to; default: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applies_to: Option<AppliesTo>,
    /// Conditions under which the rule applies; default: always.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<When>,
    /// Conditions as in Intercept: with `action: deny` or `ask` they are `when`, otherwise they are
    /// `require`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conditions: Option<When>,
    /// Conditions that must hold if the rule applies; otherwise the call is denied.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Option<OneOr<Requirement>>")]
    pub require: Vec<Requirement>,
    /// Action if the rule applies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// Rate limit; also written `rate_limit`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<RateLimit>,
    /// Counter as in Intercept. Its bound is a condition of this rule: `lt` or `lte` of
    /// `state.TOOL.COUNTER`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// Validation of the arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validate: Option<Validate>,
    /// Terms of the approval, with `action: ask`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// Short form of `approval: {timeout}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval_timeout: Option<DurationText>,
    /// Message to the caller; also written `on_deny` or `reason`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// `shadow`: the rule is not enforced, only recorded. Its limits are not counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
}

/// Callers that a rule applies to: every key that is given must match.
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

/// Counter as in Intercept.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Name of the counter.
    pub counter: String,
    /// `minute`, `hour` or `day`.
    pub window: WindowText,
    /// Amount that one call adds; default 1, and 0 also means 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub increment: Option<u64>,
    /// Argument that holds the amount that one call adds: `args.amount`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub increment_from: Option<String>,
}

/// Validation of the arguments.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Validate {
    /// Every argument that the tool's own schema requires must be present and not null.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub required_args: Option<bool>,
    /// JSON Schema that the arguments must satisfy.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<std::collections::BTreeMap<String, Value>>")]
    pub schema: Option<Value>,
}

/// Terms of an approval.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// Time after which a call without a decision is denied. Seconds, or a string such as `30m`;
    /// at most 24 h.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<DurationText>,
}
