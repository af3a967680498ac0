//! Loaded policy: the compiled files with the indexes that decisions need. Immutable; a reload
//! builds another one. Must not decide.

use std::{borrow::Cow, collections::BTreeSet, sync::Arc};

use dashmap::DashMap;
use sha2::{Digest, Sha256};

use super::{
    compile::compile,
    compiled::{Compiled, CompiledRule},
    model::{
        call::{Call, Caller, ToolFacts},
        counter::CounterRead,
        decision::Budget,
        layer::{Layer, LayerScope, Options},
        pattern::PatternIndex,
        problem::Problem,
        verdict::RuleRef,
    },
};

/// Most paths whose entries are cached; those of other paths are looked up each time.
const CACHED_PATHS_MAX: usize = 20_000;

/// An entry that matches a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Matched {
    /// Number of the entry.
    pub(super) entry: u32,
    /// The entry may deny, ask and limit, but not allow; see [`ToolFacts::is_only_restricted_by`].
    pub(super) restricts_only: bool,
}

/// A loaded policy.
#[derive(Debug)]
pub struct Policy {
    pub(super) revision: String,
    pub(super) options: Options,
    pub(super) profile_name: Arc<str>,
    pub(super) compiled: Compiled,
    index: PatternIndex,
    /// A file sets the class of a tool. If none does, the lookup is skipped.
    pub(super) has_classes: bool,
    /// Workspaces, roles and keys that a file or a rule names.
    pub(super) named_callers: BTreeSet<(CallerAttribute, String)>,
    /// Entries of each path, most specific first; at most [`CACHED_PATHS_MAX`] paths.
    matched: DashMap<Box<str>, Arc<[Matched]>>,
}

/// Attribute of a caller that a file or a rule may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum CallerAttribute {
    Workspace,
    Role,
    Key,
}

impl Policy {
    /// Compiles all layers.
    ///
    /// # Errors
    /// All problems of all layers.
    pub fn load(layers: Vec<Layer>, options: Options) -> Result<Self, Vec<Problem>> {
        let revision = revision(&layers, options);
        let compiled = compile(layers)?;
        let mut index = PatternIndex::default();
        for (number, entry) in (0_u32..).zip(&compiled.entries) {
            index.add(&entry.pattern, number);
        }
        let has_classes = compiled.entries.iter().any(|entry| entry.class.is_some());
        let named_callers = named_callers(&compiled);
        let profile_name = format!("profile {}", options.profile.as_str()).into();
        Ok(Self {
            revision,
            options,
            profile_name,
            compiled,
            index,
            has_classes,
            named_callers,
            matched: DashMap::new(),
        })
    }

    /// Returns the digest of all layers and options: `sha256:…`.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// Returns the options that the policy was loaded with.
    pub fn options(&self) -> Options {
        self.options
    }

    /// Returns the counters whose values conditions about this call read. The caller of
    /// [`Self::decide`] fetches them first. Usually there are none.
    pub fn counters_read(&self, call: &Call<'_>) -> Vec<CounterRead> {
        let mut read: Vec<CounterRead> = Vec::new();
        for matched in self.matched(&call.tool).iter() {
            let entry = &self.compiled.entries[matched.entry as usize];
            if !self.compiled.layers[entry.layer].applies_to(&call.caller) {
                continue;
            }
            for counter in entry.rules.iter().flat_map(CompiledRule::counters) {
                for counter in counter.reads(call) {
                    if !read.contains(&counter) {
                        read.push(counter);
                    }
                }
            }
        }
        read
    }

    /// Returns the tool budget of a task of this caller: the minimum over all layers that are not
    /// in shadow mode.
    pub fn budget(&self, caller: &Caller<'_>) -> Budget {
        fn min<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
            match (one, other) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            }
        }
        let layers =
            self.compiled.layers.iter().filter(|layer| !layer.shadow && layer.applies_to(caller));
        layers.fold(Budget::default(), |budget, layer| Budget {
            calls: min(budget.calls, layer.budget.calls),
            bytes_returned: min(budget.bytes_returned, layer.budget.bytes_returned),
            wall_time: min(budget.wall_time, layer.budget.wall_time),
        })
    }

    /// Returns the entries that match a tool by its path, or by the one that it had before: the
    /// most specific first, equally specific ones in the order of their files.
    pub(super) fn matched(&self, tool: &ToolFacts<'_>) -> Arc<[Matched]> {
        let key = match tool.former {
            None => Cow::Borrowed(tool.path),
            // No path holds a line break.
            Some(former) => {
                Cow::Owned(format!("{}\n{}\n{}", tool.path, former.path, former.new_from))
            }
        };
        if let Some(cached) = self.matched.get(&*key) {
            return cached.clone();
        }
        let mut found = self.index.find(tool.path);
        found.extend(tool.former.into_iter().flat_map(|former| self.index.find(former.path)));
        let pattern = |number: &u32| &self.compiled.entries[*number as usize].pattern;
        found.sort_by(|a, b| pattern(b).cmp_specificity(pattern(a)).then(a.cmp(b)));
        found.dedup();
        let matched = |entry: u32| {
            let restricts_only = tool.is_only_restricted_by(pattern(&entry));
            Matched { entry, restricts_only }
        };
        let found: Arc<[Matched]> = found.into_iter().map(matched).collect();
        if self.matched.len() < CACHED_PATHS_MAX {
            self.matched.insert(key.into(), found.clone());
        }
        found
    }

    pub(super) fn profile_rule(&self) -> RuleRef {
        RuleRef {
            name: "class default".into(),
            pointer: "".into(),
            layer: self.profile_name.clone(),
        }
    }
}

fn named_callers(compiled: &Compiled) -> BTreeSet<(CallerAttribute, String)> {
    let layers = compiled.layers.iter().filter_map(|layer| match &layer.scope {
        LayerScope::Organisation => None,
        LayerScope::Workspace(workspace) => Some((CallerAttribute::Workspace, workspace.clone())),
        LayerScope::Key(key) => Some((CallerAttribute::Key, key.clone())),
    });
    let rules = compiled.entries.iter().flat_map(|entry| &entry.rules).flat_map(|rule| {
        let all = |attribute, names: &[String]| {
            names.iter().map(move |name| (attribute, name.clone())).collect::<Vec<_>>()
        };
        let filter = &rule.applies_to;
        [
            all(CallerAttribute::Workspace, &filter.workspaces),
            all(CallerAttribute::Role, &filter.roles),
            all(CallerAttribute::Key, &filter.keys),
        ]
    });
    layers.chain(rules.flatten()).collect()
}

fn revision(layers: &[Layer], options: Options) -> String {
    let mut hash = Sha256::new();
    // Each part is preceded by its length, so that different policies never hash the same bytes.
    let mut add = |part: &str| {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    };
    add(options.profile.as_str());
    add(if options.approvals { "approvals" } else { "" });
    for layer in layers {
        match &layer.scope {
            LayerScope::Organisation => add("organisation"),
            LayerScope::Workspace(workspace) => {
                add("workspace");
                add(workspace);
            }
            LayerScope::Key(key) => {
                add("key");
                add(key);
            }
        }
        add(&layer.name);
        add(layer.upstream.as_deref().unwrap_or_default());
        add(&layer.text);
    }
    format!("sha256:{}", hex::encode(hash.finalize()))
}

#[cfg(test)]
mod tests;
