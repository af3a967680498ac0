//! Top level of the file format: the file, its entries and its tests.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{
    condition::Requirement,
    limit::Limit,
    rule::{Approval, Rule},
    values::{DurationText, Mode, OneOr, OneOrMany},
};
use crate::policy::model::class::Class;

/// A policy file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyFile {
    /// Version of the file format: `"1"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<VersionOne>")]
    pub version: Option<String>,
    /// Description, for readers of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Action for tools that no entry of this file allows, asks about or denies. Without it the
    /// file does not decide about them; a file that is bound to one upstream allows them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<DefaultAction>,
    /// `shadow`: the file is not enforced, only recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Binds the file to one upstream: every tool name in it is then a name at that upstream, and
    /// the file does not apply to other upstreams.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// Preset of tool classes for each upstream: the id of the preset, or `none`. By default an
    /// upstream whose name is listed by a preset uses that preset.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(default)]
    pub presets: BTreeMap<String, String>,
    /// Patterns of tools that do not exist for the caller.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Option<OneOrMany>")]
    pub hide: Vec<String>,
    /// Entries by tool pattern: `upstream.path`. `*` matches one whole segment; at the end it
    /// matches everything below.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(default)]
    pub tools: BTreeMap<String, Entry>,
    /// Entry for every tool; equivalent to the entry `"*"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub all_tools: Option<Entry>,
    /// Tool budget of one task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budgets: Option<Budgets>,
    /// Tests of this policy, run by `policy test`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub tests: Vec<TestCase>,
}

/// Version of the file format.
// Only its JSON Schema is used.
#[derive(JsonSchema)]
#[schemars(rename = "Version")]
enum VersionOne {
    #[schemars(rename = "1")]
    #[expect(dead_code, reason = "only its name in the JSON Schema is used")]
    One,
}

/// Action for tools that are not listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DefaultAction {
    /// Allows the call.
    Allow,
    /// Denies the call.
    Deny,
    /// Asks a person.
    Ask,
    /// Decides by the risk class of the tool.
    Auto,
}

impl DefaultAction {
    /// Its name in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Ask => "ask",
            Self::Auto => "auto",
        }
    }
}

/// Policy for the tools of one pattern.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The tools do not exist for the caller.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schemars(default)]
    pub hide: bool,
    /// Class of the tools; overrides every other source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<Class>,
    /// Terms of approvals, unless a rule sets its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// JSON Schema that the arguments must satisfy in addition to the tool's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<BTreeMap<String, Value>>")]
    pub args: Option<Value>,
    /// Conditions that must hold for every call.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Option<OneOr<Requirement>>")]
    pub require: Vec<Requirement>,
    /// Conditions that deny a call if they hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Option<OneOr<Requirement>>")]
    pub deny_if: Vec<Requirement>,
    /// Limits on the number or the total cost of calls.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub limits: Vec<Limit>,
    /// Rules, at most 1000. Their order has no meaning.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub rules: Vec<Rule>,
}

/// Tool budget of one task.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Budgets {
    /// Number of calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls: Option<u64>,
    /// Bytes of responses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_returned: Option<u64>,
    /// Sum of the durations of all calls: seconds, or a string such as `90s`, `5m`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wall_time: Option<DurationText>,
}

/// Test of a policy: a call and the expected verdict.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestCase {
    /// Name, for readers of reports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Path of the tool.
    pub tool: String,
    /// Arguments; default `{}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<BTreeMap<String, Value>>")]
    pub args: Option<Value>,
    /// Caller; default: the workspace `local`, the principal `local`, the role `agent`.
    #[serde(rename = "as", skip_serializing_if = "Option::is_none")]
    pub caller: Option<TestCaller>,
    /// Class to assume for the tool; default: the class that the policy determines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<Class>,
    /// Expected verdict.
    pub expect: Expected,
    /// Name of the rule that must decide.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
}

/// Caller of a test.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestCaller {
    /// Workspace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// Account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal: Option<String>,
    /// Role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Label of the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
}

/// Expected verdict of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Expected {
    /// The call is allowed.
    Allow,
    /// A person is asked.
    Ask,
    /// The call is denied.
    Deny,
    /// The tool does not exist for the caller.
    Hidden,
}

impl Expected {
    /// Returns the name in files.
    pub(in crate::policy) fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Ask => "ask",
            Self::Deny => "deny",
            Self::Hidden => "hidden",
        }
    }
}
