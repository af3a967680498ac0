//! Intercept's YAML: the format that `POLICY.md` documents with the additions of later releases,
//! and the format that PolicyLayer's website prints. Must not know any other dialect.
//!
//! Intercept drops unknown keys; this import reports them. The conditions of a rule become
//! `require` if the rule evaluates, and `when` if it denies or asks. A `state` with its own `lt` or
//! `lte` becomes a limit.

mod condition;
mod limit;
mod rule;
mod tool;

use serde_json::{Map, Value, json};

use self::tool::Tool;
use super::{
    report::{ImportReport, child_pointer, object, quote},
    tree::{Entry, Node, Position},
};

pub(super) use self::condition::argument_condition;

const TOP_KEYS: [&str; 6] = ["version", "description", "default", "hide", "tools", "approvals"];

/// Converts the file.
pub(super) fn convert(root: &Node, report: &mut ImportReport<'_>) -> Value {
    let entries = report.entries(root, "", "the file");
    if entries.is_empty() {
        report.error(root.at, "", "the file is empty", Some("a policy has `tools`"));
    }
    let mut default = json!("allow");
    let mut default_at = None;
    let (mut description, mut hide, mut tools) = (Value::Null, vec![], Map::new());
    let denies = root.get("default").is_some_and(|node| node.to_value() == "deny");
    for entry in entries {
        let Entry { key, at, value } = entry;
        let pointer = child_pointer("", key);
        match key.as_str() {
            "version" => drop(report.one_of(value, &pointer, "`version`", &["1"])),
            "description" => {
                description =
                    report.string(value, &pointer, "`description`").map_or(Value::Null, Value::from)
            }
            "default" => {
                default_at = Some(*at);
                if let Some(action) =
                    report.one_of(value, &pointer, "`default`", &["allow", "deny"])
                {
                    default = action.into();
                }
            }
            "hide" => hide = hidden(value, report),
            "tools" => tools = tools_of(value, denies, report),
            "approvals" => report.unsupported(
                *at,
                &pointer,
                "`approvals` configures where Intercept announces approvals; that is not part of a \
                policy here",
                Some("approvals are decided with `airlock approvals`"),
            ),
            _ => report.unknown_key(entry, "", &TOP_KEYS),
        }
    }
    let at = default_at.unwrap_or(root.at);
    let written = if default_at.is_some() {
        format!("default: {}", str_of(&default))
    } else {
        "no `default`, which means allow".into()
    };
    report.mapped(at, written, format!("default: {}", str_of(&default)));
    Value::Object(object([
        ("version", "1".into()),
        ("description", description),
        ("upstream", report.upstream().map_or(Value::Null, Value::from)),
        ("default", default),
        ("hide", if hide.is_empty() { Value::Null } else { hide.into() }),
        ("tools", Value::Object(tools)),
    ]))
}

fn str_of(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Converts `hide`.
fn hidden(node: &Node, report: &mut ImportReport<'_>) -> Vec<Value> {
    let mut hidden: Vec<Value> = vec![];
    for (index, item) in report.items(node, "/hide", "`hide`").iter().enumerate() {
        let pointer = format!("/hide/{index}");
        let Some(name) = report.string(item, &pointer, "an entry of `hide`") else { continue };
        let Some(target) = tool_name(&name, item.at, &pointer, report) else { continue };
        if hidden.iter().any(|other| *other == target.as_str()) {
            report.error(
                item.at,
                &pointer,
                format!("`{}` is a duplicate in `hide`", quote(&name)),
                None,
            );
            continue;
        }
        report.mapped(
            item.at,
            format!("hide {}", quote(&name)),
            format!("hide: {}", report.qualified(&target)),
        );
        hidden.push(target.into());
    }
    hidden
}

/// Returns the name of a tool in the converted file. A file that is bound to an upstream has tool
/// names of that upstream, others have full paths.
pub(super) fn tool_name(
    name: &str,
    at: Position,
    pointer: &str,
    report: &mut ImportReport<'_>,
) -> Option<String> {
    if name == "*" {
        return Some("*".into());
    }
    if name.trim().is_empty() {
        report.error(at, pointer, "the name of a tool must not be empty", None);
        return None;
    }
    if name.contains('*') {
        let hint =
            "name each tool, or write a pattern of whole segments after the import: `upstream.*`";
        let message = format!(
            "`{}` names no tool: Intercept matches names exactly, so this never matched",
            quote(name)
        );
        report.unsupported(at, pointer, message, Some(hint));
        return None;
    }
    match report.upstream() {
        None if !name.contains('.') => {
            let hint = "name the upstream of these tools: `--upstream NAME`";
            report.error(
                at,
                pointer,
                format!("`{}` does not name its upstream", quote(name)),
                Some(hint),
            );
            None
        }
        _ => Some(name.to_owned()),
    }
}

/// Converts all tools.
fn tools_of(node: &Node, denies: bool, report: &mut ImportReport<'_>) -> Map<String, Value> {
    let mut tools = Map::new();
    for Entry { key, at, value } in report.entries(node, "/tools", "`tools`") {
        let pointer = child_pointer("/tools", key);
        let Some(target) = tool_name(key, *at, &pointer, report) else { continue };
        let scopes = match (target.as_str(), report.upstream()) {
            ("*", Some(_)) => vec!["workspace", "upstream"],
            ("*", None) => vec!["workspace"],
            _ => vec!["workspace", "tool"],
        };
        let tool = Tool { source: key, target: &target, scopes };
        let mut entry = tool_of(value, *at, &pointer, &tool, report);
        if denies && target != "*" {
            allow_the_rest(&mut entry);
        }
        tools.insert(target, entry);
    }
    tools
}

/// Adds a rule that allows the calls that no other rule asks about. Under `default: deny`,
/// Intercept allows a listed tool unless a rule decides otherwise; here an entry with a rule that
/// asks, even under conditions, does not count as a listing.
fn allow_the_rest(entry: &mut Value) {
    let Some(rules) = entry["rules"].as_array_mut() else { return };
    if rules.iter().any(|rule| rule["action"] == "ask" && rule.get("when").is_some()) {
        rules.push(json!({ "name": "listed", "action": "allow" }));
    }
}

/// Converts one tool.
fn tool_of(
    node: &Node,
    at: Position,
    pointer: &str,
    tool: &Tool<'_>,
    report: &mut ImportReport<'_>,
) -> Value {
    let (mut rules, mut schemas) = (vec![], vec![]);
    let mut counters: Vec<(String, usize)> = vec![];
    for entry in report.entries(node, pointer, "a tool") {
        if entry.key != "rules" {
            report.unknown_key(entry, pointer, &["rules"]);
            continue;
        }
        let pointer = child_pointer(pointer, "rules");
        for (index, item) in report.items(&entry.value, &pointer, "`rules`").iter().enumerate() {
            let pointer = format!("{pointer}/{index}");
            let Some(converted) = rule::convert(item, index, &pointer, tool, report) else {
                continue;
            };
            if let Some(counter) = converted.counter {
                if let Some((_, before)) = counters.iter().find(|(name, _)| *name == counter) {
                    let message = format!(
                        "rules[{before}] of this tool already uses the counter `{counter}`"
                    );
                    report.error(
                        item.at,
                        &pointer,
                        message,
                        Some("give each rule a counter or a window of its own"),
                    );
                }
                counters.push((counter, index));
            }
            schemas.extend(converted.schema);
            rules.extend(converted.rule.map(Value::Object));
        }
    }
    if rules.is_empty() && schemas.is_empty() {
        report.mapped(
            at,
            format!("{}: no rules", quote(tool.source)),
            format!("{}: listed", report.qualified(tool.target)),
        );
    }
    let schema = match schemas.len() {
        0 => Value::Null,
        1 => schemas.remove(0),
        _ => json!({ "allOf": schemas }),
    };
    let mut entry = object([("args", schema)]);
    entry.insert("rules".into(), rules.into());
    Value::Object(entry)
}
