//! Deciding about one call.
//!
//! In this order: what is hidden does not exist; the arguments are read; every rule of every entry
//! that fits is asked, and the first refusal counts; each layer answers, and the most restrictive
//! answer counts; limits that apply become holds. Nothing ends the walk early, so `explain` sees
//! what `decide` does: they are one function.

use std::{
    cell::OnceCell,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Call, Class, CounterValues, Decision, Denial, DenialCode, Explanation, Hold, Policy, RuleRef,
    STEPS_MAX, ShadowFinding, Step, Verdict,
    args::{self, Args},
    class::ClassSource,
    condition::Subject,
    rules::{CompiledEntry, CompiledLayer},
};

mod answer;
mod holds;
mod list;
mod rule;

use answer::Given;

/// Longest message of a denial, in bytes.
const MESSAGE_BYTES_MAX: usize = 2048;

/// The account of a decision, if anybody wants it.
#[derive(Debug, Default)]
struct Trace {
    steps: Vec<Step>,
    dropped: usize,
}

/// One decision under way.
struct Deciding<'p, 'c> {
    policy: &'p Policy,
    call: &'c Call<'c>,
    class: Class,
    entries: Arc<[u32]>,
    /// The first refusal.
    denial: Option<(Denial, RuleRef)>,
    shadow: Vec<ShadowFinding>,
    holds: Vec<Hold>,
    /// What entries answer, by layer.
    given: Vec<Given<'p>>,
    trace: Option<Trace>,
}

impl Policy {
    /// The answer about a call. Never panics, and never says yes because something went wrong.
    pub fn decide(&self, call: &Call<'_>, counters: &CounterValues) -> Decision {
        self.run(call, counters, None, false).0
    }

    /// The answer with every step that led to it; the answer is the one of [`Self::decide`].
    pub fn explain(&self, call: &Call<'_>, counters: &CounterValues) -> Explanation {
        self.explain_as(call, counters, None)
    }

    /// As [`Self::explain`], with the tool taken for a class.
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
        taken_for: Option<Class>,
        traced: bool,
    ) -> (Decision, String, Trace) {
        let began = Instant::now();
        let decided = catch_unwind(AssertUnwindSafe(|| {
            let (class, source, rule) = self.classify(&call.tool, &call.caller);
            let class = taken_for.unwrap_or(class);
            let trace = traced.then(Trace::default);
            let entries = self.matched(call.tool.path);
            let (shadow, holds, given) = (vec![], vec![], vec![]);
            let mut deciding = Deciding {
                policy: self,
                call,
                class,
                entries,
                denial: None,
                shadow,
                holds,
                given,
                trace,
            };
            if let (true, Some(rule)) = (traced, &rule) {
                deciding.step(
                    rule.layer.as_ref(),
                    "class",
                    rule,
                    || format!("the class is {class}"),
                    "says",
                    false,
                );
            }
            let decision = deciding.decide(counters);
            let source = if traced { source.to_string() } else { String::new() };
            (decision, source, deciding.trace.take().unwrap_or_default())
        }));
        let (mut decision, source, trace) = decided.unwrap_or_else(|_| {
            let denial = Denial {
                code: DenialCode::PolicyError,
                message: "deciding about this call failed inside the policy engine".into(),
                hidden: false,
                retry_after: None,
            };
            let (verdict, rule) = (Verdict::Deny(denial), None);
            let failed = Decision {
                verdict,
                class: Class::Unknown,
                rule,
                holds: vec![],
                shadow: vec![],
                elapsed: Duration::ZERO,
            };
            (failed, String::new(), Trace::default())
        });
        decision.elapsed = began.elapsed();
        (decision, source, trace)
    }
}

impl<'p> Deciding<'p, '_> {
    fn decide(&mut self, counters: &CounterValues) -> Decision {
        if let Some((layer, entry, rule)) =
            self.policy.hiding(&self.entries, &self.call.caller, false)
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
            self.refuse(denial, rule.clone());
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
                self.refuse(
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

    fn walk(&mut self, args: &Args, counters: &CounterValues) {
        let policy = self.policy;
        if let Some((layer, entry, rule)) = policy.hiding(&self.entries, &self.call.caller, true) {
            self.step(
                &layer.name,
                entry.pattern.as_str(),
                rule,
                || "the tool is hidden".into(),
                "deny",
                true,
            );
            self.watch(rule.clone(), "deny", "the tool would be hidden".into());
        }
        let subject = Subject {
            args,
            call: self.call,
            class: self.class,
            counters,
            bindings: OnceCell::new(),
        };
        for number in self.entries.clone().iter() {
            let entry = &policy.compiled.entries[*number as usize];
            let layer = &policy.compiled.layers[entry.layer];
            if layer.applies(&self.call.caller) {
                self.entry(layer, entry, &subject);
            }
        }
    }

    fn entry(&mut self, layer: &'p CompiledLayer, entry: &'p CompiledEntry, subject: &Subject<'_>) {
        let mut lists = entry.lists && !layer.shadow;
        lists &= entry.rules.is_empty()
            || entry.rules.iter().any(|rule| !rule.shadow && rule.applies.to(&self.call.caller));
        if lists {
            self.given.push(Given::Lists { layer: entry.layer, pattern: &entry.pattern });
        }
        for rule in &entry.rules {
            self.rule(layer, entry, rule, subject);
        }
    }

    /// The decision, once everything has been looked at.
    fn decision(&mut self) -> Decision {
        let (verdict, rule) = match self.denial.take() {
            Some((denial, rule)) => (Verdict::Deny(denial), rule),
            None => self.answer(),
        };
        let holds = if matches!(verdict, Verdict::Deny(_)) {
            vec![]
        } else {
            holds::merged(std::mem::take(&mut self.holds))
        };
        // What would have changed nothing is not worth telling.
        let rank =
            |verdict: &str| ["allow", "ask", "deny"].iter().position(|known| *known == verdict);
        let own = rank(verdict.as_str());
        self.shadow.retain(|finding| rank(finding.would) > own);
        let shadow = std::mem::take(&mut self.shadow);
        Decision {
            verdict,
            class: self.class,
            rule: Some(rule),
            holds,
            shadow,
            elapsed: Duration::ZERO,
        }
    }

    fn refuse(&mut self, mut denial: Denial, rule: RuleRef) {
        denial.message.truncate(denial.message.floor_char_boundary(MESSAGE_BYTES_MAX));
        self.denial.get_or_insert((denial, rule));
    }

    fn watch(&mut self, rule: RuleRef, would: &'static str, mut message: String) {
        message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
        self.shadow.push(ShadowFinding { rule, would, message });
    }

    /// The address for messages: the caller's own text, cut.
    fn tool(&self) -> &str {
        let path = self.call.tool.path;
        &path[..path.floor_char_boundary(256)]
    }

    fn step(
        &mut self,
        layer: &str,
        place: &str,
        rule: &RuleRef,
        what: impl FnOnce() -> String,
        outcome: &str,
        shadow: bool,
    ) {
        let Some(trace) = &mut self.trace else { return };
        if trace.steps.len() >= STEPS_MAX {
            trace.dropped += 1;
            return;
        }
        trace.steps.push(Step {
            layer: layer.to_owned(),
            place: place.to_owned(),
            rule: rule.name.to_string(),
            pointer: rule.pointer.to_string(),
            what: what(),
            outcome: outcome.to_owned(),
            shadow,
        });
    }
}

impl Policy {
    /// The class of a tool, where it comes from, and the owner's rule if there is one.
    fn classify(
        &self,
        tool: &super::ToolFacts<'_>,
        caller: &super::Caller<'_>,
    ) -> (Class, ClassSource, Option<RuleRef>) {
        if self.has_classes
            && let Some((class, rule)) = self.owner_class(tool, caller)
        {
            return (class, ClassSource::Owner(rule.clone()), Some(rule.clone()));
        }
        let entry = match self.compiled.catalogue.get(tool.upstream) {
            Some(said) => *said,
            None => super::class::catalogue::named(tool.upstream),
        };
        let (class, source) = super::class::classify(tool, entry);
        (class, source, None)
    }

    /// What files say: in each the most specific address, of several the most severe class.
    fn owner_class(
        &self,
        tool: &super::ToolFacts<'_>,
        caller: &super::Caller<'_>,
    ) -> Option<(Class, &RuleRef)> {
        let mut best: Vec<(usize, &CompiledEntry, Class, &RuleRef)> = Vec::new();
        for number in self.matched(tool.path).iter() {
            let entry = &self.compiled.entries[*number as usize];
            let layer = &self.compiled.layers[entry.layer];
            let Some((class, rule)) = &entry.class else { continue };
            if layer.shadow || !layer.applies(caller) {
                continue;
            }
            match best.iter_mut().find(|(known, ..)| *known == entry.layer) {
                None => best.push((entry.layer, entry, *class, rule)),
                Some(known) => {
                    let order = entry.pattern.more_specific(&known.1.pattern);
                    if order.is_gt() || order.is_eq() && *class > known.2 {
                        *known = (entry.layer, entry, *class, rule);
                    }
                }
            }
        }
        best.into_iter().map(|(_, _, class, rule)| (class, rule)).max_by_key(|(class, _)| *class)
    }

    /// The entry that hides a tool from a caller: of the layers in shadow, or of the others.
    fn hiding(
        &self,
        entries: &[u32],
        caller: &super::Caller<'_>,
        shadow: bool,
    ) -> Option<(&CompiledLayer, &CompiledEntry, &RuleRef)> {
        entries.iter().find_map(|number| {
            let entry = &self.compiled.entries[*number as usize];
            let layer = &self.compiled.layers[entry.layer];
            let hides =
                entry.hide.as_ref().filter(|_| layer.shadow == shadow && layer.applies(caller))?;
            Some((layer, entry, hides))
        })
    }
}

#[cfg(test)]
mod tests;
