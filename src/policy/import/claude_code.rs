//! The `permissions` of Claude Code's settings: `allow`, `ask` and `deny`. Must not know any other
//! dialect.
//!
//! In Claude Code, deny beats ask and ask beats allow, however specific each is. Only entries for
//! MCP tools are converted; those for files, the shell and the web are reported as not applicable.

use serde_json::{Map, Value, json};

use super::{
    report::{ImportReport, child_pointer, object, quote},
    tree::{Content, Node, Position},
};
use crate::policy::model::pattern::Pattern;

const LISTS: [&str; 3] = ["deny", "ask", "allow"];
const KEYS: [&str; 4] = ["allow", "ask", "deny", "defaultMode"];
/// Keys that concern files or Claude Code itself.
const NOT_APPLICABLE: [&str; 2] = ["additionalDirectories", "disableBypassPermissionsMode"];
const MODES: [&str; 5] = ["default", "acceptEdits", "plan", "dontAsk", "bypassPermissions"];

struct Entry {
    at: Position,
    pointer: String,
    action: &'static str,
    source: String,
    server: String,
    target: String,
}

/// Converts the lists.
pub(super) fn convert(root: &Node, report: &mut ImportReport<'_>) -> Value {
    let (node, top) = match root.get("permissions") {
        Some(node) => (node, "/permissions"),
        None => (root, ""),
    };
    let mut entries: Vec<Entry> = vec![];
    let mut default = "ask";
    for entry in report.entries(node, top, "`permissions`") {
        let pointer = child_pointer(top, &entry.key);
        if let Some(action) = LISTS.into_iter().find(|list| *list == entry.key) {
            for (index, item) in
                report.items(&entry.value, &pointer, &format!("`{action}`")).iter().enumerate()
            {
                entries.extend(read(item, action, format!("{pointer}/{index}"), report));
            }
        } else if entry.key == "defaultMode" {
            default = match report.one_of(&entry.value, &pointer, "`defaultMode`", &MODES) {
                Some("bypassPermissions") => "allow",
                Some("dontAsk") => "deny",
                _ => "ask",
            };
            report.mapped(
                entry.at,
                format!("defaultMode {}", entry.value.to_value()),
                format!("default: {default}"),
            );
        } else if NOT_APPLICABLE.contains(&entry.key.as_str()) {
            not_applicable(entry.at, &entry.key, report);
        } else {
            report.unknown_key(entry, top, &KEYS);
        }
    }
    if !LISTS.iter().any(|list| node.get(list).is_some()) {
        report.error(
            root.at,
            "",
            "`allow`, `ask` or `deny` is missing",
            Some("give the settings with their `permissions`"),
        );
    }
    rename(&mut entries, report);
    Value::Object(object([
        ("version", "1".into()),
        ("upstream", report.upstream().map_or(Value::Null, Value::from)),
        ("default", default.into()),
        ("tools", Value::Object(tools(&entries, report))),
    ]))
}

fn read(
    item: &Node,
    action: &'static str,
    pointer: String,
    report: &mut ImportReport<'_>,
) -> Option<Entry> {
    let Content::String(source) = &item.content else {
        report.error(
            item.at,
            &pointer,
            format!("an entry must be a string, not {}", item.type_name()),
            None,
        );
        return None;
    };
    let Some(rest) = source.strip_prefix("mcp__") else {
        not_applicable(item.at, &format!("{action} {}", quote(source)), report);
        return None;
    };
    let (server, tool) = rest.split_once("__").unwrap_or((rest, "*"));
    let partial = server.contains('*') || (tool.contains('*') && tool != "*");
    if server.is_empty() || tool.is_empty() || tool.contains('(') || partial {
        let message = format!(
            "`{}` cannot be converted: an entry must name one tool, or all tools of a server",
            quote(source)
        );
        report.unsupported(item.at, &pointer, message, Some("name each tool: `mcp__server__tool`"));
        return None;
    }
    let target = format!("{server}.{tool}");
    Some(Entry {
        at: item.at,
        pointer,
        action,
        source: source.clone(),
        server: server.to_owned(),
        target,
    })
}

/// Records an entry about something that programs cannot reach here.
fn not_applicable(at: Position, source: &str, report: &mut ImportReport<'_>) {
    report.mapped(at, source, "not applicable: programs reach nothing but tools");
}

/// Renames the single server of the entries to the upstream that was given.
fn rename(entries: &mut [Entry], report: &mut ImportReport<'_>) {
    if report.upstream().is_none() {
        return;
    }
    let first = entries.first().map(|entry| entry.server.clone());
    for entry in entries {
        if first.as_deref() != Some(&entry.server) {
            let message = format!(
                "`{}` belongs to another server than the first entry",
                quote(&entry.source)
            );
            let hint = "with `--upstream` all entries must belong to one server; without it each \
                keeps the name of its server";
            report.error(entry.at, &entry.pointer, message, Some(hint));
        }
        entry.target = entry.target[entry.server.len() + 1..].to_owned();
    }
}

fn tools(entries: &[Entry], report: &mut ImportReport<'_>) -> Map<String, Value> {
    let rank = |action: &str| LISTS.iter().position(|list| *list == action);
    let mut tools = Map::new();
    for entry in entries {
        let source = format!("{} {}", entry.action, quote(&entry.source));
        // An entry has no effect if one with precedence covers all of its tools.
        let before = entries.iter().find(|other| {
            rank(other.action) < rank(entry.action) && covers(&other.target, &entry.target)
        });
        if let Some(before) = before {
            let target =
                format!("omitted: {} {} has precedence", before.action, quote(&before.source));
            report.mapped(entry.at, source, target);
            continue;
        }
        if tools.contains_key(&entry.target) {
            report.mapped(entry.at, source, "omitted: it is a duplicate");
            continue;
        }
        report.mapped(
            entry.at,
            source,
            format!("{}: action {}", report.qualified(&entry.target), entry.action),
        );
        tools.insert(entry.target.clone(), json!({ "rules": [{ "action": entry.action }] }));
    }
    tools
}

/// Returns true if `outer` matches every tool that `inner` matches.
fn covers(outer: &str, inner: &str) -> bool {
    let parsed = Pattern::parse(outer).and_then(|outer| Ok((outer, Pattern::parse(inner)?)));
    parsed.is_ok_and(|(outer, inner)| outer.covers(&inner))
}
