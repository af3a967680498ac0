//! Executor's rows `{owner, pattern, action, position}`. Must not know any other dialect.
//!
//! In Executor, the first matching row of an owner decides, and the stricter of two owners wins.
//! Here, the most specific pattern decides and deny always wins; two layers combine as their owners
//! did. If the order of rows has a meaning that patterns cannot express, the import reports it.

use serde_json::{Map, Value, json};

use super::{
    report::{ImportReport, object, quote},
    tree::{Content, Node, Position},
};
use crate::policy::model::pattern::Pattern;

const KEYS: [&str; 4] = ["owner", "pattern", "action", "position"];
/// Keys that a database adds to a row.
const IGNORED_KEYS: [&str; 5] = ["id", "createdAt", "updatedAt", "created_at", "updated_at"];
const OWNERS: [&str; 2] = ["org", "user"];
const ACTIONS: [&str; 3] = ["approve", "require_approval", "block"];
/// Keys under which the rows may be.
const ROW_KEYS: [&str; 3] = ["policies", "rows", "items"];

/// Converted row.
struct Row {
    at: Position,
    pointer: String,
    owner: &'static str,
    source: String,
    target: String,
    pattern: Pattern,
    action: &'static str,
    position: Option<SortKey>,
}

/// Position of a row among the rows of its owner.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
enum SortKey {
    Number(f64),
    /// Key with string order.
    String(String),
}

/// Converts the rows to one file for each owner that has any.
pub(super) fn convert(root: &Node, report: &mut ImportReport<'_>) -> Vec<(&'static str, Value)> {
    let list = ROW_KEYS.iter().find_map(|key| root.get(key)).unwrap_or(root);
    let items = report.items(list, "", "the file, or its `policies`,").iter().enumerate();
    let mut rows: Vec<_> =
        items.filter_map(|(at, item)| row(item, format!("/{at}"), report)).collect();
    same_integration(&rows, report);
    let positions = rows.iter().filter(|row| row.position.is_some()).count();
    if positions != 0 && positions != rows.len() {
        let row = rows.iter().find(|row| row.position.is_none()).expect("not every row has one");
        report.error(
            row.at,
            &row.pointer,
            "some rows have a `position`, but this one does not",
            None,
        );
    }
    // The sort is stable: rows without positions, or with equal ones, keep the order of the file.
    rows.sort_by(|a, b| a.position.partial_cmp(&b.position).unwrap_or(std::cmp::Ordering::Equal));
    let mut layers = vec![];
    for owner in OWNERS {
        let own: Vec<&Row> = rows.iter().filter(|row| row.owner == owner).collect();
        if !own.is_empty() {
            layers.push((owner, layer(&own, report)));
        }
    }
    if layers.is_empty() {
        report.error(
            root.at,
            "",
            "the file has no rows",
            Some("a row is `{owner, pattern, action, position}`"),
        );
    }
    layers
}

fn row(node: &Node, pointer: String, report: &mut ImportReport<'_>) -> Option<Row> {
    let (mut owner, mut pattern, mut action, mut position) = (None, None, None, None);
    for entry in report.entries(node, &pointer, "a row") {
        let value = &entry.value;
        match entry.key.as_str() {
            "owner" => owner = Some(report.one_of(value, &pointer, "`owner`", &OWNERS)?),
            "pattern" => pattern = report.string(value, &pointer, "`pattern`"),
            "action" => action = Some(report.one_of(value, &pointer, "`action`", &ACTIONS)?),
            "position" => match &value.content {
                Content::Number(number) => position = number.as_f64().map(SortKey::Number),
                Content::String(text) => position = Some(SortKey::String(text.clone())),
                _ => report.error(
                    value.at,
                    &pointer,
                    "`position` must be a number or a string",
                    None,
                ),
            },
            key if IGNORED_KEYS.contains(&key) => {}
            _ => report.unknown_key(entry, &pointer, &KEYS),
        }
    }
    let (Some(owner), Some(source), Some(action)) = (owner, pattern, action) else {
        report.error(node.at, &pointer, "a row needs `owner`, `pattern` and `action`", None);
        return None;
    };
    let target = tool_pattern(&source, node.at, &pointer, action, report)?;
    let pattern = Pattern::parse(&target)
        .map_err(|error| report.error(node.at, &pointer, error.to_string(), None))
        .ok()?;
    let action = match action {
        "approve" => "allow",
        "require_approval" => "ask",
        _ => "deny",
    };
    Some(Row { at: node.at, pointer, owner, source, target, pattern, action, position })
}

/// Converts a pattern over `integration.owner.connection.tool` to one over `upstream.tool`.
fn tool_pattern(
    source: &str,
    at: Position,
    pointer: &str,
    action: &str,
    report: &mut ImportReport<'_>,
) -> Option<String> {
    let segments: Vec<&str> = source.split('.').collect();
    let partial = segments
        .iter()
        .any(|segment| segment.is_empty() || (*segment != "*" && segment.contains('*')));
    if partial || (segments[0] == "*" && segments.len() > 1) {
        let message = format!(
            "`{}` is not a pattern: `*` must be a whole segment, and not the first of several",
            quote(source)
        );
        report.error(at, pointer, message, None);
        return None;
    }
    let mut kept = segments.clone();
    if segments.len() >= 4 && OWNERS.contains(&segments[1]) {
        let connection = segments[2];
        kept.drain(1..3);
        if connection != "*" && report.upstream().is_none() {
            let message = format!(
                "`{}` is for one connection, `{}`; here it would be for all of `{}`",
                quote(source),
                quote(connection),
                quote(segments[0])
            );
            let hint = "import the rows of one connection with `--upstream NAME`, its name here";
            // Denying more is inconvenient; allowing more would be unsafe.
            if action == "approve" {
                report.error(at, pointer, message, Some(hint));
                return None;
            }
            report.unsupported(at, pointer, message, Some(hint));
        }
    }
    // A file for one upstream has tool names of that upstream.
    if report.upstream().is_some() && kept.len() > 1 {
        kept.remove(0);
    }
    Some(kept.join("."))
}

/// Checks that rows that become the file of one upstream belong to one integration.
fn same_integration(rows: &[Row], report: &mut ImportReport<'_>) {
    if report.upstream().is_none() {
        return;
    }
    let integration = |row: &Row| row.source.split('.').next().unwrap_or_default().to_owned();
    let named: Vec<&Row> = rows.iter().filter(|row| row.source != "*").collect();
    for row in named.iter().filter(|row| integration(row) != integration(named[0])) {
        let message = format!(
            "`{}` belongs to another integration than `{}`",
            quote(&row.source),
            quote(&named[0].source)
        );
        let hint = "with `--upstream` all rows must belong to one integration; without it each \
            keeps its own name";
        report.error(row.at, &row.pointer, message, Some(hint));
    }
}

/// Converts the rows of one owner, in their order, to a file. The file has no default: the server's
/// profile decides about tools that no row names, as Executor did by what it knew of the tool.
fn layer(rows: &[&Row], report: &mut ImportReport<'_>) -> Value {
    let mut tools: Map<String, Value> = Map::new();
    let mut kept: Vec<&Row> = vec![];
    for row in rows {
        if let Some(before) = kept.iter().find(|before| before.pattern.covers(&row.pattern)) {
            let target = format!("omitted: `{}` before it decides for all of these", before.source);
            report.mapped(
                row.at,
                format!("{} {} {}", row.owner, executor_action(row.action), quote(&row.source)),
                target,
            );
            continue;
        }
        for before in kept.iter().filter(|before| overlaps(&before.target, &row.target)) {
            check_order(before, row, report);
        }
        kept.push(row);
        report.mapped(
            row.at,
            format!("{} {} {}", row.owner, executor_action(row.action), quote(&row.source)),
            format!("{}: action {}", report.qualified(&row.target), row.action),
        );
        tools.insert(row.target.clone(), json!({ "rules": [{ "action": row.action }] }));
    }
    Value::Object(object([
        ("version", "1".into()),
        ("upstream", report.upstream().map_or(Value::Null, Value::from)),
        ("tools", Value::Object(tools)),
    ]))
}

fn executor_action(action: &str) -> &'static str {
    match action {
        "allow" => "approve",
        "ask" => "require_approval",
        _ => "block",
    }
}

/// Checks that the first of two overlapping rows still decides for the tools that they share.
fn check_order(before: &Row, row: &Row, report: &mut ImportReport<'_>) {
    if before.action == row.action || before.action == "deny" {
        return;
    }
    let (first, second) = (quote(&before.source), quote(&row.source));
    if row.action == "deny" {
        let message =
            format!("`{first}` precedes `{second}` as an exception; here deny always wins");
        report.unsupported(
            row.at,
            &row.pointer,
            message,
            Some("block only the tools that are not part of the exception"),
        );
    } else if !row.pattern.covers(&before.pattern)
        || before.pattern.cmp_specificity(&row.pattern).is_le()
    {
        let message = format!(
            "`{first}` precedes `{second}`, and neither is more specific; here the stricter one \
            decides"
        );
        report.unsupported(
            row.at,
            &row.pointer,
            message,
            Some("split one of them so that they share no tool"),
        );
    }
}

/// Returns true if a tool can match both patterns.
fn overlaps(one: &str, other: &str) -> bool {
    let (one, other): (Vec<_>, Vec<_>) = (one.split('.').collect(), other.split('.').collect());
    segments_overlap(&one, &other)
}

fn segments_overlap(one: &[&str], other: &[&str]) -> bool {
    match (one, other) {
        (["*"], rest) | (rest, ["*"]) => !rest.is_empty(),
        ([], []) => true,
        ([a, one @ ..], [b, other @ ..]) if *a == "*" || *b == "*" || a == b => {
            segments_overlap(one, other)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::overlaps;

    #[test]
    fn patterns_overlap_if_a_tool_can_match_both() {
        for (one, other) in
            [("*", "a.b"), ("a.*", "a.b.c"), ("a.*.c", "a.b.*"), ("a.b", "a.b"), ("a.*", "a.*.c")]
        {
            assert!(overlaps(one, other) && overlaps(other, one), "{one} {other}");
        }
        for (one, other) in [("a.b", "a.c"), ("a.*.c", "a.b.d"), ("a", "a.*"), ("a.*", "b.*")] {
            assert!(!overlaps(one, other) && !overlaps(other, one), "{one} {other}");
        }
    }
}
