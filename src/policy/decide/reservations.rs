//! Turns limits into reservations: which counter, and how much.

use serde_json::Value;

use super::{
    class_default::{class_default, counter_name},
    evaluation::Evaluation,
};
use crate::policy::{
    compiled::{CompiledCost, CompiledEntry, CompiledExceed, CompiledLimit, CompiledRule},
    condition::{Counter, EvaluationError, Subject},
    file::{Scope, type_name},
    model::{
        amount::Amount,
        counter::{Count, FixedWindow, Window},
        layer::Profile,
        reservation::{OnExceed, Reservation},
    },
};

impl Evaluation<'_, '_> {
    /// Builds the reservation of one limit.
    ///
    /// # Errors
    /// The reason why the call has no cost that can be counted.
    pub(super) fn reservation(
        &self,
        entry: &CompiledEntry,
        rule: &CompiledRule,
        limit: &CompiledLimit,
        subject: &Subject<'_>,
    ) -> Result<Reservation, String> {
        let cost = match &limit.cost {
            CompiledCost::Fixed(amount) => *amount,
            CompiledCost::Argument(keys) => {
                subject.args.check_readable(keys.iter().map(|key| &**key), false)?;
                cost_argument(&subject.args.value, keys)?
            }
            CompiledCost::Expression(expression) => expression
                .amount(subject)
                .map_err(|error: EvaluationError| error.reason().to_owned())?,
        };
        let on_exceed = match limit.on_exceed {
            CompiledExceed::Deny => OnExceed::Deny,
            CompiledExceed::Wait(max) => OnExceed::Wait { max },
            CompiledExceed::Ask if self.policy.options.approvals => OnExceed::Ask(self.ask_terms(
                &limit.rule,
                &rule.terms.or(&entry.terms),
                limit.message.clone(),
            )),
            CompiledExceed::Ask => OnExceed::Deny,
        };
        Ok(Reservation {
            key: limit.counter.key(subject.call, subject.call.tool.path),
            window: limit.counter.window,
            max: limit.max,
            cost,
            count: limit.count,
            on_exceed,
            rule: limit.rule.clone(),
            message: limit.message.clone(),
        })
    }

    /// Adds the reservation of the class's default limit.
    pub(super) fn reserve_class_limit(&mut self) {
        let (_, limit) = class_default(Profile::Auto, self.class);
        let Some(max) = limit else { return };
        let (window, scopes) =
            (Window::Fixed(FixedWindow::Minute), vec![Scope::Workspace, Scope::Principal]);
        let name = counter_name(self.class);
        let counter =
            Counter { name: name.into(), pattern: "*".into(), exact: false, window, scopes };
        let mut rule = self.policy.profile_rule();
        rule.name = format!("default limit of {name}").into();
        let (key, cost) = (counter.key(self.call, self.call.tool.path), Amount::ONE);
        self.step(
            &rule.layer.clone(),
            "class",
            &rule,
            || format!("uses 1 of {max} per {window}"),
            "counts",
            false,
        );
        self.reservations.push(Reservation {
            key,
            window,
            max,
            cost,
            count: Count::Attempt,
            on_exceed: OnExceed::Deny,
            rule,
            message: None,
        });
    }
}

/// Reads a cost from the arguments: a finite number that is not negative, with its decimals.
fn cost_argument(args: &Value, keys: &[Box<str>]) -> Result<Amount, String> {
    let mut value = Some(args);
    for key in keys {
        value = value.and_then(|value| value.as_object()?.get(&**key));
    }
    let path = keys.join(".");
    match value {
        Some(Value::Number(number)) => {
            Amount::from_number(number).map_err(|error| format!("`args.{path}` {error}"))
        }
        Some(other) => Err(format!("`args.{path}` must be a number, found {}", type_name(other))),
        None => Err(format!("`args.{path}` is missing")),
    }
}

/// Merges the reservations of each counter: the lowest bound, the highest cost, the strictest
/// outcome. Two files may limit the same counter.
pub(super) fn merge(reservations: Vec<Reservation>) -> Vec<Reservation> {
    let strictness = |on_exceed: &OnExceed| match on_exceed {
        OnExceed::Wait { .. } => 0,
        OnExceed::Ask(_) => 1,
        OnExceed::Deny => 2,
    };
    let mut merged: Vec<Reservation> = Vec::with_capacity(reservations.len());
    for next in reservations {
        let Some(known) = merged.iter_mut().find(|known| known.key == next.key) else {
            merged.push(next);
            continue;
        };
        known.cost = known.cost.max(next.cost);
        known.count = known.count.max(next.count);
        if strictness(&next.on_exceed) > strictness(&known.on_exceed) {
            known.on_exceed = next.on_exceed;
        }
        if next.max < known.max {
            (known.max, known.rule, known.message) = (next.max, next.rule, next.message);
        }
    }
    merged
}

#[cfg(test)]
mod tests;
