//! The policy in force: read from its files at the start and replaced as a whole when they, or the
//! configuration that names them, change.
//!
//! An invalid file stops the start. Later, an invalid file changes nothing, and [`PolicyStatus`]
//! reports it until it is valid again. Counters belong to the store, so they survive any change.
//! Watches no files; whoever does calls [`ReloadingPolicy::reload`].

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::{
    base::{file, text::decoded},
    policy::{Layer, LayerScope, Options, Policy, Problem, Profile},
};

/// Longest policy file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Problems of the files that `/healthz` reports.
const PROBLEMS_MAX: usize = 20;

/// One policy file and the callers it applies to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyFile {
    /// Its path.
    pub path: PathBuf,
    /// The callers it applies to.
    pub scope: LayerScope,
    /// The upstream that bare names of tools belong to.
    pub upstream: Option<String>,
}

/// The source of the policy.
#[derive(Debug, Clone)]
pub struct PolicySource {
    /// The files, in the order of the configuration.
    pub files: Vec<PolicyFile>,
    /// The options that hold besides them.
    pub options: Options,
}

/// The status of the policy in force, for `/healthz` and people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyStatus {
    /// The profile that decides where no rule does.
    pub profile: Profile,
    /// The revision in force.
    pub revision: String,
    /// Problems that keep the present files from being in force; empty if they are.
    pub problems: Vec<String>,
}

/// The policy in force.
pub struct ReloadingPolicy {
    source: ArcSwap<PolicySource>,
    current: ArcSwap<Policy>,
    /// Problems of the present files. Locked while a policy is put in force.
    problems: Mutex<Vec<String>>,
    /// Held while the files are read and put in force.
    reloading: Mutex<()>,
    /// Counts how often another policy came into force.
    changes: watch::Sender<u64>,
}

impl PolicySource {
    /// Reads the files as they are now.
    pub fn read(&self) -> Result<Vec<Layer>, Vec<Problem>> {
        let (mut layers, mut problems) = (vec![], vec![]);
        for file in &self.files {
            match read(&file.path) {
                Ok(text) => layers.push(file.layer(text)),
                Err(message) => problems.push(unreadable(&file.path, message)),
            }
        }
        if problems.is_empty() { Ok(layers) } else { Err(problems) }
    }

    /// Loads the policy from the files as they are now.
    pub fn load(&self) -> Result<Policy, Vec<Problem>> {
        Policy::load(self.read()?, self.options)
    }
}

impl PolicyFile {
    /// The layer of this file with that text.
    pub fn layer(&self, text: String) -> Layer {
        let name =
            self.path.file_name().unwrap_or(self.path.as_os_str()).to_string_lossy().into_owned();
        Layer { scope: self.scope.clone(), name, upstream: self.upstream.clone(), text }
    }
}

fn read(path: &Path) -> Result<String, String> {
    let bytes = file::read(path, FILE_BYTES_MAX).map_err(|error| error.to_string())?;
    decoded(&bytes).map(str::to_owned).map_err(|error| error.to_string())
}

fn unreadable(path: &Path, message: String) -> Problem {
    let message = format!("the policy file cannot be read: {message}");
    let hint = Some("write it, or take it out of `policy.files`".to_owned());
    Problem {
        file: path.display().to_string(),
        line: 0,
        column: 0,
        pointer: String::new(),
        message,
        hint,
    }
}

impl ReloadingPolicy {
    /// Reads and compiles the files; the problems of all of them where one is not valid.
    pub fn open(source: PolicySource) -> Result<Arc<Self>, Vec<Problem>> {
        let policy = source.load()?;
        Ok(Arc::new(Self {
            source: ArcSwap::from_pointee(source),
            current: ArcSwap::from_pointee(policy),
            problems: Mutex::default(),
            reloading: Mutex::default(),
            changes: watch::Sender::new(0),
        }))
    }

    /// The policy in force. A call keeps the one it began with until it is decided again.
    pub fn current(&self) -> Arc<Policy> {
        self.current.load_full()
    }

    /// Changes whenever another policy comes into force.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// The source of the policy.
    pub fn source(&self) -> Arc<PolicySource> {
        self.source.load_full()
    }

    /// The status of the policy in force.
    pub fn status(&self) -> PolicyStatus {
        let revision = self.current.load().revision().to_owned();
        let problems = self.problems.lock().clone();
        PolicyStatus { profile: self.source.load().options.profile, revision, problems }
    }

    /// Reads the files, and puts them in force if all of them are valid. Returns whether the policy
    /// in force is another one. Blocks.
    pub fn reload(&self) -> bool {
        // What was read later is put in force later.
        let _turn = self.reloading.lock();
        let source = self.source();
        let loaded = source.load();
        let mut problems = self.problems.lock();
        match loaded {
            // Another source came into force meanwhile.
            _ if !Arc::ptr_eq(&source, &self.source()) => false,
            Ok(policy) => self.enforce(policy, &mut problems),
            Err(found) => {
                let now: Vec<String> =
                    found.iter().take(PROBLEMS_MAX).map(ToString::to_string).collect();
                if *problems != now {
                    let first = now.first().map_or("", String::as_str);
                    tracing::error!(
                        problems = found.len(),
                        "the policy files are not valid, so the last valid policy stays in force: \
                        {first}"
                    );
                }
                *problems = now;
                false
            }
        }
    }

    /// Puts a policy in force that was loaded from another source, and reads that source from now
    /// on. Returns whether the policy in force is another one.
    pub fn replace(&self, source: PolicySource, policy: Policy) -> bool {
        let mut problems = self.problems.lock();
        self.source.store(Arc::new(source));
        self.enforce(policy, &mut problems)
    }

    fn enforce(&self, policy: Policy, problems: &mut Vec<String>) -> bool {
        let changed = policy.revision() != self.current.load().revision();
        if changed || !problems.is_empty() {
            let revision = policy.revision();
            tracing::info!(revision, "policy {revision} is in force");
        }
        problems.clear();
        if changed {
            self.current.store(Arc::new(policy));
            self.changes.send_modify(|count| *count += 1);
        }
        changed
    }
}
