//! The policy in force, its decisions and their reasons, and what other files would decide.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::approval::Rule;
use crate::policy::{self, Decision, RuleRef, ShadowFinding, TestReport, Verdict, lint};

/// The policy in force.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PolicyInForce {
    /// `ok`, or `degraded` where the files cannot be used and an earlier version is in force.
    pub status: String,
    /// Its revision.
    pub revision: String,
    /// The profile.
    pub profile: String,
    /// True if anybody can approve.
    pub approvals: bool,
    /// The files of the configuration.
    pub layers: Vec<PolicyLayer>,
    /// The rules in force, in the order of the files.
    pub rules: Vec<PolicyRule>,
    /// The reasons why the files cannot be used.
    pub problems: Vec<String>,
}

/// A rule in force, in brief.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyRule {
    /// Its file.
    pub file: String,
    /// The line in it, from 1.
    pub line: usize,
    /// The tools it is about: a path or a pattern.
    pub tools: String,
    /// Its name.
    pub name: String,
    /// `allow`, `ask` or `deny`; `hide` for tools that do not exist for the caller; `guard` for a
    /// rule that only restricts.
    pub action: String,
    /// True if it applies only under conditions on the call.
    pub conditional: bool,
    /// True if it applies only to some callers.
    pub restricted: bool,
    /// Limits that it counts.
    pub limits: usize,
    /// True if it is only recorded.
    pub shadow: bool,
}

/// A policy file of the configuration.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PolicyLayer {
    /// Its path.
    pub path: String,
    /// Callers it applies to: `organisation`, `workspace:NAME` or `key:LABEL`.
    pub scope: String,
    /// The upstream it is bound to.
    pub upstream: Option<String>,
    /// The decision where no rule of the file decides: `allow`, `ask`, `deny` or `auto`; absent
    /// where the file leaves it to the profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// True if the file is only recorded.
    pub shadow: bool,
}

/// Tools as policy sees them.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PolicyToolList {
    /// At most 10,000.
    pub tools: Vec<PolicyTool>,
}

/// A tool as policy sees it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyTool {
    /// Its path.
    pub path: String,
    /// Its upstream.
    pub upstream: String,
    /// Its name at the upstream.
    pub name: String,
    /// Its description.
    pub description: String,
    /// Its class of risk.
    pub class: String,
    /// The source of the class.
    pub class_source: String,
    /// Arguments that fit its schema.
    pub sample: Value,
}

/// The decision about one call, and its reasons.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyExplanation {
    /// The tool's path.
    pub id: String,
    /// The tool's path.
    pub tool: String,
    /// `allow`, `ask` or `deny`.
    pub status: String,
    /// The tool's class of risk.
    pub class: String,
    /// The source of the class.
    pub class_source: String,
    /// The rule that decides.
    pub rule: Option<Rule>,
    /// The rules and defaults that were evaluated, in order.
    pub steps: Vec<PolicyStep>,
    /// Further steps that are not listed.
    pub steps_dropped: usize,
    /// The decision.
    pub verdict: PolicyVerdict,
    /// Limits that the call counts against.
    pub holds: Vec<PolicyLimit>,
    /// Decisions of rules in shadow mode.
    pub shadow: Vec<PolicyShadow>,
    /// The revision that decided.
    pub revision: String,
    /// The decision in one line.
    #[serde(rename = "final")]
    pub final_line: String,
    /// The whole explanation as text.
    pub text: String,
    /// The line of the rule in its file.
    pub line: Option<usize>,
}

/// A rule or a default that was evaluated.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PolicyStep {
    /// Its file, or the profile.
    pub layer: String,
    /// The pattern or the key that applies to the tool.
    pub place: String,
    /// The rule's name.
    pub rule: String,
    /// JSON Pointer of the rule.
    pub pointer: String,
    /// The condition with the values compared.
    pub what: String,
    /// The result: `passes`, `does not apply`, `deny`, `ask`, `allow`, `error`, `counts`.
    pub outcome: String,
    /// True if it is only recorded.
    pub shadow: bool,
}

/// A decision.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "outcome", rename_all = "lowercase")]
pub enum PolicyVerdict {
    /// The call may be made.
    Allow,
    /// A person must approve it.
    Ask {
        /// The reason, for the person.
        reason: String,
        /// The rule's message for the caller.
        message: Option<String>,
    },
    /// The call is refused.
    Deny {
        /// The code that the program sees.
        code: String,
        /// The reason.
        message: String,
        /// True if the tool is hidden from the caller.
        hidden: bool,
    },
}

/// A limit, with its counter as it is now.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PolicyLimit {
    /// The rule that limits.
    pub rule: Rule,
    /// The window: `minute`, `hour`, `day`, `task`, or a duration.
    pub window: String,
    /// Used within the window.
    pub used: f64,
    /// The amount that the call would add.
    pub cost: f64,
    /// The limit.
    pub max: f64,
    /// True if the call would fit now.
    pub admitted: bool,
}

/// The decision that a rule in shadow mode would have made.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PolicyShadow {
    /// The rule.
    pub rule: Rule,
    /// `ask` or `deny`.
    pub would: String,
    /// The reason.
    pub message: String,
}

/// Likely mistakes in policy files.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PolicyFindings {
    /// At most 500.
    pub findings: Vec<PolicyFinding>,
}

/// One likely mistake.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PolicyFinding {
    /// Its kind: `no-such-tool`, `unreachable` …
    pub code: String,
    /// Its severity.
    pub severity: Severity,
    /// The file.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// JSON Pointer of the place.
    pub pointer: String,
    /// The problem.
    pub message: String,
    /// The remedy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The rule cannot do what it says.
    Error,
    /// The rule may not do what is meant.
    Warning,
}

impl Severity {
    /// Its name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// Results of the tests in policy files.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PolicyTestResults {
    /// In the order of the files.
    pub results: Vec<PolicyCase>,
}

/// The result of one test.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PolicyCase {
    /// The file.
    pub file: String,
    /// Line of the test, from 1.
    pub line: usize,
    /// Its name, or its place: `tests[0]`.
    pub name: String,
    /// The tool it is about.
    pub tool: String,
    /// True if the tool was known; for an unknown one only its name counts.
    pub known: bool,
    /// True if the decision was the expected one.
    pub passed: bool,
    /// The expected decision.
    pub expected: String,
    /// The decision.
    pub got: String,
}

/// Decisions about calls on record.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PolicyReplayResults {
    /// In the order of the calls.
    pub results: Vec<PolicyReplayResult>,
}

/// The decision about one call on record.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyReplayResult {
    /// The call, by the name it was given.
    pub call: String,
    /// The tool.
    pub tool: String,
    /// Equal to `change`.
    pub status: String,
    /// `same`, `changed`, or `unknown` where it depends on arguments that are not on record.
    pub change: String,
    /// The decision then.
    pub was: String,
    /// The rule that decided then.
    pub was_rule: Option<String>,
    /// The decision now.
    pub now: Option<String>,
    /// The rule that decides now.
    pub rule: Option<String>,
}

impl From<&RuleRef> for Rule {
    fn from(rule: &RuleRef) -> Self {
        Self {
            name: rule.name.to_string(),
            pointer: rule.pointer.to_string(),
            layer: rule.layer.to_string(),
        }
    }
}

impl From<&policy::Step> for PolicyStep {
    fn from(step: &policy::Step) -> Self {
        Self {
            layer: step.layer.clone(),
            place: step.place.clone(),
            rule: step.rule.clone(),
            pointer: step.pointer.clone(),
            what: step.what.clone(),
            outcome: step.outcome.clone(),
            shadow: step.shadow,
        }
    }
}

impl From<&Decision> for PolicyVerdict {
    fn from(decision: &Decision) -> Self {
        match &decision.verdict {
            Verdict::Allow => Self::Allow,
            Verdict::Ask(terms) => Self::Ask {
                reason: terms.reason.clone(),
                message: terms.message.as_deref().map(str::to_owned),
            },
            Verdict::Deny(denial) => Self::Deny {
                code: denial.code.as_str().to_owned(),
                message: denial.message.clone(),
                hidden: denial.hidden,
            },
        }
    }
}

impl From<&ShadowFinding> for PolicyShadow {
    fn from(finding: &ShadowFinding) -> Self {
        Self {
            rule: (&finding.rule).into(),
            would: finding.would.into(),
            message: finding.message.clone(),
        }
    }
}

impl From<lint::Finding> for PolicyFinding {
    fn from(finding: lint::Finding) -> Self {
        Self {
            code: finding.code.as_str().into(),
            severity: match finding.severity {
                lint::Severity::Error => Severity::Error,
                lint::Severity::Warning => Severity::Warning,
            },
            file: finding.file,
            line: finding.line,
            column: finding.column,
            pointer: finding.pointer,
            message: finding.message,
            hint: finding.hint,
        }
    }
}

impl From<TestReport> for PolicyCase {
    fn from(report: TestReport) -> Self {
        Self {
            file: report.file,
            line: report.line,
            name: report.name,
            tool: report.tool,
            known: report.known,
            passed: report.passed,
            expected: report.expected,
            got: report.got,
        }
    }
}
