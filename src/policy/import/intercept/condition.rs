//! Reads one condition.

use serde_json::{Value, json};

use crate::policy::import::{
    report::{ImportReport, child_pointer, quote},
    tree::{Content, Node, Position},
};

const OPS: [&str; 11] =
    ["eq", "neq", "in", "not_in", "lt", "lte", "gt", "gte", "regex", "contains", "exists"];

/// Condition with its position.
pub(super) struct Condition {
    pub(super) at: Position,
    pub(super) pointer: String,
    pub(super) path: String,
    pub(super) op: &'static str,
    pub(super) value: Value,
}

/// Reads a condition.
pub(super) fn condition(
    node: &Node,
    pointer: &str,
    report: &mut ImportReport<'_>,
) -> Option<Condition> {
    let (mut path, mut op, mut value) = (None, None, None);
    for entry in report.entries(node, pointer, "a condition") {
        let below = child_pointer(pointer, &entry.key);
        match entry.key.as_str() {
            "path" => path = report.string(&entry.value, &below, "`path`"),
            "op" => op = Some(report.one_of(&entry.value, &below, "`op`", &OPS)?),
            "value" => value = Some(&entry.value),
            _ => report.unknown_key(entry, pointer, &["path", "op", "value"]),
        }
    }
    let (Some(path), Some(op)) = (path, op) else {
        report.error(node.at, pointer, "a condition needs `path`, `op` and `value`", None);
        return None;
    };
    if !path.starts_with("args.") && !path.starts_with("state.") {
        let message =
            format!("`path` is `{}`; it must begin with `args.` or `state.`", quote(&path));
        report.error(node.at, &child_pointer(pointer, "path"), message, None);
        return None;
    }
    let needed = match (op, value.map(|node| &node.content)) {
        ("in" | "not_in", Some(Content::List(_))) => None,
        ("in" | "not_in", _) => Some("a list"),
        ("lt" | "lte" | "gt" | "gte", Some(Content::Number(_))) => None,
        ("lt" | "lte" | "gt" | "gte", _) => Some("a number"),
        ("exists", Some(Content::Bool(_))) => None,
        ("exists", _) => Some("true or false"),
        ("regex", Some(Content::String(_))) => None,
        ("regex", _) => Some("a string"),
        (_, Some(_)) => None,
        (_, None) => Some("a value"),
    };
    if let Some(needed) = needed {
        let at = value.map_or(node.at, |node| node.at);
        report.error(at, &child_pointer(pointer, "value"), format!("`{op}` needs {needed}"), None);
        return None;
    }
    let value = value.map_or(Value::Null, Node::to_value);
    Some(Condition { at: node.at, pointer: pointer.to_owned(), path, op, value })
}

/// Reads a condition that may only be about arguments. PolicyLayer writes them the same way.
pub(in crate::policy::import) fn argument_condition(
    node: &Node,
    pointer: &str,
    report: &mut ImportReport<'_>,
) -> Option<Value> {
    let Condition { at, pointer, path, op, value } = condition(node, pointer, report)?;
    if path.starts_with("state.") {
        report.error(at, &pointer, "this condition must be about an argument: `args.NAME`", None);
        return None;
    }
    Some(json!({ "path": path, "op": op, "value": value }))
}
