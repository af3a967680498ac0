//! The durable record: tasks, their results, logs and journals; counters of what was used;
//! approvals; artifacts.
//!
//! Only this module knows SQL. A write is queued when its method is called, and is durable once
//! its [`Written`] resolves. Writes that concern one task (its record, its journal, its approvals)
//! become durable in the order of the calls; nothing is promised about the order of others. Reads
//! see every write whose `Written` has resolved.

mod approvals;
mod artifacts;
mod counters;
mod error;
mod journal;
mod overview;
mod piece;
mod recovery;
mod sqlite;
mod tasks;

use futures::future::BoxFuture;

pub use approvals::{
    APPROVALS_LIST_MAX, ApprovalChange, ApprovalCounts, ApprovalFilter, ApprovalPage,
    ApprovalStore, Decided,
};
pub use artifacts::{
    ARTIFACT_PART_BYTES, ARTIFACTS_LIST_MAX, ArtifactAt, ArtifactFilter, ArtifactOpened,
    ArtifactPage, ArtifactPart, ArtifactStore, SWEEP_PARTS_MAX, Swept,
};
pub use counters::{
    COUNTER_KEY_BYTES_MAX, CounterHold, CounterRead, CounterStore, CounterWindow, HOLDS_MAX,
    HoldToken, Place, ROLLING_SLICES, Reserved, Slot, counters_fit,
};
pub use error::{Source, StoreError, Written};
pub use journal::{JournalRow, JournalStore};
pub use overview::{Counts, IDS_MAX, OverviewStore};
pub use piece::ResultPiece;
pub use recovery::{Recovered, Recovery, RecoveryStore};
pub use sqlite::{SqliteConfig, SqliteStore, Synchronous};
pub use tasks::{
    Created, IDEMPOTENCY_HOURS, LIST_BYTES_MAX, LIST_MAX, NewTask, TaskChange, TaskEnd, TaskFilter,
    TaskPage, TaskStore,
};

/// The whole record. Several callers may share one.
pub trait Store:
    TaskStore
    + JournalStore
    + CounterStore
    + ApprovalStore
    + ArtifactStore
    + RecoveryStore
    + OverviewStore
{
    /// Checks that reads and writes work now.
    fn check(&self) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Waits until everything queued is durable and closes. Later writes and reads resolve to
    /// `Closed`.
    fn close(&self) -> BoxFuture<'_, ()>;
}
