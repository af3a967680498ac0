//! PolicyLayer's JSON document. Must not know any other dialect.
//!
//! The words are our own: `require`, `deny_if`, `limits`. What differs is whose calls a limit
//! counts (`grant` there, the principal here) and that `all_tools` is the pattern `*`.

use serde_json::{Map, Value, json};

use super::{
    intercept,
    scribe::{Scribe, below, object, shown},
    tree::{At, Entry, Node},
};

const TOP_KEYS: [&str; 7] =
    ["version", "name", "description", "default", "hide", "all_tools", "tools"];
const TOOL_KEYS: [&str; 3] = ["require", "deny_if", "limits"];
const LIMIT_KEYS: [&str; 5] = ["counter", "window", "max", "scope", "on_deny"];

/// The document as our file.
pub(super) fn convert(root: &Node, scribe: &mut Scribe<'_>) -> Value {
    let (mut default, mut description, mut hide, mut tools) =
        (None, Value::Null, vec![], Map::new());
    for entry in scribe.entries(root, "", "the document") {
        let Entry { key, at, value } = entry;
        let pointer = below("", key);
        match key.as_str() {
            "version" => drop(scribe.word(value, &pointer, "`version`", &["1"])),
            "name" | "description" => {
                description =
                    scribe.text(value, &pointer, "`description`").map_or(description, Value::from);
            }
            "default" => default = scribe.word(value, &pointer, "`default`", &["allow", "deny"]),
            "hide" => hide = hidden(value, scribe),
            "all_tools" => {
                let scope = scope(scribe, &["principal"]);
                let made = tool(value, *at, &pointer, ("all_tools", "*"), &scope, scribe);
                tools.insert("*".into(), made);
            }
            "tools" => {
                for Entry { key, at, value } in scribe.entries(value, &pointer, "`tools`") {
                    let pointer = below(&pointer, key);
                    let Some(address) = intercept::address(key, *at, &pointer, scribe) else {
                        continue;
                    };
                    let scope = json!(["principal", "tool"]);
                    let made = tool(value, *at, &pointer, (key, &address), &scope, scribe);
                    tools.insert(address, made);
                }
            }
            _ => scribe.unknown_key(entry, "", &TOP_KEYS),
        }
    }
    let default = default.unwrap_or_else(|| {
        let hint =
            "write `\"default\": \"deny\"` or `\"default\": \"allow\"`; deny is taken otherwise";
        scribe.lost(root.at, "", "the document has no `default`", Some(hint));
        "deny"
    });
    scribe.carried(root.at, format!("default {default}"), format!("default: {default}"));
    Value::Object(object([
        ("version", "1".into()),
        ("description", description),
        ("upstream", scribe.upstream().map_or(Value::Null, Value::from)),
        ("default", default.into()),
        ("hide", if hide.is_empty() { Value::Null } else { hide.into() }),
        ("tools", Value::Object(tools)),
    ]))
}

/// Whose calls a limit counts; a file of one upstream counts there.
fn scope(scribe: &Scribe<'_>, scope: &[&str]) -> Value {
    let upstream = scribe.upstream().map(|_| "upstream");
    scope.iter().copied().chain(upstream).collect::<Vec<_>>().into()
}

/// `hide` is a list, or `"*"` alone.
fn hidden(node: &Node, scribe: &mut Scribe<'_>) -> Vec<Value> {
    if node.to_value() == "*" {
        scribe.carried(node.at, "hide *", format!("hide: {}", scribe.told("*")));
        return vec!["*".into()];
    }
    let mut hidden = vec![];
    for (index, item) in scribe.items(node, "/hide", "`hide`").iter().enumerate() {
        let pointer = format!("/hide/{index}");
        let Some(name) = scribe.text(item, &pointer, "an entry of `hide`") else { continue };
        if let Some(address) = intercept::address(&name, item.at, &pointer, scribe) {
            scribe.carried(
                item.at,
                format!("hide {}", shown(&name)),
                format!("hide: {}", scribe.told(&address)),
            );
            hidden.push(address.into());
        }
    }
    hidden
}

fn tool(
    node: &Node,
    at: At,
    pointer: &str,
    (theirs, ours): (&str, &str),
    scope: &Value,
    scribe: &mut Scribe<'_>,
) -> Value {
    let (mut require, mut deny_if, mut limits) = (vec![], vec![], vec![]);
    let entries = scribe.entries(node, pointer, "a tool");
    if entries.is_empty() {
        scribe.carried(
            at,
            format!("{}: {{}}", shown(theirs)),
            format!("{}: listed", scribe.told(ours)),
        );
    }
    for entry in entries {
        let pointer = below(pointer, &entry.key);
        let what = format!("`{}`", entry.key);
        if !TOOL_KEYS.contains(&entry.key.as_str()) {
            scribe.unknown_key(entry, &pointer, &TOOL_KEYS);
            continue;
        }
        for (index, item) in scribe.items(&entry.value, &pointer, &what).iter().enumerate() {
            let pointer = format!("{pointer}/{index}");
            let told = match entry.key.as_str() {
                "limits" => limit(item, &pointer, scope, scribe).map(|made| limits.push(made)),
                "deny_if" => guarded(item, &pointer, scribe).map(|guarded| {
                    if guarded.conditions.is_empty()
                        && guarded.on_deny.as_deref().is_some_and(|text| text.contains("approval"))
                    {
                        let hint = "for a real approval write `rules: [{action: ask}]` instead";
                        scribe.warn(
                            item.at,
                            &pointer,
                            "this refuses every call, as PolicyLayer does, whatever its text says",
                            Some(hint),
                        );
                    }
                    deny_if.push(guarded.made());
                }),
                _ => guarded(item, &pointer, scribe).map(|guarded| match &guarded.on_deny {
                    None => require.extend(guarded.conditions),
                    Some(_) => require.push(guarded.made()),
                }),
            };
            if told.is_some() {
                scribe.carried(
                    item.at,
                    format!("{}: {}[{index}]", shown(theirs), entry.key),
                    format!("{}: {}", scribe.told(ours), entry.key),
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

/// Conditions and the text for the agent.
struct Guarded {
    conditions: Vec<Value>,
    on_deny: Option<String>,
}

impl Guarded {
    fn made(self) -> Value {
        let mut made = Map::from_iter([("conditions".to_owned(), Value::from(self.conditions))]);
        made.extend(self.on_deny.map(|text| ("message".to_owned(), text.into())));
        Value::Object(made)
    }
}

/// `{conditions, on_deny}`, or one condition alone.
fn guarded(node: &Node, pointer: &str, scribe: &mut Scribe<'_>) -> Option<Guarded> {
    if node.get("path").is_some() {
        return Some(Guarded {
            conditions: vec![intercept::argument_condition(node, pointer, scribe)?],
            on_deny: None,
        });
    }
    let (mut conditions, mut on_deny) = (None, None);
    for entry in scribe.entries(node, pointer, "an entry") {
        let below = below(pointer, &entry.key);
        match entry.key.as_str() {
            "conditions" => {
                let items = scribe.items(&entry.value, &below, "`conditions`").iter().enumerate();
                let read: Vec<_> = items
                    .map(|(at, item)| {
                        intercept::argument_condition(item, &format!("{below}/{at}"), scribe)
                    })
                    .collect();
                conditions = Some(read.into_iter().collect::<Option<Vec<_>>>()?);
            }
            "on_deny" => on_deny = scribe.text(&entry.value, &below, "`on_deny`"),
            _ => scribe.unknown_key(entry, pointer, &["conditions", "on_deny"]),
        }
    }
    let Some(conditions) = conditions else {
        scribe.error(
            node.at,
            pointer,
            "an entry needs `conditions`; an empty list means always",
            None,
        );
        return None;
    };
    Some(Guarded { conditions, on_deny })
}

fn limit(node: &Node, pointer: &str, scope: &Value, scribe: &mut Scribe<'_>) -> Option<Value> {
    let (mut counter, mut window, mut max, mut whose, mut on_deny) =
        (None, None, None, None, Value::Null);
    for entry in scribe.entries(node, pointer, "a limit") {
        let (below, value) = (below(pointer, &entry.key), &entry.value);
        match entry.key.as_str() {
            "counter" => {
                counter = scribe.text(value, &below, "`counter`").filter(|name| !name.is_empty())
            }
            "window" => window = scribe.word(value, &below, "`window`", &["minute", "hour", "day"]),
            "max" => {
                max = scribe.number(value, &below, "`max`").and_then(serde_json::Number::as_u64)
            }
            "scope" => whose = Some(scribe.word(value, &below, "`scope`", &["grant"])?),
            "on_deny" => {
                on_deny = scribe.text(value, &below, "`on_deny`").map_or(Value::Null, Value::from)
            }
            _ => scribe.unknown_key(entry, pointer, &LIMIT_KEYS),
        }
    }
    let (Some(counter), Some(window), Some(max), Some(_)) = (counter, window, max, whose) else {
        let message = "a limit needs `counter`, `window`, a whole `max` and `\"scope\": \"grant\"`";
        scribe.error(node.at, pointer, message, None);
        return None;
    };
    let made = [
        ("counter", counter.into()),
        ("max", max.into()),
        ("window", window.into()),
        ("algo", "fixed".into()),
        ("scope", scope.clone()),
        ("message", on_deny),
    ];
    Some(Value::Object(object(made)))
}
