//! Evaluates one rule for one call.

use super::evaluation::{Candidate, Evaluation};
use crate::{
    base::text::cut,
    policy::{
        args::required_keys,
        compiled::{CompiledEntry, CompiledLayer, CompiledRule},
        condition::{EvaluationError, Expr, Subject},
        file::Action,
        model::{
            reservation::Reservation,
            verdict::{Denial, DenialCode},
        },
    },
};

/// Denial by a rule.
struct RuleDenial {
    code: DenialCode,
    reason: String,
}

impl<'p> Evaluation<'p, '_> {
    /// Evaluates a rule and records its effect.
    pub(super) fn rule(
        &mut self,
        layer: &'p CompiledLayer,
        entry: &'p CompiledEntry,
        rule: &'p CompiledRule,
        subject: &Subject<'_>,
    ) {
        if !rule.applies_to.matches(&self.call.caller) {
            self.rule_step(
                layer,
                entry,
                rule,
                || "`applies_to` names other callers".into(),
                "does not apply",
            );
            return;
        }
        match self.applies(layer, entry, rule, subject) {
            Ok(false) => return,
            Ok(true) => {}
            Err(denial) => return self.rule_denied(layer, entry, rule, denial),
        }
        if let Err(denial) = self.guards(layer, entry, rule, subject) {
            return self.rule_denied(layer, entry, rule, denial);
        }
        match rule.action {
            Action::Evaluate => {}
            Action::Deny => {
                let reason = self.message_or(
                    rule.message.as_deref(),
                    &format!("denied by rule `{}`", rule.rule.name),
                );
                return self.rule_denied(
                    layer,
                    entry,
                    rule,
                    RuleDenial { code: DenialCode::PolicyDenied, reason },
                );
            }
            Action::Allow if !self.may_allow => {
                let what = || {
                    "it may be written for the names of the release before, and the tool had \
                    another; name the tool to allow it"
                        .into()
                };
                self.rule_step(layer, entry, rule, what, "does not allow");
            }
            Action::Allow | Action::Ask => {
                let outcome = if rule.action == Action::Allow { "allow" } else { "ask" };
                self.rule_step(layer, entry, rule, || "action of the rule".into(), outcome);
                let layer = entry.layer;
                if !rule.shadow {
                    self.candidates.push(match self.may_allow {
                        true => Candidate::Rule { layer, entry, rule },
                        false => Candidate::Restriction { layer, entry, rule },
                    });
                } else if rule.action == Action::Ask {
                    let message =
                        rule.message.as_deref().unwrap_or("an approval would be needed").to_owned();
                    self.shadow_finding(rule.rule.clone(), "ask", message);
                }
            }
        }
        self.count(layer, entry, rule, subject);
    }

    /// Adds the reservations of the rule's limits; denies the call if one cannot be counted.
    fn count(
        &mut self,
        layer: &'p CompiledLayer,
        entry: &'p CompiledEntry,
        rule: &'p CompiledRule,
        subject: &Subject<'_>,
    ) {
        for limit in &rule.limits {
            match self.reservation(entry, rule, limit, subject) {
                Ok(reservation) if rule.shadow => self.rule_step(
                    layer,
                    entry,
                    rule,
                    || {
                        format!(
                            "limit of {} per {}, not counted in shadow mode",
                            reservation.max, reservation.window
                        )
                    },
                    "passes",
                ),
                Ok(reservation) => {
                    self.rule_step(
                        layer,
                        entry,
                        rule,
                        || {
                            format!(
                                "uses {} of {} per {}",
                                reservation.cost, reservation.max, reservation.window
                            )
                        },
                        "counts",
                    );
                    let each = |key| Reservation { key, ..reservation.clone() };
                    self.reservations.extend(limit.counter.keys(self.call).map(each));
                }
                Err(reason) => {
                    let reason =
                        format!("limit `{}` cannot count this call: {reason}", limit.rule.name);
                    return self.rule_denied(
                        layer,
                        entry,
                        rule,
                        RuleDenial { code: DenialCode::PolicyError, reason },
                    );
                }
            }
        }
    }

    /// Returns true if the rule applies to this call: all conditions of `when` hold.
    fn applies(
        &mut self,
        layer: &CompiledLayer,
        entry: &CompiledEntry,
        rule: &CompiledRule,
        subject: &Subject<'_>,
    ) -> Result<bool, RuleDenial> {
        for condition in &rule.when {
            let holds = condition.holds(subject);
            self.observe(layer, entry, rule, &**condition, subject, &holds, "when");
            match holds {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(error) => return Err(self.evaluation_failed(rule, &error)),
            }
        }
        Ok(true)
    }

    /// Checks the guards of the rule except limits.
    fn guards(
        &mut self,
        layer: &CompiledLayer,
        entry: &CompiledEntry,
        rule: &CompiledRule,
        subject: &Subject<'_>,
    ) -> Result<(), RuleDenial> {
        for requirement in &rule.require {
            for condition in &requirement.conditions {
                let holds = condition.holds(subject);
                self.observe(layer, entry, rule, &**condition, subject, &holds, "require");
                match holds {
                    Ok(true) => {}
                    // A value of another type does not satisfy a requirement.
                    Ok(false) | Err(EvaluationError::TypeMismatch(_)) => {
                        let message = requirement.message.as_deref().or(rule.message.as_deref());
                        let reason = self.message_or(
                            message,
                            &format!("rule `{}` does not permit these arguments", rule.rule.name),
                        );
                        return Err(RuleDenial { code: DenialCode::PolicyDenied, reason });
                    }
                    Err(error) => return Err(self.evaluation_failed(rule, &error)),
                }
            }
        }
        if rule.schema.is_some()
            && let Err(error) = subject.args.check_readable([], false)
        {
            return Err(self.evaluation_failed(rule, &EvaluationError::Failed(error)));
        }
        if let Some(schema) = &rule.schema
            && let Err(error) = schema.validate(&subject.args.value)
        {
            // Only the location and the keyword: neither the value nor the text of the schema.
            let (location, keyword) =
                (error.instance_path().to_string(), error.kind().keyword().to_owned());
            let location = if location.is_empty() {
                "the arguments".to_owned()
            } else {
                format!("`{}`", cut(&location, 200))
            };
            let fallback = format!(
                "rule `{}` does not permit these arguments: {location} fails `{keyword}`",
                rule.rule.name
            );
            let reason = self.message_or(rule.message.as_deref(), &fallback);
            return Err(RuleDenial { code: DenialCode::PolicyDenied, reason });
        }
        if rule.required_args {
            self.check_required(rule, subject)?;
        }
        Ok(())
    }

    /// Checks `validate: {required_args: true}`: each argument that the tool's schema requires is
    /// present and not null.
    fn check_required(&self, rule: &CompiledRule, subject: &Subject<'_>) -> Result<(), RuleDenial> {
        let Some(schema) = self.call.tool.input_schema else {
            let reason = format!(
                "rule `{}` checks required arguments, but the schema of the tool is not known",
                rule.rule.name
            );
            return Err(RuleDenial { code: DenialCode::PolicyError, reason });
        };
        let schema = schema.value();
        let missing = required_keys(&schema)
            .find(|key| subject.args.value.get(key).is_none_or(serde_json::Value::is_null));
        match missing {
            None => Ok(()),
            Some(key) => {
                let fallback =
                    format!("rule `{}` requires the argument `{}`", rule.rule.name, cut(key, 100));
                let reason = self.message_or(rule.message.as_deref(), &fallback);
                Err(RuleDenial { code: DenialCode::PolicyDenied, reason })
            }
        }
    }

    fn evaluation_failed(&self, rule: &CompiledRule, error: &EvaluationError) -> RuleDenial {
        let reason =
            format!("rule `{}` could not be evaluated: {}", rule.rule.name, error.reason());
        RuleDenial {
            code: DenialCode::PolicyError,
            reason: format!("call of `{}`: {reason}", self.tool()),
        }
    }

    fn message_or(&self, message: Option<&str>, fallback: &str) -> String {
        match message {
            Some(message) => message.to_owned(),
            None => format!("call of `{}`: {fallback}", self.tool()),
        }
    }

    fn rule_denied(
        &mut self,
        layer: &CompiledLayer,
        entry: &CompiledEntry,
        rule: &CompiledRule,
        denial: RuleDenial,
    ) {
        self.rule_step(layer, entry, rule, || denial.reason.clone(), "deny");
        if rule.shadow {
            self.shadow_finding(rule.rule.clone(), "deny", denial.reason);
        } else {
            let denial = Denial {
                code: denial.code,
                message: denial.reason,
                hidden: false,
                retry_after: None,
            };
            self.deny(denial, rule.rule.clone());
        }
    }

    fn rule_step(
        &mut self,
        layer: &CompiledLayer,
        entry: &CompiledEntry,
        rule: &CompiledRule,
        what: impl FnOnce() -> String,
        outcome: &str,
    ) {
        self.step(&layer.name, entry.pattern.as_str(), &rule.rule, what, outcome, rule.shadow);
    }

    #[expect(clippy::too_many_arguments, reason = "the rule, the condition and its result")]
    fn observe(
        &mut self,
        layer: &CompiledLayer,
        entry: &CompiledEntry,
        rule: &CompiledRule,
        condition: &dyn Expr,
        subject: &Subject<'_>,
        holds: &Result<bool, EvaluationError>,
        role: &str,
    ) {
        let outcome = match (holds, role) {
            (Ok(true), "when") => "applies",
            (Ok(false), "when") => "does not apply",
            (Ok(true), _) => "passes",
            (Ok(false) | Err(EvaluationError::TypeMismatch(_)), "require") => "fails",
            _ => "error",
        };
        let what = || {
            let error = holds
                .as_ref()
                .err()
                .map(|error| format!("; {}", error.reason()))
                .unwrap_or_default();
            format!("{role} {} [{}]{error}", condition.source(), condition.observed(subject))
        };
        self.rule_step(layer, entry, rule, what, outcome);
    }
}

#[cfg(test)]
mod tests;
