//! The tests that a file holds about itself: calls, and what must be answered about them.

use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    Amount, Call, Caller, CounterValues, Policy, ToolFacts, Verdict,
    file::{Case, CaseCaller, Expected},
};
use crate::model::{Annotations, Timestamp};

/// What came of one test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CaseReport {
    /// The file.
    pub file: String,
    /// Line of the test, from 1.
    pub line: usize,
    /// Its name, or its place: `tests[0]`.
    pub name: String,
    /// The tool it is about.
    pub tool: String,
    /// Whether the tool was known; about an unknown one only its name says something.
    pub known: bool,
    /// Whether the answer was the expected one.
    pub passed: bool,
    /// The expected answer: `deny by no-prod`.
    pub expected: String,
    /// The answer, as [`super::Explanation::final_line`] tells it.
    pub got: String,
}

impl Policy {
    /// Runs the tests of all files against the whole policy, each as if at `now`; `known` tells
    /// what is known of a tool by its address. Counters stand at zero.
    pub fn run_cases<'t>(
        &self,
        now: Timestamp,
        known: &dyn Fn(&str) -> Option<ToolFacts<'t>>,
    ) -> Vec<CaseReport> {
        let mut reports = Vec::new();
        for layer in &self.compiled.layers {
            for (index, case) in layer.cases.iter().enumerate() {
                let (line, _) = layer.places.find(&format!("/tests/{index}"));
                let name = case.name.clone().unwrap_or_else(|| format!("tests[{index}]"));
                reports.push(CaseReport {
                    file: layer.name.to_string(),
                    line,
                    name,
                    ..self.run_case(case, now, known)
                });
            }
        }
        reports
    }

    fn run_case<'t>(
        &self,
        case: &Case,
        now: Timestamp,
        known: &dyn Fn(&str) -> Option<ToolFacts<'t>>,
    ) -> CaseReport {
        let facts = known(&case.tool);
        let (upstream, name) = case.tool.split_once('.').unwrap_or((&case.tool, &case.tool));
        let tool = facts.unwrap_or(ToolFacts {
            path: &case.tool,
            upstream,
            name,
            input_schema: None,
            annotations: Annotations::default(),
            trusted: false,
            operation: None,
        });
        let args = case.args.as_ref().map_or_else(|| "{}".to_owned(), ToString::to_string);
        let args = RawValue::from_string(args).expect("a value of JSON is JSON");
        let nobody = CaseCaller::default();
        let who = case.caller.as_ref().unwrap_or(&nobody);
        let or = |text: &Option<String>, otherwise: &'static str| {
            text.clone().unwrap_or_else(|| otherwise.to_owned())
        };
        let (workspace, principal, role) =
            (or(&who.workspace, "local"), or(&who.principal, "local"), or(&who.role, "agent"));
        let (key, session) = (who.key.as_deref(), who.session.as_deref());
        let caller = Caller {
            workspace: &workspace,
            principal: &principal,
            role: &role,
            key,
            session,
            task: "task_test",
        };
        let call = Call { tool, args: &args, caller, now };
        let counters =
            self.counters_read(&call).into_iter().map(|read| (read.key, Amount::ZERO)).collect();
        let (got, rule, line) = self.answered(&call, &counters, case);
        let passed = got == case.expect
            && case.rule.as_ref().is_none_or(|expected| Some(expected) == rule.as_ref());
        let expected = match (&case.expect, &case.rule) {
            (expect, Some(rule)) => format!("{} by {rule}", word(*expect)),
            (expect, None) => word(*expect).to_owned(),
        };
        let (file, line_of_case, name, tool) = (String::new(), 0, String::new(), case.tool.clone());
        CaseReport {
            file,
            line: line_of_case,
            name,
            tool,
            known: facts.is_some(),
            passed,
            expected,
            got: line,
        }
    }

    fn answered(
        &self,
        call: &Call<'_>,
        counters: &CounterValues,
        case: &Case,
    ) -> (Expected, Option<String>, String) {
        let explanation = self.explain_as(call, counters, case.class);
        let got = match &explanation.decision.verdict {
            Verdict::Allow => Expected::Allow,
            Verdict::Ask(_) => Expected::Ask,
            Verdict::Deny(denial) if denial.hidden => Expected::Hidden,
            Verdict::Deny(_) => Expected::Deny,
        };
        let rule = explanation.decision.rule.as_ref().map(|rule| rule.name.to_string());
        (got, rule, explanation.final_line())
    }
}

fn word(expected: Expected) -> &'static str {
    match expected {
        Expected::Allow => "allow",
        Expected::Ask => "ask",
        Expected::Deny => "deny",
        Expected::Hidden => "hidden",
    }
}

#[cfg(test)]
mod tests;
