//! Intercept's YAML: the documented form of `POLICY.md` with what later releases added, and the
//! form that PolicyLayer's website prints. Must not know any other dialect.
//!
//! Its own reading drops unknown keys; this one names them. A rule's conditions become `require`
//! where the rule evaluates and `when` where it denies or asks; a `state` with its own `lt` or
//! `lte` becomes a limit.

mod limit;
mod rule;

use serde_json::{Map, Value, json};

use super::{
    scribe::{Scribe, below, object, shown},
    tree::{At, Content, Entry, Node},
};

const TOP_KEYS: [&str; 6] = ["version", "description", "default", "hide", "tools", "approvals"];

/// What rules of a tool must know of it.
struct Tool<'a> {
    /// Its name in the file.
    theirs: &'a str,
    /// Its address here.
    ours: &'a str,
    /// Where its counters count, beside the workspace: for each tool, or for all of the file.
    counts_in: Vec<&'static str>,
}

/// The file as ours.
pub(super) fn convert(root: &Node, scribe: &mut Scribe<'_>) -> Value {
    let entries = scribe.entries(root, "", "the file");
    if entries.is_empty() {
        scribe.error(root.at, "", "the file is empty", Some("a policy has `tools`"));
    }
    let mut default = json!("allow");
    let mut default_at = None;
    let (mut description, mut hide, mut tools) = (Value::Null, vec![], Map::new());
    let denies = root.get("default").is_some_and(|node| node.to_value() == "deny");
    for entry in entries {
        let Entry { key, at, value } = entry;
        let pointer = below("", key);
        match key.as_str() {
            "version" => drop(scribe.word(value, &pointer, "`version`", &["1"])),
            "description" => {
                description =
                    scribe.text(value, &pointer, "`description`").map_or(Value::Null, Value::from)
            }
            "default" => {
                default_at = Some(*at);
                if let Some(word) = scribe.word(value, &pointer, "`default`", &["allow", "deny"]) {
                    default = word.into();
                }
            }
            "hide" => hide = hidden(value, scribe),
            "tools" => tools = tools_of(value, denies, scribe),
            "approvals" => scribe.lost(
                *at,
                &pointer,
                "`approvals` says where Intercept tells of approvals; that is no part of a policy \
                here",
                Some("approvals are decided with `airlock approvals`"),
            ),
            _ => scribe.unknown_key(entry, "", &TOP_KEYS),
        }
    }
    let at = default_at.unwrap_or(root.at);
    let written = if default_at.is_some() {
        format!("default: {}", text(&default))
    } else {
        "no `default`, which is allow".into()
    };
    scribe.carried(at, written, format!("default: {}", text(&default)));
    Value::Object(object([
        ("version", "1".into()),
        ("description", description),
        ("upstream", scribe.upstream().map_or(Value::Null, Value::from)),
        ("default", default),
        ("hide", if hide.is_empty() { Value::Null } else { hide.into() }),
        ("tools", Value::Object(tools)),
    ]))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn hidden(node: &Node, scribe: &mut Scribe<'_>) -> Vec<Value> {
    let mut hidden: Vec<Value> = vec![];
    for (index, item) in scribe.items(node, "/hide", "`hide`").iter().enumerate() {
        let pointer = format!("/hide/{index}");
        let Some(name) = scribe.text(item, &pointer, "an entry of `hide`") else { continue };
        let Some(address) = address(&name, item.at, &pointer, scribe) else { continue };
        if hidden.iter().any(|other| *other == address.as_str()) {
            scribe.error(
                item.at,
                &pointer,
                format!("`{}` stands twice in `hide`", shown(&name)),
                None,
            );
            continue;
        }
        scribe.carried(
            item.at,
            format!("hide {}", shown(&name)),
            format!("hide: {}", scribe.told(&address)),
        );
        hidden.push(address.into());
    }
    hidden
}

/// The name of a tool as our file writes it. A file that is bound to an upstream has names of that
/// upstream, others have addresses.
pub(super) fn address(
    name: &str,
    at: At,
    pointer: &str,
    scribe: &mut Scribe<'_>,
) -> Option<String> {
    if name == "*" {
        return Some("*".into());
    }
    if name.trim().is_empty() {
        scribe.error(at, pointer, "the name of a tool must not be empty", None);
        return None;
    }
    if name.contains('*') {
        let hint =
            "name each tool, or write a pattern of whole segments after the import: `upstream.*`";
        let message = format!(
            "`{}` names no tool: names are exact there, so this never matched",
            shown(name)
        );
        scribe.lost(at, pointer, message, Some(hint));
        return None;
    }
    match scribe.upstream() {
        None if !name.contains('.') => {
            let hint = "say whose tools these are: `--upstream NAME`";
            scribe.error(
                at,
                pointer,
                format!("`{}` does not say which upstream has it", shown(name)),
                Some(hint),
            );
            None
        }
        _ => Some(name.to_owned()),
    }
}

fn tools_of(node: &Node, denies: bool, scribe: &mut Scribe<'_>) -> Map<String, Value> {
    let mut tools = Map::new();
    for Entry { key, at, value } in scribe.entries(node, "/tools", "`tools`") {
        let pointer = below("/tools", key);
        let Some(ours) = address(key, *at, &pointer, scribe) else { continue };
        let counts_in = match (ours.as_str(), scribe.upstream()) {
            ("*", Some(_)) => vec!["workspace", "upstream"],
            ("*", None) => vec!["workspace"],
            _ => vec!["workspace", "tool"],
        };
        let tool = Tool { theirs: key, ours: &ours, counts_in };
        let mut made = tool_of(value, *at, &pointer, &tool, scribe);
        if denies && ours != "*" {
            list(&mut made);
        }
        tools.insert(ours, made);
    }
    tools
}

/// Under `default: deny` a listed tool is allowed where its rules do not say otherwise. Here an
/// entry that answers itself, if only sometimes, is no mere guard, so it says that it allows the
/// rest.
fn list(entry: &mut Value) {
    let Some(rules) = entry["rules"].as_array_mut() else { return };
    if rules.iter().any(|rule| rule["action"] == "ask" && rule.get("when").is_some()) {
        rules.push(json!({ "name": "listed", "action": "allow" }));
    }
}

fn tool_of(node: &Node, at: At, pointer: &str, tool: &Tool<'_>, scribe: &mut Scribe<'_>) -> Value {
    let (mut rules, mut schemas) = (vec![], vec![]);
    let mut counters: Vec<(String, usize)> = vec![];
    for entry in scribe.entries(node, pointer, "a tool") {
        if entry.key != "rules" {
            scribe.unknown_key(entry, pointer, &["rules"]);
            continue;
        }
        let pointer = below(pointer, "rules");
        for (index, item) in scribe.items(&entry.value, &pointer, "`rules`").iter().enumerate() {
            let pointer = format!("{pointer}/{index}");
            let Some(made) = rule::convert(item, index, &pointer, tool, scribe) else { continue };
            if let Some(counter) = made.counter {
                if let Some((_, before)) = counters.iter().find(|(name, _)| *name == counter) {
                    let message = format!(
                        "the counter `{counter}` is used by rules[{before}] of this tool already"
                    );
                    scribe.error(
                        item.at,
                        &pointer,
                        message,
                        Some("give each rule a counter or a window of its own"),
                    );
                }
                counters.push((counter, index));
            }
            schemas.extend(made.schema);
            rules.extend(made.rule.map(Value::Object));
        }
    }
    if rules.is_empty() && schemas.is_empty() {
        scribe.carried(
            at,
            format!("{}: no rules", shown(tool.theirs)),
            format!("{}: listed", scribe.told(tool.ours)),
        );
    }
    let schema = match schemas.len() {
        0 => Value::Null,
        1 => schemas.remove(0),
        _ => json!({ "allOf": schemas }),
    };
    let mut made = object([("args", schema)]);
    made.insert("rules".into(), rules.into());
    Value::Object(made)
}

/// A condition on arguments, checked; PolicyLayer writes them the same way.
pub(super) fn argument_condition(
    node: &Node,
    pointer: &str,
    scribe: &mut Scribe<'_>,
) -> Option<Value> {
    rule::argument_condition(node, pointer, scribe)
}

/// Whether a part is a mapping: the website writes `rate_limit` as one.
fn is_mapping(node: &Node) -> bool {
    matches!(node.content, Content::Map(_))
}
