//! Many writes as one transaction with a fixed number of statements.
//!
//! The statements take JSON arrays, so they stay prepared for any number of writes, and the whole
//! transaction is one trip to the connection's thread. To the outside a batch is as if its writes
//! had been done one after the other.

use std::collections::{HashMap, HashSet, hash_map::Entry};

use serde::Serialize;
use sqlx::{Row, SqliteConnection};

use super::{
    error::failed,
    rows::{ChangeRow, EventRow, JournalEntries, KeyRow, TaskRow},
};
use crate::{
    model::{EventDetails, NoDetails, TaskId},
    store::{Created, IDEMPOTENCY_HOURS, NewTask, StoreError, TaskChange},
};

/// The size of a part, in bytes; the schema names the same number.
pub(super) const RESULT_PART_BYTES: usize = 256 * 1024;

const KEY_LIFE_NANOSECONDS: i64 = IDEMPOTENCY_HOURS * 3600 * 1_000_000_000;

/// The parameters, the same for all statements: $1 new tasks, $2 changes, $3 events, $4 keys, $5
/// how long a key holds, $6 rows of journals. A batch runs no statement that it has no rows for,
/// because even an empty one costs a trip between threads.
const CREATES: &str = concat!(
    "BEGIN IMMEDIATE;",
    include_str!("sql/tasks.sql"),
    include_str!("sql/events.sql"),
    "COMMIT;"
);
const CHANGES: &str = concat!(
    "BEGIN IMMEDIATE;",
    include_str!("sql/events.sql"),
    include_str!("sql/changes.sql"),
    "COMMIT;"
);
const JOURNALED: &str = concat!(
    "BEGIN IMMEDIATE;",
    include_str!("sql/events.sql"),
    include_str!("sql/journal.sql"),
    include_str!("sql/changes.sql"),
    "COMMIT;"
);
pub(super) const MIXED: &str = concat!(
    "BEGIN IMMEDIATE;",
    include_str!("sql/keys.sql"),
    include_str!("sql/tasks.sql"),
    include_str!("sql/events.sql"),
    include_str!("sql/journal.sql"),
    include_str!("sql/changes.sql"),
    "COMMIT;"
);
/// Before and after the parts of results.
const FIRST: &str =
    concat!("BEGIN IMMEDIATE;", include_str!("sql/keys.sql"), include_str!("sql/tasks.sql"));
const LAST: &str = concat!(
    include_str!("sql/events.sql"),
    include_str!("sql/journal.sql"),
    include_str!("sql/changes.sql"),
    "COMMIT;"
);
pub(super) const PART: &str = "INSERT INTO results (task, part, bytes)
    SELECT n, $2, $3 FROM tasks WHERE id = $1 AND completed_at IS NULL";

/// One write.
#[derive(Debug)]
pub(super) enum Change {
    Create(Box<NewTask>),
    Change(Box<TaskChange>),
}

impl Change {
    /// The task it is about.
    pub(super) fn task_id(&self) -> TaskId {
        match self {
            Self::Create(task) => task.task_id,
            Self::Change(change) => change.task_id,
        }
    }

    /// About how much memory it holds, in bytes.
    pub(super) fn weight(&self) -> usize {
        const REST: usize = 2048;
        match self {
            Self::Create(task) => REST + task.code.len(),
            Self::Change(change) => {
                let end = change.end.as_ref().map_or(0, |end| {
                    let logs: usize = end.logs.lines.iter().map(|line| line.text.len() + 64).sum();
                    end.result.as_ref().map_or(0, |result| result.get().len()) + logs
                });
                let journal: usize = change.journal.iter().map(|row| row.entries.len() + 64).sum();
                REST + end + journal + change.events.len() * 8192
            }
        }
    }
}

/// The outcome of one write of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    Existing(TaskId),
    Conflict,
}

impl Outcome {
    pub(super) fn created(self, task: TaskId) -> Result<Created, StoreError> {
        match self {
            Self::Done => Ok(Created::New),
            Self::Existing(earlier) => Ok(Created::Existing(earlier)),
            Self::Conflict => Err(StoreError::Conflict(task)),
        }
    }

    pub(super) fn changed(self, task: TaskId) -> Result<(), StoreError> {
        match self {
            Self::Done => Ok(()),
            Self::Existing(_) | Self::Conflict => Err(StoreError::Conflict(task)),
        }
    }
}

/// Makes all of these durable, or none: then the error is that of the database, and the caller
/// rolls back.
pub(super) async fn commit(
    connection: &mut SqliteConnection,
    changes: &[&Change],
) -> Result<Vec<Outcome>, sqlx::Error> {
    let batch = Batch::new(changes);
    let rows = if batch.parts.is_empty() {
        batch.run(batch.script(), connection).await?
    } else {
        let mut rows = batch.run(FIRST, connection).await?;
        for (task, part, bytes) in &batch.parts {
            sqlx::query(PART)
                .bind(task.to_string())
                .bind(part)
                .bind(bytes.to_vec())
                .execute(&mut *connection)
                .await?;
        }
        rows.extend(batch.run(LAST, connection).await?);
        rows
    };
    let mut existing = HashMap::new();
    let mut refused = HashSet::new();
    for row in rows {
        let task = named(&row, 0)?;
        match row.try_get::<Option<&str>, _>(1)? {
            Some(_) => {
                existing.insert(task, named(&row, 1)?);
            }
            None => {
                refused.insert(task);
            }
        }
    }
    Ok(changes
        .iter()
        .zip(&batch.lost)
        .map(|(change, lost)| outcome(change, *lost, &existing, &refused))
        .collect())
}

fn outcome(
    change: &Change,
    lost: bool,
    existing: &HashMap<TaskId, TaskId>,
    refused: &HashSet<TaskId>,
) -> Outcome {
    let task = change.task_id();
    match change {
        Change::Create(_) => {
            existing.get(&task).map_or(Outcome::Done, |earlier| Outcome::Existing(*earlier))
        }
        Change::Change(_) if lost || refused.contains(&task) => Outcome::Conflict,
        Change::Change(_) => Outcome::Done,
    }
}

fn named(row: &sqlx::sqlite::SqliteRow, column: usize) -> Result<TaskId, sqlx::Error> {
    row.try_get::<&str, _>(column)?.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

/// The parameters of the statements.
#[derive(Default)]
struct Batch<'a> {
    tasks: Vec<TaskRow<'a>>,
    keys: Vec<KeyRow<'a>>,
    changes: Vec<ChangeRow<'a>>,
    events: Vec<EventRow<'a>>,
    journal: Vec<JournalEntries<'a>>,
    parts: Vec<(TaskId, i64, &'a [u8])>,
    /// By place in the batch: a change that comes before its task is recorded, or after another has
    /// ended it. Whatever the tables hold, it is a conflict.
    lost: Vec<bool>,
    /// By task: where its changes are gathered, how many events it has so far, whether it has
    /// ended.
    seen: HashMap<TaskId, Seen>,
}

#[derive(Default)]
struct Seen {
    change: Option<usize>,
    events: u32,
    ended: bool,
}

impl<'a> Batch<'a> {
    fn new(changes: &[&'a Change]) -> Self {
        let created = |(place, change): (usize, &&Change)| match change {
            Change::Create(task) => Some((task.task_id, place)),
            Change::Change(_) => None,
        };
        let created: HashMap<_, _> = changes.iter().enumerate().filter_map(created).collect();
        let mut batch = Self::default();
        for (place, change) in changes.iter().enumerate() {
            let early = created.get(&change.task_id()).is_some_and(|created| place < *created);
            let lost = match change {
                Change::Create(task) => batch.create(task),
                Change::Change(_) if early => true,
                Change::Change(change) => batch.change(change),
            };
            batch.lost.push(lost);
        }
        batch
    }

    fn create(&mut self, task: &'a NewTask) -> bool {
        self.keys.extend(KeyRow::of(task));
        self.tasks.push(TaskRow::of(task));
        let seen = self.seen.entry(task.task_id).or_default();
        for data in &CREATION {
            seen.events += 1;
            self.events.push(EventRow::of(task.task_id, seen.events, task.created_at, data));
        }
        false
    }

    /// Gathers all changes of a task up to the one that ends it: they share one fate, which depends
    /// only on whether the task had ended before the batch.
    fn change(&mut self, change: &'a TaskChange) -> bool {
        let seen = match self.seen.entry(change.task_id) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Seen::default()),
        };
        if seen.ended {
            return true;
        }
        seen.ended = change.end.is_some();
        let place = *seen.change.get_or_insert(self.changes.len());
        if place == self.changes.len() {
            self.changes.push(ChangeRow::of(change.task_id));
        }
        let large = self.changes[place].add(change);
        self.parts.extend(
            large
                .into_iter()
                .flat_map(|result| result.as_bytes().chunks(RESULT_PART_BYTES))
                .zip(0..)
                .map(|(bytes, part)| (change.task_id, part, bytes)),
        );
        for event in &change.events {
            seen.events += 1;
            self.events.push(EventRow::of(change.task_id, seen.events, event.at, &event.data));
        }
        let rows = change.journal.iter().map(|row| JournalEntries::of(change.task_id, row));
        self.journal.extend(rows);
        false
    }

    fn script(&self) -> &'static str {
        match (self.tasks.is_empty(), self.changes.is_empty(), self.keys.is_empty()) {
            (true, ..) if self.journal.is_empty() => CHANGES,
            (true, ..) => JOURNALED,
            (_, true, true) => CREATES,
            _ => MIXED,
        }
    }

    async fn run(
        &self,
        sql: &'static str,
        connection: &mut SqliteConnection,
    ) -> Result<Vec<sqlx::sqlite::SqliteRow>, sqlx::Error> {
        sqlx::query(sql)
            .bind(json(&self.tasks)?)
            .bind(json(&self.changes)?)
            .bind(json(&self.events)?)
            .bind(json(&self.keys)?)
            .bind(KEY_LIFE_NANOSECONDS)
            .bind(json(&self.journal)?)
            .fetch_all(connection)
            .await
    }
}

/// The events of a task's creation.
static CREATION: [EventDetails; 2] =
    [EventDetails::TaskCreated(NoDetails {}), EventDetails::TaskQueued(NoDetails {})];

fn json<T: Serialize>(rows: &[T]) -> Result<String, sqlx::Error> {
    serde_json::to_string(rows).map_err(|error| sqlx::Error::Encode(Box::new(error)))
}

/// The error for every write of a batch that failed as a whole.
pub(super) fn all_failed(error: sqlx::Error) -> impl Fn() -> StoreError {
    let error = failed(error);
    move || match &error {
        StoreError::Full => StoreError::Full,
        StoreError::Database(source) => StoreError::Database(source.clone()),
        _ => StoreError::Closed,
    }
}
