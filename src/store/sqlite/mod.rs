//! The record in one SQLite file, for one server at a time.
//!
//! One writer connection takes all writes in batches (`writer`); reads have connections of their
//! own and never wait for it.

mod approvals;
mod artifacts;
mod batch;
mod counters;
mod file;
mod read;
mod rows;
#[cfg(test)]
mod tests;
mod writer;

use std::{path::PathBuf, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use sqlx::{
    ConnectOptions, SqlSafeStr, SqliteConnection, SqlitePool,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use self::{file::Lock, writer::Writer};
use super::{
    ApprovalChange, ApprovalFilter, ApprovalPage, CounterHold, CounterRead, Created, Decided,
    HoldToken, NewTask, Reserved, ResultPiece, Settle, Source, Store, StoreError, TaskChange,
    TaskFilter, TaskPage, Written, counters_fit,
};
use crate::model::{Approval, ApprovalId, Event, Task, TaskError, TaskId, Timestamp};

/// Connections for reading.
const READERS: u32 = 4;
/// How long a read waits for one of them.
const READER_WAIT: Duration = Duration::from_secs(10);
/// How long a connection waits for a lock that another process, such as a backup, holds.
const BUSY_WAIT: Duration = Duration::from_secs(5);
/// Bytes in a page of the database, the unit of `max_page_count`.
const PAGE_BYTES: u64 = 4096;

/// Pages in the log after which the writer copies them into the database, which takes two disk
/// flushes: rarely enough that fewer than one task in a hundred waits for it, often enough that the
/// log stays small (16 MiB) and a start after a crash quick.
const CHECKPOINT_PAGES: u32 = 4096;

/// How to open the database.
#[derive(Debug, Clone)]
pub struct SqliteConfig {
    /// The database's file. It and the folders above it are made where they are missing, for the
    /// owner's eyes only.
    pub path: PathBuf,
    /// What a resolved write survives.
    pub synchronous: Synchronous,
    /// How large the file may become, in bytes, rounded down to 4096; then writes fail with
    /// [`StoreError::Full`]. None: as large as the disk allows.
    pub max_bytes: Option<u64>,
}

impl SqliteConfig {
    /// The file with the defaults: writes survive the death of the process, no limit of size.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), synchronous: Synchronous::default(), max_bytes: None }
    }
}

/// What a resolved write survives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Synchronous {
    /// The death of the process at any moment. A power cut may lose the last moments, never damage
    /// the record.
    #[default]
    Normal,
    /// A power cut as well, at the price of a disk flush per batch.
    Full,
}

/// The store on one SQLite file. Clones are not needed: share it in an `Arc`.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    readers: SqlitePool,
    writer: Writer,
}

impl SqliteStore {
    /// Opens the database, made or brought to this version's schema as needed, and holds it against
    /// other servers until it is closed, dropped, or the process ends.
    ///
    /// # Errors
    /// `InUse` where another server has it, `Newer` where a later version of airlock made it, else
    /// `Open` with the cause.
    pub async fn open(config: SqliteConfig) -> Result<Self, StoreError> {
        let path = config.path.clone();
        let lock = file::prepare(&path)?;
        let opened = Self::connect(config, lock).await;
        opened.map_err(|error| match error {
            OpenError::Newer(version) => StoreError::Newer { path, version },
            OpenError::Other(source) => StoreError::Open { path, source },
        })
    }

    async fn connect(config: SqliteConfig, lock: Lock) -> Result<Self, OpenError> {
        let mut connection = writing(&config).connect().await?;
        migrate(&mut connection).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(READER_WAIT)
            .test_before_acquire(false)
            .connect_with(reading(&config))
            .await?;
        Ok(Self { path: config.path, readers, writer: Writer::start(connection, lock) })
    }

    /// How many batches have become durable since the start. Much fewer than writes, under load.
    pub fn batches(&self) -> u64 {
        self.writer.batches()
    }
}

impl Store for SqliteStore {
    fn create_task(&self, task: NewTask) -> Written<Created> {
        self.writer.create(task)
    }

    fn change_task(&self, change: TaskChange) -> Written {
        self.writer.change(change)
    }

    fn task<'a>(
        &'a self,
        workspace_id: &'a str,
        task: TaskId,
    ) -> BoxFuture<'a, Result<Option<Task>, StoreError>> {
        Box::pin(read::task(&self.readers, workspace_id, task))
    }

    fn result<'a>(
        &'a self,
        workspace_id: &'a str,
        task: TaskId,
        offset: u64,
        limit: u64,
    ) -> BoxFuture<'a, Result<Option<ResultPiece>, StoreError>> {
        Box::pin(read::result(&self.readers, workspace_id, task, offset, limit))
    }

    fn tasks<'a>(
        &'a self,
        workspace_id: &'a str,
        filter: TaskFilter,
    ) -> BoxFuture<'a, Result<TaskPage, StoreError>> {
        Box::pin(read::tasks(&self.readers, workspace_id, filter))
    }

    fn events<'a>(
        &'a self,
        workspace_id: &'a str,
        task: TaskId,
        after: u64,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<Event>, StoreError>> {
        Box::pin(read::events(&self.readers, workspace_id, task, after, limit))
    }

    fn fail_unfinished(&self, under_way: TaskError, idle: TaskError) -> Written<u64> {
        self.writer.fail_unfinished(under_way, idle)
    }

    fn reserve(&self, at: Timestamp, holds: &[CounterHold]) -> Written<Reserved> {
        match counters_fit(holds) {
            Ok(()) if holds.is_empty() => {
                Box::pin(std::future::ready(Ok(Reserved::Held(HoldToken::default()))))
            }
            Ok(()) => self.writer.reserve(at, holds),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn settle(&self, token: HoldToken, how: Settle) -> Written {
        match how {
            Settle::Rollback if !token.is_empty() => self.writer.give_back(token),
            // Everything is counted already.
            Settle::Rollback | Settle::Commit => Box::pin(std::future::ready(Ok(()))),
        }
    }

    fn counters<'a>(
        &'a self,
        at: Timestamp,
        reads: &'a [CounterRead],
    ) -> BoxFuture<'a, Result<Vec<i64>, StoreError>> {
        Box::pin(counters::values(&self.readers, at, reads))
    }

    fn ask_approval(&self, approval: Approval) -> Written {
        self.writer.ask_approval(approval)
    }

    fn decide_approval(&self, workspace_id: &str, change: ApprovalChange) -> Written<Decided> {
        self.writer.decide(workspace_id.to_owned(), change)
    }

    fn approval<'a>(
        &'a self,
        workspace_id: &'a str,
        id: ApprovalId,
    ) -> BoxFuture<'a, Result<Option<Approval>, StoreError>> {
        Box::pin(approvals::approval_of(&self.readers, workspace_id, id))
    }

    fn approvals<'a>(
        &'a self,
        workspace_id: &'a str,
        filter: ApprovalFilter,
    ) -> BoxFuture<'a, Result<ApprovalPage, StoreError>> {
        Box::pin(approvals::list(&self.readers, workspace_id, filter))
    }

    fn void_approvals(&self, at: Timestamp, why: &str) -> Written<u64> {
        self.writer.void_approvals(at, why.to_owned())
    }

    fn check(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async {
            read::check(&self.readers).await?;
            self.writer.check().await
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.readers.close().await;
            self.writer.close().await;
            tracing::debug!(path = %self.path.display(), "the database is closed");
        })
    }
}

enum OpenError {
    Newer(i64),
    Other(Source),
}

impl From<sqlx::Error> for OpenError {
    fn from(error: sqlx::Error) -> Self {
        Self::Other(Arc::new(error))
    }
}

fn connecting(config: &SqliteConfig) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(&config.path)
        .create_if_missing(false)
        .busy_timeout(BUSY_WAIT)
        .foreign_keys(false)
        .disable_statement_logging()
}

fn writing(config: &SqliteConfig) -> SqliteConnectOptions {
    let synchronous = match config.synchronous {
        Synchronous::Normal => SqliteSynchronous::Normal,
        Synchronous::Full => SqliteSynchronous::Full,
    };
    let options = connecting(config)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(synchronous)
        .pragma("page_size", PAGE_BYTES.to_string())
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES.to_string())
        .pragma("cache_size", "-16384")
        .pragma("journal_size_limit", "67108864");
    match config.max_bytes {
        Some(bytes) => options.pragma("max_page_count", (bytes / PAGE_BYTES).max(1).to_string()),
        None => options,
    }
}

fn reading(config: &SqliteConfig) -> SqliteConnectOptions {
    connecting(config).pragma("query_only", "ON")
}

async fn migrate(connection: &mut SqliteConnection) -> Result<(), OpenError> {
    let migrations = [
        (1, "tasks", include_str!("migrations/0001_tasks.sql")),
        (2, "policy", include_str!("migrations/0002_policy.sql")),
        (3, "artifacts", include_str!("migrations/0003_artifacts.sql")),
        (4, "principals", include_str!("migrations/0004_principals.sql")),
    ];
    let migrations = migrations
        .into_iter()
        .map(|(version, name, sql)| {
            Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
        })
        .collect();
    // `run` itself makes a future that is not known to be `Send`.
    match Migrator::with_migrations(migrations).run_direct(None, connection, false).await {
        Ok(()) => Ok(()),
        Err(MigrateError::VersionMissing(version)) => Err(OpenError::Newer(version)),
        Err(error) => Err(OpenError::Other(Arc::new(error))),
    }
}

/// What a failed statement means to the caller.
fn failed(error: sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::PoolClosed => StoreError::Closed,
        error if primary_code(&error) == Some(SQLITE_FULL) => StoreError::Full,
        error => StoreError::Database(Arc::new(error)),
    }
}

const SQLITE_FULL: u32 = 13;
const SQLITE_TOOBIG: u32 = 18;
const SQLITE_CONSTRAINT: u32 = 19;

/// The low byte of SQLite's error code says what failed; the rest says where.
fn primary_code(error: &sqlx::Error) -> Option<u32> {
    let code = error.as_database_error()?.code()?;
    code.parse::<u32>().ok().map(|code| code & 0xff)
}
