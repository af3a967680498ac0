//! Errors for tools and namespaces that do not exist, with suggestions.
//!
//! Suggests only what the caller may see; hidden tools are treated as absent.

use std::collections::BTreeSet;

use crate::{
    base::{
        suggest,
        text::{cut, quoted},
    },
    catalog::{
        Catalog, arguments::ArgumentError, path, registry::visibility::ToolFilter, search::nearest,
    },
};

/// Bytes of a given name that an error repeats.
const GIVEN_BYTES_MAX: usize = 200;
/// Namespaces that an error names where none is like the one that was given.
const NAMESPACES_MAX: usize = 5;

/// There is no such tool, or it is hidden. The message alone is enough to find the right one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no tool `{path}`{}; find one with await {discover}",
    meant(nearest, *is_namespace)
)]
pub struct NotFound {
    /// The path that was given.
    pub path: String,
    /// Paths of the visible tools that are most like it, at most 3; of functions of the host all,
    /// where none is like it.
    pub nearest: Vec<String>,
    /// A call that finds the right one: `tools.discover("get sum")`.
    pub discover: String,
    /// Tools stand below the path.
    pub is_namespace: bool,
}

fn meant(nearest: &[String], is_namespace: bool) -> String {
    let what = if is_namespace { ", it is a namespace" } else { "" };
    let names: Vec<String> =
        nearest.iter().map(|path| format!("`{}`", path::expression(path))).collect();
    match (names.as_slice(), is_namespace) {
        ([], _) => what.to_owned(),
        (names, true) => format!("{what} with {}", names.join(", ")),
        (names, false) => format!(", did you mean {}?", names.join(", ")),
    }
}

/// The call that shows what is in a namespace.
pub(in crate::catalog) fn listing(namespace: &str) -> String {
    format!("tools.catalog.tools({{ namespace: {} }})", serde_json::Value::from(namespace))
}

impl Catalog {
    /// Error for a path without a tool, with suggestions.
    pub(in crate::catalog) fn not_found(&self, given: &str, filter: &dyn ToolFilter) -> NotFound {
        let snapshot = self.registry.present();
        let visibility = snapshot.visibility(filter);
        let path = path::plain(given);
        let path = cut(&path, GIVEN_BYTES_MAX);
        let given = cut(given, GIVEN_BYTES_MAX).to_owned();
        let wanted = suggest::fold(path);
        if snapshot.any_seen(&visibility, |folded| is_below(folded, &wanted)) {
            return NotFound {
                path: given,
                nearest: Vec::new(),
                discover: listing(path),
                is_namespace: true,
            };
        }
        let question = serde_json::Value::from(words_of(path.rsplit('.').next().unwrap_or(path)));
        let nearest = snapshot.nearest(path, &visibility);
        NotFound {
            path: given,
            nearest,
            discover: format!("tools.discover({question})"),
            is_namespace: false,
        }
    }

    /// The namespace that an argument names, as paths have it; none where none is given. One in
    /// which the caller sees no tool is a fault of the arguments, unless its upstream has not said
    /// yet what it offers.
    pub(in crate::catalog) fn namespace(
        &self,
        function: &str,
        given: Option<&str>,
        filter: &dyn ToolFilter,
    ) -> Result<Option<String>, ArgumentError> {
        let Some(given) = given.map(str::trim).filter(|given| !given.is_empty()) else {
            return Ok(None);
        };
        let namespace = path::plain(given);
        let wanted = suggest::fold(&namespace);
        let snapshot = self.registry.present();
        let visibility = snapshot.visibility(filter);
        let is_inside = |folded: &str| folded == wanted || is_below(folded, &wanted);
        if snapshot.any_seen(&visibility, is_inside) {
            return Ok(Some(namespace.into_owned()));
        }
        // Nobody knows what these have, so that nothing is hidden there.
        let supervisors = self.supervisors.load_full();
        let silent = supervisors
            .values()
            .map(|supervisor| (supervisor.name(), supervisor.outage().is_some()));
        let silent: Vec<&str> = silent
            .filter(|(name, out)| *out && !snapshot.offers(name))
            .map(|(name, _)| name)
            .collect();
        if silent
            .iter()
            .any(|name| suggest::fold(name) == wanted.split('.').next().unwrap_or_default())
        {
            return Ok(Some(namespace.into_owned()));
        }
        let seen = snapshot.tools().iter().enumerate().filter(|(at, _)| visibility.is_seen(*at));
        let named =
            seen.flat_map(|(_, tool)| tool.path.match_indices('.').map(|(at, _)| &tool.path[..at]));
        let there: Vec<&str> =
            named.chain(silent).collect::<BTreeSet<&str>>().into_iter().collect();
        let nearest = nearest::among(cut(&namespace, GIVEN_BYTES_MAX), &there);
        let tops: Vec<&str> = there.iter().copied().filter(|name| !name.contains('.')).collect();
        let remedy = match (nearest.is_empty(), tops.len()) {
            (false, _) => format!("did you mean {}?", quoted(nearest)),
            (true, 0) => "there is none".to_owned(),
            (true, 1..=NAMESPACES_MAX) => format!("there are {}", quoted(tops)),
            (true, _) => "`await tools.catalog.namespaces()` names them".to_owned(),
        };
        let message = format!("there is no namespace `{}`, {remedy}", cut(given, GIVEN_BYTES_MAX));
        Err(ArgumentError { tool: function.to_owned(), message })
    }
}

/// Returns true if a path has the other one in front of it; both folded.
fn is_below(folded: &str, above: &str) -> bool {
    folded.strip_prefix(above).is_some_and(|rest| rest.starts_with('.'))
}

/// A name as a question: `getSum` as `get sum`.
fn words_of(name: &str) -> String {
    let mut out = String::new();
    let mut was_lower = false;
    for c in name.chars() {
        if c.is_uppercase() && was_lower {
            out.push(' ');
        }
        was_lower = c.is_lowercase() || c.is_numeric();
        out.extend(if c.is_alphanumeric() {
            c.to_lowercase().collect::<Vec<_>>()
        } else {
            vec![' ']
        });
    }
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}
