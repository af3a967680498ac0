//! Intercept's own reading of its file, as its documents tell it, written again in a few lines:
//! what an import is compared with.

use std::collections::HashMap;

use serde_json::{Map, Value};

/// A file and what its counters have counted.
#[derive(Clone)]
pub(super) struct Original {
    file: Value,
    /// By scope and counter: the window it began in, and the sum.
    counters: HashMap<String, (i64, i64)>,
}

/// YAML as Go reads it: `n` and `no` are texts.
pub(super) fn yaml<T: serde::de::DeserializeOwned>(text: &str) -> T {
    let options = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_str_with_options(text, options).unwrap_or_else(|error| panic!("{error}"))
}

/// A counter that a call would move: its key, its window's beginning, what it adds, its bound.
type Reservation = (String, i64, i64, i64);

impl Original {
    pub(super) fn read(text: &str) -> Self {
        Self { file: yaml(text), counters: HashMap::new() }
    }

    /// The names of tools that the file speaks of.
    pub(super) fn tools(&self) -> Vec<String> {
        let listed = self.file["tools"].as_object().into_iter().flat_map(Map::keys).cloned();
        let hidden = self.file["hide"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned);
        listed.chain(hidden).filter(|name| name != "*").collect()
    }

    /// All conditions on arguments that a tool's rules and the rules of all have.
    pub(super) fn conditions(&self, tool: &str) -> Vec<(String, Value)> {
        let all = self.rules(tool).into_iter().flat_map(|(_, rule)| conditions(rule));
        let on_arguments = all.filter_map(|one| {
            Some((one["path"].as_str()?.strip_prefix("args.")?.to_owned(), one["value"].clone()))
        });
        let costs = self.rules(tool).into_iter().filter_map(|(_, rule)| {
            let path = rule["state"]["increment_from"].as_str()?.strip_prefix("args.")?;
            Some((path.to_owned(), Value::from(3)))
        });
        on_arguments.chain(costs).collect()
    }

    /// What the agent hears: `allow`, `ask`, `deny`, `rate_limited` or `hidden`.
    pub(super) fn call(&mut self, tool: &str, args: &Value, now: i64, fails: bool) -> &'static str {
        let hidden = self.file["hide"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|name| name == tool || name == "*");
        if hidden {
            return "hidden";
        }
        if self.file["default"] == "deny" && self.file["tools"].get(tool).is_none() {
            return "deny";
        }
        let (mut asks, mut reservations): (bool, Vec<Reservation>) = (false, vec![]);
        for (scope, rule) in self.rules(tool) {
            let holds = conditions(rule).iter().all(|condition| self.holds(condition, args, now));
            match rule["action"].as_str().unwrap_or("evaluate") {
                "deny" => return "deny",
                "require_approval" => asks |= holds,
                _ if !holds => return "deny",
                _ => {}
            }
            match reservation(rule, scope, args, now) {
                Ok(reservation) => reservations.extend(reservation),
                Err(()) => return "deny",
            }
        }
        if asks {
            return "ask";
        }
        let full = reservations
            .iter()
            .any(|(key, begin, adds, max)| self.value(key, *begin) + adds > *max);
        if full {
            return "rate_limited";
        }
        if !fails {
            for (key, begin, adds, _) in reservations {
                let sum = self.value(&key, begin) + adds;
                self.counters.insert(key, (begin, sum));
            }
        }
        "allow"
    }

    /// The rules of a tool, then those of all, each with the scope of its counters.
    fn rules<'a>(&'a self, tool: &'a str) -> Vec<(&'a str, &'a Value)> {
        let of = |name: &str| self.file["tools"][name]["rules"].as_array().into_iter().flatten();
        of(tool).map(|rule| (tool, rule)).chain(of("*").map(|rule| ("_global", rule))).collect()
    }

    fn value(&self, key: &str, begin: i64) -> i64 {
        self.counters.get(key).filter(|(began, _)| *began == begin).map_or(0, |(_, sum)| *sum)
    }

    fn holds(&self, condition: &Value, args: &Value, now: i64) -> bool {
        let (path, op) = (condition["path"].as_str().unwrap(), condition["op"].as_str().unwrap());
        let found = match path.strip_prefix("state.") {
            Some(key) => Some(Value::from(self.value(key, now - now % self.seconds(key)))),
            None => argument(args, path),
        };
        let expected = &condition["value"];
        match (op, found) {
            ("exists", found) => found.is_some_and(|value| !value.is_null()) == *expected,
            (_, None) => false,
            (op, Some(actual)) => compare(op, &actual, expected),
        }
    }

    /// The window of the counter `TOOL.COUNTER`.
    fn seconds(&self, key: &str) -> i64 {
        let tools = self.file["tools"].as_object().unwrap();
        let found = tools.iter().find_map(|(tool, entry)| {
            let scope = if tool == "*" { "_global" } else { tool };
            let counter = key.strip_prefix(scope)?.strip_prefix('.')?;
            entry["rules"].as_array()?.iter().find_map(|rule| {
                (rule["state"]["counter"] == counter).then(|| &rule["state"]["window"])
            })
        });
        seconds(found.and_then(Value::as_str).unwrap_or_else(|| panic!("no rule counts `{key}`")))
    }
}

fn conditions(rule: &Value) -> Vec<Value> {
    rule["conditions"].as_array().cloned().unwrap_or_default()
}

fn seconds(window: &str) -> i64 {
    match window {
        "minute" => 60,
        "hour" => 3600,
        _ => 86_400,
    }
}

/// What a rule counts; `Err` where the arguments do not say how much.
fn reservation(
    rule: &Value,
    scope: &str,
    args: &Value,
    now: i64,
) -> Result<Option<Reservation>, ()> {
    if let Some((max, window)) = rule["rate_limit"].as_str().and_then(|text| text.split_once('/')) {
        let length = seconds(window);
        return Ok(Some((
            format!("{scope}._rate_{window}"),
            now - now % length,
            1,
            max.parse().unwrap(),
        )));
    }
    let Some(counter) = rule["state"]["counter"].as_str() else { return Ok(None) };
    let (key, length) =
        (format!("{scope}.{counter}"), seconds(rule["state"]["window"].as_str().unwrap()));
    let adds = match rule["state"]["increment_from"].as_str() {
        // Whole numbers only: what it does with others is a fault of its own.
        Some(path) => argument(args, path)
            .and_then(|value| value.as_i64())
            .filter(|value| *value >= 0)
            .ok_or(())?,
        None => rule["state"]["increment"].as_i64().filter(|value| *value != 0).unwrap_or(1),
    };
    let own = format!("state.{key}");
    let bound = conditions(rule).into_iter().find(|one| one["path"] == own.as_str());
    let bound = bound.and_then(|one| match (one["op"].as_str()?, one["value"].as_i64()?) {
        ("lt", value) => Some(value - 1),
        ("lte", value) => Some(value),
        _ => None,
    });
    Ok(bound.map(|max| (key, now - now % length, adds, max)))
}

fn argument(args: &Value, path: &str) -> Option<Value> {
    let mut found = args;
    for part in path.strip_prefix("args.")?.split('.') {
        found = found.as_object()?.get(part)?;
    }
    Some(found.clone())
}

fn compare(op: &str, actual: &Value, expected: &Value) -> bool {
    let numbers = || Some((actual.as_f64()?, expected.as_f64()?));
    let is_in =
        || expected.as_array().is_some_and(|list| list.iter().any(|one| equal(actual, one)));
    match op {
        "eq" => equal(actual, expected),
        "neq" => !equal(actual, expected),
        "in" => is_in(),
        "not_in" => !is_in(),
        "lt" => numbers().is_some_and(|(a, b)| a < b),
        "lte" => numbers().is_some_and(|(a, b)| a <= b),
        "gt" => numbers().is_some_and(|(a, b)| a > b),
        "gte" => numbers().is_some_and(|(a, b)| a >= b),
        "regex" => match (actual, expected) {
            (Value::String(text), Value::String(pattern)) => {
                regex::Regex::new(pattern).unwrap().is_match(text)
            }
            _ => false,
        },
        "contains" => match (actual, expected) {
            (Value::String(text), Value::String(part)) => text.contains(part.as_str()),
            (Value::Array(list), one) => list.iter().any(|item| equal(item, one)),
            _ => false,
        },
        other => panic!("{other} is no operator"),
    }
}

/// Numbers by their value, everything else as it is. (The original also takes a text for the number
/// it spells; an import does so only where that makes it stricter, so no comparison here uses texts
/// that spell numbers.)
fn equal(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}
