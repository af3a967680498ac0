//! Converts limits: `rate_limit` in both forms, and `state`. Must not know rules.

use serde_json::{Map, Number, Value, json};

use super::tool::Tool;
use crate::policy::import::{
    report::{ImportReport, child_pointer, object, quote},
    tree::{Content, Node},
};

/// Calendar windows.
const WINDOWS: [&str; 3] = ["minute", "hour", "day"];
/// Longest window, in seconds: 366 days.
const WINDOW_SECONDS_MAX: u64 = 366 * 24 * 60 * 60;

/// Converted limit, and the name of its counter.
pub(super) struct Limit {
    pub(super) counter: String,
    pub(super) value: Map<String, Value>,
}

/// Converts `rate_limit: 5/hour`, or `{max: 10, window: 60}`.
pub(super) fn rate(
    node: &Node,
    pointer: &str,
    tool: &Tool<'_>,
    report: &mut ImportReport<'_>,
) -> Option<Limit> {
    let (max, window, counter) = if matches!(node.content, Content::Map(_)) {
        mapping(node, pointer, report)?
    } else {
        short(node, pointer, report)?
    };
    Some(Limit { value: limit(&counter, max.into(), &window, None, tool), counter })
}

fn short(
    node: &Node,
    pointer: &str,
    report: &mut ImportReport<'_>,
) -> Option<(u64, String, String)> {
    let text = report.string(node, pointer, "`rate_limit`")?;
    let parsed = text.split_once('/').and_then(|(count, window)| {
        let count =
            count.parse::<u64>().ok().filter(|count| (1..=i32::MAX as u64).contains(count))?;
        Some((count, *WINDOWS.iter().find(|known| **known == window)?))
    });
    if let Some((count, window)) = parsed {
        return Some((count, window.to_owned(), format!("_rate_{window}")));
    }
    let message = format!(
        "`rate_limit` is `{}`; it must be a number from 1 on and `minute`, `hour` or `day`",
        quote(&text)
    );
    report.error(node.at, pointer, message, Some("write `5/hour`"));
    None
}

fn mapping(
    node: &Node,
    pointer: &str,
    report: &mut ImportReport<'_>,
) -> Option<(u64, String, String)> {
    let (mut max, mut window) = (None, None);
    for entry in report.entries(node, pointer, "`rate_limit`") {
        let pointer = child_pointer(pointer, &entry.key);
        let slot = match entry.key.as_str() {
            "max" => &mut max,
            "window" => &mut window,
            _ => {
                report.unknown_key(entry, &pointer, &["max", "window"]);
                continue;
            }
        };
        let number = report.number(&entry.value, &pointer, &format!("`{}`", entry.key))?;
        *slot = number.as_u64().filter(|number| (1..=i32::MAX as u64).contains(number));
        if slot.is_none() {
            let message =
                format!("`{}` is {number}; it must be a whole number from 1 on", entry.key);
            report.error(entry.value.at, &pointer, message, None);
            return None;
        }
    }
    match (max, window) {
        (Some(max), Some(window)) if window <= WINDOW_SECONDS_MAX => {
            Some((max, format!("{window}s"), format!("_rate_{window}s")))
        }
        (Some(_), Some(window)) => {
            report.error(
                node.at,
                pointer,
                format!("`window` is {window} s; the limit is {WINDOW_SECONDS_MAX} s"),
                None,
            );
            None
        }
        _ => {
            report.error(
                node.at,
                pointer,
                "`rate_limit` needs `max`, and `window` in seconds",
                None,
            );
            None
        }
    }
}

/// A `state` block.
pub(super) struct State {
    pub(super) counter: String,
    window: String,
    cost: Option<Value>,
}

const STATE_KEYS: [&str; 4] = ["counter", "window", "increment", "increment_from"];

/// Reads a `state` block.
pub(super) fn state(node: &Node, pointer: &str, report: &mut ImportReport<'_>) -> Option<State> {
    let (mut counter, mut window, mut increment, mut from) = (None, None, None, None);
    for entry in report.entries(node, pointer, "`state`") {
        let pointer = child_pointer(pointer, &entry.key);
        let value = &entry.value;
        match entry.key.as_str() {
            "counter" => {
                counter =
                    report.string(value, &pointer, "`counter`").filter(|name| !name.is_empty())
            }
            "window" => window = report.one_of(value, &pointer, "`window`", &WINDOWS),
            "increment" => increment = increment_of(value, &pointer, report)?,
            "increment_from" => {
                let path = report.string(value, &pointer, "`increment_from`")?;
                if !path.starts_with("args.") {
                    let message = format!(
                        "`increment_from` is `{}`; it must begin with `args.`",
                        quote(&path)
                    );
                    report.error(value.at, &pointer, message, None);
                    return None;
                }
                from = Some(path);
            }
            _ => report.unknown_key(entry, &pointer, &STATE_KEYS),
        }
    }
    let (Some(counter), Some(window)) = (counter, window) else {
        report.error(node.at, pointer, "`state` needs `counter` and `window`", None);
        return None;
    };
    // An increment from the arguments beats a fixed one.
    let cost = from.map(Value::from).or(increment);
    Some(State { counter, window: window.to_owned(), cost })
}

/// Reads a fixed increment: `Some(None)` for the default, 1, and `None` after an error.
fn increment_of(
    node: &Node,
    pointer: &str,
    report: &mut ImportReport<'_>,
) -> Option<Option<Value>> {
    let number = report.number(node, pointer, "`increment`")?;
    match number.as_i64() {
        Some(0) => {
            let message = "`increment: 0` counts 1 for each call in Intercept, and so it does here";
            report.warn(node.at, pointer, message, Some("write `cost: 1`, or omit the counter"));
            Some(None)
        }
        Some(1) => Some(None),
        Some(2..) => Some(Some(Value::Number(number.clone()))),
        _ => {
            let message =
                format!("`increment` is {number}; it must be a whole number that is not negative");
            report.error(
                node.at,
                pointer,
                message,
                Some("a negative increment would release quota"),
            );
            None
        }
    }
}

/// Converts a `state` whose rule bounds it with this operator and value.
pub(super) fn bounded(
    state: &State,
    op: &str,
    value: &Number,
    (node, pointer): (&Node, &str),
    tool: &Tool<'_>,
    report: &mut ImportReport<'_>,
) -> Option<Limit> {
    let whole = value.as_f64().map(f64::trunc).filter(|number| number.abs() < 9e12);
    let max = whole.map(|number| if op == "lt" { number as i64 - 1 } else { number as i64 });
    let Some(max @ 0..) = max else {
        let message = format!("`{op} {value}` admits no call, or is too large for a counter");
        report.error(node.at, pointer, message, Some("to deny every call, write `action: deny`"));
        return None;
    };
    Some(Limit {
        counter: state.counter.clone(),
        value: limit(&state.counter, max.into(), &state.window, state.cost.clone(), tool),
    })
}

fn limit(
    counter: &str,
    max: Value,
    window: &str,
    cost: Option<Value>,
    tool: &Tool<'_>,
) -> Map<String, Value> {
    object([
        ("counter", counter.into()),
        ("max", max),
        ("window", window.into()),
        ("algo", "fixed".into()),
        ("cost", cost.unwrap_or_default()),
        ("scope", json!(tool.scopes)),
    ])
}
