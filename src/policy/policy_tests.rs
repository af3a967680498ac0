//! Runs the tests that a policy file contains: calls with their expected verdicts.

use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    file::{Expected, TestCaller, TestCase},
    loaded::Policy,
    model::{
        amount::Amount,
        call::{Call, Caller, ToolFacts},
        counter::CounterValues,
        verdict::Verdict,
    },
};
use crate::model::{Annotations, Timestamp};

/// Result of one test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TestReport {
    /// Name of the file.
    pub file: String,
    /// Line of the test, from 1.
    pub line: usize,
    /// Name of the test, or its position: `tests[0]`.
    pub name: String,
    /// Path of the tool.
    pub tool: String,
    /// The tool is known. The class of an unknown tool depends on its name alone.
    pub known: bool,
    /// The verdict was the expected one.
    pub passed: bool,
    /// Expected verdict: `deny by no-prod`.
    pub expected: String,
    /// Verdict, as formatted by [`super::Explanation::final_line`].
    pub got: String,
}

impl Policy {
    /// Runs the tests of all files against the whole policy, each as if at `now`, with all counters
    /// at zero. `known` returns the facts of a tool by its path.
    pub fn run_tests<'t>(
        &self,
        now: Timestamp,
        known: &dyn Fn(&str) -> Option<ToolFacts<'t>>,
    ) -> Vec<TestReport> {
        let mut reports = Vec::new();
        for layer in &self.compiled.layers {
            for (index, test) in layer.tests.iter().enumerate() {
                let (line, _) = layer.positions.find(&format!("/tests/{index}"));
                let name = test.name.clone().unwrap_or_else(|| format!("tests[{index}]"));
                reports.push(TestReport {
                    file: layer.name.to_string(),
                    line,
                    name,
                    ..self.run_test(test, now, known)
                });
            }
        }
        reports
    }

    fn run_test<'t>(
        &self,
        test: &TestCase,
        now: Timestamp,
        known: &dyn Fn(&str) -> Option<ToolFacts<'t>>,
    ) -> TestReport {
        let facts = known(&test.tool);
        let (upstream, name) = test.tool.split_once('.').unwrap_or((&test.tool, &test.tool));
        let tool = facts.unwrap_or(ToolFacts {
            path: &test.tool,
            upstream,
            name,
            input_schema: None,
            annotations: Annotations::default(),
            trusted: false,
            operation: None,
            former: None,
        });
        let args = test.args.as_ref().map_or_else(|| "{}".to_owned(), ToString::to_string);
        let args = RawValue::from_string(args).expect("a value of JSON is JSON");
        let default_caller = TestCaller::default();
        let caller = test.caller.as_ref().unwrap_or(&default_caller);
        let or = |value: &Option<String>, default: &'static str| {
            value.clone().unwrap_or_else(|| default.to_owned())
        };
        let (workspace, principal, role) = (
            or(&caller.workspace, "local"),
            or(&caller.principal, "local"),
            or(&caller.role, "agent"),
        );
        let (key, session) = (caller.key.as_deref(), caller.session.as_deref());
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
        let (got, rule, line) = self.test_verdict(&call, &counters, test);
        let passed = got == test.expect
            && test.rule.as_ref().is_none_or(|expected| Some(expected) == rule.as_ref());
        let expected = match (test.expect, &test.rule) {
            (expect, Some(rule)) => format!("{} by {rule}", expect.as_str()),
            (expect, None) => expect.as_str().to_owned(),
        };
        TestReport {
            file: String::new(),
            line: 0,
            name: String::new(),
            tool: test.tool.clone(),
            known: facts.is_some(),
            passed,
            expected,
            got: line,
        }
    }

    fn test_verdict(
        &self,
        call: &Call<'_>,
        counters: &CounterValues,
        test: &TestCase,
    ) -> (Expected, Option<String>, String) {
        let explanation = self.explain_as(call, counters, test.class);
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

#[cfg(test)]
mod tests;
