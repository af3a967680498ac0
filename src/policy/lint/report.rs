//! Findings, and the report that collects them.

use std::fmt;

use serde::Serialize;

use crate::{
    base::plural::{counted, verb},
    policy::view::RuleView,
};

/// Most findings that are listed; the last one counts the rest.
pub const FINDINGS_MAX: usize = 500;

/// Severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The rule cannot do what it is written to do.
    Error,
    /// The rule may not do what its author meant.
    Warning,
}

/// Kind of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// A pattern matches no known tool.
    NoSuchTool,
    /// A pattern holds by names that tools had in the release before, or cannot yet allow by the
    /// present ones.
    FormerName,
    /// A condition reads an argument that the tool's schema does not have.
    NoSuchArgument,
    /// An expression reads an argument that may be missing, which denies the call.
    MayBeMissing,
    /// A rule never applies, because another one denies all of its calls or hides its tools.
    Unreachable,
    /// A rule never decides, because more specific ones match each of its tools.
    Shadowed,
    /// A limit can be evaded by choosing another session.
    SessionOnly,
    /// A rule asks on a server where nobody can approve.
    NobodyApproves,
    /// A condition fails for all arguments, so every call is denied.
    AlwaysFails,
}

impl Code {
    /// Returns the name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoSuchTool => "no-such-tool",
            Self::FormerName => "former-name",
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

/// Probable mistake in a policy file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Kind.
    pub code: Code,
    /// Severity.
    pub severity: Severity,
    /// Name of the layer: that of the file.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// JSON Pointer of the rule or the entry.
    pub pointer: String,
    /// Description of the mistake.
    pub message: String,
    /// Suggested fix.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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

/// Location of a rule or an entry.
#[derive(Debug, Clone, Copy)]
pub(super) struct Location<'p> {
    pub(super) file: &'p str,
    pub(super) position: (usize, usize),
    pub(super) pointer: &'p str,
}

impl<'p> Location<'p> {
    pub(super) fn of(rule: &RuleView<'p>) -> Self {
        Self { file: rule.file, position: rule.position, pointer: &rule.rule.pointer }
    }
}

/// Collects findings.
#[derive(Debug, Default)]
pub(super) struct Report {
    findings: Vec<Finding>,
    dropped: usize,
}

impl Report {
    pub(super) fn add(
        &mut self,
        location: Location<'_>,
        (code, severity): (Code, Severity),
        message: String,
        hint: Option<String>,
    ) {
        if self.findings.len() >= FINDINGS_MAX {
            self.dropped += 1;
            return;
        }
        let Location { file, position: (line, column), pointer } = location;
        let (file, pointer) = (file.to_owned(), pointer.to_owned());
        self.findings.push(Finding { code, severity, file, line, column, pointer, message, hint });
    }

    /// Returns the findings in the order of their files and positions.
    pub(super) fn finish(mut self) -> Vec<Finding> {
        self.findings.sort_by(|a, b| {
            (&a.file, a.line, a.column, a.code).cmp(&(&b.file, b.line, b.column, b.code))
        });
        if let (1.., Some(last)) = (self.dropped, self.findings.last_mut()) {
            let are = verb(self.dropped, "is", "are");
            let more = counted(self.dropped, "more finding");
            last.hint = Some(format!("{more} {are} not listed"));
        }
        self.findings
    }
}
