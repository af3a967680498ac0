//! Errors of every store, and the future of a write.

use std::{path::PathBuf, sync::Arc};

use futures::future::BoxFuture;

use crate::model::TaskId;

/// Resolves when the write is durable, or says why it never will be. Dropping it does not take the
/// write back.
pub type Written<T = ()> = BoxFuture<'static, Result<T, StoreError>>;

/// Errors of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another server has the database open.
    #[error(
        "the database `{path}` is in use by another airlock server{}",
        process.map(|id| format!(", process {id}")).unwrap_or_default()
    )]
    InUse {
        /// The database's file.
        path: PathBuf,
        /// The other server, where it has left its number.
        process: Option<u32>,
    },
    /// A later version of airlock made the database.
    #[error(
        "the database `{path}` was made by a later version of airlock: it has schema {version}, \
        which this version does not know"
    )]
    Newer {
        /// The database's file.
        path: PathBuf,
        /// The step of its schema that is not known here.
        version: i64,
    },
    /// It cannot be opened or brought to this version's schema.
    #[error("the database `{path}` cannot be opened")]
    Open {
        /// The database's file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: Source,
    },
    /// The change came too late, or the task was never recorded; for a new task: it is recorded
    /// already.
    #[error("task `{0}` does not take this write: it has ended, or was never recorded")]
    Conflict(TaskId),
    /// The write contradicts itself.
    #[error("the write is not possible: {0}")]
    Invalid(&'static str),
    /// The cursor is not one of ours.
    #[error("`{0}` is not a cursor of this list")]
    BadCursor(String),
    /// More writes are queued than may be.
    #[error("the store is busy: {0} writes are queued")]
    Busy(usize),
    /// The disk is full, or the database has the size it may have.
    #[error("the database is full: the disk has no room, or its largest size is reached")]
    Full,
    /// The database failed.
    #[error("the database failed")]
    Database(#[source] Source),
    /// It was closed.
    #[error("the store is closed")]
    Closed,
}

/// Something that went wrong below.
pub type Source = Arc<dyn std::error::Error + Send + Sync>;
