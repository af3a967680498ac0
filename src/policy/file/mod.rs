//! The policy file: its form as types. Reading is strict and tells every problem at once; writing
//! gives the form that reading takes.
//!
//! Nothing here decides, and nothing opens a file.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{Class, Problem};

mod condition;
mod form;
mod limit;
mod read;
mod rule;
mod schema;
pub(in crate::policy) mod text;

pub use condition::{Condition, Op, Requirement, Spoken, Structured, When};
pub use limit::{Algorithm, Cost, Counting, Exceeded, Limit, RateLimit, Scope, WindowText};
pub use rule::{Action, AppliesTo, Approval, OneOrMany, Rule, State, Validate};

pub(crate) use read::{Reader, kind};
pub use schema::json_schema;
pub use text::FILE_BYTES_MAX;
pub(crate) use text::{Places, step};

/// A file that was read, and where its parts stand.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) file: PolicyFile,
    pub(crate) places: Places,
}

impl PolicyFile {
    /// Reads a file, YAML or JSON; `name` stands in the problems. What a condition, a pattern or a
    /// limit means is checked by [`crate::policy::Policy::load`].
    pub fn parse(name: &str, text: &str) -> Result<Self, Vec<Problem>> {
        let (document, problems) = Document::parse(name, text)?;
        if problems.is_empty() { Ok(document.file) } else { Err(problems) }
    }
}

impl Document {
    /// The file as far as it can be read, with what is wrong with its form; nothing if it is no
    /// tree at all.
    pub(crate) fn parse(name: &str, text: &str) -> Result<(Self, Vec<Problem>), Vec<Problem>> {
        let text::Tree { root, places } = read::tree(name, text)?;
        let mut reader = Reader::new(name, &places);
        let file = reader.file(&root);
        let problems = reader.finish();
        Ok((Self { file, places }, problems))
    }
}

/// A policy file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyFile {
    /// The version of this form: `"1"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<VersionOne>")]
    pub version: Option<String>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The answer about tools that no entry of this file allows, asks about or denies. Without it
    /// the file is silent about them; a file that is bound to one upstream allows them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<Default>,
    /// `shadow`: nothing of this file is applied, only recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Binds the file to one upstream: every name of a tool in it is then a name at that upstream,
    /// and it says nothing about others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// Which entry of the shipped catalogue of classes an upstream is taken for: its id, or `none`.
    /// Without it an upstream that is named like an entry is taken for it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(default)]
    pub catalogue: BTreeMap<String, String>,
    /// Addresses of tools that do not exist for the caller.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Option<OneOrMany>")]
    pub hide: Vec<String>,
    /// What is said about tools, by address: `upstream.path`; `*` stands for one whole segment, and
    /// at the end for everything below.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(default)]
    pub tools: BTreeMap<String, Entry>,
    /// What is said about every tool; the same as an entry `"*"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub all_tools: Option<Entry>,
    /// What one task may use of tools altogether.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budgets: Option<Budgets>,
    /// What this policy must answer, checked by `policy test`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub tests: Vec<Case>,
}

/// Only for the schema.
#[derive(JsonSchema)]
#[schemars(rename = "Version")]
enum VersionOne {
    #[schemars(rename = "1")]
    #[expect(dead_code, reason = "only its name in the schema counts")]
    One,
}

/// Only for the schema: where a list may be written as its one item.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its form in the schema counts")]
enum OneOr<T> {
    /// One.
    One(T),
    /// Several.
    Many(Vec<T>),
}

/// The answer about what is not listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Default {
    /// It may be called.
    Allow,
    /// It may not.
    Deny,
    /// A person is asked.
    Ask,
    /// By the class of its risk.
    Auto,
}

/// Whether what is said counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It does.
    Enforce,
    /// It is only recorded. Limits are not counted.
    Shadow,
}

/// What is said about the tools of one address.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// They do not exist for the caller.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schemars(default)]
    pub hide: bool,
    /// Their class, whatever else would say so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<Class>,
    /// Terms of the approvals that they need, where a rule says no other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// JSON Schema that the arguments must satisfy beside the tool's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<BTreeMap<String, Value>>")]
    pub args: Option<Value>,
    /// What must hold for every call.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Option<OneOr<Requirement>>")]
    pub require: Vec<Requirement>,
    /// What must not hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Option<OneOr<Requirement>>")]
    pub deny_if: Vec<Requirement>,
    /// How often, or for how much.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub limits: Vec<Limit>,
    /// Rules, at most 1000. Their order means nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub rules: Vec<Rule>,
}

/// What one task may use of tools altogether.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Budgets {
    /// Calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls: Option<u64>,
    /// Bytes of answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_returned: Option<u64>,
    /// Time that tools take, summed over calls: seconds, or text such as `90s`, `5m`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wall_time: Option<DurationText>,
}

/// Seconds, or a number with `s`, `m`, `h` or `d`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum DurationText {
    /// Whole seconds.
    Seconds(u64),
    /// `90s`, `30m`, `24h`, `7d`.
    Text(String),
}

/// A call, and what the policy must answer about it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The address of the tool.
    pub tool: String,
    /// The arguments; none: `{}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<BTreeMap<String, Value>>")]
    pub args: Option<Value>,
    /// Who calls; none: the workspace `local`, the principal `local`, the role `agent`.
    #[serde(rename = "as", skip_serializing_if = "Option::is_none")]
    pub caller: Option<CaseCaller>,
    /// The class the tool is to be taken for; none: what the policy makes of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<Class>,
    /// The answer.
    pub expect: Expected,
    /// The name of the rule that must decide.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
}

/// Who calls in a test.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CaseCaller {
    /// The workspace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// The account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal: Option<String>,
    /// The role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The label of the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
}

/// The answer a test expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Expected {
    /// It may leave.
    Allow,
    /// A person is asked.
    Ask,
    /// It may not.
    Deny,
    /// It does not exist.
    Hidden,
}

#[cfg(test)]
mod tests;
