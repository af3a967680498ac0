//! One rule, asked about one call.

use super::{Deciding, answer::Given, holds};
use crate::{
    base::text::cut,
    policy::{
        Denial, DenialCode,
        args::required,
        condition::{Expr, NoAnswer, Subject},
        file::Action,
        rules::{CompiledEntry, CompiledLayer, CompiledRule},
    },
};

/// Why a rule refuses.
struct Refusal {
    code: DenialCode,
    reason: String,
}

impl<'p> Deciding<'p, '_> {
    /// Asks a rule, and notes what it says.
    pub(super) fn rule(
        &mut self,
        layer: &'p CompiledLayer,
        entry: &'p CompiledEntry,
        rule: &'p CompiledRule,
        subject: &Subject<'_>,
    ) {
        if !rule.applies.to(&self.call.caller) {
            self.told(layer, entry, rule, || "it is for other callers".into(), "does not apply");
            return;
        }
        match self.speaks(layer, entry, rule, subject) {
            Ok(false) => return,
            Ok(true) => {}
            Err(refusal) => return self.refused(layer, entry, rule, refusal),
        }
        if let Err(refusal) = self.guards(layer, entry, rule, subject) {
            return self.refused(layer, entry, rule, refusal);
        }
        match rule.action {
            Action::Evaluate => {}
            Action::Deny => {
                let reason = self.worded(
                    rule.message.as_deref(),
                    &format!("denied by rule `{}`", rule.rule.name),
                );
                return self.refused(
                    layer,
                    entry,
                    rule,
                    Refusal { code: DenialCode::PolicyDenied, reason },
                );
            }
            Action::Allow | Action::Ask => {
                let outcome = if rule.action == Action::Allow { "allow" } else { "ask" };
                self.told(layer, entry, rule, || "it answers".into(), outcome);
                if !rule.shadow {
                    self.given.push(Given::Answers { layer: entry.layer, entry, rule });
                } else if rule.action == Action::Ask {
                    let message =
                        rule.message.as_deref().unwrap_or("an approval would be needed").to_owned();
                    self.watch(rule.rule.clone(), "ask", message);
                }
            }
        }
        self.count(layer, entry, rule, subject);
    }

    /// Reserves what the rule's limits count, or refuses where one cannot count.
    fn count(
        &mut self,
        layer: &'p CompiledLayer,
        entry: &'p CompiledEntry,
        rule: &'p CompiledRule,
        subject: &Subject<'_>,
    ) {
        for limit in &rule.limits {
            match holds::hold(self, entry, rule, limit, subject) {
                Ok(hold) if rule.shadow => self.told(
                    layer,
                    entry,
                    rule,
                    || format!("limit of {} per {}, not counted in shadow", hold.max, hold.window),
                    "passes",
                ),
                Ok(hold) => {
                    self.told(
                        layer,
                        entry,
                        rule,
                        || format!("counts {} of {} per {}", hold.cost, hold.max, hold.window),
                        "counts",
                    );
                    self.holds.push(hold);
                }
                Err(reason) => {
                    let reason =
                        format!("limit `{}` cannot count this call: {reason}", limit.rule.name);
                    return self.refused(
                        layer,
                        entry,
                        rule,
                        Refusal { code: DenialCode::PolicyError, reason },
                    );
                }
            }
        }
    }

    /// Whether the rule speaks about this call: all of `when` holds.
    fn speaks(
        &mut self,
        layer: &CompiledLayer,
        entry: &CompiledEntry,
        rule: &CompiledRule,
        subject: &Subject<'_>,
    ) -> Result<bool, Refusal> {
        for condition in &rule.when {
            let holds = condition.holds(subject);
            self.observe(layer, entry, rule, &**condition, subject, &holds, "when");
            match holds {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(error) => return Err(self.no_answer(rule, &error)),
            }
        }
        Ok(true)
    }

    fn guards(
        &mut self,
        layer: &CompiledLayer,
        entry: &CompiledEntry,
        rule: &CompiledRule,
        subject: &Subject<'_>,
    ) -> Result<(), Refusal> {
        for requirement in &rule.require {
            for condition in &requirement.conditions {
                let holds = condition.holds(subject);
                self.observe(layer, entry, rule, &**condition, subject, &holds, "require");
                match holds {
                    Ok(true) => {}
                    // A value of another kind is not what is required.
                    Ok(false) | Err(NoAnswer::Mismatch(_)) => {
                        let message = requirement.message.as_deref().or(rule.message.as_deref());
                        let reason = self.worded(
                            message,
                            &format!("rule `{}` does not permit these arguments", rule.rule.name),
                        );
                        return Err(Refusal { code: DenialCode::PolicyDenied, reason });
                    }
                    Err(error) => return Err(self.no_answer(rule, &error)),
                }
            }
        }
        if rule.schema.is_some()
            && let Err(error) = subject.args.seen([], false)
        {
            return Err(self.no_answer(rule, &NoAnswer::Failed(error)));
        }
        if let Some(schema) = &rule.schema
            && let Err(error) = schema.validate(&subject.args.value)
        {
            // The place and the keyword: neither the value nor what the owner wrote beside the
            // keyword.
            let (place, keyword) =
                (error.instance_path().to_string(), error.kind().keyword().to_owned());
            let place = if place.is_empty() {
                "the arguments".to_owned()
            } else {
                format!("`{}`", cut(&place, 200))
            };
            let fallback = format!(
                "rule `{}` does not permit these arguments: {place} fails `{keyword}`",
                rule.rule.name
            );
            let reason = self.worded(rule.message.as_deref(), &fallback);
            return Err(Refusal { code: DenialCode::PolicyDenied, reason });
        }
        if rule.required_args {
            self.required(rule, subject)?;
        }
        Ok(())
    }

    /// `validate: {required_args: true}`: what the tool's schema requires is there and is not null.
    fn required(&self, rule: &CompiledRule, subject: &Subject<'_>) -> Result<(), Refusal> {
        let Some(schema) = self.call.tool.input_schema else {
            let reason = format!(
                "rule `{}` checks required arguments, but the schema of the tool is not known",
                rule.rule.name
            );
            return Err(Refusal { code: DenialCode::PolicyError, reason });
        };
        let schema = schema.value();
        let missing = required(&schema)
            .find(|key| subject.args.value.get(key).is_none_or(serde_json::Value::is_null));
        match missing {
            None => Ok(()),
            Some(key) => {
                let fallback =
                    format!("rule `{}` requires the argument `{}`", rule.rule.name, cut(key, 100));
                let reason = self.worded(rule.message.as_deref(), &fallback);
                Err(Refusal { code: DenialCode::PolicyDenied, reason })
            }
        }
    }

    fn no_answer(&self, rule: &CompiledRule, error: &NoAnswer) -> Refusal {
        let reason =
            format!("rule `{}` could not be evaluated: {}", rule.rule.name, error.reason());
        Refusal {
            code: DenialCode::PolicyError,
            reason: format!("call of `{}`: {reason}", self.tool()),
        }
    }

    fn worded(&self, message: Option<&str>, fallback: &str) -> String {
        match message {
            Some(message) => message.to_owned(),
            None => format!("call of `{}`: {fallback}", self.tool()),
        }
    }

    fn refused(
        &mut self,
        layer: &CompiledLayer,
        entry: &CompiledEntry,
        rule: &CompiledRule,
        refusal: Refusal,
    ) {
        self.told(layer, entry, rule, || refusal.reason.clone(), "deny");
        if rule.shadow {
            self.watch(rule.rule.clone(), "deny", refusal.reason);
        } else {
            let denial = Denial {
                code: refusal.code,
                message: refusal.reason,
                hidden: false,
                retry_after: None,
            };
            self.refuse(denial, rule.rule.clone());
        }
    }

    fn told(
        &mut self,
        layer: &CompiledLayer,
        entry: &CompiledEntry,
        rule: &CompiledRule,
        what: impl FnOnce() -> String,
        outcome: &str,
    ) {
        self.step(&layer.name, entry.pattern.as_str(), &rule.rule, what, outcome, rule.shadow);
    }

    #[expect(clippy::too_many_arguments, reason = "the place, the condition and what came of it")]
    fn observe(
        &mut self,
        layer: &CompiledLayer,
        entry: &CompiledEntry,
        rule: &CompiledRule,
        condition: &dyn Expr,
        subject: &Subject<'_>,
        holds: &Result<bool, NoAnswer>,
        role: &str,
    ) {
        let outcome = match (holds, role) {
            (Ok(true), "when") => "applies",
            (Ok(false), "when") => "does not apply",
            (Ok(true), _) => "passes",
            (Ok(false) | Err(NoAnswer::Mismatch(_)), "require") => "fails",
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
        self.told(layer, entry, rule, what, outcome);
    }
}
