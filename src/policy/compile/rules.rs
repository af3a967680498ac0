//! Rules of one entry.

use std::{sync::Arc, time::Duration};

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use super::layer::LayerCompiler;
use crate::policy::{
    compiled::{ApprovalTerms, CallerFilter, CompiledLimit, CompiledRequirement, CompiledRule},
    file::{Action, Approval, Entry, Mode, OneOrMany, Rule},
};

/// Longest time that an approval may wait.
pub const APPROVAL_MAX: Duration = Duration::from_secs(24 * 3600);
/// Longest part of a schema error that a message repeats, in bytes.
const SCHEMA_ERROR_BYTES_MAX: usize = 300;

impl LayerCompiler<'_> {
    /// Compiles all rules of an entry; `args`, `require`, `deny_if` and `limits` of the entry
    /// become rules too.
    pub(super) fn rules(&mut self, path: &str, pointer: &str, entry: &Entry) -> Vec<CompiledRule> {
        let mut rules = Vec::new();
        if let Some(schema) = &entry.args {
            let pointer = format!("{pointer}/args");
            let schema = self.schema(schema, &pointer);
            rules.push(CompiledRule { schema, ..self.guard("args".into(), &pointer) });
        }
        for (index, item) in entry.require.iter().enumerate() {
            let pointer = format!("{pointer}/require/{index}");
            let require = vec![self.requirement(item, &pointer)];
            rules.push(CompiledRule {
                require,
                ..self.guard(format!("require[{index}]"), &pointer)
            });
        }
        for (index, item) in entry.deny_if.iter().enumerate() {
            let pointer = format!("{pointer}/deny_if/{index}");
            let CompiledRequirement { conditions: when, message } =
                self.requirement(item, &pointer);
            rules.push(CompiledRule {
                when,
                message,
                action: Action::Deny,
                ..self.guard(format!("deny_if[{index}]"), &pointer)
            });
        }
        for (index, limit) in entry.limits.iter().enumerate() {
            let pointer = format!("{pointer}/limits/{index}");
            let name = limit.counter.clone().unwrap_or_else(|| format!("limits[{index}]"));
            let limits = self.limit(path, limit, "rate", &name, &pointer).into_iter().collect();
            rules.push(CompiledRule { limits, ..self.guard(name, &pointer) });
        }
        for (index, rule) in entry.rules.iter().enumerate() {
            rules.push(self.rule(path, rule, index, &format!("{pointer}/rules/{index}")));
        }
        rules
    }

    /// Returns a rule without any effect, to be completed.
    fn guard(&self, name: String, pointer: &str) -> CompiledRule {
        CompiledRule {
            rule: self.rule_ref(name, pointer),
            shadow: self.shadow,
            applies_to: CallerFilter::default(),
            when: vec![],
            require: vec![],
            schema: None,
            required_args: false,
            action: Action::Evaluate,
            limits: vec![],
            terms: ApprovalTerms::default(),
            message: None,
        }
    }

    fn rule(&mut self, path: &str, rule: &Rule, index: usize, pointer: &str) -> CompiledRule {
        let name = rule.name.clone().unwrap_or_else(|| format!("rules[{index}]"));
        let action = rule.action.unwrap_or(Action::Evaluate);
        self.check_combination(rule, action, pointer);
        let mut when = rule
            .when
            .as_ref()
            .map(|when| self.when(when, &format!("{pointer}/when"), None))
            .unwrap_or_default();
        let mut require: Vec<CompiledRequirement> = Vec::new();
        for (index, item) in rule.require.iter().enumerate() {
            let item = self.requirement(item, &format!("{pointer}/require/{index}"));
            require.push(item);
        }
        let mut limits: Vec<CompiledLimit> = Vec::new();
        let own = rule.state.as_ref().map(|state| self.state(path, state, rule, &name, pointer));
        limits.extend(own.flatten());
        if let Some(conditions) = &rule.conditions {
            let conditions = self.when(
                conditions,
                &format!("{pointer}/conditions"),
                rule.state.as_ref().map(|state| (state, path)),
            );
            match action {
                Action::Deny | Action::Ask => when.extend(conditions),
                Action::Allow | Action::Evaluate => {
                    require.push(CompiledRequirement { conditions, message: None })
                }
            }
        }
        limits.extend(
            rule.limit.as_ref().and_then(|limit| {
                self.rate_limit(path, limit, rule.name.as_deref(), &name, pointer)
            }),
        );
        let message: Option<Arc<str>> = rule.message.as_deref().map(Into::into);
        for limit in &mut limits {
            limit.message = limit.message.take().or_else(|| message.clone());
        }
        let validate = rule.validate.as_ref();
        let mut terms = self.terms(rule.approval.as_ref(), &format!("{pointer}/approval"));
        if let Some(timeout) = &rule.approval_timeout {
            terms.timeout =
                self.duration(timeout, &format!("{pointer}/approval_timeout"), APPROVAL_MAX);
        }
        CompiledRule {
            shadow: self.shadow || rule.mode == Some(Mode::Shadow),
            applies_to: caller_filter(rule),
            when,
            require,
            schema: validate
                .and_then(|validate| validate.schema.as_ref())
                .and_then(|schema| self.schema(schema, &format!("{pointer}/validate/schema"))),
            required_args: validate.is_some_and(|validate| validate.required_args == Some(true)),
            action,
            limits,
            terms,
            message,
            ..self.guard(name, pointer)
        }
    }

    /// Reports combinations of keys that contradict each other.
    fn check_combination(&mut self, rule: &Rule, action: Action, pointer: &str) {
        let guards = [
            ("require", !rule.require.is_empty()),
            ("limit", rule.limit.is_some()),
            ("state", rule.state.is_some()),
            ("validate", rule.validate.is_some()),
        ];
        if action == Action::Deny {
            for (key, _) in guards.iter().filter(|(_, given)| *given) {
                let hint = format!(
                    "put `{key}` into a rule of its own; `when` restricts a rule that denies"
                );
                self.reader.problem(
                    pointer,
                    format!("a rule that denies cannot have `{key}`"),
                    Some(hint),
                );
            }
        }
        if action != Action::Ask && (rule.approval.is_some() || rule.approval_timeout.is_some()) {
            self.reader.problem(
                pointer,
                "`approval` needs `action: ask`",
                Some("or move it to the entry".into()),
            );
        }
        if rule.approval_timeout.is_some()
            && rule.approval.as_ref().is_some_and(|approval| approval.timeout.is_some())
        {
            self.reader.problem(
                pointer,
                "`approval_timeout` is an alias of `approval.timeout`",
                Some("keep one of them".into()),
            );
        }
        if action == Action::Allow && rule.conditions.is_some() {
            let hint = "write `when` to allow the call only then, or `require` to deny it \
                otherwise"
                .to_owned();
            self.reader.problem(
                pointer,
                "`conditions` of a rule that allows is ambiguous",
                Some(hint),
            );
        }
        let empty = action == Action::Evaluate
            && rule.conditions.is_none()
            && !guards.iter().any(|(_, given)| *given);
        if empty {
            self.reader.problem(
                pointer,
                "the rule has no effect",
                Some("give it an `action`, `require`, `limit` or `validate`".into()),
            );
        }
    }

    pub(super) fn terms(&mut self, approval: Option<&Approval>, pointer: &str) -> ApprovalTerms {
        let Some(approval) = approval else { return ApprovalTerms::default() };
        let timeout = approval
            .timeout
            .as_ref()
            .and_then(|text| self.duration(text, &format!("{pointer}/timeout"), APPROVAL_MAX));
        ApprovalTerms { timeout }
    }

    fn schema(&mut self, schema: &Value, pointer: &str) -> Option<Validator> {
        // The arguments are an attacker's: references are not fetched, patterns take linear time.
        let built = jsonschema::options()
            .offline()
            .with_pattern_options(
                PatternOptions::regex().size_limit(256 * 1024).dfa_size_limit(256 * 1024),
            )
            .build(schema);
        built
            .map_err(|error| {
                let error = error.to_string();
                let message = format!(
                    "the schema does not compile: {}",
                    &error[..error.floor_char_boundary(SCHEMA_ERROR_BYTES_MAX)]
                );
                self.reader.problem(pointer, message, None);
            })
            .ok()
    }
}

fn caller_filter(rule: &Rule) -> CallerFilter {
    let Some(applies_to) = &rule.applies_to else { return CallerFilter::default() };
    let list = |list: &Option<OneOrMany>| {
        list.as_ref().map(|list| list.as_slice().to_vec()).unwrap_or_default()
    };
    CallerFilter {
        roles: list(&applies_to.role),
        keys: list(&applies_to.key),
        workspaces: list(&applies_to.workspace),
    }
}
