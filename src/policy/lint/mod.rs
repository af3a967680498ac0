//! What is probably not meant in policy files that are valid: addresses of no tool, arguments that
//! no schema has, rules that can never speak. Pure: files and facts of tools in, findings out. Must
//! not decide about calls.

mod arguments;
mod names;
mod reach;
mod reliance;
mod samples;
mod schema;
mod terms;
#[cfg(test)]
mod tests;

use serde::Serialize;

use super::{Layer, LayerScope, Options, Policy, Problem, RuleView, ToolFacts};
pub use reliance::Reliance;
use serde_json::Value;

/// Findings that are listed; the rest is counted in the last one.
pub const FINDINGS_MAX: usize = 500;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It cannot do what it says.
    Error,
    /// It may not do what is meant.
    Warning,
}

/// What is probably not meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// An address fits no known tool.
    NoSuchTool,
    /// A condition reads an argument that the tool's schema does not have.
    NoSuchArgument,
    /// An expression reads an argument that may be missing; then the call is denied.
    MayBeMissing,
    /// A rule can never speak, for every call that it could speak about is denied or its tool
    /// hidden.
    Unreachable,
    /// A rule never decides, for a more specific one speaks for each of its tools.
    Shadowed,
    /// A limit can be escaped by choosing another session.
    SessionOnly,
    /// A rule asks where nobody can approve.
    NobodyApproves,
    /// A condition fails whatever is sent, so every call is denied.
    AlwaysFails,
}

impl Code {
    /// Its name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoSuchTool => "no-such-tool",
            Self::NoSuchArgument => "no-such-argument",
            Self::MayBeMissing => "may-be-missing",
            Self::Unreachable => "unreachable",
            Self::Shadowed => "shadowed",
            Self::SessionOnly => "session-only",
            Self::NobodyApproves => "nobody-approves",
            Self::AlwaysFails => "always-fails",
        }
    }
}

/// One thing that is probably not meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What.
    pub code: Code,
    /// How bad.
    pub severity: Severity,
    /// The file, as its layer is named.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// JSON Pointer of the place.
    pub pointer: String,
    /// What is wrong.
    pub message: String,
    /// The way out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(
            f,
            "{}:{}:{}: {severity} [{}] {}",
            self.file,
            self.line,
            self.column,
            self.code.as_str(),
            self.message
        )?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

/// Looks at files. Without `tools` nothing is said about addresses and arguments.
///
/// # Errors
/// The problems of files that are not valid.
pub fn lint(
    layers: &[Layer],
    options: Options,
    tools: &[ToolFacts<'_>],
) -> Result<Vec<Finding>, Vec<Problem>> {
    let policy = Policy::load(layers.to_vec(), options)?;
    let scopes: Vec<LayerScope> = layers.iter().map(|layer| layer.scope.clone()).collect();
    let mut report = Report::default();
    names::check(&policy, tools, &mut report);
    arguments::check(&policy, tools, &mut report);
    reach::check(&policy, &scopes, tools, &mut report);
    terms::check(&policy, &mut report);
    samples::check(&policy, tools, &mut report);
    Ok(report.finish())
}

/// Arguments that satisfy a schema as far as it says: what it requires, and nothing else.
pub fn sample(schema: &Value) -> Value {
    schema::sample(schema, false)
}

/// Where something stands.
#[derive(Debug, Clone, Copy)]
struct Place<'p> {
    file: &'p str,
    place: (usize, usize),
    pointer: &'p str,
}

impl<'p> Place<'p> {
    fn of(rule: &RuleView<'p>) -> Self {
        Self { file: rule.file, place: rule.place, pointer: &rule.rule.pointer }
    }
}

/// Collects findings.
#[derive(Debug, Default)]
struct Report {
    findings: Vec<Finding>,
    dropped: usize,
}

impl Report {
    fn add(
        &mut self,
        place: Place<'_>,
        (code, severity): (Code, Severity),
        message: String,
        hint: Option<String>,
    ) {
        if self.findings.len() >= FINDINGS_MAX {
            self.dropped += 1;
            return;
        }
        let Place { file, place: (line, column), pointer } = place;
        let (file, pointer) = (file.to_owned(), pointer.to_owned());
        self.findings.push(Finding { code, severity, file, line, column, pointer, message, hint });
    }

    fn finish(mut self) -> Vec<Finding> {
        self.findings.sort_by(|a, b| {
            (&a.file, a.line, a.column, a.code).cmp(&(&b.file, b.line, b.column, b.code))
        });
        if let (1.., Some(last)) = (self.dropped, self.findings.last_mut()) {
            last.hint = Some(format!("{} more findings are not listed", self.dropped));
        }
        self.findings
    }
}
