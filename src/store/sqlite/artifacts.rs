//! Artifacts: rows that never change, and their text in parts. Each write here is small, so that
//! writes of tasks come in between.

use futures::TryStreamExt;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection, SqlitePool, sqlite::SqliteRow};

use super::{
    error::{Answer, failed},
    read::{decode_cursor, encode_cursor, signed},
    rows::{self, nanoseconds},
};
use crate::{
    model::{Artifact, ArtifactId, ArtifactKind, Media, Timestamp},
    store::{
        ARTIFACT_PART_BYTES, ARTIFACTS_LIST_MAX, ArtifactAt, ArtifactFilter, ArtifactOpened,
        ArtifactPage, ArtifactPart, SWEEP_PARTS_MAX, StoreError, Swept,
    },
};

const COLUMNS: &str = "n, id, workspace_id, task_id, tool, kind, bytes, lines, sha256, head, \
    created_at, expires_at, mime_type, media_bytes";
/// Bytes that count against the workspace's quota.
const USED: &str =
    "SELECT coalesce(sum(bytes), 0) FROM artifacts WHERE workspace_id = ?1 AND expires_at > ?2";
const OPEN: &str = "INSERT INTO artifacts
    (id, workspace_id, task_id, tool, kind, bytes, lines, sha256, head, created_at, expires_at,
     mime_type, media_bytes, whole)
    SELECT ?3, ?1, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?2, ?11, ?13, ?14, 0
    WHERE ?7 <= ?12 - (
        SELECT coalesce(sum(bytes), 0) FROM artifacts WHERE workspace_id = ?1 AND expires_at > ?2)";
const PART: &str = "INSERT INTO artifact_parts (artifact, part, newlines_before, bytes)
    SELECT n, ?2, ?3, ?4 FROM artifacts WHERE id = ?1 AND whole = 0 AND expires_at > 0";
const CLOSE: &str = "UPDATE artifacts SET whole = 1 WHERE id = ?1 AND whole = 0 AND expires_at > 0
    AND bytes = (
        SELECT coalesce(sum(length(p.bytes)), 0) FROM artifact_parts p
        WHERE p.artifact = artifacts.n)";
const REMOVE: &str =
    "UPDATE artifacts SET expires_at = 0 WHERE id = ?1 AND workspace_id = ?2 AND expires_at > ?3";
const EXPIRED: &str = "SELECT n FROM artifacts WHERE expires_at <= ?1 ORDER BY expires_at LIMIT 1";
const SWEEP: &str = "DELETE FROM artifact_parts WHERE artifact = ?1 AND part IN
    (SELECT part FROM artifact_parts WHERE artifact = ?1 ORDER BY part LIMIT ?2)";
const FORGET: &str = "DELETE FROM artifacts WHERE n = ?1";

/// A write of artifacts, with whom to tell.
#[derive(Debug)]
pub(super) enum ArtifactJob {
    Open(Box<Artifact>, u64, Answer<ArtifactOpened>),
    Part(ArtifactId, ArtifactPart, Answer<()>),
    Close(ArtifactId, Answer<()>),
    Remove(String, ArtifactId, Timestamp, Answer<bool>),
    Sweep(Timestamp, Answer<Swept>),
}

/// Does it. Whoever asked may not wait for the answer.
pub(super) async fn perform(connection: &mut SqliteConnection, job: ArtifactJob) {
    match job {
        ArtifactJob::Open(artifact, bytes_max, answer) => {
            drop(answer.send(open(connection, &artifact, bytes_max).await.map_err(failed)));
        }
        ArtifactJob::Part(id, part, answer) => drop(answer.send(write(connection, id, part).await)),
        ArtifactJob::Close(id, answer) => drop(answer.send(close(connection, id).await)),
        ArtifactJob::Remove(workspace_id, id, at, answer) => {
            let query =
                sqlx::query(REMOVE).bind(id.to_string()).bind(workspace_id).bind(nanoseconds(at));
            drop(
                answer.send(
                    query
                        .execute(connection)
                        .await
                        .map(|done| done.rows_affected() > 0)
                        .map_err(failed),
                ),
            );
        }
        ArtifactJob::Sweep(at, answer) => {
            drop(answer.send(sweep(connection, at).await.map_err(failed)))
        }
    }
}

async fn open(
    connection: &mut SqliteConnection,
    artifact: &Artifact,
    bytes_max: u64,
) -> Result<ArtifactOpened, sqlx::Error> {
    let done = sqlx::query(OPEN)
        .bind(&artifact.workspace_id)
        .bind(nanoseconds(artifact.created_at))
        .bind(artifact.id.to_string())
        .bind(artifact.task_id.to_string())
        .bind(&artifact.tool)
        .bind(artifact.kind.as_str())
        .bind(signed(artifact.bytes))
        .bind(signed(artifact.lines))
        .bind(&artifact.sha256)
        .bind(&artifact.head)
        .bind(nanoseconds(artifact.expires_at))
        .bind(signed(bytes_max))
        .bind(artifact.media.as_ref().map(|media| media.mime_type.as_str()))
        .bind(artifact.media.as_ref().map(|media| signed(media.bytes)))
        .execute(&mut *connection)
        .await?;
    if done.rows_affected() > 0 {
        return Ok(ArtifactOpened::Open);
    }
    let used = sqlx::query_scalar::<_, i64>(USED)
        .bind(&artifact.workspace_id)
        .bind(nanoseconds(artifact.created_at))
        .fetch_one(connection)
        .await?;
    Ok(ArtifactOpened::Full { used: used.unsigned_abs() })
}

async fn write(
    connection: &mut SqliteConnection,
    id: ArtifactId,
    part: ArtifactPart,
) -> Result<(), StoreError> {
    let query = sqlx::query(PART)
        .bind(id.to_string())
        .bind(part.index)
        .bind(signed(part.newlines_before))
        .bind(part.bytes);
    match query.execute(connection).await.map_err(failed)?.rows_affected() {
        0 => Err(StoreError::Invalid("the artifact is not open")),
        _ => Ok(()),
    }
}

async fn close(connection: &mut SqliteConnection, id: ArtifactId) -> Result<(), StoreError> {
    let done = sqlx::query(CLOSE).bind(id.to_string()).execute(connection).await.map_err(failed)?;
    match done.rows_affected() {
        0 => Err(StoreError::Invalid("the artifact is not open, or its parts are not its bytes")),
        _ => Ok(()),
    }
}

/// Parts first, then the row: wherever this stops, the next step goes on.
async fn sweep(connection: &mut SqliteConnection, at: Timestamp) -> Result<Swept, sqlx::Error> {
    let expired = sqlx::query_scalar::<_, i64>(EXPIRED)
        .bind(nanoseconds(at))
        .fetch_optional(&mut *connection)
        .await?;
    let Some(n) = expired else { return Ok(Swept::default()) };
    let removed = sqlx::query(SWEEP)
        .bind(n)
        .bind(SWEEP_PARTS_MAX)
        .execute(&mut *connection)
        .await?
        .rows_affected();
    let parts = u32::try_from(removed).unwrap_or(u32::MAX);
    if parts < SWEEP_PARTS_MAX {
        sqlx::query(FORGET).bind(n).execute(connection).await?;
    }
    Ok(Swept { parts, more: true })
}

/// The conditions under which an artifact is there.
pub(super) fn there(query: &mut QueryBuilder<Sqlite>, workspace_id: &str, at: Timestamp) {
    query.push(" a.whole = 1 AND a.workspace_id = ").push_bind(workspace_id.to_owned());
    query.push(" AND a.expires_at > ").push_bind(nanoseconds(at));
}

pub(super) async fn one(
    pool: &SqlitePool,
    workspace_id: &str,
    id: ArtifactId,
    at: Timestamp,
) -> Result<Option<Artifact>, StoreError> {
    let mut query = QueryBuilder::<Sqlite>::new("SELECT ");
    query
        .push(COLUMNS)
        .push(" FROM artifacts a WHERE a.id = ")
        .push_bind(id.to_string())
        .push(" AND");
    there(&mut query, workspace_id, at);
    let row = query.build().fetch_optional(pool).await.map_err(failed)?;
    row.map(|row| artifact(&row)).transpose().map_err(failed)
}

pub(super) async fn part(
    pool: &SqlitePool,
    workspace_id: &str,
    id: ArtifactId,
    at: Timestamp,
    place: ArtifactAt,
) -> Result<Option<ArtifactPart>, StoreError> {
    let mut query = QueryBuilder::<Sqlite>::new(
        "SELECT p.part, p.newlines_before, p.bytes FROM artifacts a JOIN artifact_parts p ON \
        p.artifact = a.n WHERE a.id = ",
    );
    query.push_bind(id.to_string()).push(" AND");
    there(&mut query, workspace_id, at);
    match place {
        ArtifactAt::Byte(offset) => {
            query.push(" AND p.part = ").push_bind(signed(offset / ARTIFACT_PART_BYTES as u64))
        }
        ArtifactAt::Line(0 | 1) => query.push(" AND p.part = 0"),
        // The last part before which the line has not begun.
        ArtifactAt::Line(line) => query
            .push(" AND p.newlines_before < ")
            .push_bind(signed(line - 1))
            .push(" ORDER BY p.part DESC LIMIT 1"),
    };
    let row = query.build().fetch_optional(pool).await.map_err(failed)?;
    let read = |row: SqliteRow| {
        Ok(ArtifactPart {
            index: row.try_get(0)?,
            newlines_before: rows::unsigned(row.try_get(1)?)?,
            bytes: row.try_get(2)?,
        })
    };
    row.map(read).transpose().map_err(failed)
}

pub(super) async fn list(
    pool: &SqlitePool,
    workspace_id: &str,
    at: Timestamp,
    filter: ArtifactFilter,
) -> Result<ArtifactPage, StoreError> {
    let before = filter.cursor.as_deref().map(decode_cursor).transpose()?;
    let limit = filter.limit.clamp(1, ARTIFACTS_LIST_MAX) as usize;
    let mut query = QueryBuilder::<Sqlite>::new("SELECT ");
    query.push(COLUMNS).push(" FROM artifacts a WHERE");
    there(&mut query, workspace_id, at);
    if let Some(before) = before {
        query.push(" AND a.n < ").push_bind(before);
    }
    query.push(" ORDER BY a.n DESC LIMIT ").push_bind(limit as i64 + 1);
    let mut page = ArtifactPage { artifacts: Vec::new(), next_cursor: None };
    let mut last = 0;
    let mut rows = query.build().fetch(pool);
    while let Some(row) = rows.try_next().await.map_err(failed)? {
        if page.artifacts.len() == limit {
            page.next_cursor = Some(encode_cursor(last));
            break;
        }
        last = row.try_get(0).map_err(failed)?;
        page.artifacts.push(artifact(&row).map_err(failed)?);
    }
    Ok(page)
}

fn artifact(row: &SqliteRow) -> Result<Artifact, sqlx::Error> {
    let unreadable = |error: Box<dyn std::error::Error + Send + Sync>| sqlx::Error::Decode(error);
    Ok(Artifact {
        id: row
            .try_get::<&str, _>(1)?
            .parse::<ArtifactId>()
            .map_err(|error| unreadable(error.into()))?,
        workspace_id: row.try_get(2)?,
        task_id: rows::parsed(row.try_get(3)?)?,
        tool: row.try_get(4)?,
        kind: ArtifactKind::parse(row.try_get(5)?)
            .ok_or_else(|| unreadable("a kind of an artifact".into()))?,
        bytes: rows::unsigned(row.try_get(6)?)?,
        lines: rows::unsigned(row.try_get(7)?)?,
        sha256: row.try_get(8)?,
        head: row.try_get(9)?,
        created_at: rows::moment(row.try_get(10)?)?,
        expires_at: rows::moment(row.try_get(11)?)?,
        media: media(row)?,
    })
}

fn media(row: &SqliteRow) -> Result<Option<Media>, sqlx::Error> {
    let (mime_type, bytes) =
        (row.try_get::<Option<String>, _>(12)?, row.try_get::<Option<i64>, _>(13)?);
    mime_type
        .zip(bytes)
        .map(|(mime_type, bytes)| Ok(Media { mime_type, bytes: rows::unsigned(bytes)? }))
        .transpose()
}
