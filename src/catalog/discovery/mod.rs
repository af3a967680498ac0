//! The functions by which programs find tools: `discover`, `catalog.namespaces`, `catalog.tools`
//! and `describe`.
//!
//! Each of them applies a [`ToolFilter`], so a hidden tool looks like one that does not exist.

pub(super) mod declarations;
pub(super) mod dispatch;
pub(super) mod error;
pub(super) mod host_functions;
pub(super) mod limiter;
pub(super) mod not_found;
pub(super) mod signature;

use std::{cmp::Ordering, collections::BTreeMap, sync::Arc};

use serde::Serialize;

use super::{
    path,
    registry::{
        Snapshot,
        visibility::{self, SeenNamespace, ToolFilter, Visibility, VisibilityMap},
    },
    search::Match,
    tool::Tool,
};
use crate::{
    base::{digest::sha256, suggest, text::cut},
    model::{DiscoverQuery, NamespacesQuery, Schema, ToolsQuery},
};

/// Upstreams that are down, and why.
pub(super) type Outages = BTreeMap<Arc<str>, String>;

/// Approval that a call needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Approval {
    /// No approval.
    Auto,
    /// Approval by a person.
    Required,
}

/// Largest answer of a finding function, in bytes of JSON.
pub(super) const FOUND_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Longest description of a compact result, in bytes.
const COMPACT_BYTES_MAX: usize = 200;
/// Longest question, in bytes.
pub(super) const QUERY_BYTES_MAX: usize = 2_000;
/// Results that are looked at for one whose name is the question itself; such a one is always near
/// the top.
const NAMED_MAX: usize = 200;
/// Lead of the first result over the second that makes it the best path, as a ratio of their
/// scores.
const CLEAR_LEAD: f32 = 1.25;
/// Share of the query that the first result must cover to be the best path, 0 to 1; rare words
/// weigh more.
const COVERED: f32 = 0.6;

/// One tool that was found.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Found {
    /// Path for the call.
    pub path: String,
    /// The upstream that offers it.
    pub source: Arc<str>,
    /// The call's TypeScript signature.
    pub hint: String,
    /// The tool's description.
    pub description: String,
    /// Approval that a call needs.
    pub approval: Approval,
    /// Relevance; comparable within one result list only.
    pub score: f64,
    /// Reason why a call would fail now: its upstream is down, and this is what was last known of
    /// it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unavailable: Option<String>,
    /// JSON Schema of the arguments, if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_schema: Option<Schema>,
    /// JSON Schema of the result, if asked for and known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<Schema>,
}

/// Result of `tools.discover`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Discovered {
    /// The first result's path when it clearly wins.
    pub best_path: Option<String>,
    /// The best first.
    pub results: Vec<Found>,
    /// Tools that match, shown or not.
    pub total: usize,
    /// Why there are no tools at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// One namespace.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Namespace {
    /// Its name, the first segment of its tools' paths.
    pub namespace: String,
    /// Tools in it.
    pub tool_count: usize,
    /// A few of their paths.
    pub sample_paths: Vec<String>,
    /// Reason why calls would fail now; none while they would not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unavailable: Option<String>,
}

/// Result of `tools.catalog.namespaces`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Namespaces {
    /// Namespaces, sorted by name.
    pub namespaces: Vec<Namespace>,
    /// All there are, shown or not.
    pub total: usize,
}

/// Result of `tools.catalog.tools`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolsPage {
    /// Tools by path; for a query, the best first.
    pub results: Vec<Found>,
    /// Tools that match, on this page or not.
    pub total: usize,
    /// Cursor of the next page, if there is one.
    pub next_cursor: Option<String>,
}

/// Result of `tools.describe`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    /// Path for the call.
    pub path: String,
    /// The tool's description, whole.
    pub description: String,
    /// The declaration of the call, its arguments and its result.
    pub typescript: String,
    /// JSON Schema of the arguments.
    pub input_schema: Schema,
    /// JSON Schema of the result; null where the upstream gives none.
    pub output_schema: Option<Schema>,
    /// Approval that a call needs.
    pub approval: Approval,
    /// Reason why a call would fail now; none while it would not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unavailable: Option<String>,
}

fn approval(seen: Visibility) -> Option<Approval> {
    match seen {
        Visibility::Hidden => None,
        Visibility::Auto => Some(Approval::Auto),
        Visibility::Required => Some(Approval::Required),
    }
}

/// A tool that matches, not yet written out.
struct Hit<'a> {
    /// Its position, which is that of its path among all.
    at: usize,
    tool: &'a Arc<Tool>,
    approval: Approval,
    score: f32,
    /// True if it covers the query well enough to be the best path.
    is_confident: bool,
}

impl Hit<'_> {
    fn to_found(
        &self,
        workspace: &str,
        outages: &Outages,
        compact: bool,
        include_schemas: bool,
    ) -> Found {
        let tool = self.tool;
        let description =
            if compact { first_line(&tool.description) } else { tool.description.clone() };
        Found {
            path: tool.path.clone(),
            source: tool.upstream.clone(),
            hint: signature::hint(tool, workspace).to_string(),
            description,
            approval: self.approval,
            score: f64::from((self.score * 100.0).round()) / 100.0,
            unavailable: outages.get(&tool.upstream).cloned(),
            input_schema: include_schemas.then(|| tool.input_schema.clone()),
            output_schema: tool.output().filter(|_| include_schemas),
        }
    }
}

fn first_line(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let head = cut(line, COMPACT_BYTES_MAX);
    if head.len() < line.len() { format!("{head}…") } else { head.to_owned() }
}

/// Visible matches, in no order; without words everything, by path.
fn hits<'a>(
    snapshot: &'a Snapshot,
    visibility: &VisibilityMap,
    query: &str,
    namespace: Option<&str>,
) -> Vec<Hit<'a>> {
    let namespace =
        namespace.map(str::trim).filter(|namespace| !namespace.is_empty()).map(suggest::fold);
    let with_lookups = asks_for_lookups(query, namespace.as_deref());
    let keep = |at: usize, score: f32, is_confident: bool| {
        if !with_lookups && snapshot.tools()[at].is_lookup() {
            return None;
        }
        let approval = approval(visibility.at(at))?;
        let inside = namespace
            .as_ref()
            .is_none_or(|namespace| path::is_folded_within(snapshot.folded(at), namespace));
        inside.then(|| Hit { at, tool: &snapshot.tools()[at], approval, score, is_confident })
    };
    if query.trim().is_empty() {
        return (0..snapshot.tools().len()).filter_map(|at| keep(at, 0.0, false)).collect();
    }
    let matches = snapshot.search(cut(query, QUERY_BYTES_MAX));
    let is_confident = |found: &Match| found.coverage >= COVERED && found.fits;
    matches.iter().filter_map(|found| keep(found.at, found.score, is_confident(found))).collect()
}

/// Returns true if tools that look up resources and prompts are asked for: by their words, by their
/// namespace, or as part of all tools.
fn asks_for_lookups(query: &str, namespace: Option<&str>) -> bool {
    let query = query.to_lowercase();
    let is_named = |word: &str| query.contains(word);
    query.trim().is_empty()
        || namespace.is_some_and(|namespace| namespace.contains('$'))
        || ["resource", "prompt", "template", "$"].into_iter().any(is_named)
}

fn best_first(a: &Hit<'_>, b: &Hit<'_>) -> Ordering {
    b.score.total_cmp(&a.score).then(a.at.cmp(&b.at))
}

/// The matches; none when their schemas alone are more than an answer may hold.
pub(super) fn discover(
    snapshot: &Snapshot,
    filter: &dyn ToolFilter,
    outages: &Outages,
    query: &DiscoverQuery,
) -> Option<Discovered> {
    let mut hits =
        hits(snapshot, &snapshot.visibility(filter), &query.query, query.namespace.as_deref());
    let total = hits.len();
    if total > NAMED_MAX {
        hits.select_nth_unstable_by(NAMED_MAX, best_first);
        hits.truncate(NAMED_MAX);
    }
    hits.sort_unstable_by(best_first);
    let named = raise_the_named(&mut hits, &query.query);
    let limit = query.limit.unwrap_or(8).clamp(1, 50) as usize;
    let best_path = best(&hits, named).map(|tool| tool.path.clone());
    let (compact, schemas) =
        (query.compact.unwrap_or(true), query.include_schemas.unwrap_or(false));
    let shown = &hits[..limit.min(hits.len())];
    // Looked at before anything is copied.
    let schema_bytes: usize = shown.iter().map(|hit| hit.tool.schema_bytes).sum();
    if schemas && schema_bytes > FOUND_BYTES_MAX {
        return None;
    }
    let results = shown
        .iter()
        .map(|hit| hit.to_found(filter.workspace(), outages, compact, schemas))
        .collect();
    Some(Discovered { best_path, results, total, note: None })
}

/// Puts the tool first whose path or own name is the question itself; says whether there is just
/// one.
fn raise_the_named(hits: &mut Vec<Hit<'_>>, query: &str) -> bool {
    let given = query.trim().trim_start_matches("tools.");
    let wanted = letters(given);
    // Names that are the same differ little in length.
    let is_same = |name: &str| given.len().abs_diff(name.len()) <= 16 && letters(name) == wanted;
    let is_named = |hit: &Hit<'_>| is_same(&hit.tool.path) || is_same(&hit.tool.name);
    let mut named = (0..hits.len().min(NAMED_MAX)).filter(|at| is_named(&hits[*at]));
    let (Some(first), None) = (named.next(), named.next()) else { return false };
    let hit = hits.remove(first);
    hits.insert(0, hit);
    true
}

/// A name without case and punctuation.
fn letters(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// The first result, when it is named outright, or covers the question and is far ahead of the
/// second.
fn best<'a>(hits: &[Hit<'a>], named: bool) -> Option<&'a Arc<Tool>> {
    let first = hits.first()?;
    let clear = || {
        first.is_confident
            && hits.get(1).is_none_or(|second| first.score >= second.score * CLEAR_LEAD)
    };
    (named || clear()).then_some(first.tool)
}

pub(super) fn namespaces(
    snapshot: &Snapshot,
    filter: &dyn ToolFilter,
    outages: &Outages,
    query: &NamespacesQuery,
) -> Namespaces {
    let visibility = snapshot.visibility(filter);
    let limit = query.limit.unwrap_or(200).clamp(1, 200) as usize;
    let to_namespace = |seen: &SeenNamespace| Namespace {
        namespace: seen.name.to_string(),
        tool_count: seen.tools,
        sample_paths: seen.samples.iter().map(|at| snapshot.tools()[*at].path.clone()).collect(),
        unavailable: outages.get(&seen.name).cloned(),
    };
    Namespaces {
        namespaces: visibility.namespaces.iter().take(limit).map(to_namespace).collect(),
        total: visibility.namespaces.len(),
    }
}

/// A page after the cursor; none when the cursor is not one of ours, or was given for another
/// question.
pub(super) fn tools(
    snapshot: &Snapshot,
    filter: &dyn ToolFilter,
    outages: &Outages,
    query: &ToolsQuery,
) -> Option<ToolsPage> {
    let words = query.query.as_deref().map(str::trim).unwrap_or_default();
    let mut hits = hits(snapshot, &snapshot.visibility(filter), words, query.namespace.as_deref());
    // Without words all are as good, and stay by path.
    hits.sort_unstable_by(best_first);
    let expected = query_fingerprint(words, query.namespace.as_deref().unwrap_or_default());
    // A cursor is the last path shown, so that a change of the list neither repeats nor skips.
    // Where words decide the order and that tool is gone, its position serves.
    let start = match query.cursor.as_deref() {
        None => 0,
        Some(cursor) => {
            let mut parts = cursor.splitn(3, ':');
            let (fingerprint, position, last) =
                (parts.next()?, parts.next()?.parse::<usize>().ok()?, parts.next()?);
            if fingerprint != expected {
                return None;
            }
            if words.is_empty() {
                hits.partition_point(|hit| hit.tool.path.as_str() <= last)
            } else {
                hits.iter().position(|hit| hit.tool.path == last).map_or(position, |at| at + 1)
            }
        }
    };
    let limit = query.limit.unwrap_or(50).clamp(1, 200) as usize;
    let page: Vec<&Hit<'_>> = hits.iter().skip(start).take(limit).collect();
    let end = start.saturating_add(page.len());
    let next_cursor = page
        .last()
        .filter(|_| end < hits.len())
        .map(|last| format!("{expected}:{end}:{}", last.tool.path));
    Some(ToolsPage {
        results: page
            .into_iter()
            .map(|hit| hit.to_found(filter.workspace(), outages, true, false))
            .collect(),
        total: hits.len(),
        next_cursor,
    })
}

/// Tells one question from another, briefly: a cursor of one is none of the other.
fn query_fingerprint(words: &str, namespace: &str) -> String {
    cut(&sha256(format!("{words}\0{}", suggest::fold(namespace))), 8).to_owned()
}

pub(super) fn describe(
    tool: &Tool,
    filter: &dyn ToolFilter,
    outages: &Outages,
) -> Option<Description> {
    Some(Description {
        path: tool.path.clone(),
        description: tool.description.clone(),
        typescript: signature::declaration(tool, filter.workspace()),
        input_schema: tool.input_schema.clone(),
        output_schema: tool.output(),
        approval: approval(visibility::of(filter, tool))?,
        unavailable: outages.get(&tool.upstream).cloned(),
    })
}

#[cfg(test)]
mod tests;
