//! Limits and counters of one file.

use std::time::Duration;

use super::{Addressed, LayerCompiler};
use crate::policy::{
    Amount, Count, FixedWindow, Window,
    condition::{Counter, cel::Expression},
    file::{
        Algorithm, Condition, Cost, Counting, DurationText, Exceeded, Limit, Op, RateLimit, Rule,
        Scope, State, WindowText,
    },
    rules::{CompiledCost, CompiledExceed, CompiledLimit},
};

/// Longest window.
pub(super) const WINDOW_MAX: Duration = Duration::from_secs(31 * 86_400);
/// Longest wait for a counter.
const WAIT_MAX: Duration = Duration::from_secs(300);
const WAIT_DEFAULT: Duration = Duration::from_secs(30);
/// Longest name of a counter, in bytes.
const NAME_BYTES_MAX: usize = 128;

/// The bound that a condition sets for the counter of its own rule: `lt` or `lte` of it.
pub(super) fn bound_of(
    state: &State,
    condition: &Condition,
    (tool, global): (String, bool),
) -> Option<Amount> {
    let Condition::Structured(comparison) = condition else { return None };
    let (path_tool, counter) = comparison.path.strip_prefix("state.")?.rsplit_once('.')?;
    if counter != state.counter || !(path_tool == tool || global && path_tool == "_global") {
        return None;
    }
    let value = Amount::from_number(comparison.value.as_ref()?.as_number()?).ok()?;
    match comparison.op {
        Op::Lte => Some(value),
        // The finest step of a counter is a millionth, so this is the same for whole numbers and
        // keeps decimals.
        Op::Lt => value.just_below(),
        _ => None,
    }
}

impl LayerCompiler<'_> {
    /// The counters that conditions of this file may read: those with a name.
    pub(super) fn collect_counters(&mut self, addressed: &[Addressed<'_>]) {
        for (address, _, entry) in addressed {
            let (own, _) = self.own_names(address);
            let mut named: Vec<(String, Counter)> = Vec::new();
            let rules = entry.rules.iter().filter_map(|rule| match &rule.limit {
                Some(RateLimit::Full(limit)) => Some(&**limit),
                _ => None,
            });
            named.extend(entry.limits.iter().chain(rules).filter_map(|limit| {
                let name = limit.counter.clone()?;
                Some((name.clone(), self.counter(address, limit, &name)?))
            }));
            for state in entry.rules.iter().filter_map(|rule| rule.state.as_ref()) {
                let limit = state_limit(state, Amount::MAX);
                named.extend(
                    self.counter(address, &limit, &state.counter)
                        .map(|counter| (state.counter.clone(), counter)),
                );
            }
            for (name, counter) in named {
                self.counters.insert((own.clone(), name), counter);
            }
        }
    }

    /// The counter of a limit, without problems told.
    fn counter(&self, address: &str, limit: &Limit, name: &str) -> Option<Counter> {
        let window = window(&limit.window, limit.algo)?;
        let exact = !address.contains('*');
        let mut scopes = limit.scope.clone().unwrap_or_else(|| match exact {
            true => vec![Scope::Workspace, Scope::Tool],
            false => vec![Scope::Workspace],
        });
        if window == Window::Task && !scopes.contains(&Scope::Task) {
            scopes.push(Scope::Task);
        }
        scopes.sort_unstable();
        Some(Counter { name: name.into(), pattern: address.into(), exact, window, scopes })
    }

    /// A limit; `fallback` names its counter if it has no name, `rule` the rule in records.
    pub(super) fn limit(
        &mut self,
        address: &str,
        limit: &Limit,
        fallback: &str,
        rule: &str,
        pointer: &str,
    ) -> Option<CompiledLimit> {
        let name = limit.counter.as_deref().unwrap_or(fallback);
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            self.reader.problem(
                pointer,
                format!(
                    "the name of a counter has 1 to {NAME_BYTES_MAX} bytes, this has {}",
                    name.len()
                ),
                None,
            );
            return None;
        }
        let Some(counter) = self.counter(address, limit, name) else {
            let hint = "write `minute`, `hour`, `day`, `task`, seconds, or text such as `90s`, \
                from 1 s to 31 days";
            self.reader.problem(
                &format!("{pointer}/window"),
                "this is no window",
                Some(hint.into()),
            );
            return None;
        };
        let max = Amount::from_number(&limit.max)
            .map_err(|error| {
                self.reader.problem(&format!("{pointer}/max"), format!("`max` {error}"), None)
            })
            .ok()?;
        self.declare(address, name, &counter, pointer);
        let cost = self.cost(limit.cost.as_ref(), &format!("{pointer}/cost"))?;
        let on_exceed = self.on_exceed(limit, pointer)?;
        if counter.window == Window::Task && matches!(on_exceed, CompiledExceed::Wait(_)) {
            self.reader.problem(
                pointer,
                "a limit over a whole task never admits again, so waiting for it is in vain",
                None,
            );
        }
        let count =
            if limit.count == Some(Counting::Attempt) { Count::Attempt } else { Count::Success };
        let message = limit.message.as_deref().map(Into::into);
        Some(CompiledLimit {
            rule: self.rule_ref(rule, pointer),
            counter,
            max,
            cost,
            count,
            on_exceed,
            message,
        })
    }

    /// Two limits that count the same would count each call twice.
    fn declare(&mut self, address: &str, name: &str, counter: &Counter, pointer: &str) {
        let identity = format!("{counter:?}");
        let Some(other) = self.declared.get(&identity) else {
            self.declared.insert(identity, pointer.to_owned());
            return;
        };
        let message = format!(
            "`{other}` counts the same: the counter `{name}` for `{address}` in the same window"
        );
        self.reader.problem(pointer, message, Some("give each limit its own `counter`".into()));
    }

    fn on_exceed(&mut self, limit: &Limit, pointer: &str) -> Option<CompiledExceed> {
        let wait = format!("{pointer}/wait");
        Some(match (limit.on_exceed, &limit.wait) {
            (Some(Exceeded::Wait), Some(text)) => {
                CompiledExceed::Wait(self.duration(text, &wait, WAIT_MAX)?)
            }
            (Some(Exceeded::Wait), None) => CompiledExceed::Wait(WAIT_DEFAULT),
            (_, Some(_)) => {
                self.reader.problem(&wait, "`wait` needs `on_exceed: wait`", None);
                return None;
            }
            (Some(Exceeded::Ask), None) => CompiledExceed::Ask,
            (Some(Exceeded::Deny) | None, None) => CompiledExceed::Deny,
        })
    }

    fn cost(&mut self, cost: Option<&Cost>, pointer: &str) -> Option<CompiledCost> {
        match cost {
            None => Some(CompiledCost::Fixed(Amount::ONE)),
            Some(Cost::Fixed(number)) => {
                let amount = Amount::from_number(number);
                amount
                    .map(CompiledCost::Fixed)
                    .map_err(|error| self.reader.problem(pointer, format!("`cost` {error}"), None))
                    .ok()
            }
            Some(Cost::Of(text)) => {
                let keys: Vec<&str> =
                    text.strip_prefix("args.").unwrap_or_default().split('.').collect();
                let plain = |key: &&str| {
                    !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || c == '_')
                };
                if keys.iter().all(plain) {
                    return Some(CompiledCost::Argument(
                        keys.into_iter().map(Into::into).collect(),
                    ));
                }
                let compiled = Expression::compile(text, &|_, _| None);
                compiled
                    .map(|expression| CompiledCost::Expression(Box::new(expression)))
                    .map_err(|error| {
                        self.reader.problem(
                            pointer,
                            error,
                            Some("write an argument, `args.amount`, or an expression".into()),
                        )
                    })
                    .ok()
            }
        }
    }

    /// `rate_limit` of a rule.
    pub(super) fn rate_limit(
        &mut self,
        address: &str,
        limit: &RateLimit,
        named: Option<&str>,
        rule: &str,
        pointer: &str,
    ) -> Option<CompiledLimit> {
        let place = format!("{pointer}/limit");
        let fallback = named.unwrap_or("rate");
        match limit {
            RateLimit::Full(limit) => self.limit(address, limit, fallback, rule, &place),
            RateLimit::Short(text) => {
                let parts = text
                    .split_once('/')
                    .map(|(max, window)| (max.trim().parse::<u64>(), window.trim()));
                let Some((Ok(max), "minute" | "hour" | "day")) = parts else {
                    let hint = Some(
                        "write a number and a window: `5/minute`, `5/hour` or `5/day`".to_owned(),
                    );
                    self.reader.problem(&place, format!("`{text}` is no rate"), hint);
                    return None;
                };
                let window = WindowText::Text(text.split_once('/')?.1.trim().to_owned());
                self.limit(address, &plain(window, max.into()), fallback, rule, &place)
            }
        }
    }

    /// `state` of a rule, bounded by the rule's own conditions.
    pub(super) fn state(
        &mut self,
        address: &str,
        state: &State,
        rule: &Rule,
        name: &str,
        pointer: &str,
    ) -> Option<CompiledLimit> {
        let names = self.own_names(address);
        let conditions = rule.conditions.iter().flat_map(|when| when.conditions());
        let bounds: Vec<Amount> =
            conditions.filter_map(|condition| bound_of(state, condition, names.clone())).collect();
        // Without a bound it only counts, for conditions elsewhere.
        let max = bounds.into_iter().min().unwrap_or(Amount::MAX);
        let mut limit = state_limit(state, max);
        if let Some(path) = &state.increment_from
            && !path.starts_with("args.")
        {
            let hint = Some("write the path of an argument: `args.amount`".to_owned());
            self.reader.problem(
                &format!("{pointer}/state/increment_from"),
                format!("`{path}` is no argument"),
                hint,
            );
            limit.cost = None;
        }
        let mut compiled =
            self.limit(address, &limit, &state.counter, name, &format!("{pointer}/state"))?;
        compiled.max = max;
        Some(compiled)
    }
}

/// A counter of Intercept as a limit. The increment 0 means 1 there.
fn state_limit(state: &State, _max: Amount) -> Limit {
    let cost = match (&state.increment_from, state.increment) {
        (Some(path), _) => Some(Cost::Of(path.clone())),
        (None, Some(increment)) => Some(Cost::Fixed(increment.max(1).into())),
        (None, None) => None,
    };
    Limit { counter: Some(state.counter.clone()), cost, ..plain(state.window.clone(), 0.into()) }
}

fn plain(window: WindowText, max: serde_json::Number) -> Limit {
    Limit {
        counter: None,
        window,
        max,
        scope: None,
        cost: None,
        algo: None,
        count: None,
        on_exceed: None,
        wait: None,
        message: None,
    }
}

fn window(text: &WindowText, algo: Option<Algorithm>) -> Option<Window> {
    let rolling = algo == Some(Algorithm::Rolling);
    let fixed = match text {
        WindowText::Text(text) => match text.as_str() {
            "task" => return (!rolling).then_some(Window::Task),
            "minute" => FixedWindow::Minute,
            "hour" => FixedWindow::Hour,
            "day" => FixedWindow::Day,
            other => seconds(super::duration(&DurationText::Text(other.to_owned()))?)?,
        },
        WindowText::Seconds(length) => seconds(Duration::from_secs(*length))?,
    };
    match rolling {
        true => Some(Window::Rolling(Duration::from_secs(fixed.seconds().into()))),
        false => Some(Window::Fixed(fixed)),
    }
}

fn seconds(length: Duration) -> Option<FixedWindow> {
    let fits = length >= Duration::from_secs(1) && length <= WINDOW_MAX;
    fits.then(|| u32::try_from(length.as_secs()).ok().map(FixedWindow::Seconds)).flatten()
}
