//! Whose permission counts: in each layer the most specific, of the layers the most restrictive.

use std::sync::Arc;

use super::Deciding;
use crate::policy::{
    AskTerms, Denial, DenialCode, Pattern, Profile, RuleRef, Verdict,
    file::{Action, Default as DefaultAnswer},
    profile::{self, Answer},
    rules::{CompiledEntry, CompiledLayer, CompiledRule, Terms},
};

/// What an entry that fits says about permission.
pub(super) enum Given<'p> {
    /// It holds only guards: under `default: deny` it stands for an allow.
    Lists { layer: usize, pattern: &'p Pattern },
    /// A rule of it allows or asks.
    Answers { layer: usize, entry: &'p CompiledEntry, rule: &'p CompiledRule },
}

/// The answer of one layer.
pub(super) struct LayerAnswer {
    pub(super) answer: Answer,
    pub(super) rule: RuleRef,
    /// It comes from the class, so the limits of the class count.
    pub(super) by_class: bool,
    pub(super) terms: Terms,
    pub(super) message: Option<Arc<str>>,
}

/// From mild to strict.
fn severity(answer: Answer) -> u8 {
    match answer {
        Answer::Allow => 0,
        Answer::Ask => 1,
        Answer::Deny => 2,
    }
}

impl<'p> Deciding<'p, '_> {
    /// The verdict of all layers together, for a call that nothing refuses.
    pub(super) fn answer(&mut self) -> (Verdict, RuleRef) {
        let policy = self.policy;
        let mut answers: Vec<LayerAnswer> = Vec::new();
        for (number, layer) in policy.compiled.layers.iter().enumerate() {
            if !layer.applies(&self.call.caller) || !layer.reach.fits(self.call.tool.path) {
                continue;
            }
            let Some(answer) = self.layer_answer(number, layer) else { continue };
            let outcome = ["allow", "ask", "deny"][usize::from(severity(answer.answer))];
            self.step(
                &layer.name,
                &answer.rule.name.clone(),
                &answer.rule,
                || "the layer answers".into(),
                outcome,
                layer.shadow,
            );
            if layer.shadow {
                if answer.answer != Answer::Allow {
                    self.watch(answer.rule, outcome, format!("the layer would answer {outcome}"));
                }
            } else {
                answers.push(answer);
            }
        }
        if answers.is_empty() {
            answers.push(self.by_class(policy.options.profile, policy.profile_rule()));
        }
        if answers.iter().any(|answer| answer.by_class) {
            self.hold_class();
        }
        let strictest = answers.into_iter().reduce(|first, next| {
            if severity(next.answer) > severity(first.answer) { next } else { first }
        });
        match strictest {
            Some(answer) => self.verdict(answer),
            None => (Verdict::Deny(self.denial("no layer answers")), policy.profile_rule()),
        }
    }

    /// What one layer answers: the most specific of its allows and asks, or its default; nothing if
    /// it has none.
    fn layer_answer(&self, number: usize, layer: &CompiledLayer) -> Option<LayerAnswer> {
        let mut best: Option<(&CompiledEntry, &CompiledRule)> = None;
        let mut lists: Option<&Pattern> = None;
        for given in &self.given {
            match given {
                Given::Lists { layer, pattern } if *layer == number => {
                    lists = lists
                        .filter(|known| known.more_specific(pattern).is_ge())
                        .or(Some(pattern));
                }
                Given::Answers { layer, entry, rule } if *layer == number => {
                    let better = best.is_none_or(|(known, known_rule)| {
                        match entry.pattern.more_specific(&known.pattern) {
                            std::cmp::Ordering::Greater => true,
                            std::cmp::Ordering::Equal => {
                                rule.action == Action::Ask && known_rule.action == Action::Allow
                            }
                            std::cmp::Ordering::Less => false,
                        }
                    });
                    best = if better { Some((entry, rule)) } else { best };
                }
                _ => {}
            }
        }
        if let Some((entry, rule)) = best {
            let answer = if rule.action == Action::Ask { Answer::Ask } else { Answer::Allow };
            let terms = with_defaults(&rule.terms, &entry.terms);
            return Some(LayerAnswer {
                answer,
                rule: rule.rule.clone(),
                by_class: false,
                terms,
                message: rule.message.clone(),
            });
        }
        let plain = |answer| LayerAnswer {
            answer,
            rule: layer.default_rule.clone(),
            by_class: false,
            terms: self.entry_terms(),
            message: None,
        };
        let listed = |pattern: &Pattern| {
            let rule = RuleRef {
                name: "listed".into(),
                pointer: pointer(pattern, layer),
                layer: layer.name.clone(),
            };
            LayerAnswer { rule, ..plain(Answer::Allow) }
        };
        match (layer.default, lists) {
            (Some(DefaultAnswer::Deny), Some(pattern)) => Some(listed(pattern)),
            (Some(DefaultAnswer::Deny), None) => Some(plain(Answer::Deny)),
            (Some(DefaultAnswer::Allow), _) => Some(plain(Answer::Allow)),
            (Some(DefaultAnswer::Ask), _) => Some(plain(Answer::Ask)),
            (Some(DefaultAnswer::Auto), _) => {
                Some(self.by_class(Profile::Auto, layer.default_rule.clone()))
            }
            // The profile `strict` is a `default: deny` for everything that is silent.
            (None, Some(pattern))
                if self.policy.options.profile == Profile::Strict && !layer.shadow =>
            {
                Some(listed(pattern))
            }
            (None, _) => None,
        }
    }

    fn by_class(&self, profile: Profile, rule: RuleRef) -> LayerAnswer {
        let (answer, limit) = profile::by_class(profile, self.class);
        LayerAnswer {
            answer,
            rule,
            by_class: limit.is_some(),
            terms: self.entry_terms(),
            message: None,
        }
    }

    /// Terms that entries say for their tools: those of the most specific.
    fn entry_terms(&self) -> Terms {
        let entries =
            self.entries.iter().map(|number| &self.policy.compiled.entries[*number as usize]);
        let applying = entries.filter(|entry| {
            let layer = &self.policy.compiled.layers[entry.layer];
            layer.applies(&self.call.caller) && !layer.shadow
        });
        applying.fold(Terms::default(), |terms, entry| with_defaults(&terms, &entry.terms))
    }

    fn verdict(&self, answer: LayerAnswer) -> (Verdict, RuleRef) {
        let LayerAnswer { answer, rule, terms, message, .. } = answer;
        let verdict = match answer {
            Answer::Allow => Verdict::Allow,
            Answer::Deny => Verdict::Deny(self.denial("not permitted by policy")),
            Answer::Ask if !self.policy.options.approvals => {
                let reason = "it needs an approval, and nobody can approve on this server";
                Verdict::Deny(self.denial(reason))
            }
            Answer::Ask => Verdict::Ask(self.ask(&rule, &terms, message)),
        };
        (verdict, rule)
    }

    pub(super) fn ask(&self, rule: &RuleRef, terms: &Terms, message: Option<Arc<str>>) -> AskTerms {
        let reason = match &message {
            Some(message) => message.to_string(),
            // What no file says has no place in one.
            None if rule.pointer.is_empty() => {
                format!(
                    "no file answers about `{}`, and the {} asks about the class {}",
                    self.tool(),
                    rule.layer,
                    self.class
                )
            }
            None => {
                format!("rule `{}` asks about `{}`, class {}", rule.name, self.tool(), self.class)
            }
        };
        AskTerms { timeout: terms.timeout, reason, message }
    }

    pub(super) fn denial(&self, reason: &str) -> Denial {
        let message = format!("call of `{}`: {reason}", self.tool());
        Denial { code: DenialCode::PolicyDenied, message, hidden: false, retry_after: None }
    }
}

/// The place of an entry: entries are few where this is asked, so it is found by its address.
fn pointer(pattern: &Pattern, layer: &CompiledLayer) -> Arc<str> {
    let prefix = layer.reach.as_str().strip_suffix('*').unwrap_or_default();
    let name = pattern.as_str().strip_prefix(prefix).unwrap_or(pattern.as_str());
    format!("/tools/{}", crate::policy::file::step(name)).into()
}

pub(super) fn with_defaults(own: &Terms, defaults: &Terms) -> Terms {
    Terms { timeout: own.timeout.or(defaults.timeout) }
}
