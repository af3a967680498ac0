//! Visibility of the tools of one snapshot. Each tool is judged once per kind of caller, and the
//! result is cached for callers with the same visibility.

use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use crate::catalog::tool::Tool;

/// Decides what a caller may see of each tool.
pub trait ToolFilter: Send + Sync {
    /// Visibility of one tool.
    fn see(&self, tool: &Tool) -> Visibility;

    /// Cache key shared by callers with identical visibility. The results for the latest 64 keys
    /// are kept while the catalog stays as it is. None if it is unknown: then every query judges
    /// every tool.
    fn key(&self) -> Option<&str> {
        None
    }

    /// The path of a tool that is hidden whatever is seen of it.
    fn without(&self) -> Option<&str> {
        None
    }

    /// The workspace that looks: it is told what was learned from the answers to it.
    fn workspace(&self) -> &str {
        ""
    }
}

impl<F: Fn(&Tool) -> Visibility + Send + Sync> ToolFilter for F {
    fn see(&self, tool: &Tool) -> Visibility {
        self(tool)
    }
}

/// Visibility of a tool for a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// Hidden: for this caller it does not exist.
    Hidden,
    /// Visible, and a call needs no approval.
    Auto,
    /// Visible, and a call waits for a person's approval.
    Required,
}

/// Views that are remembered for one snapshot; a byte for each tool and view.
const VIEWS_MAX: usize = 64;
/// Paths shown per namespace.
const SAMPLES: usize = 3;

/// Visibility of one tool.
pub(in crate::catalog) fn of(filter: &dyn ToolFilter, tool: &Tool) -> Visibility {
    if filter.without() == Some(tool.path.as_str()) { Visibility::Hidden } else { filter.see(tool) }
}

/// Visibility of all tools of a snapshot.
#[derive(Debug)]
pub(in crate::catalog) struct VisibilityMap {
    /// Visibility by the tool's position.
    seen: Box<[Visibility]>,
    /// Namespaces with a visible tool, by name.
    pub(in crate::catalog) namespaces: Vec<SeenNamespace>,
}

/// Visible part of one namespace.
#[derive(Debug)]
pub(in crate::catalog) struct SeenNamespace {
    pub(in crate::catalog) name: Arc<str>,
    pub(in crate::catalog) tools: usize,
    /// Positions of the first few.
    pub(in crate::catalog) samples: Vec<usize>,
}

impl VisibilityMap {
    /// `tools` are sorted by path.
    fn new(tools: &[Arc<Tool>], seen: Box<[Visibility]>) -> Self {
        let mut namespaces: Vec<SeenNamespace> = Vec::new();
        for (at, tool) in tools.iter().enumerate().filter(|(at, _)| seen[*at] != Visibility::Hidden)
        {
            // One upstream's tools follow each other. Those that look things up count only where it
            // has no others.
            let is_own = !tool.is_lookup();
            match namespaces.last_mut() {
                Some(last) if last.name == tool.upstream => {
                    match (is_own, !tools[last.samples[0]].is_lookup()) {
                        (false, true) => continue,
                        (true, false) => (last.tools, last.samples) = (0, Vec::new()),
                        _ => {}
                    }
                    last.tools += 1;
                    if last.samples.len() < SAMPLES {
                        last.samples.push(at);
                    }
                }
                _ => namespaces.push(SeenNamespace {
                    name: tool.upstream.clone(),
                    tools: 1,
                    samples: vec![at],
                }),
            }
        }
        namespaces.sort_by(|a, b| a.name.cmp(&b.name));
        Self { seen, namespaces }
    }

    fn ask(tools: &[Arc<Tool>], filter: &dyn ToolFilter) -> Self {
        Self::new(tools, tools.iter().map(|tool| filter.see(tool)).collect())
    }

    /// Visibility of the tool at this position.
    pub(in crate::catalog) fn at(&self, position: usize) -> Visibility {
        self.seen.get(position).copied().unwrap_or(Visibility::Hidden)
    }

    pub(in crate::catalog) fn is_seen(&self, position: usize) -> bool {
        self.at(position) != Visibility::Hidden
    }
}

/// A view's key, and what it sees, once that is worked out.
type Remembered = (Box<str>, Arc<OnceLock<Arc<VisibilityMap>>>);

/// Recent visibility maps.
#[derive(Default)]
pub(super) struct VisibilityCache {
    // A plain mutex: held while a short list is looked through. The latest is the last.
    known: Mutex<Vec<Remembered>>,
}

impl VisibilityCache {
    /// Visibility of these tools, which are always the same ones, for this filter. If several
    /// callers ask at once, one computes it.
    pub(in crate::catalog) fn of(
        &self,
        tools: &[Arc<Tool>],
        filter: &dyn ToolFilter,
    ) -> Arc<VisibilityMap> {
        let sight = match filter.key() {
            Some(key) => {
                self.place(key).get_or_init(|| Arc::new(VisibilityMap::ask(tools, filter))).clone()
            }
            None => Arc::new(VisibilityMap::ask(tools, filter)),
        };
        let hidden = |path: &str| {
            tools
                .binary_search_by(|tool| tool.path.as_str().cmp(path))
                .ok()
                .filter(|at| sight.is_seen(*at))
        };
        match filter.without().and_then(hidden) {
            None => sight,
            Some(at) => {
                let mut seen = sight.seen.clone();
                seen[at] = Visibility::Hidden;
                Arc::new(VisibilityMap::new(tools, seen))
            }
        }
    }

    fn place(&self, key: &str) -> Arc<OnceLock<Arc<VisibilityMap>>> {
        let mut known = self.known.lock();
        let found = match known.iter().position(|(known, _)| **known == *key) {
            Some(at) => known.remove(at),
            None => {
                if known.len() >= VIEWS_MAX {
                    known.remove(0);
                }
                (key.into(), Arc::default())
            }
        };
        let place = found.1.clone();
        known.push(found);
        place
    }
}

#[cfg(test)]
mod tests;
