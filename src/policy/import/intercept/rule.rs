//! Converts one rule of Intercept. Must not know other rules of its tool.

use serde_json::{Map, Value, json};

use super::{
    condition::{Condition, condition},
    limit::{self, Limit, State},
    tool::Tool,
};
use crate::policy::import::{
    report::{ImportReport, child_pointer, object, quote},
    tree::{Content, Entry, Node, Position},
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

/// Converted rule.
pub(super) struct ConvertedRule {
    /// Rule in our format, if it has any effect.
    pub(super) rule: Option<Map<String, Value>>,
    /// Schema for the arguments of the tool.
    pub(super) schema: Option<Value>,
    /// Name of its counter.
    pub(super) counter: Option<String>,
}

/// Rule as written in the source.
#[derive(Default)]
struct SourceRule {
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

/// Converts a rule.
pub(super) fn convert(
    node: &Node,
    index: usize,
    pointer: &str,
    tool: &Tool<'_>,
    report: &mut ImportReport<'_>,
) -> Option<ConvertedRule> {
    let rule = read(node, pointer, tool, report)?;
    let action = rule.action.unwrap_or(if rule.rate.is_some() || rule.required_args {
        "allow"
    } else {
        "evaluate"
    });
    check_combination(&rule, action, node, pointer, report)?;
    let (limit, guards) = split_conditions(&rule, tool, node, pointer, report)?;
    let counter = limit.as_ref().map(|limit| limit.counter.clone());
    let (require, when) = match action {
        "evaluate" | "allow" => (guards, vec![]),
        _ => (vec![], guards),
    };
    let target = match action {
        "deny" => Some("deny"),
        "require_approval" => Some("ask"),
        "allow" if rule.action.is_some() => Some("allow"),
        _ => None,
    };
    let list = |items: Vec<Value>| if items.is_empty() { Value::Null } else { items.into() };
    let name = rule.name.as_deref();
    let described = rule.action.unwrap_or(if rule.rate.is_some() { "rate_limit" } else { action });
    report_mapping(
        node.at,
        tool,
        name,
        index,
        (described, target),
        (&require, &when, limit.as_ref()),
        report,
    );
    let converted = object([
        ("name", name.map_or(Value::Null, Value::from)),
        ("action", target.map_or(Value::Null, Value::from)),
        ("when", list(when)),
        ("require", list(require)),
        ("limit", limit.map_or(Value::Null, |limit| Value::Object(limit.value))),
        (
            "validate",
            if rule.required_args { json!({ "required_args": true }) } else { Value::Null },
        ),
        ("approval_timeout", rule.timeout.map_or(Value::Null, Value::from)),
        ("message", rule.message.map_or(Value::Null, Value::from)),
    ]);
    let has_effect = converted.keys().any(|key| !matches!(key.as_str(), "name" | "message"));
    Some(ConvertedRule { rule: has_effect.then_some(converted), schema: rule.schema, counter })
}

fn read(
    node: &Node,
    pointer: &str,
    tool: &Tool<'_>,
    report: &mut ImportReport<'_>,
) -> Option<SourceRule> {
    let mut rule = SourceRule::default();
    let mut valid = true;
    for entry in report.entries(node, pointer, "a rule") {
        let Entry { key, at, value } = entry;
        let below = child_pointer(pointer, key);
        match key.as_str() {
            "name" => {
                rule.name = report.string(value, &below, "`name`").filter(|name| !name.is_empty())
            }
            "action" => {
                rule.action = report.one_of(value, &below, "`action`", &ACTIONS);
                valid &= rule.action.is_some();
            }
            "conditions" => match conditions(value, &below, report) {
                Some(conditions) => rule.conditions = conditions,
                None => valid = false,
            },
            "rate_limit" => {
                rule.rate = limit::rate(value, &below, tool, report);
                valid &= rule.rate.is_some();
            }
            "state" => {
                rule.state = limit::state(value, &below, report);
                valid &= rule.state.is_some();
            }
            "on_deny" | "reason" => {
                rule.message = report.string(value, &below, key).filter(|text| !text.is_empty())
            }
            "approval_timeout" => rule.timeout = report.string(value, &below, "`approval_timeout`"),
            "idempotency_window" => report.unsupported(
                *at,
                &below,
                "`idempotency_window` caches the response of a repeated call, which is not \
                supported here",
                Some("a program can keep the response itself"),
            ),
            "validate" => validate(value, &below, &mut rule, report),
            "spend" => report.unsupported(
                *at,
                &below,
                "`spend` reads the price from a payment challenge of the upstream, which is not \
                supported here",
                Some(
                    "if an argument holds the price: `limit: {max: N, window: day, cost: \
                    args.NAME}`",
                ),
            ),
            "description" => report.unsupported(
                *at,
                &below,
                "a rule has no `description` here",
                Some("write it as a comment"),
            ),
            _ => report.unknown_key(entry, pointer, &KEYS),
        }
    }
    valid.then_some(rule)
}

fn validate(node: &Node, pointer: &str, rule: &mut SourceRule, report: &mut ImportReport<'_>) {
    for entry in report.entries(node, pointer, "`validate`") {
        let below = child_pointer(pointer, &entry.key);
        match (entry.key.as_str(), &entry.value.content) {
            ("required_args", Content::Bool(yes)) => rule.required_args = *yes,
            ("required_args", _) => {
                report.error(entry.value.at, &below, "`required_args` must be true or false", None)
            }
            ("schema", Content::Map(_)) => rule.schema = Some(entry.value.to_value()),
            ("schema", _) => {
                report.error(entry.value.at, &below, "`schema` must be a JSON Schema", None)
            }
            _ => report.unknown_key(entry, pointer, &["required_args", "schema"]),
        }
    }
}

fn conditions(node: &Node, pointer: &str, report: &mut ImportReport<'_>) -> Option<Vec<Condition>> {
    let items = report.items(node, pointer, "`conditions`");
    // All are read, so that all problems are reported at once.
    let read: Vec<_> = items
        .iter()
        .enumerate()
        .map(|(at, item)| condition(item, &format!("{pointer}/{at}"), report))
        .collect();
    read.into_iter().collect()
}

/// Checks that the parts of a rule can be combined.
fn check_combination(
    rule: &SourceRule,
    action: &str,
    node: &Node,
    pointer: &str,
    report: &mut ImportReport<'_>,
) -> Option<()> {
    let (counts, conditions) =
        (rule.rate.is_some() || rule.state.is_some(), !rule.conditions.is_empty());
    let wrong = if rule.rate.is_some() && (conditions || rule.state.is_some()) {
        Some("`rate_limit` cannot be combined with `conditions` or `state`; write two rules")
    } else if matches!(action, "deny" | "require_approval") && counts {
        Some("a rule that counts cannot deny or ask; write two rules")
    } else if action == "evaluate" && !conditions && !counts && rule.schema.is_none() {
        Some("a rule that evaluates needs at least one condition")
    } else if action == "allow" && conditions {
        Some(
            "`action: allow` ignores `conditions` in Intercept; omit `action` to require the \
            conditions",
        )
    } else if rule.timeout.is_some() && action != "require_approval" {
        Some("`approval_timeout` needs `action: require_approval`")
    } else {
        None
    };
    match wrong {
        Some(message) => {
            report.error(node.at, pointer, message, None);
            None
        }
        None => Some(()),
    }
}

/// Returns the limit that the rule's counter and its bound make, and the other conditions.
fn split_conditions(
    rule: &SourceRule,
    tool: &Tool<'_>,
    node: &Node,
    pointer: &str,
    report: &mut ImportReport<'_>,
) -> Option<(Option<Limit>, Vec<Value>)> {
    let scope = if tool.source == "*" { "_global" } else { tool.source };
    let own = rule.state.as_ref().map(|state| format!("state.{scope}.{}", state.counter));
    let mut limit = rule
        .rate
        .as_ref()
        .map(|rate| Limit { counter: rate.counter.clone(), value: rate.value.clone() });
    let mut guards = vec![];
    for condition in &rule.conditions {
        let bounds =
            matches!(condition.op, "lt" | "lte") && own.as_deref() == Some(&condition.path);
        match (&rule.state, &condition.value) {
            (Some(state), Value::Number(value)) if bounds && limit.is_none() => {
                limit = Some(limit::bounded(
                    state,
                    condition.op,
                    value,
                    (node, &condition.pointer),
                    tool,
                    report,
                )?);
            }
            _ if bounds => {
                let message = "a counter has two bounds in one rule; only the first one would \
                    hold for concurrent calls";
                report.error(condition.at, &condition.pointer, message, Some("keep the lower one"));
                return None;
            }
            _ => guards.push(guard(
                condition,
                matches!(rule.action, Some("deny" | "require_approval")),
                report,
            )),
        }
    }
    if let (Some(state), None) = (&rule.state, &limit) {
        let message = format!(
            "the counter `{}` never counts in Intercept: its own rule has no `lt` or `lte` on it",
            quote(&state.counter)
        );
        report.unsupported(
            node.at,
            pointer,
            message,
            Some("bound it in this rule, or omit `state`"),
        );
    }
    Some((limit, guards))
}

/// Converts a condition. In Intercept the string `5` equals the number 5, and so on; here it does
/// not. If a call could pass a rule that denies or asks because of that, the condition names both;
/// under `require` the call is denied instead.
fn guard(condition: &Condition, is_when: bool, report: &mut ImportReport<'_>) -> Value {
    let Condition { at, pointer, path, op, value } = condition;
    let same = json!({ "path": path, "op": op, "value": value });
    if !is_when || path.starts_with("state.") {
        return same;
    }
    match (*op, value) {
        ("eq", value) => match respelled(value) {
            Some(other) => json!({ "path": path, "op": "in", "value": [value, other] }),
            None => same,
        },
        ("in", Value::Array(values)) => {
            let others =
                values.iter().filter_map(respelled).filter(|other| !values.contains(other));
            json!({
                "path": path, "op": "in",
                "value": values.iter().cloned().chain(others).collect::<Vec<_>>()
            })
        }
        ("contains", value) if respelled(value).is_some() => {
            let message = format!(
                "in a list, `{value}` matches only as written here, not as the string or number \
                with the same spelling"
            );
            report.warn(*at, pointer, message, None);
            same
        }
        _ => same,
    }
}

/// Returns the value of another type with the same spelling.
fn respelled(value: &Value) -> Option<Value> {
    match value {
        Value::Bool(_) | Value::Number(_) => Some(value.to_string().into()),
        Value::String(text) => serde_json::from_str::<Value>(text)
            .ok()
            .filter(|value| value.is_number() || value.is_boolean()),
        _ => None,
    }
}

/// Records the mapping of a rule.
fn report_mapping(
    at: Position,
    tool: &Tool<'_>,
    name: Option<&str>,
    index: usize,
    (action, target): (&str, Option<&str>),
    (require, when, limit): (&[Value], &[Value], Option<&Limit>),
    report: &mut ImportReport<'_>,
) {
    let source = match name {
        Some(name) => format!("{}: {} `{}`", quote(tool.source), action, quote(name)),
        None => format!("{}: {action} rules[{index}]", quote(tool.source)),
    };
    let mut parts = vec![];
    parts.extend(target.map(|target| format!("action {target}")));
    if !when.is_empty() {
        parts.push(format!("when ({})", when.len()));
    }
    if !require.is_empty() {
        parts.push(format!("require ({})", require.len()));
    }
    if let Some(Limit { counter, value }) = limit {
        let text = |key: &str| {
            value
                .get(key)
                .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        };
        let scope = tool.scopes.join(", ");
        let part = |key: &str| text(key).unwrap_or_default();
        parts.push(format!(
            "limit {}: {} in {}, for each {scope}",
            quote(counter),
            part("max"),
            part("window")
        ));
    }
    if parts.is_empty() {
        parts.push("unchanged".into());
    }
    report.mapped(at, source, format!("{}: {}", report.qualified(tool.target), parts.join(", ")));
}
