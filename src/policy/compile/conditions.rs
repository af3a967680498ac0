//! Conditions of one file.

use super::{layer::LayerCompiler, limits::bound_of};
use crate::policy::{
    compiled::CompiledRequirement,
    condition::{CompiledComparison, Counter, Expr, Expression},
    file::{Condition, Requirement, State, When},
};

impl LayerCompiler<'_> {
    /// Compiles an item of `require` or `deny_if`.
    pub(super) fn requirement(&mut self, item: &Requirement, pointer: &str) -> CompiledRequirement {
        match item {
            Requirement::Single(condition) => CompiledRequirement {
                conditions: self.condition(condition, pointer).into_iter().collect(),
                message: None,
            },
            Requirement::Group(group) => {
                let all = When::All(group.conditions.clone());
                let conditions = self.when(&all, &format!("{pointer}/conditions"), None);
                CompiledRequirement {
                    conditions,
                    message: group.message.as_deref().map(Into::into),
                }
            }
        }
    }

    /// Compiles conditions, without those that bound the rule's own counter: `own` is the `state`
    /// of the rule and the path of its entry.
    pub(super) fn when(
        &mut self,
        when: &When,
        pointer: &str,
        own: Option<(&State, &str)>,
    ) -> Vec<Box<dyn Expr>> {
        let mut compiled = Vec::new();
        for (index, condition) in when.conditions().iter().enumerate() {
            let bounds_own_counter = own.is_some_and(|(state, path)| {
                bound_of(state, condition, self.state_name(path)).is_some()
            });
            if bounds_own_counter {
                continue;
            }
            let pointer = if matches!(when, When::One(_)) {
                pointer.to_owned()
            } else {
                format!("{pointer}/{index}")
            };
            compiled.extend(self.condition(condition, &pointer));
        }
        compiled
    }

    fn condition(&mut self, condition: &Condition, pointer: &str) -> Option<Box<dyn Expr>> {
        let counters = &self.counters;
        let find = |tool: &str, name: &str| {
            let tool = if tool == "_global" { "*" } else { tool };
            counters.get(&(tool.to_owned(), name.to_owned())).cloned()
        };
        let compiled: Result<Box<dyn Expr>, String> = match condition {
            Condition::Cel(source) => {
                Expression::compile(source, &find).map(|expression| Box::new(expression) as _)
            }
            Condition::Comparison(comparison) => {
                let (path, op, value) =
                    (&comparison.path, comparison.op, comparison.value.as_ref());
                if path.starts_with("args.") {
                    CompiledComparison::of_arg(path, op, value)
                        .map(|comparison| Box::new(comparison) as _)
                } else {
                    self.state_counter(path)
                        .and_then(|counter| {
                            CompiledComparison::of_counter(path, counter, op, value)
                        })
                        .map(|comparison| Box::new(comparison) as _)
                }
            }
        };
        compiled.map_err(|error| self.reader.problem(pointer, error, None)).ok()
    }

    fn state_counter(&self, path: &str) -> Result<Counter, String> {
        let Some((tool, name)) = path.strip_prefix("state.").and_then(|rest| rest.rsplit_once('.'))
        else {
            return Err(format!(
                "`{path}` is not a path: write `args.NAME` or `state.TOOL.COUNTER`"
            ));
        };
        let name_in_file = if tool == "_global" { "*" } else { tool };
        let counter = self.counters.get(&(name_in_file.to_owned(), name.to_owned()));
        counter
            .cloned()
            .ok_or_else(|| format!("no limit of `{tool}` in this file has the counter `{name}`"))
    }
}
