//! Executor's rows `{owner, pattern, action, position}`. Must not know any other dialect.
//!
//! There, the first row of an owner that matches speaks, and the more restrictive of two owners
//! wins. Here, the most specific pattern speaks and a deny always wins; two layers join as their
//! owners did. Where the order of rows says something that patterns cannot say, the import says so.

use serde_json::{Map, Value, json};

use super::{
    scribe::{Scribe, object, shown},
    tree::{At, Content, Node},
};
use crate::policy::Pattern;

const KEYS: [&str; 4] = ["owner", "pattern", "action", "position"];
/// What a database adds to a row and what says nothing about tools.
const MEANINGLESS_KEYS: [&str; 5] = ["id", "createdAt", "updatedAt", "created_at", "updated_at"];
const OWNERS: [&str; 2] = ["org", "user"];
const ACTIONS: [&str; 3] = ["approve", "require_approval", "block"];
/// Where the rows may stand when they are not the whole file.
const ROW_KEYS: [&str; 3] = ["policies", "rows", "items"];

/// A row as ours.
struct Row {
    at: At,
    pointer: String,
    owner: &'static str,
    theirs: String,
    ours: String,
    pattern: Pattern,
    action: &'static str,
    position: Option<Position>,
}

/// Where a row stands among its owner's.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
enum Position {
    Number(f64),
    /// A key that sorts as text.
    Text(String),
}

/// One file for each owner that has rows.
pub(super) fn convert(root: &Node, scribe: &mut Scribe<'_>) -> Vec<(&'static str, Value)> {
    let list = ROW_KEYS.iter().find_map(|key| root.get(key)).unwrap_or(root);
    let items = scribe.items(list, "", "the file, or its `policies`,").iter().enumerate();
    let mut rows: Vec<_> =
        items.filter_map(|(at, item)| row(item, format!("/{at}"), scribe)).collect();
    same_integration(&rows, scribe);
    let positions = rows.iter().filter(|row| row.position.is_some()).count();
    if positions != 0 && positions != rows.len() {
        let row = rows.iter().find(|row| row.position.is_none()).expect("not every row has one");
        scribe.error(
            row.at,
            &row.pointer,
            "some rows have a `position` and this one has none",
            None,
        );
    }
    // Stable: rows without positions, or with equal ones, keep the order of the file.
    rows.sort_by(|a, b| a.position.partial_cmp(&b.position).unwrap_or(std::cmp::Ordering::Equal));
    let mut layers = vec![];
    for owner in OWNERS {
        let own: Vec<&Row> = rows.iter().filter(|row| row.owner == owner).collect();
        if !own.is_empty() {
            layers.push((owner, layer(&own, scribe)));
        }
    }
    if layers.is_empty() {
        scribe.error(
            root.at,
            "",
            "the file has no rows",
            Some("a row is `{owner, pattern, action, position}`"),
        );
    }
    layers
}

fn row(node: &Node, pointer: String, scribe: &mut Scribe<'_>) -> Option<Row> {
    let (mut owner, mut pattern, mut action, mut position) = (None, None, None, None);
    for entry in scribe.entries(node, &pointer, "a row") {
        let value = &entry.value;
        match entry.key.as_str() {
            "owner" => owner = Some(scribe.word(value, &pointer, "`owner`", &OWNERS)?),
            "pattern" => pattern = scribe.text(value, &pointer, "`pattern`"),
            "action" => action = Some(scribe.word(value, &pointer, "`action`", &ACTIONS)?),
            "position" => match &value.content {
                Content::Number(number) => position = number.as_f64().map(Position::Number),
                Content::Text(text) => position = Some(Position::Text(text.clone())),
                _ => scribe.error(
                    value.at,
                    &pointer,
                    "`position` must be a number or a text that sorts",
                    None,
                ),
            },
            key if MEANINGLESS_KEYS.contains(&key) => {}
            _ => scribe.unknown_key(entry, &pointer, &KEYS),
        }
    }
    let (Some(owner), Some(theirs), Some(action)) = (owner, pattern, action) else {
        scribe.error(node.at, &pointer, "a row needs `owner`, `pattern` and `action`", None);
        return None;
    };
    let ours = address(&theirs, node.at, &pointer, action, scribe)?;
    let pattern = Pattern::parse(&ours)
        .map_err(|error| scribe.error(node.at, &pointer, error.to_string(), None))
        .ok()?;
    let action = match action {
        "approve" => "allow",
        "require_approval" => "ask",
        _ => "deny",
    };
    Some(Row { at: node.at, pointer, owner, theirs, ours, pattern, action, position })
}

/// A pattern over `integration.owner.connection.tool` as one over `upstream.tool`.
fn address(
    theirs: &str,
    at: At,
    pointer: &str,
    action: &str,
    scribe: &mut Scribe<'_>,
) -> Option<String> {
    let segments: Vec<&str> = theirs.split('.').collect();
    let partial = segments
        .iter()
        .any(|segment| segment.is_empty() || (*segment != "*" && segment.contains('*')));
    if partial || (segments[0] == "*" && segments.len() > 1) {
        let message = format!(
            "`{}` is no pattern: `*` stands for whole segments, and not for the first of several",
            shown(theirs)
        );
        scribe.error(at, pointer, message, None);
        return None;
    }
    let mut kept = segments.clone();
    if segments.len() >= 4 && OWNERS.contains(&segments[1]) {
        let connection = segments[2];
        kept.drain(1..3);
        if connection != "*" && scribe.upstream().is_none() {
            let message = format!(
                "`{}` speaks of one connection, `{}`; here it would speak of all of `{}`",
                shown(theirs),
                shown(connection),
                shown(segments[0])
            );
            let hint =
                "import the rows of one connection with `--upstream NAME`, the name it has here";
            // More refusals than there were are a matter of comfort; more permission is not.
            if action == "approve" {
                scribe.error(at, pointer, message, Some(hint));
                return None;
            }
            scribe.lost(at, pointer, message, Some(hint));
        }
    }
    // The file of one upstream has names of that upstream.
    if scribe.upstream().is_some() && kept.len() > 1 {
        kept.remove(0);
    }
    Some(kept.join("."))
}

/// Rows that are to become the file of one upstream must be of one integration.
fn same_integration(rows: &[Row], scribe: &mut Scribe<'_>) {
    if scribe.upstream().is_none() {
        return;
    }
    let integration = |row: &Row| row.theirs.split('.').next().unwrap_or_default().to_owned();
    let named: Vec<&Row> = rows.iter().filter(|row| row.theirs != "*").collect();
    for row in named.iter().filter(|row| integration(row) != integration(named[0])) {
        let message = format!(
            "`{}` is of another integration than `{}`",
            shown(&row.theirs),
            shown(&named[0].theirs)
        );
        let hint = "with `--upstream` all rows must be of one integration; without it each keeps \
            its own name";
        scribe.error(row.at, &row.pointer, message, Some(hint));
    }
}

/// The rows of one owner, in their order, as a file. It has no default: what no row names is
/// answered by the server's profile, as it was by what Executor knew of the tool.
fn layer(rows: &[&Row], scribe: &mut Scribe<'_>) -> Value {
    let mut tools: Map<String, Value> = Map::new();
    let mut kept: Vec<&Row> = vec![];
    for row in rows {
        if let Some(before) = kept.iter().find(|before| before.pattern.covers(&row.pattern)) {
            let ours = format!("left out: `{}` before it speaks for all of these", before.theirs);
            scribe.carried(
                row.at,
                format!("{} {} {}", row.owner, theirs_of(row.action), shown(&row.theirs)),
                ours,
            );
            continue;
        }
        for before in kept.iter().filter(|before| overlaps(&before.ours, &row.ours)) {
            disagree(before, row, scribe);
        }
        kept.push(row);
        scribe.carried(
            row.at,
            format!("{} {} {}", row.owner, theirs_of(row.action), shown(&row.theirs)),
            format!("{}: action {}", scribe.told(&row.ours), row.action),
        );
        tools.insert(row.ours.clone(), json!({ "rules": [{ "action": row.action }] }));
    }
    Value::Object(object([
        ("version", "1".into()),
        ("upstream", scribe.upstream().map_or(Value::Null, Value::from)),
        ("tools", Value::Object(tools)),
    ]))
}

fn theirs_of(action: &str) -> &'static str {
    match action {
        "allow" => "approve",
        "ask" => "require_approval",
        _ => "block",
    }
}

/// Two patterns that share tools, the first of which spoke there: whether it still would.
fn disagree(before: &Row, row: &Row, scribe: &mut Scribe<'_>) {
    if before.action == row.action || before.action == "deny" {
        return;
    }
    let (first, second) = (shown(&before.theirs), shown(&row.theirs));
    if row.action == "deny" {
        let message = format!(
            "`{first}` came before `{second}` and was an exception from it; here a deny always wins"
        );
        scribe.lost(
            row.at,
            &row.pointer,
            message,
            Some("name what is to be blocked without the exception"),
        );
    } else if !row.pattern.covers(&before.pattern)
        || before.pattern.more_specific(&row.pattern).is_le()
    {
        let message = format!(
            "`{first}` came before `{second}`, and neither is more specific; here the more \
            restrictive one speaks"
        );
        scribe.lost(
            row.at,
            &row.pointer,
            message,
            Some("split one of them so that they share no tool"),
        );
    }
}

/// Whether there can be a tool that both name.
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
    fn patterns_overlap_where_a_tool_can_have_both() {
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
