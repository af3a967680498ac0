//! Errors of the database, as the callers of the store see them.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::store::StoreError;

/// Receiver of the outcome of one job.
pub(super) type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

/// The error of a failed statement, as the caller sees it.
pub(super) fn failed(error: sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::PoolClosed => StoreError::Closed,
        error if primary_code(&error) == Some(SQLITE_FULL) => StoreError::Full,
        error => StoreError::Database(Arc::new(error)),
    }
}

const SQLITE_FULL: u32 = 13;
pub(super) const SQLITE_TOOBIG: u32 = 18;
pub(super) const SQLITE_CONSTRAINT: u32 = 19;

/// The low byte of SQLite's error code says what failed; the rest says where.
pub(super) fn primary_code(error: &sqlx::Error) -> Option<u32> {
    let code = error.as_database_error()?.code()?;
    code.parse::<u32>().ok().map(|code| code & 0xff)
}
