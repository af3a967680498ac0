//! The `permissions` of Claude Code's settings: `allow`, `ask` and `deny`. Must not know any other
//! dialect.
//!
//! There, deny goes before ask and ask before allow, however specific each is. Only entries for MCP
//! tools mean something here; those for files, the shell and the web are told as not applicable.

use serde_json::{Map, Value, json};

use super::{
    covers,
    scribe::{Scribe, below, object, shown},
    tree::{At, Content, Node},
};

const LISTS: [&str; 3] = ["deny", "ask", "allow"];
const KEYS: [&str; 4] = ["allow", "ask", "deny", "defaultMode"];
/// What stands beside the lists and is about files or about the program itself.
const NOT_APPLICABLE: [&str; 2] = ["additionalDirectories", "disableBypassPermissionsMode"];
const MODES: [&str; 5] = ["default", "acceptEdits", "plan", "dontAsk", "bypassPermissions"];

struct Entry {
    at: At,
    pointer: String,
    action: &'static str,
    theirs: String,
    server: String,
    ours: String,
}

/// The lists as our file.
pub(super) fn convert(root: &Node, scribe: &mut Scribe<'_>) -> Value {
    let (node, top) = match root.get("permissions") {
        Some(node) => (node, "/permissions"),
        None => (root, ""),
    };
    let mut entries: Vec<Entry> = vec![];
    let mut default = "ask";
    for entry in scribe.entries(node, top, "`permissions`") {
        let pointer = below(top, &entry.key);
        if let Some(action) = LISTS.into_iter().find(|list| *list == entry.key) {
            for (index, item) in
                scribe.items(&entry.value, &pointer, &format!("`{action}`")).iter().enumerate()
            {
                entries.extend(read(item, action, format!("{pointer}/{index}"), scribe));
            }
        } else if entry.key == "defaultMode" {
            default = match scribe.word(&entry.value, &pointer, "`defaultMode`", &MODES) {
                Some("bypassPermissions") => "allow",
                Some("dontAsk") => "deny",
                _ => "ask",
            };
            scribe.carried(
                entry.at,
                format!("defaultMode {}", entry.value.to_value()),
                format!("default: {default}"),
            );
        } else if NOT_APPLICABLE.contains(&entry.key.as_str()) {
            not_applicable(entry.at, &entry.key, scribe);
        } else {
            scribe.unknown_key(entry, top, &KEYS);
        }
    }
    if !LISTS.iter().any(|list| node.get(list).is_some()) {
        scribe.error(
            root.at,
            "",
            "there is no `allow`, `ask` or `deny`",
            Some("give the settings with their `permissions`"),
        );
    }
    rename(&mut entries, scribe);
    Value::Object(object([
        ("version", "1".into()),
        ("upstream", scribe.upstream().map_or(Value::Null, Value::from)),
        ("default", default.into()),
        ("tools", Value::Object(tools(&entries, scribe))),
    ]))
}

fn read(
    item: &Node,
    action: &'static str,
    pointer: String,
    scribe: &mut Scribe<'_>,
) -> Option<Entry> {
    let Content::Text(theirs) = &item.content else {
        scribe.error(
            item.at,
            &pointer,
            format!("an entry must be a text, not {}", item.kind()),
            None,
        );
        return None;
    };
    let Some(rest) = theirs.strip_prefix("mcp__") else {
        not_applicable(item.at, &format!("{action} {}", shown(theirs)), scribe);
        return None;
    };
    let (server, tool) = rest.split_once("__").unwrap_or((rest, "*"));
    let partial = server.contains('*') || (tool.contains('*') && tool != "*");
    if server.is_empty() || tool.is_empty() || tool.contains('(') || partial {
        let message = format!(
            "`{}` cannot be a pattern here: a tool is named whole, or all of a server",
            shown(theirs)
        );
        scribe.lost(item.at, &pointer, message, Some("name each tool: `mcp__server__tool`"));
        return None;
    }
    let ours = format!("{server}.{tool}");
    Some(Entry {
        at: item.at,
        pointer,
        action,
        theirs: theirs.clone(),
        server: server.to_owned(),
        ours,
    })
}

/// An entry that speaks of what a program here cannot reach anyway.
fn not_applicable(at: At, theirs: &str, scribe: &mut Scribe<'_>) {
    scribe.carried(at, theirs, "not applicable: programs reach nothing but tools");
}

/// Takes the one server of the entries for the upstream that was given.
fn rename(entries: &mut [Entry], scribe: &mut Scribe<'_>) {
    if scribe.upstream().is_none() {
        return;
    }
    let first = entries.first().map(|entry| entry.server.clone());
    for entry in entries {
        if first.as_deref() != Some(&entry.server) {
            let message =
                format!("`{}` is of another server than the first entry", shown(&entry.theirs));
            let hint = "with `--upstream` all entries must be of one server; without it each \
                keeps its server's name";
            scribe.error(entry.at, &entry.pointer, message, Some(hint));
        }
        entry.ours = entry.ours[entry.server.len() + 1..].to_owned();
    }
}

fn tools(entries: &[Entry], scribe: &mut Scribe<'_>) -> Map<String, Value> {
    let rank = |action: &str| LISTS.iter().position(|list| *list == action);
    let mut tools = Map::new();
    for entry in entries {
        let theirs = format!("{} {}", entry.action, shown(&entry.theirs));
        // What goes before it for each of its tools makes it mean nothing.
        let before = entries.iter().find(|other| {
            rank(other.action) < rank(entry.action) && covers(&other.ours, &entry.ours)
        });
        if let Some(before) = before {
            let ours =
                format!("left out: {} {} goes before it", before.action, shown(&before.theirs));
            scribe.carried(entry.at, theirs, ours);
            continue;
        }
        if tools.contains_key(&entry.ours) {
            scribe.carried(entry.at, theirs, "left out: it stands there twice");
            continue;
        }
        scribe.carried(
            entry.at,
            theirs,
            format!("{}: action {}", scribe.told(&entry.ours), entry.action),
        );
        tools.insert(entry.ours.clone(), json!({ "rules": [{ "action": entry.action }] }));
    }
    tools
}
