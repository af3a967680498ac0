//! From limits to holds: which counter, how much.

use serde_json::Value;

use super::{Deciding, answer::with_defaults};
use crate::policy::{
    Amount, Count, FixedWindow, Hold, OnExceed, Window,
    condition::{Counter, NoAnswer, Subject},
    file::{Scope, kind},
    profile,
    rules::{CompiledCost, CompiledEntry, CompiledExceed, CompiledLimit, CompiledRule},
};

/// The hold of one limit, or why the call has no cost that could be counted.
pub(super) fn hold(
    deciding: &Deciding<'_, '_>,
    entry: &CompiledEntry,
    rule: &CompiledRule,
    limit: &CompiledLimit,
    subject: &Subject<'_>,
) -> Result<Hold, String> {
    let cost = match &limit.cost {
        CompiledCost::Fixed(amount) => *amount,
        CompiledCost::Argument(keys) => {
            subject.args.seen(keys.iter().map(|key| &**key), false)?;
            argument(&subject.args.value, keys)?
        }
        CompiledCost::Expression(expression) => {
            expression.amount(subject).map_err(|error: NoAnswer| error.reason().to_owned())?
        }
    };
    let on_exceed = match limit.on_exceed {
        CompiledExceed::Deny => OnExceed::Deny,
        CompiledExceed::Wait(max) => OnExceed::Wait { max },
        CompiledExceed::Ask if deciding.policy.options.approvals => OnExceed::Ask(deciding.ask(
            &limit.rule,
            &with_defaults(&rule.terms, &entry.terms),
            limit.message.clone(),
        )),
        CompiledExceed::Ask => OnExceed::Deny,
    };
    Ok(Hold {
        key: limit.counter.key(subject.call),
        window: limit.counter.window,
        max: limit.max,
        cost,
        count: limit.count,
        on_exceed,
        rule: limit.rule.clone(),
        message: limit.message.clone(),
    })
}

/// The cost that an argument says: a finite number, zero or more, with its decimals.
fn argument(args: &Value, keys: &[Box<str>]) -> Result<Amount, String> {
    let mut value = Some(args);
    for key in keys {
        value = value.and_then(|value| value.as_object()?.get(&**key));
    }
    let path = keys.join(".");
    match value {
        Some(Value::Number(number)) => {
            Amount::from_number(number).map_err(|error| format!("`args.{path}` {error}"))
        }
        Some(other) => Err(format!("`args.{path}` is {}, expected a number", kind(other))),
        None => Err(format!("`args.{path}` is missing")),
    }
}

impl Deciding<'_, '_> {
    /// The limit of the class's default.
    pub(super) fn hold_class(&mut self) {
        let (_, limit) = profile::by_class(crate::policy::Profile::Auto, self.class);
        let Some(max) = limit else { return };
        let (window, scopes) =
            (Window::Fixed(FixedWindow::Minute), vec![Scope::Workspace, Scope::Principal]);
        let name = profile::counter_name(self.class);
        let counter =
            Counter { name: name.into(), pattern: "*".into(), exact: false, window, scopes };
        let mut rule = self.policy.profile_rule();
        rule.name = format!("default limit of {name}").into();
        let (key, cost) = (counter.key(self.call), Amount::ONE);
        self.step(
            &rule.layer.clone(),
            "class",
            &rule,
            || format!("counts 1 of {max} per {window}"),
            "counts",
            false,
        );
        self.holds.push(Hold {
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

/// Holds of one counter put together: the least bound, the greatest cost, the strictest end. Two
/// files may well limit the same counter.
pub(super) fn merged(holds: Vec<Hold>) -> Vec<Hold> {
    let strictness = |on_exceed: &OnExceed| match on_exceed {
        OnExceed::Wait { .. } => 0,
        OnExceed::Ask(_) => 1,
        OnExceed::Deny => 2,
    };
    let mut merged: Vec<Hold> = Vec::with_capacity(holds.len());
    for hold in holds {
        let Some(known) = merged.iter_mut().find(|known| known.key == hold.key) else {
            merged.push(hold);
            continue;
        };
        known.cost = known.cost.max(hold.cost);
        known.count = known.count.max(hold.count);
        if strictness(&hold.on_exceed) > strictness(&known.on_exceed) {
            known.on_exceed = hold.on_exceed;
        }
        if hold.max < known.max {
            (known.max, known.rule, known.message) = (hold.max, hold.rule, hold.message);
        }
    }
    merged
}
