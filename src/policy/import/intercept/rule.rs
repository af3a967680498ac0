//! One rule of Intercept. Must not know other rules of its tool.

use serde_json::{Map, Value, json};

use super::{
    super::scribe::{Scribe, below, object, shown},
    At, Content, Entry, Node, Tool,
    limit::{self, Limit, State},
};

const KEYS: [&str; 12] = [
    "name",
    "action",
    "conditions",
    "rate_limit",
    "state",
    "on_deny",
    "reason",
    "approval_timeout",
    "validate",
    "idempotency_window",
    "spend",
    "description",
];
const ACTIONS: [&str; 4] = ["evaluate", "deny", "require_approval", "allow"];
const OPS: [&str; 11] =
    ["eq", "neq", "in", "not_in", "lt", "lte", "gt", "gte", "regex", "contains", "exists"];

/// What became of a rule.
pub(super) struct Made {
    /// The rule of ours, if anything is left of it.
    pub(super) rule: Option<Map<String, Value>>,
    /// A schema for the tool's arguments.
    pub(super) schema: Option<Value>,
    /// The counter it has.
    pub(super) counter: Option<String>,
}

/// A rule as it was written.
#[derive(Default)]
struct Written {
    name: Option<String>,
    action: Option<&'static str>,
    conditions: Vec<Condition>,
    rate: Option<Limit>,
    state: Option<State>,
    message: Option<String>,
    timeout: Option<String>,
    required_args: bool,
    schema: Option<Value>,
}

/// One condition: where it stands, and its three parts.
struct Condition {
    at: At,
    pointer: String,
    path: String,
    op: &'static str,
    value: Value,
}

/// Turns a rule into ours.
pub(super) fn convert(
    node: &Node,
    index: usize,
    pointer: &str,
    tool: &Tool<'_>,
    scribe: &mut Scribe<'_>,
) -> Option<Made> {
    let written = read(node, pointer, tool, scribe)?;
    let action = written.action.unwrap_or(if written.rate.is_some() || written.required_args {
        "allow"
    } else {
        "evaluate"
    });
    agree(&written, action, node, pointer, scribe)?;
    let (limit, guards) = split(&written, tool, node, pointer, scribe)?;
    let counter = limit.as_ref().map(|limit| limit.counter.clone());
    let (require, when) = match action {
        "evaluate" | "allow" => (guards, vec![]),
        _ => (vec![], guards),
    };
    let ours = match action {
        "deny" => Some("deny"),
        "require_approval" => Some("ask"),
        "allow" if written.action.is_some() => Some("allow"),
        _ => None,
    };
    let list = |items: Vec<Value>| if items.is_empty() { Value::Null } else { items.into() };
    let name = written.name.as_deref();
    let told = written.action.unwrap_or(if written.rate.is_some() { "rate_limit" } else { action });
    tell(node.at, tool, name, index, (told, ours), (&require, &when, limit.as_ref()), scribe);
    let made = object([
        ("name", name.map_or(Value::Null, Value::from)),
        ("action", ours.map_or(Value::Null, Value::from)),
        ("when", list(when)),
        ("require", list(require)),
        ("limit", limit.map_or(Value::Null, |limit| Value::Object(limit.made))),
        (
            "validate",
            if written.required_args { json!({ "required_args": true }) } else { Value::Null },
        ),
        ("approval_timeout", written.timeout.map_or(Value::Null, Value::from)),
        ("message", written.message.map_or(Value::Null, Value::from)),
    ]);
    let says_something = made.keys().any(|key| !matches!(key.as_str(), "name" | "message"));
    Some(Made { rule: says_something.then_some(made), schema: written.schema, counter })
}

fn read(node: &Node, pointer: &str, tool: &Tool<'_>, scribe: &mut Scribe<'_>) -> Option<Written> {
    let mut written = Written::default();
    let mut fit = true;
    for entry in scribe.entries(node, pointer, "a rule") {
        let Entry { key, at, value } = entry;
        let below = below(pointer, key);
        match key.as_str() {
            "name" => {
                written.name = scribe.text(value, &below, "`name`").filter(|name| !name.is_empty())
            }
            "action" => {
                written.action = scribe.word(value, &below, "`action`", &ACTIONS);
                fit &= written.action.is_some();
            }
            "conditions" => match conditions(value, &below, scribe) {
                Some(conditions) => written.conditions = conditions,
                None => fit = false,
            },
            "rate_limit" => {
                written.rate = limit::rate(value, &below, tool, scribe);
                fit &= written.rate.is_some();
            }
            "state" => {
                written.state = limit::state(value, &below, scribe);
                fit &= written.state.is_some();
            }
            "on_deny" | "reason" => {
                written.message = scribe.text(value, &below, key).filter(|text| !text.is_empty())
            }
            "approval_timeout" => {
                written.timeout = scribe.text(value, &below, "`approval_timeout`")
            }
            "idempotency_window" => scribe.lost(
                *at,
                &below,
                "`idempotency_window` answers a repeated call from memory, which is not supported \
                here",
                Some("a program can keep the answer itself"),
            ),
            "validate" => validate(value, &below, &mut written, scribe),
            "spend" => scribe.lost(
                *at,
                &below,
                "`spend` reads the price from a payment challenge of the upstream, which is not \
                supported here",
                Some(
                    "where an argument holds the price: `limit: {max: N, window: day, cost: \
                    args.NAME}`",
                ),
            ),
            "description" => scribe.lost(
                *at,
                &below,
                "a rule has no `description`",
                Some(
                    "write \
                it as a comment",
                ),
            ),
            _ => scribe.unknown_key(entry, pointer, &KEYS),
        }
    }
    fit.then_some(written)
}

fn validate(node: &Node, pointer: &str, written: &mut Written, scribe: &mut Scribe<'_>) {
    for entry in scribe.entries(node, pointer, "`validate`") {
        let below = below(pointer, &entry.key);
        match (entry.key.as_str(), &entry.value.content) {
            ("required_args", Content::Bool(yes)) => written.required_args = *yes,
            ("required_args", _) => {
                scribe.error(entry.value.at, &below, "`required_args` is true or false", None)
            }
            ("schema", Content::Map(_)) => written.schema = Some(entry.value.to_value()),
            ("schema", _) => {
                scribe.error(entry.value.at, &below, "`schema` must be a JSON Schema", None)
            }
            _ => scribe.unknown_key(entry, pointer, &["required_args", "schema"]),
        }
    }
}

fn conditions(node: &Node, pointer: &str, scribe: &mut Scribe<'_>) -> Option<Vec<Condition>> {
    let items = scribe.items(node, pointer, "`conditions`");
    // Each is read, so that all problems are told at once.
    let read: Vec<_> = items
        .iter()
        .enumerate()
        .map(|(at, item)| condition(item, &format!("{pointer}/{at}"), scribe))
        .collect();
    read.into_iter().collect()
}

fn condition(node: &Node, pointer: &str, scribe: &mut Scribe<'_>) -> Option<Condition> {
    let (mut path, mut op, mut value) = (None, None, None);
    for entry in scribe.entries(node, pointer, "a condition") {
        let below = below(pointer, &entry.key);
        match entry.key.as_str() {
            "path" => path = scribe.text(&entry.value, &below, "`path`"),
            "op" => op = Some(scribe.word(&entry.value, &below, "`op`", &OPS)?),
            "value" => value = Some(&entry.value),
            _ => scribe.unknown_key(entry, pointer, &["path", "op", "value"]),
        }
    }
    let (Some(path), Some(op)) = (path, op) else {
        scribe.error(node.at, pointer, "a condition needs `path`, `op` and `value`", None);
        return None;
    };
    if !path.starts_with("args.") && !path.starts_with("state.") {
        let message =
            format!("`path` is `{}`; it must begin with `args.` or `state.`", shown(&path));
        scribe.error(node.at, &below(pointer, "path"), message, None);
        return None;
    }
    let needed = match (op, value.map(|node| &node.content)) {
        ("in" | "not_in", Some(Content::List(_))) => None,
        ("in" | "not_in", _) => Some("a list"),
        ("lt" | "lte" | "gt" | "gte", Some(Content::Number(_))) => None,
        ("lt" | "lte" | "gt" | "gte", _) => Some("a number"),
        ("exists", Some(Content::Bool(_))) => None,
        ("exists", _) => Some("true or false"),
        ("regex", Some(Content::Text(_))) => None,
        ("regex", _) => Some("a text"),
        (_, Some(_)) => None,
        (_, None) => Some("a value"),
    };
    if let Some(needed) = needed {
        let at = value.map_or(node.at, |node| node.at);
        scribe.error(at, &below(pointer, "value"), format!("`{op}` needs {needed}"), None);
        return None;
    }
    let value = value.map_or(Value::Null, Node::to_value);
    Some(Condition { at: node.at, pointer: pointer.to_owned(), path, op, value })
}

/// A condition on arguments alone.
pub(super) fn argument_condition(
    node: &Node,
    pointer: &str,
    scribe: &mut Scribe<'_>,
) -> Option<Value> {
    let Condition { at, pointer, path, op, value } = condition(node, pointer, scribe)?;
    if path.starts_with("state.") {
        scribe.error(at, &pointer, "a condition here is about arguments: `args.NAME`", None);
        return None;
    }
    Some(json!({ "path": path, "op": op, "value": value }))
}

/// Whether the parts of a rule go together.
fn agree(
    written: &Written,
    action: &str,
    node: &Node,
    pointer: &str,
    scribe: &mut Scribe<'_>,
) -> Option<()> {
    let (counts, conditions) =
        (written.rate.is_some() || written.state.is_some(), !written.conditions.is_empty());
    let wrong = if written.rate.is_some() && (conditions || written.state.is_some()) {
        Some("`rate_limit` cannot be combined with `conditions` or `state`; write two rules")
    } else if matches!(action, "deny" | "require_approval") && counts {
        Some("a rule that counts cannot deny or ask as well; write two rules")
    } else if action == "evaluate" && !conditions && !counts && written.schema.is_none() {
        Some("a rule that evaluates needs at least one condition")
    } else if action == "allow" && conditions {
        Some(
            "`action: allow` with `conditions` means nothing there; leave `action` out to have \
            the conditions required",
        )
    } else if written.timeout.is_some() && action != "require_approval" {
        Some("`approval_timeout` belongs to `action: require_approval`")
    } else {
        None
    };
    match wrong {
        Some(message) => {
            scribe.error(node.at, pointer, message, None);
            None
        }
        None => Some(()),
    }
}

/// The limit that a rule's counting amounts to, and its other conditions as ours.
fn split(
    written: &Written,
    tool: &Tool<'_>,
    node: &Node,
    pointer: &str,
    scribe: &mut Scribe<'_>,
) -> Option<(Option<Limit>, Vec<Value>)> {
    let scope = if tool.theirs == "*" { "_global" } else { tool.theirs };
    let own = written.state.as_ref().map(|state| format!("state.{scope}.{}", state.counter));
    let mut limit = written
        .rate
        .as_ref()
        .map(|rate| Limit { counter: rate.counter.clone(), made: rate.made.clone() });
    let mut guards = vec![];
    for condition in &written.conditions {
        let bounds =
            matches!(condition.op, "lt" | "lte") && own.as_deref() == Some(&condition.path);
        match (&written.state, &condition.value) {
            (Some(state), Value::Number(value)) if bounds && limit.is_none() => {
                limit = Some(limit::bounded(
                    state,
                    condition.op,
                    value,
                    (node, &condition.pointer),
                    tool,
                    scribe,
                )?);
            }
            _ if bounds => {
                let message = "a counter has two bounds in one rule; only the first one would \
                    hold while calls run at once";
                scribe.error(condition.at, &condition.pointer, message, Some("keep the lower one"));
                return None;
            }
            _ => guards.push(guard(
                condition,
                matches!(written.action, Some("deny" | "require_approval")),
                scribe,
            )),
        }
    }
    if let (Some(state), None) = (&written.state, &limit) {
        let message = format!(
            "the counter `{}` never counts there: its own rule has no `lt` or `lte` on it",
            shown(&state.counter)
        );
        scribe.lost(node.at, pointer, message, Some("bound it in this rule, or leave `state` out"));
    }
    Some((limit, guards))
}

/// A condition as ours. Intercept takes the text `5` and the number 5 for equal, and so on; here
/// they are not. Where a call would slip past a rule that denies or asks, the condition names both;
/// where it is required, the call is denied instead.
fn guard(condition: &Condition, applies: bool, scribe: &mut Scribe<'_>) -> Value {
    let Condition { at, pointer, path, op, value } = condition;
    let same = json!({ "path": path, "op": op, "value": value });
    if !applies || path.starts_with("state.") {
        return same;
    }
    match (*op, value) {
        ("eq", value) => match twin(value) {
            Some(twin) => json!({ "path": path, "op": "in", "value": [value, twin] }),
            None => same,
        },
        ("in", Value::Array(values)) => {
            let twins = values.iter().filter_map(twin).filter(|twin| !values.contains(twin));
            json!({ "path": path, "op": "in", "value": values.iter().cloned().chain(twins).collect::<Vec<_>>() })
        }
        ("contains", value) if twin(value).is_some() => {
            let message = format!(
                "in a list, `{value}` is found here only as it is written, and not as the text or \
                number that spells it"
            );
            scribe.warn(*at, pointer, message, None);
            same
        }
        _ => same,
    }
}

/// The value of another type that is written the same.
fn twin(value: &Value) -> Option<Value> {
    match value {
        Value::Bool(_) | Value::Number(_) => Some(value.to_string().into()),
        Value::String(text) => serde_json::from_str::<Value>(text)
            .ok()
            .filter(|value| value.is_number() || value.is_boolean()),
        _ => None,
    }
}

/// Says what became of a rule.
fn tell(
    at: At,
    tool: &Tool<'_>,
    name: Option<&str>,
    index: usize,
    (action, ours): (&str, Option<&str>),
    (require, when, limit): (&[Value], &[Value], Option<&Limit>),
    scribe: &mut Scribe<'_>,
) {
    let theirs = match name {
        Some(name) => format!("{}: {} `{}`", shown(tool.theirs), action, shown(name)),
        None => format!("{}: {action} rules[{index}]", shown(tool.theirs)),
    };
    let mut parts = vec![];
    parts.extend(ours.map(|ours| format!("action {ours}")));
    if !when.is_empty() {
        parts.push(format!("when ({})", when.len()));
    }
    if !require.is_empty() {
        parts.push(format!("require ({})", require.len()));
    }
    if let Some(Limit { counter, made }) = limit {
        let text = |key: &str| {
            made.get(key)
                .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        };
        let scope = tool.counts_in.join(", ");
        let part = |key: &str| text(key).unwrap_or_default();
        parts.push(format!(
            "limit {}: {} in {}, for each {scope}",
            shown(counter),
            part("max"),
            part("window")
        ));
    }
    if parts.is_empty() {
        parts.push("as it was".into());
    }
    scribe.carried(at, theirs, format!("{}: {}", scribe.told(tool.ours), parts.join(", ")));
}
