//! Rules and conditions of one entry.

use std::{sync::Arc, time::Duration};

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use super::{APPROVAL_MAX, LayerCompiler};
use crate::policy::{
    condition::{Comparison, Counter, Expr, cel::Expression},
    file::{
        Action, Approval, Condition, DurationText, Entry, Mode, OneOrMany, Requirement, Rule, When,
    },
    rules::{Applies, CompiledLimit, CompiledRequirement, CompiledRule, Terms},
};

/// Seconds, or a number with `s`, `m`, `h` or `d`.
pub(in crate::policy) fn duration(text: &DurationText) -> Option<Duration> {
    let text = match text {
        DurationText::Seconds(seconds) => return Some(Duration::from_secs(*seconds)),
        DurationText::Text(text) => text.trim(),
    };
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    number.trim().parse::<u64>().ok()?.checked_mul(factor).map(Duration::from_secs)
}

impl LayerCompiler<'_> {
    /// All rules of an entry; what stands beside `rules` becomes rules too.
    pub(super) fn rules(
        &mut self,
        address: &str,
        pointer: &str,
        entry: &Entry,
    ) -> Vec<CompiledRule> {
        let mut rules = Vec::new();
        if let Some(schema) = &entry.args {
            let pointer = format!("{pointer}/args");
            let schema = self.schema(schema, &pointer);
            rules.push(CompiledRule { schema, ..self.guard("args".into(), &pointer) });
        }
        for (index, item) in entry.require.iter().enumerate() {
            let pointer = format!("{pointer}/require/{index}");
            let require = vec![self.requirement(address, item, &pointer)];
            rules.push(CompiledRule {
                require,
                ..self.guard(format!("require[{index}]"), &pointer)
            });
        }
        for (index, item) in entry.deny_if.iter().enumerate() {
            let pointer = format!("{pointer}/deny_if/{index}");
            let CompiledRequirement { conditions: when, message } =
                self.requirement(address, item, &pointer);
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
            let limits = self.limit(address, limit, "rate", &name, &pointer).into_iter().collect();
            rules.push(CompiledRule { limits, ..self.guard(name, &pointer) });
        }
        for (index, rule) in entry.rules.iter().enumerate() {
            rules.push(self.rule(address, rule, index, &format!("{pointer}/rules/{index}")));
        }
        rules
    }

    fn guard(&self, name: String, pointer: &str) -> CompiledRule {
        CompiledRule {
            rule: self.rule_ref(name, pointer),
            shadow: self.shadow,
            applies: Applies::default(),
            when: vec![],
            require: vec![],
            schema: None,
            required_args: false,
            action: Action::Evaluate,
            limits: vec![],
            terms: Terms::default(),
            message: None,
        }
    }

    fn rule(&mut self, address: &str, rule: &Rule, index: usize, pointer: &str) -> CompiledRule {
        let name = rule.name.clone().unwrap_or_else(|| format!("rules[{index}]"));
        let action = rule.action.unwrap_or(Action::Evaluate);
        self.check_shape(rule, action, pointer);
        let mut when = rule
            .when
            .as_ref()
            .map(|when| self.when(address, when, &format!("{pointer}/when"), None))
            .unwrap_or_default();
        let mut require: Vec<CompiledRequirement> = Vec::new();
        for (index, item) in rule.require.iter().enumerate() {
            let item = self.requirement(address, item, &format!("{pointer}/require/{index}"));
            require.push(item);
        }
        let mut limits: Vec<CompiledLimit> = Vec::new();
        let own = rule.state.as_ref().map(|state| self.state(address, state, rule, &name, pointer));
        limits.extend(own.flatten());
        if let Some(conditions) = &rule.conditions {
            let conditions = self.when(
                address,
                conditions,
                &format!("{pointer}/conditions"),
                rule.state.as_ref(),
            );
            match action {
                Action::Deny | Action::Ask => when.extend(conditions),
                Action::Allow | Action::Evaluate => {
                    require.push(CompiledRequirement { conditions, message: None })
                }
            }
        }
        limits.extend(rule.limit.as_ref().and_then(|limit| {
            self.rate_limit(address, limit, rule.name.as_deref(), &name, pointer)
        }));
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
            applies: applies(rule),
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

    /// What contradicts itself.
    fn check_shape(&mut self, rule: &Rule, action: Action, pointer: &str) {
        let guards = [
            ("require", !rule.require.is_empty()),
            ("limit", rule.limit.is_some()),
            ("state", rule.state.is_some()),
            ("validate", rule.validate.is_some()),
        ];
        if action == Action::Deny {
            for (key, _) in guards.iter().filter(|(_, given)| *given) {
                let hint =
                    format!("put `{key}` into a rule of its own; `when` says when this one denies");
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
                Some("or stand it on the entry".into()),
            );
        }
        if rule.approval_timeout.is_some()
            && rule.approval.as_ref().is_some_and(|approval| approval.timeout.is_some())
        {
            self.reader.problem(
                pointer,
                "`approval_timeout` says the same as `approval.timeout`",
                Some("keep one of them".into()),
            );
        }
        if action == Action::Allow && rule.conditions.is_some() {
            let hint = "write `when` if the call is allowed only then, `require` if it is denied \
                otherwise"
                .to_owned();
            self.reader.problem(
                pointer,
                "`conditions` of a rule that allows can mean two things",
                Some(hint),
            );
        }
        let empty = action == Action::Evaluate
            && rule.conditions.is_none()
            && !guards.iter().any(|(_, given)| *given);
        if empty {
            self.reader.problem(
                pointer,
                "the rule says nothing",
                Some("give it an `action`, `require`, `limit` or `validate`".into()),
            );
        }
    }

    pub(super) fn terms(&mut self, approval: Option<&Approval>, pointer: &str) -> Terms {
        let Some(approval) = approval else { return Terms::default() };
        let timeout = approval
            .timeout
            .as_ref()
            .and_then(|text| self.duration(text, &format!("{pointer}/timeout"), APPROVAL_MAX));
        Terms { timeout }
    }

    fn requirement(
        &mut self,
        address: &str,
        item: &Requirement,
        pointer: &str,
    ) -> CompiledRequirement {
        match item {
            Requirement::Plain(condition) => CompiledRequirement {
                conditions: self.condition(address, condition, pointer).into_iter().collect(),
                message: None,
            },
            Requirement::Spoken(spoken) => {
                let all = When::All(spoken.conditions.clone());
                let conditions = self.when(address, &all, &format!("{pointer}/conditions"), None);
                CompiledRequirement {
                    conditions,
                    message: spoken.message.as_deref().map(Into::into),
                }
            }
        }
    }

    /// The conditions, without those that are the bound of the rule's own counter.
    fn when(
        &mut self,
        address: &str,
        when: &When,
        pointer: &str,
        own: Option<&crate::policy::file::State>,
    ) -> Vec<Box<dyn Expr>> {
        let mut compiled = Vec::new();
        for (index, condition) in when.conditions().iter().enumerate() {
            if own.is_some_and(|state| {
                super::limits::bound_of(state, condition, self.own_names(address)).is_some()
            }) {
                continue;
            }
            let place = if matches!(when, When::One(_)) {
                pointer.to_owned()
            } else {
                format!("{pointer}/{index}")
            };
            compiled.extend(self.condition(address, condition, &place));
        }
        compiled
    }

    /// What `state.TOOL.…` calls the tools of this address: its name in this file, and `_global`
    /// for all.
    pub(super) fn own_names(&self, address: &str) -> (String, bool) {
        let prefix = self.upstream.as_ref().map(|upstream| format!("{upstream}."));
        let name =
            prefix.as_ref().and_then(|prefix| address.strip_prefix(prefix)).unwrap_or(address);
        (name.to_owned(), name == "*")
    }

    fn condition(
        &mut self,
        address: &str,
        condition: &Condition,
        pointer: &str,
    ) -> Option<Box<dyn Expr>> {
        let counters = &self.counters;
        let find = |tool: &str, name: &str| {
            let tool = if tool == "_global" { "*" } else { tool };
            counters.get(&(tool.to_owned(), name.to_owned())).cloned()
        };
        let compiled: Result<Box<dyn Expr>, String> = match condition {
            Condition::Cel(source) => {
                Expression::compile(source, &find).map(|expression| Box::new(expression) as _)
            }
            Condition::Structured(comparison) => {
                let (path, op, value) =
                    (&comparison.path, comparison.op, comparison.value.as_ref());
                if path.starts_with("args.") {
                    Comparison::of_args(path, op, value).map(|comparison| Box::new(comparison) as _)
                } else {
                    self.state_counter(path)
                        .and_then(|counter| Comparison::of_counter(path, counter, op, value))
                        .map(|comparison| Box::new(comparison) as _)
                }
            }
        };
        let _ = address;
        compiled.map_err(|error| self.reader.problem(pointer, error, None)).ok()
    }

    fn state_counter(&self, path: &str) -> Result<Counter, String> {
        let Some((tool, name)) = path.strip_prefix("state.").and_then(|rest| rest.rsplit_once('.'))
        else {
            return Err(format!(
                "`{path}` is no path: it begins with `args.` or is `state.TOOL.COUNTER`"
            ));
        };
        let address = if tool == "_global" { "*" } else { tool };
        let counter = self.counters.get(&(address.to_owned(), name.to_owned()));
        counter.cloned().ok_or_else(|| format!("no limit of `{tool}` in this file counts `{name}`"))
    }

    fn schema(&mut self, schema: &Value, pointer: &str) -> Option<Validator> {
        // Nothing is fetched, and a pattern takes linear time: the arguments are an attacker's.
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
                    &error[..error.floor_char_boundary(300)]
                );
                self.reader.problem(pointer, message, None);
            })
            .ok()
    }
}

fn applies(rule: &Rule) -> Applies {
    let Some(applies) = &rule.applies_to else { return Applies::default() };
    let list = |list: &Option<OneOrMany>| {
        list.as_ref().map(|list| list.as_slice().to_vec()).unwrap_or_default()
    };
    let applies = Applies {
        roles: list(&applies.role),
        keys: list(&applies.key),
        workspaces: list(&applies.workspace),
        restricted: true,
    };
    Applies {
        restricted: !applies.roles.is_empty()
            || !applies.keys.is_empty()
            || !applies.workspaces.is_empty(),
        ..applies
    }
}
