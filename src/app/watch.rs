//! Notices changes of files. Reads none of them.
//!
//! The system's notices are taken where there are any; beside them the files are compared every few
//! seconds, for file systems without notices and for folders that do not exist yet. However a
//! change is noticed, it is reported once the files are at rest: one may be half written.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::{sync::mpsc, time::Instant};

/// Time that files must be unchanged before they are read: editors write in several steps.
const QUIET: Duration = Duration::from_millis(100);
/// The longest wait for a file that keeps changing.
const QUIET_WITHIN: Duration = Duration::from_secs(1);
/// Interval of comparing files if changes are not notified, as on some network file systems.
const POLL_EVERY: Duration = Duration::from_secs(5);

/// Some files that are watched.
pub(super) struct FileWatch {
    files: Vec<PathBuf>,
    /// Fingerprints of the files before they were last reported: a change during the reading leads
    /// to another one. None before the first report.
    known: Vec<Option<Fingerprint>>,
    notices: mpsc::Receiver<()>,
    _watcher: Option<RecommendedWatcher>,
}

impl FileWatch {
    /// Begins to watch these files. They count as changed once, so that no change is missed between
    /// an earlier reading and now.
    pub(super) fn start(files: Vec<PathBuf>) -> Self {
        let (changed, notices) = mpsc::channel(1);
        let watcher = watcher(&files, changed);
        let known = vec![None; files.len()];
        Self { files, known, notices, _watcher: watcher }
    }

    /// The files.
    pub(super) fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Waits for a change; returns the files that changed, which are at rest by then. May be
    /// dropped at any time: what was not returned is noticed again.
    pub(super) async fn changed(&mut self) -> Vec<PathBuf> {
        loop {
            if self.present() != self.known {
                let present = self.at_rest().await;
                let known = std::mem::replace(&mut self.known, present);
                let pairs = self.files.iter().zip(known.iter().zip(&self.known));
                let differing = pairs.filter(|(_, (known, now))| known != now);
                let changed: Vec<_> = differing.map(|(file, _)| file.clone()).collect();
                // Files that are again as they were have not changed.
                if !changed.is_empty() {
                    return changed;
                }
            }
            tokio::select! {
                Some(()) = self.notices.recv() => {}
                () = tokio::time::sleep(POLL_EVERY) => {}
            }
        }
    }

    fn present(&self) -> Vec<Option<Fingerprint>> {
        self.files.iter().map(|file| Some(fingerprint(file))).collect()
    }

    /// Waits until the files have been unchanged for a moment; returns their fingerprints.
    async fn at_rest(&self) -> Vec<Option<Fingerprint>> {
        let give_up = Instant::now() + QUIET_WITHIN;
        let mut before = self.present();
        loop {
            tokio::time::sleep(QUIET).await;
            let present = self.present();
            // A file that keeps changing is read as it is.
            if present == before || Instant::now() >= give_up {
                return present;
            }
            before = present;
        }
    }
}

/// Watches the folders of the files, because editors write a new file and rename it.
fn watcher(files: &[PathBuf], changed: mpsc::Sender<()>) -> Option<RecommendedWatcher> {
    // A file may be a link; then its target may change too.
    let targets = files.iter().filter_map(|file| file.canonicalize().ok());
    let all: Vec<PathBuf> = files.iter().cloned().chain(targets).collect();
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
        // A folder that does not exist yet is left to the comparing.
        let mut folders = folders.iter().filter(|folder| folder.is_dir());
        folders
            .try_for_each(|folder| watcher.watch(folder, RecursiveMode::NonRecursive))
            .map(|()| watcher)
    });
    watched
        .inspect_err(|error| {
            let seconds = POLL_EVERY.as_secs();
            tracing::warn!(%error, "changes of the configuration are not notified here: its files \
                are compared every {seconds} s");
        })
        .ok()
}

/// The modification time of a file, its length, its inode and the change time of that; none where
/// the file does not exist.
type Fingerprint = Option<(SystemTime, u64, u64, (i64, i64))>;

/// Distinguishes a changed file from an unchanged one without reading it. Tools that copy in place
/// may set the modification time back, but never the change time.
fn fingerprint(file: &Path) -> Fingerprint {
    let about = fs::metadata(file).ok()?;
    let changed = (about.ctime(), about.ctime_nsec());
    Some((about.modified().ok()?, about.len(), about.ino(), changed))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// Writes a file in pieces, each within the quiet time of the one before, and meanwhile waits
    /// for the change; returns what is in the file when the change is reported.
    async fn reported(watch: &mut FileWatch, file: &Path, pieces: &[&str]) -> String {
        let writing = async {
            let mut file = fs::File::create(file).unwrap();
            for piece in pieces {
                file.write_all(piece.as_bytes()).unwrap();
                tokio::time::sleep(QUIET / 2).await;
            }
        };
        let reading = async {
            assert_eq!(watch.changed().await, [file.to_path_buf()]);
            fs::read_to_string(file).unwrap()
        };
        // In this order, so that a slow machine delays both.
        futures::future::join(writing, reading).await.1
    }

    #[tokio::test]
    async fn a_file_that_is_being_written_is_reported_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("airlock.toml");
        // When the watching begins, and by a later notice.
        let mut watch = FileWatch::start(vec![file.clone()]);
        assert_eq!(reported(&mut watch, &file, &["a", "b", "c", "d"]).await, "abcd");
        assert_eq!(reported(&mut watch, &file, &["1", "2", "3", "4"]).await, "1234");
    }

    #[tokio::test]
    async fn a_file_that_keeps_changing_is_reported_after_a_second() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("airlock.toml");
        let mut watch = FileWatch::start(vec![file.clone()]);
        let begun = Instant::now();
        let writing = async {
            for length in 0..1_000 {
                fs::write(&file, "x".repeat(length)).unwrap();
                tokio::time::sleep(QUIET / 2).await;
            }
        };
        tokio::select! {
            // In this order, so that a slow machine delays both.
            biased;
            () = writing => panic!("it was not reported while it changed"),
            found = watch.changed() => assert_eq!(found, std::slice::from_ref(&file)),
        }
        assert!(begun.elapsed() >= QUIET_WITHIN, "{:?}", begun.elapsed());
    }
}
