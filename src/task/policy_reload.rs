//! The policy in force: read from its files at the start and replaced as a whole when they change.
//!
//! An invalid file stops the start. Later, an invalid file changes nothing, and [`PolicyStatus`]
//! reports it until it is valid again. Counters belong to the store, so they survive any change.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    base::{offload::offload, text::decoded},
    policy::{Layer, LayerScope, Options, Policy, Problem, Profile},
};

/// Longest policy file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Time that files must be unchanged before they are read: editors write in several steps.
const QUIET: Duration = Duration::from_millis(100);
/// The longest wait for a file that keeps changing.
const QUIET_WITHIN: Duration = Duration::from_secs(1);
/// Interval of comparing files if changes are not notified, as on some network file systems.
const POLL_EVERY: Duration = Duration::from_secs(5);
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
    source: PolicySource,
    current: ArcSwap<Policy>,
    /// The fingerprint of the files before they were last read: a change during the reading leads
    /// to another one.
    fingerprint: Mutex<Fingerprint>,
    problems: Mutex<Vec<String>>,
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
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(|error| error.to_string())?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("it is larger than {FILE_BYTES_MAX} bytes"));
    }
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
        let fingerprint = Mutex::new(fingerprint(&source.files));
        let policy = source.load()?;
        Ok(Arc::new(Self {
            source,
            current: ArcSwap::from_pointee(policy),
            fingerprint,
            problems: Mutex::default(),
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
    pub fn source(&self) -> &PolicySource {
        &self.source
    }

    /// The status of the policy in force.
    pub fn status(&self) -> PolicyStatus {
        let revision = self.current.load().revision().to_owned();
        let problems = self.problems.lock().clone();
        PolicyStatus { profile: self.source.options.profile, revision, problems }
    }

    /// Reads the files, and puts them in force if all of them are valid. Returns whether the policy
    /// in force is another one.
    pub fn reload(&self) -> bool {
        let loaded = self.source.load();
        let mut problems = self.problems.lock();
        match loaded {
            Ok(policy) => {
                let changed = policy.revision() != self.current.load().revision();
                if changed || !problems.is_empty() {
                    tracing::info!(
                        revision = policy.revision(),
                        "policy {} is in force",
                        policy.revision()
                    );
                }
                problems.clear();
                if changed {
                    self.current.store(Arc::new(policy));
                    self.changes.send_modify(|count| *count += 1);
                }
                changed
            }
            Err(found) => {
                *problems = found.iter().take(PROBLEMS_MAX).map(ToString::to_string).collect();
                let first = problems.first().cloned().unwrap_or_default();
                tracing::error!(
                    problems = found.len(),
                    "the policy files are not valid, so the policy before stays in force: {first}"
                );
                false
            }
        }
    }

    /// Reloads changed files until `stop`.
    pub async fn watch_files(self: Arc<Self>, stop: CancellationToken) {
        if self.source.files.is_empty() {
            return;
        }
        let (changed, mut changes) = mpsc::channel(1);
        let _watcher = watcher(&self.source.files, changed);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                Some(()) = changes.recv() => quiet(&mut changes).await,
                () = tokio::time::sleep(POLL_EVERY) => {}
            }
            let now = fingerprint(&self.source.files);
            if std::mem::replace(&mut *self.fingerprint.lock(), now.clone()) == now {
                continue;
            }
            let policy = self.clone();
            // Reading and compiling blocks; a panic in it is a bug that must not end the watching.
            if let Err(error) = offload(move || policy.reload()).await {
                tracing::error!(%error, "the policy files could not be reloaded");
            }
        }
    }
}

/// Waits until the files are unchanged for a moment.
async fn quiet(changes: &mut mpsc::Receiver<()>) {
    let rest = async {
        while tokio::time::timeout(QUIET, changes.recv()).await.is_ok_and(|next| next.is_some()) {}
    };
    // A file that keeps changing is read as it is.
    drop(tokio::time::timeout(QUIET_WITHIN, rest).await);
}

/// Watches the folders of the files, because editors write a new file and rename it.
fn watcher(files: &[PolicyFile], changed: mpsc::Sender<()>) -> Option<RecommendedWatcher> {
    // A file may be a link; then its target may change too.
    let targets = files.iter().filter_map(|file| file.path.canonicalize().ok());
    let all: Vec<PathBuf> = files.iter().map(|file| file.path.clone()).chain(targets).collect();
    let names: BTreeSet<OsString> =
        all.iter().filter_map(|file| file.file_name().map(ToOwned::to_owned)).collect();
    let folders: BTreeSet<PathBuf> =
        all.iter().filter_map(|file| file.parent().map(Path::to_path_buf)).collect();
    let is_ours = move |path: &PathBuf| {
        // Mounted configuration is switched by links whose names begin with two dots.
        path.file_name()
            .is_some_and(|name| names.contains(name) || name.to_string_lossy().starts_with(".."))
    };
    let notify = move |event: notify::Result<notify::Event>| {
        let concerns_us = match &event {
            Ok(event) => !event.kind.is_access() && event.paths.iter().any(&is_ours),
            // Something was missed.
            Err(_) => true,
        };
        if concerns_us {
            // Full: the files will be compared anyway.
            changed.try_send(()).ok();
        }
    };
    let watched = notify::recommended_watcher(notify).and_then(|mut watcher| {
        folders
            .iter()
            .try_for_each(|folder| watcher.watch(folder, RecursiveMode::NonRecursive))
            .map(|()| watcher)
    });
    watched
        .inspect_err(|error| {
            let seconds = POLL_EVERY.as_secs();
            tracing::warn!(%error, "changes of policy files are not notified here: the files are \
                compared every {seconds} s");
        })
        .ok()
}

/// The modification time of each file, its length, its inode and the change time of that; none
/// where the file does not exist.
type Fingerprint = Vec<Option<(SystemTime, u64, u64, (i64, i64))>>;

/// Distinguishes changed files from unchanged ones without reading them.
fn fingerprint(files: &[PolicyFile]) -> Fingerprint {
    let of = |file: &PolicyFile| {
        let about = fs::metadata(&file.path).ok()?;
        #[cfg(unix)]
        // Tools that copy in place may set the modification time back, but never the change time.
        let (inode, changed) = {
            use std::os::unix::fs::MetadataExt;
            (about.ino(), (about.ctime(), about.ctime_nsec()))
        };
        #[cfg(not(unix))]
        let (inode, changed) = (0, (0, 0));
        Some((about.modified().ok()?, about.len(), inode, changed))
    };
    files.iter().map(of).collect()
}
