//! The configuration of a server that runs: reads the sources again, and finds what differs. Must
//! not apply anything.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::PathBuf,
};

use super::{resolved::Upstream, show::Setting, source::Flag};
use crate::base::text::quoted;

/// Sections whose keys take effect at the next start: what they configure is open while the server
/// runs.
pub const FIXED_SECTIONS: [&str; 4] = ["server", "store", "sandbox", "secrets"];

/// Sources as they were at the start, for reading them again.
#[derive(Clone)]
pub(super) struct KeptSources {
    /// File that was read. It is read again also if another one would be found now.
    pub(super) file: Option<PathBuf>,
    /// File that is read once it exists, if there was none.
    pub(super) new_file: Option<PathBuf>,
    pub(super) flags: Vec<Flag>,
    pub(super) environment: BTreeMap<String, String>,
    pub(super) folder: PathBuf,
}

// The environment may hold secrets.
impl fmt::Debug for KeptSources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptSources").field("file", &self.file).finish_non_exhaustive()
    }
}

impl KeptSources {
    /// File to read now.
    pub(super) fn file(&self) -> Option<PathBuf> {
        self.file.clone().or_else(|| self.new_file.clone().filter(|file| file.exists()))
    }
}

/// Differences between two configurations. Names only, never a value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Changed keys outside of `[upstreams]` that can take effect at once.
    pub keys: Vec<String>,
    /// Names of new upstreams. Accounts are upstreams of their own.
    pub added: Vec<String>,
    /// Names of upstreams that are configured otherwise.
    pub changed: Vec<String>,
    /// Names of upstreams that are gone.
    pub removed: Vec<String>,
}

impl Changes {
    /// Returns true if nothing differs.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns true if this key, or one below it, differs.
    pub fn concerns(&self, key: &str) -> bool {
        let below = |changed: &String| {
            changed.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.keys.iter().any(below)
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            ("upstreams added: ", &self.added),
            ("upstreams changed: ", &self.changed),
            ("upstreams removed: ", &self.removed),
            ("keys changed: ", &self.keys),
        ];
        let mut separator = "";
        for (title, names) in parts.into_iter().filter(|(_, names)| !names.is_empty()) {
            write!(f, "{separator}{title}{}", quoted(names))?;
            separator = "; ";
        }
        if separator.is_empty() { f.write_str("nothing that matters changed") } else { Ok(()) }
    }
}

/// Differences between two configurations that can take effect at once.
pub(super) fn changes(
    before: (&[Setting], &[Upstream]),
    after: (&[Setting], &[Upstream]),
) -> Changes {
    let is_live = |key: &String| !is_fixed(key) && !key.starts_with("upstreams");
    let keys = different_keys(before.0, after.0).filter(is_live).collect();
    let (mut added, mut changed) = (vec![], vec![]);
    for upstream in after.1 {
        match by_name(before.1, &upstream.name) {
            None => added.push(upstream.name.clone()),
            Some(known) if known != upstream => changed.push(upstream.name.clone()),
            Some(_) => {}
        }
    }
    let removed = before.1.iter().filter(|known| by_name(after.1, &known.name).is_none());
    let removed = removed.map(|known| known.name.clone()).collect();
    Changes { keys, added, changed, removed }
}

/// Keys with different values that take effect at the next start.
pub(super) fn fixed_changes(before: &[Setting], after: &[Setting]) -> Vec<String> {
    different_keys(before, after).filter(|key| is_fixed(key)).collect()
}

fn is_fixed(key: &str) -> bool {
    FIXED_SECTIONS.contains(&key.split('.').next().unwrap_or_default())
}

fn by_name<'a>(upstreams: &'a [Upstream], name: &str) -> Option<&'a Upstream> {
    upstreams.iter().find(|upstream| upstream.name == name)
}

/// Keys that only one of them has, or that have another value in the other.
fn different_keys(before: &[Setting], after: &[Setting]) -> impl Iterator<Item = String> {
    let known = |settings: &[Setting]| -> BTreeMap<String, String> {
        settings.iter().map(|one| (one.key.clone(), one.digest.clone())).collect()
    };
    let (before, after) = (known(before), known(after));
    let keys: BTreeSet<String> = before.keys().chain(after.keys()).cloned().collect();
    keys.into_iter().filter(move |key| before.get(key) != after.get(key))
}
