//! What counts: `rate_limit` in both forms, and `state`. Must not know rules.

use serde_json::{Map, Number, Value, json};

use super::{
    super::scribe::{Scribe, below, object, shown},
    Node, Tool, is_mapping,
};

/// The windows of the calendar.
pub(super) const WINDOWS: [&str; 3] = ["minute", "hour", "day"];
/// The longest window in seconds: 366 days.
const WINDOW_SECONDS_MAX: u64 = 366 * 24 * 60 * 60;

/// A limit of ours, and its counter's name.
pub(super) struct Limit {
    pub(super) counter: String,
    pub(super) made: Map<String, Value>,
}

/// `rate_limit: 5/hour`, or `{max: 10, window: 60}`.
pub(super) fn rate(
    node: &Node,
    pointer: &str,
    tool: &Tool<'_>,
    scribe: &mut Scribe<'_>,
) -> Option<Limit> {
    let (max, window, counter) = if is_mapping(node) {
        mapping(node, pointer, scribe)?
    } else {
        short(node, pointer, scribe)?
    };
    Some(Limit { made: limit(&counter, max.into(), &window, None, tool), counter })
}

fn short(node: &Node, pointer: &str, scribe: &mut Scribe<'_>) -> Option<(u64, String, String)> {
    let text = scribe.text(node, pointer, "`rate_limit`")?;
    let parsed = text.split_once('/').and_then(|(count, window)| {
        let count =
            count.parse::<u64>().ok().filter(|count| (1..=i32::MAX as u64).contains(count))?;
        Some((count, *WINDOWS.iter().find(|known| **known == window)?))
    });
    if let Some((count, window)) = parsed {
        return Some((count, window.to_owned(), format!("_rate_{window}")));
    }
    let message = format!(
        "`rate_limit` is `{}`; it is a count from 1 on and `minute`, `hour` or `day`",
        shown(&text)
    );
    scribe.error(node.at, pointer, message, Some("write `5/hour`"));
    None
}

fn mapping(node: &Node, pointer: &str, scribe: &mut Scribe<'_>) -> Option<(u64, String, String)> {
    let (mut max, mut window) = (None, None);
    for entry in scribe.entries(node, pointer, "`rate_limit`") {
        let pointer = below(pointer, &entry.key);
        let slot = match entry.key.as_str() {
            "max" => &mut max,
            "window" => &mut window,
            _ => {
                scribe.unknown_key(entry, &pointer, &["max", "window"]);
                continue;
            }
        };
        let number = scribe.number(&entry.value, &pointer, &format!("`{}`", entry.key))?;
        *slot = number.as_u64().filter(|number| (1..=i32::MAX as u64).contains(number));
        if slot.is_none() {
            let message =
                format!("`{}` is {number}; a whole number from 1 on is allowed", entry.key);
            scribe.error(entry.value.at, &pointer, message, None);
            return None;
        }
    }
    match (max, window) {
        (Some(max), Some(window)) if window <= WINDOW_SECONDS_MAX => {
            Some((max, format!("{window}s"), format!("_rate_{window}s")))
        }
        (Some(_), Some(window)) => {
            scribe.error(
                node.at,
                pointer,
                format!("`window` is {window} s; at most {WINDOW_SECONDS_MAX} s are allowed"),
                None,
            );
            None
        }
        _ => {
            scribe.error(
                node.at,
                pointer,
                "`rate_limit` needs `max` and `window`, the window in seconds",
                None,
            );
            None
        }
    }
}

/// A `state` block: what is counted, and by how much.
pub(super) struct State {
    pub(super) counter: String,
    window: String,
    cost: Option<Value>,
}

const STATE_KEYS: [&str; 4] = ["counter", "window", "increment", "increment_from"];

/// Reads a `state` block.
pub(super) fn state(node: &Node, pointer: &str, scribe: &mut Scribe<'_>) -> Option<State> {
    let (mut counter, mut window, mut increment, mut from) = (None, None, None, None);
    for entry in scribe.entries(node, pointer, "`state`") {
        let pointer = below(pointer, &entry.key);
        let value = &entry.value;
        match entry.key.as_str() {
            "counter" => {
                counter = scribe.text(value, &pointer, "`counter`").filter(|name| !name.is_empty())
            }
            "window" => window = scribe.word(value, &pointer, "`window`", &WINDOWS),
            "increment" => increment = increment_of(value, &pointer, scribe)?,
            "increment_from" => {
                let path = scribe.text(value, &pointer, "`increment_from`")?;
                if !path.starts_with("args.") {
                    let message = format!(
                        "`increment_from` is `{}`; it must begin with `args.`",
                        shown(&path)
                    );
                    scribe.error(value.at, &pointer, message, None);
                    return None;
                }
                from = Some(path);
            }
            _ => scribe.unknown_key(entry, &pointer, &STATE_KEYS),
        }
    }
    let (Some(counter), Some(window)) = (counter, window) else {
        scribe.error(node.at, pointer, "`state` needs `counter` and `window`", None);
        return None;
    };
    // A value taken from the arguments goes before a fixed one.
    let cost = from.map(Value::from).or(increment);
    Some(State { counter, window: window.to_owned(), cost })
}

/// A fixed increment other than one. `Err`-like `None` where it cannot be carried over.
fn increment_of(node: &Node, pointer: &str, scribe: &mut Scribe<'_>) -> Option<Option<Value>> {
    let number = scribe.number(node, pointer, "`increment`")?;
    match number.as_i64() {
        Some(0) => {
            let message = "`increment: 0` counts 1 for each call in Intercept, and so it does here";
            scribe.warn(
                node.at,
                pointer,
                message,
                Some("write `cost: 1`, or leave the counter out"),
            );
            Some(None)
        }
        Some(1) => Some(None),
        Some(2..) => Some(Some(Value::Number(number.clone()))),
        _ => {
            let message =
                format!("`increment` is {number}; a counter only goes up, by whole numbers");
            scribe.error(
                node.at,
                pointer,
                message,
                Some("a negative increment would give quota back"),
            );
            None
        }
    }
}

/// The limit of a `state` whose rule bounds it with this operator and value.
pub(super) fn bounded(
    state: &State,
    op: &str,
    value: &Number,
    place: (&Node, &str),
    tool: &Tool<'_>,
    scribe: &mut Scribe<'_>,
) -> Option<Limit> {
    let whole = value.as_f64().map(f64::trunc).filter(|number| number.abs() < 9e12);
    let max = whole.map(|number| if op == "lt" { number as i64 - 1 } else { number as i64 });
    let Some(max @ 0..) = max else {
        let message = format!("`{op} {value}` lets no call through or is too large for a counter");
        scribe.error(
            place.0.at,
            place.1,
            message,
            Some("to refuse every call write `action: deny`"),
        );
        return None;
    };
    Some(Limit {
        counter: state.counter.clone(),
        made: limit(&state.counter, max.into(), &state.window, state.cost.clone(), tool),
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
        ("scope", json!(tool.counts_in)),
    ])
}
