//! Rows of the tables, as they are written and read.

use std::collections::BTreeSet;

use serde::{Serialize, de::DeserializeOwned};
use sqlx::{Row, sqlite::SqliteRow};

use crate::{
    model::{
        Event, EventDetails, InstanceId, JsonObject, Logs, Principal, Role, Task, TaskError,
        TaskId, TaskStatus, Timestamp, Usage,
    },
    store::{JournalRow, NewTask, TaskChange},
};

/// A result longer than this, in bytes, goes in parts; the schema names the same number.
const RESULT_SHORT_BYTES: usize = 4096;

/// Since 1970, as the tables keep it. Holds until the year 2262, and stops there.
pub(super) fn nanoseconds(at: Timestamp) -> i64 {
    i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX)
}

#[derive(Serialize)]
pub(super) struct TaskRow<'a> {
    id: TaskId,
    workspace_id: &'a str,
    account_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<&'a str>,
    client_id: &'a str,
    roles: &'a BTreeSet<Role>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<&'a str>,
    instance_id: InstanceId,
    runtime_id: &'a str,
    timeout_ms: u64,
    created_at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a JsonObject>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    code: &'a str,
}

impl<'a> TaskRow<'a> {
    pub(super) fn of(task: &'a NewTask) -> Self {
        Self {
            id: task.task_id,
            workspace_id: &task.principal.workspace_id,
            account_id: &task.principal.account_id,
            session_id: task.principal.session_id.as_deref(),
            client_id: &task.principal.client_id,
            roles: &task.principal.roles,
            key_id: task.principal.key_id.as_deref(),
            instance_id: task.instance_id,
            runtime_id: &task.runtime_id,
            timeout_ms: task.timeout_ms,
            created_at: nanoseconds(task.created_at),
            metadata: task.metadata.as_ref(),
            key: task.idempotency_key.as_deref(),
            code: &task.code,
        }
    }
}

#[derive(Serialize)]
pub(super) struct KeyRow<'a> {
    workspace_id: &'a str,
    account_id: &'a str,
    key: &'a str,
    task_id: TaskId,
    created_at: i64,
}

impl<'a> KeyRow<'a> {
    pub(super) fn of(task: &'a NewTask) -> Option<Self> {
        task.idempotency_key.as_deref().map(|key| Self {
            workspace_id: &task.principal.workspace_id,
            account_id: &task.principal.account_id,
            key,
            task_id: task.task_id,
            created_at: nanoseconds(task.created_at),
        })
    }
}

/// All that a batch changes in one task. What is not there stays as it is.
#[derive(Serialize)]
pub(super) struct ChangeRow<'a> {
    id: TaskId,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<i64>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    end: Option<EndRow<'a>>,
}

#[derive(Serialize)]
struct EndRow<'a> {
    completed_at: i64,
    exit_code: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    result_bytes: Option<usize>,
    /// A string, not JSON in place: it has to come back as it was written, to the byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a TaskError>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    warnings: &'a [String],
    usage: Usage,
    #[serde(skip_serializing_if = "Option::is_none")]
    logs: Option<&'a Logs>,
}

impl<'a> ChangeRow<'a> {
    pub(super) fn of(task: TaskId) -> Self {
        Self { id: task, status: None, started_at: None, end: None }
    }

    /// Adds a later change of the same task. Returns its result where that is too long to go with
    /// the row.
    pub(super) fn add(&mut self, change: &'a TaskChange) -> Option<&'a str> {
        self.status = change.status.map(TaskStatus::as_str).or(self.status);
        self.started_at = change.started_at.map(nanoseconds).or(self.started_at);
        let end = change.end.as_ref()?;
        let result = end.result.as_ref().map(|result| result.get());
        let (short, long) = match result {
            Some(text) if text.len() > RESULT_SHORT_BYTES => (None, Some(text)),
            other => (other, None),
        };
        self.end = Some(EndRow {
            completed_at: nanoseconds(end.completed_at),
            exit_code: end.exit_code,
            result_bytes: result.map(str::len),
            result: short,
            error: end.error.as_ref(),
            warnings: &end.warnings,
            usage: end.usage,
            logs: (!end.logs.is_empty()).then_some(&end.logs),
        });
        long
    }
}

#[derive(Serialize)]
pub(super) struct EventRow<'a> {
    id: TaskId,
    /// Its number among the task's events of this batch, from 1.
    k: u32,
    at: i64,
    kind: &'static str,
    /// The call it belongs to, for what is decided by it later.
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<u32>,
    data: Details<'a>,
}

impl<'a> EventRow<'a> {
    pub(super) fn of(id: TaskId, k: u32, at: Timestamp, data: &'a EventDetails) -> Self {
        let (at, kind) = (nanoseconds(at), data.kind().as_str());
        Self { id, k, at, kind, call: data.call(), data: Details(data) }
    }
}

/// A row of a journal. Its entries are a string, not JSON in place: they come back as they were
/// written.
#[derive(Serialize)]
pub(super) struct JournalEntries<'a> {
    id: TaskId,
    n: u32,
    entries: &'a str,
}

impl<'a> JournalEntries<'a> {
    pub(super) fn of(id: TaskId, row: &'a JournalRow) -> Self {
        Self { id, n: row.n, entries: &row.entries }
    }
}

struct Details<'a>(&'a EventDetails);

impl Serialize for Details<'_> {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.serialize_details(to)
    }
}

/// The columns that [`task`] reads, in its order.
pub(super) const TASK_COLUMNS: &str = "n, id, status, code, runtime_id, timeout_ms, metadata, \
    workspace_id, account_id, \
     session_id, client_id, created_at, started_at, completed_at, exit_code, result_bytes, error, \
    logs, warnings, usage, roles, key_id";

pub(super) fn task(row: &SqliteRow) -> Result<Task, sqlx::Error> {
    Ok(Task {
        task_id: parsed(row.try_get(1)?)?,
        status: TaskStatus::parse(row.try_get(2)?).ok_or_else(|| unreadable("a status"))?,
        code: row.try_get(3)?,
        runtime_id: row.try_get(4)?,
        timeout_ms: unsigned(row.try_get(5)?)?,
        metadata: json(row, 6)?,
        principal: Principal {
            workspace_id: row.try_get(7)?,
            account_id: row.try_get(8)?,
            session_id: row.try_get(9)?,
            client_id: row.try_get(10)?,
            roles: json(row, 20)?.unwrap_or_default(),
            key_id: row.try_get(21)?,
        },
        created_at: moment(row.try_get(11)?)?,
        started_at: row.try_get::<Option<i64>, _>(12)?.map(moment).transpose()?,
        completed_at: row.try_get::<Option<i64>, _>(13)?.map(moment).transpose()?,
        exit_code: row.try_get(14)?,
        result_bytes: row.try_get::<Option<i64>, _>(15)?.map(unsigned).transpose()?,
        error: json(row, 16)?,
        logs: json(row, 17)?.unwrap_or_default(),
        warnings: json(row, 18)?.unwrap_or_default(),
        usage: json(row, 19)?.unwrap_or_default(),
    })
}

/// The columns that [`event`] reads, in its order.
pub(super) const EVENT_COLUMNS: &str = "e.seq, e.at, e.kind, e.data";

pub(super) fn event(task_id: TaskId, row: &SqliteRow) -> Result<Event, sqlx::Error> {
    Ok(Event {
        task_id,
        seq: unsigned(row.try_get(0)?)?,
        at: moment(row.try_get(1)?)?,
        data: EventDetails::parse(row.try_get(2)?, row.try_get(3)?)
            .map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
    })
}

pub(super) fn moment(at: i64) -> Result<Timestamp, sqlx::Error> {
    Timestamp::from_nanosecond(i128::from(at)).map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

pub(super) fn unsigned(number: i64) -> Result<u64, sqlx::Error> {
    u64::try_from(number).map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

pub(super) fn parsed(id: &str) -> Result<TaskId, sqlx::Error> {
    id.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

pub(super) fn json<T: DeserializeOwned>(
    row: &SqliteRow,
    column: usize,
) -> Result<Option<T>, sqlx::Error> {
    row.try_get::<Option<&str>, _>(column)?
        .map(serde_json::from_str)
        .transpose()
        .map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

fn unreadable(what: &str) -> sqlx::Error {
    sqlx::Error::Decode(format!("the database holds {what} that this version does not know").into())
}
