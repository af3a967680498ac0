//! Limits and counters of one file.

use std::time::Duration;

use super::{duration::parse_duration, layer::LayerCompiler};
use crate::policy::{
    compiled::{CompiledCost, CompiledExceed, CompiledLimit},
    condition::{Counter, Expression},
    file::{
        Algorithm, Condition, Cost, Counting, DurationText, Entry, Exceeded, Limit, Op, RateLimit,
        Rule, Scope, State, WindowText,
    },
    model::{
        amount::Amount,
        counter::{Count, FixedWindow, Window},
    },
};

/// Longest window.
const WINDOW_MAX: Duration = Duration::from_secs(31 * 86_400);
/// Longest wait for a counter.
const WAIT_MAX: Duration = Duration::from_secs(300);
/// Wait for a counter if the file sets none.
const WAIT_DEFAULT: Duration = Duration::from_secs(30);
/// Longest name of a counter, in bytes.
const NAME_BYTES_MAX: usize = 128;

/// Returns the bound that a condition sets for the counter of its own rule, with `lt` or `lte`.
/// `tool` and `global` come from [`LayerCompiler::state_name`].
pub(super) fn bound_of(
    state: &State,
    condition: &Condition,
    (tool, global): (String, bool),
) -> Option<Amount> {
    let Condition::Comparison(comparison) = condition else { return None };
    let (path_tool, counter) = comparison.path.strip_prefix("state.")?.rsplit_once('.')?;
    if counter != state.counter || !(path_tool == tool || global && path_tool == "_global") {
        return None;
    }
    let value = Amount::from_number(comparison.value.as_ref()?.as_number()?).ok()?;
    match comparison.op {
        Op::Lte => Some(value),
        // The smallest step of a counter is a millionth, so this is exact for decimals too.
        Op::Lt => value.just_below(),
        _ => None,
    }
}

impl LayerCompiler<'_> {
    /// Collects the counters that conditions of this file may read: those with a name.
    pub(super) fn collect_counters<'f>(
        &mut self,
        entries: impl Iterator<Item = (&'f str, &'f Entry)>,
    ) {
        for (path, entry) in entries {
            let (own, _) = self.state_name(path);
            let mut named: Vec<(String, Counter)> = Vec::new();
            let rules = entry.rules.iter().filter_map(|rule| match &rule.limit {
                Some(RateLimit::Full(limit)) => Some(&**limit),
                _ => None,
            });
            named.extend(entry.limits.iter().chain(rules).filter_map(|limit| {
                let name = limit.counter.clone()?;
                Some((name.clone(), self.counter(path, limit, &name)?))
            }));
            for state in entry.rules.iter().filter_map(|rule| rule.state.as_ref()) {
                let limit = state_limit(state);
                named.extend(
                    self.counter(path, &limit, &state.counter)
                        .map(|counter| (state.counter.clone(), counter)),
                );
            }
            for (name, counter) in named {
                self.counters.insert((own.clone(), name), counter);
            }
        }
    }

    /// Returns the counter of a limit; `None` if its window is invalid.
    fn counter(&self, path: &str, limit: &Limit, name: &str) -> Option<Counter> {
        let window = window(&limit.window, limit.algo)?;
        let exact = !path.contains('*');
        let mut scopes = limit.scope.clone().unwrap_or_else(|| match exact {
            true => vec![Scope::Workspace, Scope::Tool],
            false => vec![Scope::Workspace],
        });
        if window == Window::Task && !scopes.contains(&Scope::Task) {
            scopes.push(Scope::Task);
        }
        scopes.sort_unstable();
        Some(Counter { name: name.into(), pattern: path.into(), exact, window, scopes })
    }

    /// Compiles a limit. `fallback` names the counter if the file does not; `rule` is the name of
    /// the rule in records.
    pub(super) fn limit(
        &mut self,
        path: &str,
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
                    "the name of the counter is {} bytes; the limit is 1 to {NAME_BYTES_MAX}",
                    name.len()
                ),
                None,
            );
            return None;
        }
        let Some(counter) = self.counter(path, limit, name) else {
            let hint = "write `minute`, `hour`, `day`, `task`, seconds, or a string such as `90s`, \
                from 1 s to 31 days";
            self.reader.problem(
                &format!("{pointer}/window"),
                "this is not a window",
                Some(hint.into()),
            );
            return None;
        };
        let max = Amount::from_number(&limit.max)
            .map_err(|error| {
                self.reader.problem(&format!("{pointer}/max"), format!("`max` {error}"), None)
            })
            .ok()?;
        self.declare(path, name, &counter, pointer);
        let cost = self.cost(limit.cost.as_ref(), &format!("{pointer}/cost"))?;
        let on_exceed = self.on_exceed(limit, pointer)?;
        if counter.window == Window::Task && matches!(on_exceed, CompiledExceed::Wait(_)) {
            self.reader.problem(
                pointer,
                "a limit over a whole task never resets, so a call must not wait for it",
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

    /// Reports a second limit on the same counter, which would count each call twice.
    fn declare(&mut self, path: &str, name: &str, counter: &Counter, pointer: &str) {
        let identity = format!("{counter:?}");
        let Some(other) = self.declared.get(&identity) else {
            self.declared.insert(identity, pointer.to_owned());
            return;
        };
        let message =
            format!("`{other}` has the same counter: `{name}` for `{path}` in the same window");
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
                let is_plain = |key: &&str| {
                    !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || c == '_')
                };
                if keys.iter().all(is_plain) {
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

    /// Compiles `limit` of a rule.
    pub(super) fn rate_limit(
        &mut self,
        path: &str,
        limit: &RateLimit,
        named: Option<&str>,
        rule: &str,
        pointer: &str,
    ) -> Option<CompiledLimit> {
        let pointer = format!("{pointer}/limit");
        let fallback = named.unwrap_or("rate");
        match limit {
            RateLimit::Full(limit) => self.limit(path, limit, fallback, rule, &pointer),
            RateLimit::Short(text) => {
                let parts = text
                    .split_once('/')
                    .map(|(max, window)| (max.trim().parse::<u64>(), window.trim()));
                let Some((Ok(max), "minute" | "hour" | "day")) = parts else {
                    let hint = Some(
                        "write a number and a window: `5/minute`, `5/hour` or `5/day`".to_owned(),
                    );
                    self.reader.problem(&pointer, format!("`{text}` is not a rate"), hint);
                    return None;
                };
                let window = WindowText::Text(text.split_once('/')?.1.trim().to_owned());
                self.limit(path, &plain_limit(window, max.into()), fallback, rule, &pointer)
            }
        }
    }

    /// Compiles `state` of a rule, bounded by the rule's own conditions.
    pub(super) fn state(
        &mut self,
        path: &str,
        state: &State,
        rule: &Rule,
        name: &str,
        pointer: &str,
    ) -> Option<CompiledLimit> {
        let names = self.state_name(path);
        let conditions = rule.conditions.iter().flat_map(|when| when.conditions());
        let bounds: Vec<Amount> =
            conditions.filter_map(|condition| bound_of(state, condition, names.clone())).collect();
        // Without a bound the counter only counts, for conditions of other rules.
        let max = bounds.into_iter().min().unwrap_or(Amount::MAX);
        let mut limit = state_limit(state);
        if let Some(argument) = &state.increment_from
            && !argument.starts_with("args.")
        {
            let hint = Some("write the path of an argument: `args.amount`".to_owned());
            self.reader.problem(
                &format!("{pointer}/state/increment_from"),
                format!("`{argument}` is not an argument"),
                hint,
            );
            limit.cost = None;
        }
        let mut compiled =
            self.limit(path, &limit, &state.counter, name, &format!("{pointer}/state"))?;
        compiled.max = max;
        Some(compiled)
    }
}

/// Converts a counter of Intercept to a limit. An increment of 0 means 1 there.
fn state_limit(state: &State) -> Limit {
    let cost = match (&state.increment_from, state.increment) {
        (Some(path), _) => Some(Cost::Of(path.clone())),
        (None, Some(increment)) => Some(Cost::Fixed(increment.max(1).into())),
        (None, None) => None,
    };
    Limit {
        counter: Some(state.counter.clone()),
        cost,
        ..plain_limit(state.window.clone(), 0.into())
    }
}

/// Returns a limit without optional keys.
fn plain_limit(window: WindowText, max: serde_json::Number) -> Limit {
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

/// Parses a window; `None` if it is invalid.
fn window(text: &WindowText, algo: Option<Algorithm>) -> Option<Window> {
    let rolling = algo == Some(Algorithm::Rolling);
    let fixed = match text {
        WindowText::Text(text) => match text.as_str() {
            "task" => return (!rolling).then_some(Window::Task),
            "minute" => FixedWindow::Minute,
            "hour" => FixedWindow::Hour,
            "day" => FixedWindow::Day,
            other => seconds(parse_duration(&DurationText::Text(other.to_owned()))?)?,
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
