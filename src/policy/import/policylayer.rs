//! PolicyLayer's JSON document. Must not know any other dialect.
//!
//! The keys are those of our own format: `require`, `deny_if`, `limits`. The differences: a limit
//! counts each `grant` there and each principal here, and `all_tools` becomes the pattern `*`.

use serde_json::{Map, Value, json};

use super::{
    intercept,
    report::{ImportReport, child_pointer, object, quote},
    tree::{Entry, Node, Position},
};

const TOP_KEYS: [&str; 7] =
    ["version", "name", "description", "default", "hide", "all_tools", "tools"];
const TOOL_KEYS: [&str; 3] = ["require", "deny_if", "limits"];
const LIMIT_KEYS: [&str; 5] = ["counter", "window", "max", "scope", "on_deny"];

/// Converts the document.
pub(super) fn convert(root: &Node, report: &mut ImportReport<'_>) -> Value {
    let (mut default, mut description, mut hide, mut tools) =
        (None, Value::Null, vec![], Map::new());
    for entry in report.entries(root, "", "the document") {
        let Entry { key, at, value } = entry;
        let pointer = child_pointer("", key);
        match key.as_str() {
            "version" => drop(report.one_of(value, &pointer, "`version`", &["1"])),
            "name" | "description" => {
                description = report
                    .string(value, &pointer, "`description`")
                    .map_or(description, Value::from);
            }
            "default" => default = report.one_of(value, &pointer, "`default`", &["allow", "deny"]),
            "hide" => hide = hidden(value, report),
            "all_tools" => {
                let scope = scope(report, &["principal"]);
                let converted = tool(value, *at, &pointer, ("all_tools", "*"), &scope, report);
                tools.insert("*".into(), converted);
            }
            "tools" => {
                for Entry { key, at, value } in report.entries(value, &pointer, "`tools`") {
                    let pointer = child_pointer(&pointer, key);
                    let Some(name) = intercept::tool_name(key, *at, &pointer, report) else {
                        continue;
                    };
                    let scope = json!(["principal", "tool"]);
                    let converted = tool(value, *at, &pointer, (key, &name), &scope, report);
                    tools.insert(name, converted);
                }
            }
            _ => report.unknown_key(entry, "", &TOP_KEYS),
        }
    }
    let default = default.unwrap_or_else(|| {
        let hint = "write `\"default\": \"deny\"` or `\"default\": \"allow\"`; it would be `deny` \
            otherwise";
        report.unsupported(root.at, "", "the document has no `default`", Some(hint));
        "deny"
    });
    report.mapped(root.at, format!("default {default}"), format!("default: {default}"));
    Value::Object(object([
        ("version", "1".into()),
        ("description", description),
        ("upstream", report.upstream().map_or(Value::Null, Value::from)),
        ("default", default.into()),
        ("hide", if hide.is_empty() { Value::Null } else { hide.into() }),
        ("tools", Value::Object(tools)),
    ]))
}

/// Returns the scope of a limit. A file for one upstream counts only calls of that upstream.
fn scope(report: &ImportReport<'_>, scope: &[&str]) -> Value {
    let upstream = report.upstream().map(|_| "upstream");
    scope.iter().copied().chain(upstream).collect::<Vec<_>>().into()
}

/// Converts `hide`: a list, or `"*"` alone.
fn hidden(node: &Node, report: &mut ImportReport<'_>) -> Vec<Value> {
    if node.to_value() == "*" {
        report.mapped(node.at, "hide *", format!("hide: {}", report.qualified("*")));
        return vec!["*".into()];
    }
    let mut hidden = vec![];
    for (index, item) in report.items(node, "/hide", "`hide`").iter().enumerate() {
        let pointer = format!("/hide/{index}");
        let Some(original) = report.string(item, &pointer, "an entry of `hide`") else { continue };
        if let Some(name) = intercept::tool_name(&original, item.at, &pointer, report) {
            report.mapped(
                item.at,
                format!("hide {}", quote(&original)),
                format!("hide: {}", report.qualified(&name)),
            );
            hidden.push(name.into());
        }
    }
    hidden
}

/// Converts one tool.
fn tool(
    node: &Node,
    at: Position,
    pointer: &str,
    (source, target): (&str, &str),
    scope: &Value,
    report: &mut ImportReport<'_>,
) -> Value {
    let (mut require, mut deny_if, mut limits) = (vec![], vec![], vec![]);
    let entries = report.entries(node, pointer, "a tool");
    if entries.is_empty() {
        report.mapped(
            at,
            format!("{}: {{}}", quote(source)),
            format!("{}: listed", report.qualified(target)),
        );
    }
    for entry in entries {
        let pointer = child_pointer(pointer, &entry.key);
        let what = format!("`{}`", entry.key);
        if !TOOL_KEYS.contains(&entry.key.as_str()) {
            report.unknown_key(entry, &pointer, &TOOL_KEYS);
            continue;
        }
        for (index, item) in report.items(&entry.value, &pointer, &what).iter().enumerate() {
            let pointer = format!("{pointer}/{index}");
            let converted = match entry.key.as_str() {
                "limits" => limit(item, &pointer, scope, report).map(|limit| limits.push(limit)),
                "deny_if" => condition_group(item, &pointer, report).map(|group| {
                    if group.conditions.is_empty()
                        && group.on_deny.as_deref().is_some_and(|text| text.contains("approval"))
                    {
                        let hint = "to ask for approval, write `rules: [{action: ask}]` instead";
                        report.warn(
                            item.at,
                            &pointer,
                            "this denies every call, as in PolicyLayer, although its message \
                            mentions approval",
                            Some(hint),
                        );
                    }
                    deny_if.push(group.into_value());
                }),
                _ => condition_group(item, &pointer, report).map(|group| match &group.on_deny {
                    None => require.extend(group.conditions),
                    Some(_) => require.push(group.into_value()),
                }),
            };
            if converted.is_some() {
                report.mapped(
                    item.at,
                    format!("{}: {}[{index}]", quote(source), entry.key),
                    format!("{}: {}", report.qualified(target), entry.key),
                );
            }
        }
    }
    let list = |items: Vec<Value>| if items.is_empty() { Value::Null } else { Value::from(items) };
    Value::Object(object([
        ("require", list(require)),
        ("deny_if", list(deny_if)),
        ("limits", list(limits)),
    ]))
}

/// Conditions with the message to the caller.
struct ConditionGroup {
    conditions: Vec<Value>,
    on_deny: Option<String>,
}

impl ConditionGroup {
    fn into_value(self) -> Value {
        let mut group = Map::from_iter([("conditions".to_owned(), Value::from(self.conditions))]);
        group.extend(self.on_deny.map(|text| ("message".to_owned(), text.into())));
        Value::Object(group)
    }
}

/// Reads `{conditions, on_deny}`, or one condition alone.
fn condition_group(
    node: &Node,
    pointer: &str,
    report: &mut ImportReport<'_>,
) -> Option<ConditionGroup> {
    if node.get("path").is_some() {
        return Some(ConditionGroup {
            conditions: vec![intercept::argument_condition(node, pointer, report)?],
            on_deny: None,
        });
    }
    let (mut conditions, mut on_deny) = (None, None);
    for entry in report.entries(node, pointer, "an entry") {
        let below = child_pointer(pointer, &entry.key);
        match entry.key.as_str() {
            "conditions" => {
                let items = report.items(&entry.value, &below, "`conditions`").iter().enumerate();
                let read: Vec<_> = items
                    .map(|(at, item)| {
                        intercept::argument_condition(item, &format!("{below}/{at}"), report)
                    })
                    .collect();
                conditions = Some(read.into_iter().collect::<Option<Vec<_>>>()?);
            }
            "on_deny" => on_deny = report.string(&entry.value, &below, "`on_deny`"),
            _ => report.unknown_key(entry, pointer, &["conditions", "on_deny"]),
        }
    }
    let Some(conditions) = conditions else {
        report.error(
            node.at,
            pointer,
            "an entry needs `conditions`; an empty list means always",
            None,
        );
        return None;
    };
    Some(ConditionGroup { conditions, on_deny })
}

/// Converts a limit.
fn limit(
    node: &Node,
    pointer: &str,
    scope: &Value,
    report: &mut ImportReport<'_>,
) -> Option<Value> {
    let (mut counter, mut window, mut max, mut whose, mut on_deny) =
        (None, None, None, None, Value::Null);
    for entry in report.entries(node, pointer, "a limit") {
        let (below, value) = (child_pointer(pointer, &entry.key), &entry.value);
        match entry.key.as_str() {
            "counter" => {
                counter = report.string(value, &below, "`counter`").filter(|name| !name.is_empty())
            }
            "window" => {
                window = report.one_of(value, &below, "`window`", &["minute", "hour", "day"])
            }
            "max" => {
                max = report.number(value, &below, "`max`").and_then(serde_json::Number::as_u64)
            }
            "scope" => whose = Some(report.one_of(value, &below, "`scope`", &["grant"])?),
            "on_deny" => {
                on_deny = report.string(value, &below, "`on_deny`").map_or(Value::Null, Value::from)
            }
            _ => report.unknown_key(entry, pointer, &LIMIT_KEYS),
        }
    }
    let (Some(counter), Some(window), Some(max), Some(_)) = (counter, window, max, whose) else {
        let message =
            "a limit needs `counter`, `window`, a whole number `max` and `\"scope\": \"grant\"`";
        report.error(node.at, pointer, message, None);
        return None;
    };
    let entries = [
        ("counter", counter.into()),
        ("max", max.into()),
        ("window", window.into()),
        ("algo", "fixed".into()),
        ("scope", scope.clone()),
        ("message", on_deny),
    ];
    Some(Value::Object(object(entries)))
}
