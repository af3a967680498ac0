//! Who may call what, with which arguments, how often: one decision, made in microseconds from
//! files that a person can read.
//!
//! Pure: text in, a compiled [`Policy`] out; a [`Call`] in, a [`Decision`] out. Nothing here opens
//! a file, reads a clock, counts, asks a person or calls a tool. *Guards add up; permission goes to
//! the most specific; deny always wins.* Whatever goes wrong while deciding is a denial.

use std::{collections::BTreeSet, sync::Arc};

use dashmap::DashMap;
use sha2::{Digest, Sha256};

use self::{compile::Compiled, pattern::Index};

mod args;
mod call;
mod cases;
mod class;
mod compile;
mod condition;
mod decide;
mod decision;
mod explain;
pub mod file;
#[doc(hidden)]
pub mod fuzz;
mod hold;
pub mod import;
pub mod lint;
mod pattern;
mod problem;
mod profile;
mod rules;

pub use call::{Call, Caller, ToolFacts};
pub use cases::CaseReport;
pub use class::Class;
pub use compile::{APPROVAL_MAX, LAYERS_MAX, RULES_MAX};
pub use condition::ArgPath;
pub use decision::{
    AskTerms, Budget, Decision, Denial, DenialCode, Listing, RuleRef, ShadowFinding, Verdict,
};
pub use explain::{Explanation, STEPS_MAX, Step};
pub use hold::{
    Amount, COUNTER_KEY_BYTES_MAX, Count, CounterKey, CounterRead, CounterValues, FixedWindow,
    Hold, NoAmount, OnExceed, Window,
};
pub use pattern::{NoPattern, PATTERN_BYTES_MAX, Pattern, SEGMENTS_MAX};
pub use problem::{PROBLEMS_MAX, Problem};
pub use rules::{EntryView, RuleView};

/// Largest arguments that are decided about, in bytes of JSON; a call with larger ones is denied.
pub const ARGS_BYTES_MAX: usize = 256 * 1024;

/// For whom a file speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LayerScope {
    /// Everybody.
    Organisation,
    /// One workspace.
    Workspace(String),
    /// Callers that came with the key of this label.
    Key(String),
}

/// One policy file.
#[derive(Debug, Clone)]
pub struct Layer {
    /// Callers the layer applies to.
    pub scope: LayerScope,
    /// Its name in records and problems: that of the file.
    pub name: String,
    /// Binds it to one upstream: every name of a tool in it is a name at that upstream, as in files
    /// of Intercept and PolicyLayer, and without a `default` it allows what it does not list, as
    /// those do.
    pub upstream: Option<String>,
    /// Its text: YAML or JSON, at most 1 MiB.
    pub text: String,
}

/// What answers where no file does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Profile {
    /// What reads is allowed, everything else denied.
    ReadOnly,
    /// What reads is allowed, everything else asked about.
    #[default]
    Auto,
    /// All is allowed but what destroys or moves money; that is asked about.
    Open,
    /// Everything is denied.
    Strict,
}

/// What a policy is compiled for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// What answers where no file does.
    pub profile: Profile,
    /// Whether somebody can approve; otherwise asking is denying.
    pub approvals: bool,
}

/// Everything that is decided by, compiled; immutable. A reload makes another.
#[derive(Debug)]
pub struct Policy {
    revision: String,
    options: Options,
    profile_name: Arc<str>,
    compiled: Compiled,
    index: Index,
    /// Whether any file says a class: most do not, and then nobody looks.
    has_classes: bool,
    /// Workspaces, roles and keys for which a file or a rule speaks.
    named: BTreeSet<(NamedKind, String)>,
    /// What fits each path, most specific first; at most [`MATCHED_MAX`] paths.
    matched: DashMap<Box<str>, Arc<[u32]>>,
}

/// What of a caller a file or a rule may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum NamedKind {
    Workspace,
    Role,
    Key,
}

/// Most paths whose entries are remembered; for others they are found anew.
const MATCHED_MAX: usize = 20_000;

impl Policy {
    /// Compiles all layers, or says everything that is wrong with them.
    pub fn load(layers: Vec<Layer>, options: Options) -> Result<Self, Vec<Problem>> {
        let revision = revision(&layers, options);
        let compiled = compile::compile(layers, options)?;
        let mut index = Index::default();
        for (number, entry) in (0_u32..).zip(&compiled.entries) {
            index.add(&entry.pattern, number);
        }
        let has_classes = compiled.entries.iter().any(|entry| entry.class.is_some());
        let named = named(&compiled);
        let profile_name = format!("profile {}", options.profile.as_str()).into();
        Ok(Self {
            revision,
            options,
            profile_name,
            compiled,
            index,
            has_classes,
            named,
            matched: DashMap::new(),
        })
    }

    /// What it was compiled from: `sha256:…` over all layers and options.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// What it was compiled for.
    pub fn options(&self) -> Options {
        self.options
    }

    /// The counters whose values conditions about this call read; whoever asks for a decision
    /// fetches them first. Usually none.
    pub fn counters_read(&self, call: &Call<'_>) -> Vec<CounterRead> {
        let mut read: Vec<CounterRead> = Vec::new();
        for number in self.matched(call.tool.path).iter() {
            let entry = &self.compiled.entries[*number as usize];
            if !self.compiled.layers[entry.layer].applies(&call.caller) {
                continue;
            }
            for counter in entry.rules.iter().flat_map(rules::CompiledRule::counters) {
                let counter = counter.read(call);
                if !read.contains(&counter) {
                    read.push(counter);
                }
            }
        }
        read
    }

    /// What a task of this caller may use of tools altogether: the least that any layer says.
    /// Layers in shadow say nothing.
    pub fn budget(&self, caller: &Caller<'_>) -> Budget {
        fn least<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
            match (one, other) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            }
        }
        let layers =
            self.compiled.layers.iter().filter(|layer| !layer.shadow && layer.applies(caller));
        layers.fold(Budget::default(), |least_yet, layer| Budget {
            calls: least(least_yet.calls, layer.budget.calls),
            bytes_returned: least(least_yet.bytes_returned, layer.budget.bytes_returned),
            wall_time: least(least_yet.wall_time, layer.budget.wall_time),
        })
    }

    /// Every rule, for those who look at a policy without deciding.
    pub fn rules(&self) -> impl Iterator<Item = RuleView<'_>> {
        self.compiled.entries.iter().flat_map(|entry| {
            let layer = &self.compiled.layers[entry.layer];
            entry.rules.iter().map(move |rule| rule.view(layer, entry))
        })
    }

    /// Every entry, those of `hide` included.
    pub fn entries(&self) -> impl Iterator<Item = EntryView<'_>> {
        self.compiled.entries.iter().map(|entry| entry.view(&self.compiled.layers[entry.layer]))
    }

    /// The line of its file that a rule stands on, from 1; none for what no file says.
    pub fn line_of(&self, rule: &RuleRef) -> Option<usize> {
        let layer = self
            .compiled
            .layers
            .iter()
            .find(|layer| layer.name == rule.layer)
            .filter(|_| !rule.pointer.is_empty())?;
        Some(layer.places.find(&rule.pointer).0)
    }

    /// The numbers of the entries that fit a path: the most specific first, of equals in the order
    /// of their files.
    fn matched(&self, path: &str) -> Arc<[u32]> {
        if let Some(known) = self.matched.get(path) {
            return known.clone();
        }
        let mut found = self.index.find(path);
        let pattern = |number: &u32| &self.compiled.entries[*number as usize].pattern;
        found.sort_by(|a, b| pattern(b).more_specific(pattern(a)).then(a.cmp(b)));
        let found: Arc<[u32]> = found.into();
        if self.matched.len() < MATCHED_MAX {
            self.matched.insert(path.into(), found.clone());
        }
        found
    }

    fn profile_rule(&self) -> RuleRef {
        RuleRef {
            name: "class default".into(),
            pointer: "".into(),
            layer: self.profile_name.clone(),
        }
    }
}

fn named(compiled: &Compiled) -> BTreeSet<(NamedKind, String)> {
    let layers = compiled.layers.iter().filter_map(|layer| match &layer.scope {
        LayerScope::Organisation => None,
        LayerScope::Workspace(workspace) => Some((NamedKind::Workspace, workspace.clone())),
        LayerScope::Key(key) => Some((NamedKind::Key, key.clone())),
    });
    let rules = compiled.entries.iter().flat_map(|entry| &entry.rules).flat_map(|rule| {
        let all = |kind, names: &[String]| {
            names.iter().map(move |name| (kind, name.clone())).collect::<Vec<_>>()
        };
        let applies = &rule.applies;
        [
            all(NamedKind::Workspace, &applies.workspaces),
            all(NamedKind::Role, &applies.roles),
            all(NamedKind::Key, &applies.keys),
        ]
    });
    layers.chain(rules.flatten()).collect()
}

fn revision(layers: &[Layer], options: Options) -> String {
    let mut hash = Sha256::new();
    // Each part with its length before it, so that no two policies read the same.
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
