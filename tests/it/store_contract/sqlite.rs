//! The contract on SQLite, and what only a file can promise: what survives, who may open it, what
//! happens when it fills up.

use std::{
    io::{BufRead, BufReader},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
};

use airlock::{
    model::{EventKind, TaskId, TaskStatus, Timestamp},
    store::{
        Created, JournalStore, NewTask, SqliteConfig, SqliteStore, Store, StoreError, Synchronous,
        TaskChange, TaskStore,
    },
};
use futures::FutureExt;
use proptest::prelude::*;

use super::{Shared, change, end, event, limit, listed, new_task, recorded};

super::contracts! {}

pub(super) struct Opened {
    store: Arc<SqliteStore>,
    _folder: tempfile::TempDir,
}

impl Opened {
    pub(super) fn store(&self) -> Shared {
        self.store.clone()
    }
}

async fn open() -> Opened {
    let folder = tempfile::tempdir().unwrap();
    Opened { store: Arc::new(opened(&folder.path().join("airlock.db")).await), _folder: folder }
}

async fn opened(path: &Path) -> SqliteStore {
    SqliteStore::open(SqliteConfig::new(path)).await.unwrap()
}

fn error_chain(error: &StoreError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_creates_share_batches_and_survive() {
    for synchronous in [Synchronous::Normal, Synchronous::Full] {
        let folder = tempfile::tempdir().unwrap();
        let config =
            SqliteConfig { synchronous, ..SqliteConfig::new(folder.path().join("airlock.db")) };
        let store = SqliteStore::open(config.clone()).await.unwrap();
        let tasks: Vec<_> = (0..200).map(|_| new_task()).collect();
        let writes: Vec<_> = tasks.iter().cloned().map(|task| store.create_task(task)).collect();
        for created in futures::future::join_all(writes).await {
            assert_eq!(created.unwrap(), Created::New);
        }
        assert!(store.batches() <= 20, "{} batches for 200 writes", store.batches());
        store.close().await;
        let store = SqliteStore::open(config).await.unwrap();
        for task in &tasks {
            assert!(store.task("local", task.task_id).await.unwrap().is_some());
        }
    }
}

#[tokio::test]
async fn a_second_server_is_told_who_has_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("airlock.db");
    let store = opened(&path).await;
    match SqliteStore::open(SqliteConfig::new(&path)).await {
        Err(StoreError::InUse { path: named, process }) => {
            assert_eq!((named, process), (path.clone(), Some(std::process::id())))
        }
        other => panic!("{other:?}"),
    }
    store.close().await;
    opened(&path).await.close().await;
}

#[tokio::test]
async fn the_files_are_the_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made/for/airlock.db");
    let store: Shared = Arc::new(opened(&path).await);
    recorded(&store, new_task()).await;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    assert_eq!(mode(path.parent().unwrap().parent().unwrap()), 0o700);
    for suffix in ["", "-wal", "-shm", ".lock"] {
        assert_eq!(mode(&PathBuf::from(format!("{}{suffix}", path.display()))), 0o600, "{suffix}");
    }
}

#[tokio::test]
async fn a_link_in_place_of_the_lock_is_refused_and_its_target_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("airlock.db");
    let target = folder.path().join("precious");
    std::fs::write(&target, "precious").unwrap();
    std::os::unix::fs::symlink(&target, folder.path().join("airlock.db.lock")).unwrap();
    let error = SqliteStore::open(SqliteConfig::new(&path)).await.unwrap_err();
    let message = error_chain(&error);
    assert!(message.contains("airlock.db.lock` is a symbolic link"), "{message}");
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "precious");
    assert!(!path.exists(), "nothing was made");
}

#[tokio::test]
async fn what_others_could_read_is_the_owners_alone_once_it_is_open() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("airlock.db");
    opened(&path).await.close().await;
    let files =
        ["", ".lock", "-wal"].map(|suffix| PathBuf::from(format!("{}{suffix}", path.display())));
    for file in &files {
        std::fs::OpenOptions::new().append(true).create(true).open(file).unwrap();
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o666)).unwrap();
    }
    let _store = opened(&path).await;
    for file in &files {
        assert_eq!(std::fs::metadata(file).unwrap().mode() & 0o777, 0o600, "{}", file.display());
    }
}

#[tokio::test]
async fn files_of_another_user_are_refused() {
    // Only the superuser can give a file away.
    if !rustix::process::geteuid().is_root() {
        return;
    }
    for suffix in ["", ".lock", "-wal", "-shm", "-journal"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("airlock.db");
        let file = format!("{}{suffix}", path.display());
        std::fs::write(&file, "").unwrap();
        std::os::unix::fs::chown(&file, Some(12_345), None).unwrap();
        let error = SqliteStore::open(SqliteConfig::new(&path)).await.unwrap_err();
        let message = error_chain(&error);
        assert!(message.contains(&format!("`{file}` belongs to user 12345")), "{message}");
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_named_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("airlock.db");
    let text = "not a database ".repeat(1000);
    std::fs::write(&path, &text).unwrap();
    let error = SqliteStore::open(SqliteConfig::new(&path)).await.unwrap_err();
    assert!(matches!(error, StoreError::Open { .. }));
    let message = error_chain(&error);
    assert!(
        message.contains(path.to_str().unwrap()) && message.contains("not a database"),
        "{message}"
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let path = file.join("airlock.db");
    let error = SqliteStore::open(SqliteConfig::new(&path)).await.unwrap_err();
    assert!(matches!(&error, StoreError::Open { path: named, .. } if *named == path));
    let message = error_chain(&error);
    assert!(message.contains("irectory") || message.contains("exists"), "{message}");
}

#[tokio::test]
async fn a_read_only_database_is_refused() {
    // The superuser may write everything, so there the folder cannot be made read-only.
    if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o500)).unwrap();
    let error =
        SqliteStore::open(SqliteConfig::new(folder.path().join("airlock.db"))).await.unwrap_err();
    assert!(error_chain(&error).contains("ermission denied"), "{}", error_chain(&error));
}

#[tokio::test]
async fn a_database_of_a_later_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("airlock.db");
    opened(&path).await.close().await;
    let later = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let mut connection = sqlx::ConnectOptions::connect(&later).await.unwrap();
    sqlx::query("INSERT INTO _sqlx_migrations VALUES (9999, 'later', '2040-01-01', 1, x'00', 1)")
        .execute(&mut connection)
        .await
        .unwrap();
    sqlx::Connection::close(connection).await.unwrap();
    let error = SqliteStore::open(SqliteConfig::new(&path)).await.unwrap_err();
    assert!(matches!(error, StoreError::Newer { version: 9999, .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_database_refuses_and_keeps_what_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let config = SqliteConfig {
        max_bytes: Some(1024 * 1024),
        ..SqliteConfig::new(folder.path().join("airlock.db"))
    };
    let store = SqliteStore::open(config.clone()).await.unwrap();
    let mut kept: Vec<TaskId> = Vec::new();
    let full = loop {
        assert!(kept.len() < 100, "it never became full");
        let mut task = new_task();
        task.code = "x".repeat(60_000);
        let id = task.task_id;
        match store.create_task(task).await {
            Ok(_) => kept.push(id),
            Err(error) => break error,
        }
    };
    assert!(matches!(full, StoreError::Full), "{full:?}");
    assert!(kept.len() > 5);
    store.close().await;
    // With room again it goes on where it was.
    let store = SqliteStore::open(SqliteConfig { max_bytes: None, ..config }).await.unwrap();
    for id in &kept {
        assert!(store.task("local", *id).await.unwrap().is_some());
    }
    let all: Shared = Arc::new(store);
    assert_eq!(listed(&all, limit(200)).await.len(), kept.len());
    recorded(&all, new_task()).await;
}

#[tokio::test]
async fn a_queue_that_is_full_refuses_at_once() {
    // One thread and nothing awaited: the writer does not get to run, so all of it waits.
    let opened = open().await;
    let mut writes: Vec<_> = (0..10_000).map(|_| opened.store.create_task(new_task())).collect();
    assert!(matches!(opened.store.create_task(new_task()).await, Err(StoreError::Busy(10_000))));
    assert_eq!(writes.pop().unwrap().await.unwrap(), Created::New);
    recorded(&opened.store(), new_task()).await;
}

#[tokio::test]
async fn a_queue_is_bounded_in_bytes_too() {
    let opened = open().await;
    let large = |mib: usize| NewTask { code: "x".repeat(mib * 1024 * 1024), ..new_task() };
    // One that is larger than the bound may wait alone. Nothing is awaited, so it does.
    drop(opened.store.create_task(large(300)));
    assert!(matches!(opened.store.create_task(large(1)).await, Err(StoreError::Busy(1))));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// Whatever happens to a few tasks, in batches of whatever size, SQLite answers as the store in
    /// memory does.
    #[test]
    fn any_history_reads_as_if_written_one_by_one(steps in prop::collection::vec(
        (0usize..6, 0u8..7, any::<bool>()), 1..60
    )) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(same_answers(&steps));
    }
}

async fn same_answers(steps: &[(usize, u8, bool)]) {
    let (folder, model) = (open().await, super::memory::MemoryStore::default());
    let tasks: Vec<_> = (0..6)
        .map(|n| NewTask { idempotency_key: (n > 3).then(|| "key".into()), ..new_task() })
        .collect();
    let mut waiting = Vec::new();
    for (n, what, wait) in steps {
        let (task, store) = (&tasks[*n], &folder.store);
        let id = task.task_id;
        let change = match what {
            0 => {
                let expected = model.create_task(task.clone()).await;
                let written = store.create_task(task.clone());
                waiting.push(async move { assert_eq!(
                    format!("{:?}", written.await), format!("{expected:?}")
                ) }.boxed());
                continue;
            }
            1 => end(id, TaskStatus::Completed, Some(format!("\"{}\"", "x".repeat(n * 100_000)))),
            2 => end(id, TaskStatus::Cancelled, None),
            3 => TaskChange {
                status: Some(TaskStatus::Running),
                started_at: Some(Timestamp::now()),
                ..change(id)
            },
            _ => TaskChange {
                events: vec![event(EventKind::CallStarted, *n as u32); usize::from(*what) - 3],
                ..change(id)
            },
        };
        let (expected, written) =
            (model.change_task(change.clone()).await, store.change_task(change));
        waiting.push(
            async move { assert_eq!(format!("{:?}", written.await), format!("{expected:?}")) }
                .boxed(),
        );
        if *wait {
            futures::future::join_all(waiting.drain(..)).await;
        }
    }
    futures::future::join_all(waiting).await;
    let shown = async |store: &dyn Store| {
        let mut all = vec![format!("{:?}", store.tasks("local", limit(200)).await.unwrap().tasks)];
        for task in &tasks {
            all.push(format!("{:?}", store.events("local", task.task_id, 0, 1000).await.unwrap()));
            all.push(format!(
                "{:?}",
                store.result("local", task.task_id, 0, u64::MAX).await.unwrap()
            ));
        }
        all
    };
    assert_eq!(shown(&*folder.store).await, shown(&model).await);
}

/// Set in the process that [`records_until_it_is_killed`] is meant for: the database.
const VICTIM: &str = "AIRLOCK_TEST_STORE_VICTIM";

/// Not a test of its own: the process that the next ones kill. It prints the id of every task whose
/// record or end is acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_until_it_is_killed() {
    let Some(path) = std::env::var_os(VICTIM) else { return };
    let store: Shared = Arc::new(opened(Path::new(&path)).await);
    let writers = (0..16).map(|_| {
        let store = store.clone();
        tokio::spawn(async move {
            // Bounded, in case nobody kills it.
            for _ in 0..100_000 {
                let task = new_task();
                let id = task.task_id;
                store.create_task(task).await.unwrap();
                say(&format!("\ncreated {id}"));
                store.change_task(end(id, TaskStatus::Completed, Some("2".into()))).await.unwrap();
                say(&format!("\ncompleted {id}"));
            }
        })
    });
    futures::future::join_all(writers).await;
}

/// Past the test runner, which would hold output back.
fn say(line: &str) {
    use std::io::Write;
    let line = format!("{line}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

/// Killed at the latest when the test is over.
struct Victim(Child);

impl Drop for Victim {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn victim(path: &Path) -> Victim {
    let process = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "store_contract::sqlite::records_until_it_is_killed",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(VICTIM, path)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    Victim(process.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_loses_nothing_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("airlock.db");
    let mut acknowledged = Vec::new();
    for lines in [100, 700, 3000] {
        let mut process = victim(&path);
        let mut output = BufReader::new(process.0.stderr.take().unwrap()).lines();
        let mut seen: Vec<String> = Vec::new();
        while seen.len() < lines {
            let line = output.next().expect("the process goes on until it is killed").unwrap();
            seen.extend((!line.is_empty()).then_some(line));
        }
        drop(process);
        // What it had still said counts too; the last line may be cut off.
        seen.extend(
            output.map_while(Result::ok).filter(|line| line.len() >= "created task_".len() + 36),
        );
        acknowledged.extend(seen);
        // The lock went with the process, and the next one finds everything.
        let store = opened(&path).await;
        for line in &acknowledged {
            let Some((what, id)) =
                line.split_once(' ').filter(|(what, _)| ["created", "completed"].contains(what))
            else {
                continue;
            };
            let task = store.task("local", id.parse().unwrap()).await.unwrap();
            let task = task.unwrap_or_else(|| panic!("{line}, but it is gone"));
            if what == "completed" {
                assert_eq!(task.status, TaskStatus::Completed, "{line}");
                assert_eq!(
                    store.result("local", task.task_id, 0, 10).await.unwrap().unwrap().text,
                    "2"
                );
            }
            let events = store.events("local", task.task_id, 0, 10).await.unwrap();
            assert_eq!(events.len(), if task.status == TaskStatus::Completed { 3 } else { 2 });
        }
        store.close().await;
    }
    assert!(acknowledged.iter().filter(|line| line.starts_with("completed")).count() > 1000);
}
