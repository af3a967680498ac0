//! The record in one SQLite file, for one server at a time.
//!
//! One writer connection takes all writes in batches (`writer`); reads have connections of their
//! own and never wait for it.

mod approvals;
mod artifacts;
mod batch;
mod counters;
mod error;
mod file;
mod overview;
mod read;
mod recovery;
mod rows;
mod store;
#[cfg(test)]
mod tests;
mod writer;

use std::{path::PathBuf, sync::Arc, time::Duration};

use sqlx::{
    ConnectOptions, SqlSafeStr, SqliteConnection, SqlitePool,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use self::{file::Lock, writer::Writer};
use crate::store::{Source, StoreError};

/// Connections for reading.
const READERS: u32 = 4;
/// Longest wait of a read for one of them.
const READER_WAIT: Duration = Duration::from_secs(10);
/// Longest wait of a connection for a lock that another process, such as a backup, holds.
const BUSY_WAIT: Duration = Duration::from_secs(5);
/// Bytes in a page of the database, the unit of `max_page_count`.
const PAGE_BYTES: u64 = 4096;

/// Pages in the log after which the writer copies them into the database, which takes two disk
/// flushes: rarely enough that fewer than one task in a hundred waits for it, often enough that the
/// log stays small (16 MiB) and a start after a crash quick.
const CHECKPOINT_PAGES: u32 = 4096;

/// Settings of the database.
#[derive(Debug, Clone)]
pub struct SqliteConfig {
    /// The database's file. It and the folders above it are made where they are missing, for the
    /// owner's eyes only.
    pub path: PathBuf,
    /// Durability of a resolved write.
    pub synchronous: Synchronous,
    /// Largest size of the file in bytes, rounded down to 4096; beyond it writes fail with
    /// [`StoreError::Full`]. None: as large as the disk allows.
    pub max_bytes: Option<u64>,
}

impl SqliteConfig {
    /// The file with the defaults: writes survive the death of the process, no limit of size.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), synchronous: Synchronous::default(), max_bytes: None }
    }
}

/// Durability of a resolved write.
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

    /// Number of batches that have become durable since the start. Under load far below that of
    /// writes.
    pub fn batches(&self) -> u64 {
        self.writer.batches()
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
        (5, "media", include_str!("migrations/0005_media.sql")),
        (6, "journal", include_str!("migrations/0006_journal.sql")),
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
