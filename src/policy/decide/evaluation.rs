//! State of one evaluation: what has been found so far.

use std::sync::Arc;

use crate::policy::{
    compiled::{ApprovalTerms, CompiledEntry, CompiledLayer, CompiledRule},
    file::DefaultAction,
    loaded::{Matched, Policy},
    model::{
        call::Call,
        class::Class,
        decision::ShadowFinding,
        explanation::{STEPS_MAX, Step},
        pattern::Pattern,
        reservation::Reservation,
        verdict::{AskTerms, Denial, DenialCode, RuleRef},
    },
};

/// Longest message of a denial, in bytes.
const MESSAGE_BYTES_MAX: usize = 2048;
/// Longest tool path that a message repeats, in bytes.
const PATH_BYTES_MAX: usize = 256;

/// Steps of an evaluation, recorded for `explain`.
#[derive(Debug, Default)]
pub(super) struct Trace {
    pub(super) steps: Vec<Step>,
    pub(super) dropped: usize,
}

/// Permission that a matching entry gives.
pub(super) enum Candidate<'p> {
    /// The entry only lists its tools: it allows them under `default: deny`.
    Listing { layer: usize, pattern: &'p Pattern },
    /// A rule of the entry allows or asks.
    Rule { layer: usize, entry: &'p CompiledEntry, rule: &'p CompiledRule },
    /// A rule asks, of an entry that may only restrict: it opens nothing that is denied.
    Restriction { layer: usize, entry: &'p CompiledEntry, rule: &'p CompiledRule },
}

/// One evaluation in progress.
pub(super) struct Evaluation<'p, 'c> {
    pub(super) policy: &'p Policy,
    pub(super) call: &'c Call<'c>,
    pub(super) class: Class,
    /// Matching entries, most specific first.
    pub(super) entries: Arc<[Matched]>,
    /// The first denial.
    pub(super) denial: Option<(Denial, RuleRef)>,
    pub(super) shadow: Vec<ShadowFinding>,
    pub(super) reservations: Vec<Reservation>,
    pub(super) candidates: Vec<Candidate<'p>>,
    /// The entry at hand may allow; see [`Matched::restricts_only`].
    pub(super) may_allow: bool,
    /// Present if the evaluation is explained.
    pub(super) trace: Option<Trace>,
}

impl<'p, 'c> Evaluation<'p, 'c> {
    pub(super) fn new(
        policy: &'p Policy,
        call: &'c Call<'c>,
        class: Class,
        trace: Option<Trace>,
    ) -> Self {
        Self {
            policy,
            call,
            class,
            entries: policy.matched(&call.tool),
            denial: None,
            shadow: vec![],
            reservations: vec![],
            candidates: vec![],
            may_allow: true,
            trace,
        }
    }

    /// Records a denial. The first one decides.
    pub(super) fn deny(&mut self, mut denial: Denial, rule: RuleRef) {
        denial.message.truncate(denial.message.floor_char_boundary(MESSAGE_BYTES_MAX));
        self.denial.get_or_insert((denial, rule));
    }

    /// Records the effect of a rule in shadow mode.
    pub(super) fn shadow_finding(
        &mut self,
        rule: RuleRef,
        would: &'static str,
        mut message: String,
    ) {
        message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
        self.shadow.push(ShadowFinding { rule, would, message });
    }

    /// Returns the tool path for messages, shortened because the caller chooses it.
    pub(super) fn tool(&self) -> &str {
        let path = self.call.tool.path;
        &path[..path.floor_char_boundary(PATH_BYTES_MAX)]
    }

    /// Records a step if the evaluation is explained.
    pub(super) fn step(
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

    /// Builds the terms of an approval that `rule` asks for.
    pub(super) fn ask_terms(
        &self,
        rule: &RuleRef,
        terms: &ApprovalTerms,
        message: Option<Arc<str>>,
    ) -> AskTerms {
        let reason = match &message {
            Some(message) => message.to_string(),
            None => self.reason_to_ask(rule),
        };
        AskTerms { timeout: terms.timeout, reason, message }
    }

    /// Returns the reason of a rule without a message: a sentence for the person who decides.
    fn reason_to_ask(&self, rule: &RuleRef) -> String {
        let calls = match self.class {
            Class::Unknown => "calls of unknown class".to_owned(),
            class => format!("{class} calls"),
        };
        // Only rules of a file have a pointer.
        if rule.pointer.is_empty() {
            let profile = self.policy.options.profile.as_str();
            return format!(
                "No rule covers this tool. The `{profile}` profile asks before {calls}."
            );
        }
        let layers = &self.policy.compiled.layers;
        let is_default = |layer: &&CompiledLayer| layer.default_rule == *rule;
        match layers.iter().find(is_default).map(|layer| layer.default) {
            None => format!("The rule `{}` asks before this call.", rule.name),
            Some(Some(DefaultAction::Auto)) => format!(
                "No rule in `{}` covers this tool. The file's default `auto` asks before {calls}.",
                rule.layer
            ),
            Some(_) => format!(
                "No rule in `{}` covers this tool. The file's default asks before every call.",
                rule.layer
            ),
        }
    }

    /// Builds a denial of the call.
    pub(super) fn policy_denied(&self, reason: &str) -> Denial {
        let message = format!("call of `{}`: {reason}", self.tool());
        Denial { code: DenialCode::PolicyDenied, message, hidden: false, retry_after: None }
    }
}
