//! The tools of all upstreams at one moment, and the search index over them. A change builds a new
//! snapshot in the background, which then replaces the old one as a whole.

pub(super) mod disk_cache;
pub(super) mod visibility;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Weak},
};

use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use self::visibility::{ToolFilter, VisibilityCache, VisibilityMap};
use super::{
    path,
    search::{
        Match, SearchIndex,
        nearest::{self, Letters},
    },
    tool::Tool,
};
use crate::base::{offload::offload, suggest};

/// All tools at one moment. Never changed; replaced.
#[derive(Default)]
pub(super) struct Snapshot {
    /// Sorted by path.
    tools: Vec<Arc<Tool>>,
    by_path: HashMap<String, usize>,
    /// Folded paths, in the order of the tools.
    folds: Vec<String>,
    /// Letter counts of the folded paths, in the order of the tools.
    letters: Vec<Letters>,
    /// Positions by folded path, for healing.
    by_fold: HashMap<String, Vec<usize>>,
    /// Positions by the path that tools had in the release before, as it was and folded.
    by_former: HashMap<String, usize>,
    by_former_fold: HashMap<String, Vec<usize>>,
    /// Positions by healed path, for more healing.
    by_normalized: HashMap<String, Vec<usize>>,
    index: SearchIndex,
    /// Visibility for the latest callers.
    visibilities: VisibilityCache,
}

impl Snapshot {
    /// Sorts and indexes. Takes some time for thousands of tools.
    pub(super) fn build(mut tools: Vec<Arc<Tool>>) -> tantivy::Result<Self> {
        tools.sort_by(|a, b| a.path.cmp(&b.path));
        let index = SearchIndex::build(&tools)?;
        let by_path = tools.iter().enumerate().map(|(at, tool)| (tool.path.clone(), at)).collect();
        let folds: Vec<String> = tools.iter().map(|tool| suggest::fold(&tool.path)).collect();
        let mut by_fold: HashMap<String, Vec<usize>> = HashMap::new();
        let mut by_normalized: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, fold) in folds.iter().enumerate() {
            by_fold.entry(fold.clone()).or_default().push(at);
            by_normalized.entry(path::normalized(fold)).or_default().push(at);
        }
        let mut by_former = HashMap::new();
        let mut by_former_fold: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, tool) in tools.iter().enumerate() {
            let Some(former) = &tool.former else { continue };
            by_former.insert(former.path.clone(), at);
            by_former_fold.entry(suggest::fold(&former.path)).or_default().push(at);
        }
        let letters = folds.iter().map(|folded| Letters::of(folded)).collect();
        Ok(Self {
            tools,
            by_path,
            folds,
            letters,
            by_fold,
            by_former,
            by_former_fold,
            by_normalized,
            index,
            visibilities: VisibilityCache::default(),
        })
    }

    /// Sorted by path.
    pub(super) fn tools(&self) -> &[Arc<Tool>] {
        &self.tools
    }

    /// The tool of exactly that path.
    pub(super) fn get(&self, path: &str) -> Option<&Arc<Tool>> {
        self.by_path.get(path).map(|at| &self.tools[*at])
    }

    /// The tool that had exactly that path in the release before.
    pub(super) fn former(&self, path: &str) -> Option<&Arc<Tool>> {
        self.by_former.get(path).map(|at| &self.tools[*at])
    }

    /// Tools that had paths in the release before that differ from it in case, `_` and `-` only.
    pub(super) fn former_alike(&self, path: &str) -> impl Iterator<Item = &Arc<Tool>> {
        let found = self.by_former_fold.get(&suggest::fold(path));
        found.into_iter().flatten().map(|at| &self.tools[*at])
    }

    /// Tools whose paths differ from it in case, `_` and `-` only.
    pub(super) fn alike(&self, path: &str) -> impl Iterator<Item = &Arc<Tool>> {
        self.by_fold.get(&suggest::fold(path)).into_iter().flatten().map(|at| &self.tools[*at])
    }

    /// Tools whose paths are the same once they are healed.
    pub(super) fn normalized(&self, path: &str) -> impl Iterator<Item = &Arc<Tool>> {
        self.by_normalized
            .get(&path::normalized(path))
            .into_iter()
            .flatten()
            .map(|at| &self.tools[*at])
    }

    /// Returns true if this upstream offers anything.
    pub(super) fn offers(&self, upstream: &str) -> bool {
        // Sorted by path, its tools stand behind its name.
        let first = format!("{upstream}.");
        let at = self.tools.partition_point(|tool| tool.path < first);
        self.tools.get(at).is_some_and(|tool| *tool.upstream == *upstream)
    }

    /// The folded path of the tool at this position.
    pub(super) fn folded(&self, at: usize) -> &str {
        &self.folds[at]
    }

    /// Visibility of the tools for this filter.
    pub(super) fn visibility(&self, filter: &dyn ToolFilter) -> Arc<VisibilityMap> {
        self.visibilities.of(&self.tools, filter)
    }

    /// Returns true if any tool that is seen has such a folded path.
    pub(super) fn any_seen(
        &self,
        visibility: &VisibilityMap,
        is_such: impl Fn(&str) -> bool,
    ) -> bool {
        self.folds.iter().enumerate().any(|(at, folded)| visibility.is_seen(at) && is_such(folded))
    }

    /// Paths most like a wrong one, the most similar first, of those that are seen. Where only the
    /// last segment is wrong, those of the same group come first.
    pub(super) fn nearest(&self, path: &str, visibility: &VisibilityMap) -> Vec<String> {
        let is_seen = |at: usize| visibility.is_seen(at);
        let mut nearest = nearest::siblings(path, &self.folds, is_seen);
        for at in nearest::nearest(path, &self.folds, &self.letters, is_seen) {
            if nearest.len() < nearest::NEAREST_MAX && !nearest.contains(&at) {
                nearest.push(at);
            }
        }
        nearest.into_iter().map(|at| self.tools[at].path.clone()).collect()
    }

    /// Tools that match, in no order.
    pub(super) fn search(&self, query: &str) -> Vec<Match> {
        self.index.search(query)
    }
}

/// Holds the present snapshot and makes the next one.
pub(super) struct ToolRegistry {
    // Plain locks: nothing awaits while holding them, and both are held for a pointer's copy only.
    present: RwLock<Arc<Snapshot>>,
    lists: Mutex<Lists>,
    wanted: Notify,
    /// Number of the snapshot that is present.
    revision: watch::Sender<u64>,
    /// Counts the changes of what callers see: snapshots, and states of upstreams.
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct Lists {
    by_upstream: BTreeMap<Arc<str>, Vec<Arc<Tool>>>,
    /// Names that were retired. Compared by identity: a later upstream of the same name has another
    /// `Arc`.
    retired: Vec<Weak<str>>,
    revision: u64,
}

impl Lists {
    fn is_retired(&self, upstream: &Arc<str>) -> bool {
        self.retired.iter().any(|name| std::ptr::addr_eq(name.as_ptr(), Arc::as_ptr(upstream)))
    }
}

impl ToolRegistry {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            present: RwLock::default(),
            lists: Mutex::default(),
            wanted: Notify::new(),
            revision: watch::Sender::new(0),
            changes: watch::Sender::new(0),
        })
    }

    /// The present snapshot.
    pub(super) fn present(&self) -> Arc<Snapshot> {
        self.present.read().clone()
    }

    /// Notifies when there is another snapshot, or an upstream is up or down.
    pub(super) fn changed(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Says that an upstream is up or down.
    pub(super) fn note_state(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// True for the name, by its identity, of an upstream that is configured no more.
    pub(super) fn is_retired(&self, upstream: &Arc<str>) -> bool {
        self.lists.lock().is_retired(upstream)
    }

    /// Takes the tools of an upstream that is configured no more out, and takes no further list of
    /// it: what it has still under way must not come over the list of its successor.
    pub(super) fn retire(&self, upstream: &Arc<str>) {
        let mut lists = self.lists.lock();
        // A name that nobody holds any more cannot come back.
        lists.retired.retain(|name| name.strong_count() > 0);
        lists.retired.push(Arc::downgrade(upstream));
        if lists.by_upstream.remove(upstream).is_some() {
            lists.revision += 1;
            self.wanted.notify_one();
        }
    }

    /// Replaces what one upstream offers; returns once it can be found. A list that says the same
    /// changes nothing.
    pub(super) async fn replace(&self, upstream: &Arc<str>, tools: Vec<Arc<Tool>>) {
        let mine = self.stage([(upstream.clone(), tools)]);
        self.wait_for(mine).await;
    }

    /// Replaces what several upstreams offer, and makes the snapshot of all of them at once; gives
    /// its number.
    pub(super) fn stage(
        &self,
        offers: impl IntoIterator<Item = (Arc<str>, Vec<Arc<Tool>>)>,
    ) -> u64 {
        let mut lists = self.lists.lock();
        let mut changed = false;
        for (upstream, tools) in offers {
            if lists.is_retired(&upstream) {
                continue;
            }
            if lists.by_upstream.get(&upstream).is_none_or(|known| !is_same(known, &tools)) {
                lists.by_upstream.insert(upstream, tools);
                changed = true;
            }
        }
        if changed {
            lists.revision += 1;
            self.wanted.notify_one();
        }
        lists.revision
    }

    /// Waits until the snapshot of that number, or a later one, is there.
    pub(super) async fn wait_for(&self, mine: u64) {
        // An error cannot come while `self` holds the sender.
        let _ = self.revision.subscribe().wait_for(|revision| *revision >= mine).await;
    }

    /// Makes snapshots as long as lists come in, one at a time, each of everything that came in
    /// meanwhile.
    pub(super) async fn rebuild_loop(self: Arc<Self>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = self.wanted.notified() => {}
                () = stop.cancelled() => break,
            }
            let (tools, revision) = {
                let lists = self.lists.lock();
                (lists.by_upstream.values().flatten().cloned().collect::<Vec<_>>(), lists.revision)
            };
            match offload(move || Snapshot::build(tools)).await {
                Ok(Ok(snapshot)) => *self.present.write() = Arc::new(snapshot),
                Ok(Err(error)) => {
                    tracing::error!(%error, "the tools could not be indexed, the catalog stays as \
                        it was")
                }
                Err(error) => {
                    tracing::error!(%error, "indexing the tools panicked, the catalog stays as it \
                        was")
                }
            }
            self.revision.send_replace(revision);
            self.note_state();
        }
        // Callers that still wait must not wait for ever.
        self.revision.send_replace(u64::MAX);
    }
}

fn is_same(known: &[Arc<Tool>], offered: &[Arc<Tool>]) -> bool {
    let known_of = |tool: &Tool| {
        (
            tool.schema_hash.clone(),
            tool.title.clone(),
            tool.annotations,
            tool.operation,
            tool.trusted,
            tool.former.clone(),
        )
    };
    let same = |(a, b): (&Arc<Tool>, &Arc<Tool>)| known_of(a) == known_of(b);
    known.len() == offered.len() && known.iter().zip(offered).all(same)
}
