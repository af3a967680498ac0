//! Everything that is read, on connections that cannot write.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures::TryStreamExt;
use sqlx::{QueryBuilder, Row, Sqlite, SqlitePool};

use super::{
    batch::RESULT_PART_BYTES,
    error::failed,
    rows::{self, EVENT_COLUMNS, TASK_COLUMNS},
};
use crate::{
    model::{Event, InstanceId, JsonObject, Task, TaskId},
    store::{JournalRow, LIST_BYTES_MAX, LIST_MAX, ResultPiece, StoreError, TaskFilter, TaskPage},
};

/// Tasks that one page looks at when it filters on metadata. Beyond it the page ends early and its
/// cursor goes on from there.
const SCAN_MAX: i64 = 200_000;
/// Conditions on metadata that SQL checks before a row is read; all of them are checked after.
const SCAN_CONDITIONS_MAX: usize = 8;
/// Bytes of the longest character.
const CHARACTER_BYTES_MAX: u64 = 4;

pub(super) async fn task(
    pool: &SqlitePool,
    workspace_id: &str,
    task: TaskId,
) -> Result<Option<Task>, StoreError> {
    let mut query = QueryBuilder::<Sqlite>::new("SELECT ");
    query.push(TASK_COLUMNS).push(" FROM tasks WHERE id = ").push_bind(task.to_string());
    query.push(" AND workspace_id = ").push_bind(workspace_id.to_owned());
    let row = query.build().fetch_optional(pool).await.map_err(failed)?;
    row.map(|row| rows::task(&row)).transpose().map_err(failed)
}

pub(super) async fn unfinished(
    pool: &SqlitePool,
    instance_id: InstanceId,
    limit: u32,
) -> Result<Vec<Task>, StoreError> {
    let mut query = QueryBuilder::<Sqlite>::new("SELECT ");
    query.push(TASK_COLUMNS).push(" FROM tasks WHERE status IN ");
    query.push("('queued', 'running', 'awaiting_approval') AND instance_id IS NOT ");
    query.push_bind(instance_id.to_string()).push(" ORDER BY n LIMIT ").push_bind(limit);
    let rows = query.build().fetch_all(pool).await.map_err(failed)?;
    rows.iter().map(rows::task).collect::<Result<_, _>>().map_err(failed)
}

pub(super) async fn events(
    pool: &SqlitePool,
    workspace_id: &str,
    task: TaskId,
    after: u64,
    limit: u32,
) -> Result<Vec<Event>, StoreError> {
    let mut query = QueryBuilder::<Sqlite>::new("SELECT ");
    query
        .push(EVENT_COLUMNS)
        .push(" FROM tasks t JOIN events e ON e.task = t.n WHERE t.id = ")
        .push_bind(task.to_string());
    query.push(" AND t.workspace_id = ").push_bind(workspace_id.to_owned());
    query.push(" AND e.seq > ").push_bind(signed(after));
    query.push(" ORDER BY e.seq LIMIT ").push_bind(limit);
    let rows = query.build().fetch_all(pool).await.map_err(failed)?;
    rows.iter().map(|row| rows::event(task, row)).collect::<Result<_, _>>().map_err(failed)
}

pub(super) async fn journal(
    pool: &SqlitePool,
    workspace_id: &str,
    task: TaskId,
) -> Result<Vec<JournalRow>, StoreError> {
    const ROWS: &str = "SELECT j.n, j.entries FROM tasks t JOIN journal j ON j.task = t.n
        WHERE t.id = ? AND t.workspace_id = ? ORDER BY j.n";
    let rows = sqlx::query_as::<_, (u32, String)>(ROWS)
        .bind(task.to_string())
        .bind(workspace_id)
        .fetch_all(pool)
        .await
        .map_err(failed)?;
    Ok(rows.into_iter().map(|(n, entries)| JournalRow { n, entries }).collect())
}

pub(super) async fn check(pool: &SqlitePool) -> Result<(), StoreError> {
    sqlx::query("SELECT 1 FROM tasks LIMIT 1").fetch_optional(pool).await.map(drop).map_err(failed)
}

pub(super) async fn result(
    pool: &SqlitePool,
    workspace_id: &str,
    task: TaskId,
    offset: u64,
    limit: u64,
) -> Result<Option<ResultPiece>, StoreError> {
    let found = sqlx::query(
        "SELECT n, result_bytes, result FROM tasks WHERE id = ? AND workspace_id = ? \
            AND result_bytes IS NOT NULL",
    )
    .bind(task.to_string())
    .bind(workspace_id)
    .fetch_optional(pool)
    .await
    .map_err(failed)?;
    let Some(found) = found else { return Ok(None) };
    let n: i64 = found.try_get(0).map_err(failed)?;
    let total = found.try_get(1).and_then(rows::unsigned).map_err(failed)?;

    let (offset, limit) = (offset.min(total), limit.clamp(1, total.max(1)));
    if let Some(short) = found.try_get::<Option<String>, _>(2).map_err(failed)? {
        return Ok(Some(ResultPiece::cut(short.as_bytes(), 0, offset, limit, total)));
    }
    // A little more than was asked for on both sides, to see where characters begin and end.
    let (from, to) = (
        offset.saturating_sub(CHARACTER_BYTES_MAX),
        (offset + limit + CHARACTER_BYTES_MAX).min(total),
    );
    let part = RESULT_PART_BYTES as u64;
    let parts = sqlx::query_scalar::<_, Vec<u8>>(
        "SELECT bytes FROM results WHERE task = ? AND part BETWEEN ? AND ? ORDER BY part",
    )
    .bind(n)
    .bind(signed(from / part))
    .bind(signed(to / part))
    .fetch_all(pool)
    .await
    .map_err(failed)?;
    let bytes = parts.concat();
    let skipped = from / part * part;
    Ok(Some(ResultPiece::cut(&bytes, skipped, offset, limit, total)))
}

pub(super) async fn tasks(
    pool: &SqlitePool,
    workspace_id: &str,
    filter: TaskFilter,
) -> Result<TaskPage, StoreError> {
    let before = filter.cursor.as_deref().map(decode_cursor).transpose()?;
    let limit = filter.limit.clamp(1, LIST_MAX) as usize;
    let metadata = filter.metadata.as_ref().filter(|metadata| !metadata.is_empty());
    let conditions = |query: &mut QueryBuilder<Sqlite>| {
        query.push(" FROM tasks WHERE workspace_id = ").push_bind(workspace_id.to_owned());
        if let Some(status) = filter.status {
            query.push(" AND status = ").push_bind(status.as_str());
        }
        if let Some(session) = &filter.session_id {
            query.push(" AND session_id = ").push_bind(session.clone());
        }
        if let Some(before) = before {
            query.push(" AND n < ").push_bind(before);
        }
    };

    let mut query = QueryBuilder::<Sqlite>::new("SELECT ");
    query.push(TASK_COLUMNS);
    conditions(&mut query);
    let mut floor = None;
    match metadata {
        None => {
            query.push(" ORDER BY n DESC LIMIT ").push_bind(limit as i64 + 1);
        }
        Some(metadata) => {
            let mut last = QueryBuilder::<Sqlite>::new("SELECT n");
            conditions(&mut last);
            last.push(" ORDER BY n DESC LIMIT 1 OFFSET ").push_bind(SCAN_MAX - 1);
            floor = last.build_query_scalar::<i64>().fetch_optional(pool).await.map_err(failed)?;
            query.push(" AND n >= ").push_bind(floor.unwrap_or(0));
            push_metadata(&mut query, metadata);
            query.push(" ORDER BY n DESC");
        }
    }

    let mut page = TaskPage { tasks: Vec::new(), next_cursor: None };
    let (mut last, mut bytes) = (0, 0);
    let mut rows = query.build().fetch(pool);
    while let Some(row) = rows.try_next().await.map_err(failed)? {
        let task = rows::task(&row).map_err(failed)?;
        if metadata.is_some_and(|wanted| !matches(task.metadata.as_ref(), wanted)) {
            continue;
        }
        if page.tasks.len() == limit || bytes >= LIST_BYTES_MAX {
            page.next_cursor = Some(encode_cursor(last));
            return Ok(page);
        }
        last = row.try_get(0).map_err(failed)?;
        bytes +=
            task.code.len() + task.logs.lines.iter().map(|line| line.text.len()).sum::<usize>();
        page.tasks.push(task);
    }
    page.next_cursor = floor.map(encode_cursor);
    Ok(page)
}

/// Lets through a little more than [`matches`]: SQL's idea of equal numbers is wider. Keys are
/// compared as values, never as JSON paths, so there is nothing in them to interpret.
fn push_metadata(query: &mut QueryBuilder<Sqlite>, wanted: &JsonObject) {
    let first: JsonObject = wanted
        .iter()
        .take(SCAN_CONDITIONS_MAX)
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    query.push(" AND metadata IS NOT NULL AND NOT EXISTS (SELECT 1 FROM json_each(");
    query.push_bind(serde_json::Value::Object(first).to_string());
    query.push(
        ") f WHERE NOT EXISTS (SELECT 1 FROM json_each(tasks.metadata) m \
         WHERE m.key = f.key AND (f.atom IS NULL OR m.atom = f.atom)))",
    );
}

fn matches(metadata: Option<&JsonObject>, wanted: &JsonObject) -> bool {
    metadata
        .is_some_and(|metadata| wanted.iter().all(|(key, value)| metadata.get(key) == Some(value)))
}

pub(super) fn encode_cursor(n: i64) -> String {
    URL_SAFE_NO_PAD.encode(n.to_be_bytes())
}

pub(super) fn decode_cursor(cursor: &str) -> Result<i64, StoreError> {
    let bad = || StoreError::BadCursor(cursor.chars().take(80).collect());
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| bad())?;
    let n = i64::from_be_bytes(bytes.try_into().map_err(|_| bad())?);
    if n > 0 { Ok(n) } else { Err(bad()) }
}

/// A number for SQL, which has none larger.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
