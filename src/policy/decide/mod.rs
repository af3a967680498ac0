//! Decides about one call.
//!
//! The order: a hidden tool does not exist; the arguments are parsed; every rule of every matching
//! entry is evaluated, and the first denial counts; each layer gives a permission, and the
//! strictest counts; limits that apply become reservations. Nothing ends the walk early, so
//! `explain` sees what `decide` does: they are one function.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use self::{
    evaluation::{Candidate, Evaluation, Trace},
    reservations::merge,
};
use super::{
    args::{self, Args},
    compiled::{CompiledEntry, CompiledLayer},
    condition::Subject,
    loaded::Policy,
    model::{
        call::Call,
        class::Class,
        counter::CounterValues,
        decision::Decision,
        explanation::Explanation,
        verdict::{Denial, DenialCode, RuleRef, Verdict},
    },
};

mod class_default;
mod evaluation;
mod listing;
mod lookup;
mod permission;
mod reservations;
mod rule;

impl Policy {
    /// Decides about a call. Never panics; any failure is a denial.
    pub fn decide(&self, call: &Call<'_>, counters: &CounterValues) -> Decision {
        self.run(call, counters, None, false).0
    }

    /// Decides about a call and records every step; the decision is that of [`Self::decide`].
    pub fn explain(&self, call: &Call<'_>, counters: &CounterValues) -> Explanation {
        self.explain_as(call, counters, None)
    }

    /// Explains the decision under the assumption that the tool has this class.
    pub(super) fn explain_as(
        &self,
        call: &Call<'_>,
        counters: &CounterValues,
        class: Option<Class>,
    ) -> Explanation {
        let (decision, source, trace) = self.run(call, counters, class, true);
        let Trace { steps, dropped } = trace;
        Explanation {
            tool: call.tool.path.to_owned(),
            class_source: source,
            steps,
            steps_dropped: dropped,
            decision,
        }
    }

    fn run(
        &self,
        call: &Call<'_>,
        counters: &CounterValues,
        assumed_class: Option<Class>,
        traced: bool,
    ) -> (Decision, String, Trace) {
        let began = Instant::now();
        let decided = catch_unwind(AssertUnwindSafe(|| {
            let (class, source, rule) = self.classify(&call.tool, &call.caller);
            let class = assumed_class.unwrap_or(class);
            let trace = traced.then(Trace::default);
            let mut evaluation = Evaluation::new(self, call, class, trace);
            if let (true, Some(rule)) = (traced, &rule) {
                evaluation.step(
                    rule.layer.as_ref(),
                    "class",
                    rule,
                    || format!("class is {class}"),
                    "applies",
                    false,
                );
            }
            let decision = evaluation.decide(counters);
            let source = if traced { source.to_string() } else { String::new() };
            (decision, source, evaluation.trace.take().unwrap_or_default())
        }));
        let (mut decision, source, trace) = decided.unwrap_or_else(|_| {
            let denial = Denial {
                code: DenialCode::PolicyError,
                message: "the evaluation of this call failed inside the policy engine".into(),
                hidden: false,
                retry_after: None,
            };
            let (verdict, rule) = (Verdict::Deny(denial), None);
            let failed = Decision {
                verdict,
                class: Class::Unknown,
                rule,
                reservations: vec![],
                shadow: vec![],
                elapsed: Duration::ZERO,
            };
            (failed, String::new(), Trace::default())
        });
        decision.elapsed = began.elapsed();
        (decision, source, trace)
    }
}

impl<'p> Evaluation<'p, '_> {
    fn decide(&mut self, counters: &CounterValues) -> Decision {
        if let Some((layer, entry, rule)) =
            self.policy.hidden_by(&self.entries, &self.call.caller, false)
        {
            self.step(
                &layer.name,
                entry.pattern.as_str(),
                rule,
                || "the tool is hidden".into(),
                "deny",
                false,
            );
            let denial = Denial {
                code: DenialCode::PolicyDenied,
                message: format!("there is no tool `{}`", self.tool()),
                hidden: true,
                retry_after: None,
            };
            self.deny(denial, rule.clone());
            return self.decision();
        }
        let args = match args::parse(self.call.args.get()) {
            Ok(args) => args,
            Err(reason) => {
                let rule = RuleRef {
                    name: "arguments".into(),
                    pointer: "".into(),
                    layer: self.policy.profile_name.clone(),
                };
                self.step(
                    &rule.layer.clone(),
                    "arguments",
                    &rule,
                    || reason.clone(),
                    "deny",
                    false,
                );
                self.deny(
                    Denial {
                        code: DenialCode::PolicyError,
                        message: reason,
                        hidden: false,
                        retry_after: None,
                    },
                    rule,
                );
                return self.decision();
            }
        };
        self.walk(&args, counters);
        self.decision()
    }

    /// Evaluates all matching entries. Nothing ends the walk early.
    fn walk(&mut self, args: &Args, counters: &CounterValues) {
        let policy = self.policy;
        if let Some((layer, entry, rule)) = policy.hidden_by(&self.entries, &self.call.caller, true)
        {
            self.step(
                &layer.name,
                entry.pattern.as_str(),
                rule,
                || "the tool is hidden".into(),
                "deny",
                true,
            );
            self.shadow_finding(rule.clone(), "deny", "the tool would be hidden".into());
        }
        let subject = Subject::new(args, self.call, self.class, counters);
        for matched in self.entries.clone().iter() {
            let entry = &policy.compiled.entries[matched.entry as usize];
            let layer = &policy.compiled.layers[entry.layer];
            if layer.applies_to(&self.call.caller) {
                self.may_allow = !matched.restricts_only;
                self.entry(layer, entry, &subject);
            }
        }
    }

    fn entry(&mut self, layer: &'p CompiledLayer, entry: &'p CompiledEntry, subject: &Subject<'_>) {
        let mut is_listing = entry.is_listing && !layer.shadow && self.may_allow;
        is_listing &= entry.rules.is_empty()
            || entry
                .rules
                .iter()
                .any(|rule| !rule.shadow && rule.applies_to.matches(&self.call.caller));
        if is_listing {
            self.candidates
                .push(Candidate::Listing { layer: entry.layer, pattern: &entry.pattern });
        }
        for rule in &entry.rules {
            self.rule(layer, entry, rule, subject);
        }
    }

    /// Builds the decision after all entries were evaluated.
    fn decision(&mut self) -> Decision {
        let (verdict, rule) = match self.denial.take() {
            Some((denial, rule)) => (Verdict::Deny(denial), rule),
            None => self.permission(),
        };
        let reservations = if matches!(verdict, Verdict::Deny(_)) {
            vec![]
        } else {
            merge(std::mem::take(&mut self.reservations))
        };
        // Findings that would not have changed the verdict are dropped.
        let rank =
            |verdict: &str| ["allow", "ask", "deny"].iter().position(|known| *known == verdict);
        let own = rank(verdict.as_str());
        self.shadow.retain(|finding| rank(finding.would) > own);
        let shadow = std::mem::take(&mut self.shadow);
        Decision {
            verdict,
            class: self.class,
            rule: Some(rule),
            reservations,
            shadow,
            elapsed: Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests;
