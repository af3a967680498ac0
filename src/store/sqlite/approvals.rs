//! Approvals: rows that change by compare-and-set and are never removed.

use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection, SqlitePool, sqlite::SqliteRow};

use super::{
    error::failed,
    read::{decode_cursor, encode_cursor},
    rows::{self, nanoseconds},
};
use crate::{
    model::{Approval, ApprovalId, ApprovalStatus},
    store::{
        APPROVALS_LIST_MAX, ApprovalChange, ApprovalCounts, ApprovalFilter, ApprovalPage, Decided,
        LIST_BYTES_MAX, StoreError,
    },
};

const COLUMNS: &str = "n, id, status, workspace_id, task_id, seq, tool, args, digest, asked, \
    created_at, expires_at, decided_at, decided_by, note, why, principal";

/// Only where the row stands as it is thought to, and a person's word only in time.
const DECIDE: &str =
    "UPDATE approvals SET status = ?3, decided_at = coalesce(decided_at, ?4), decided_by = \
    coalesce(?5, decided_by),
        note = coalesce(?6, note), why = coalesce(?7, why)
    WHERE id = ?1 AND status = ?2 AND workspace_id = ?8 AND (?5 IS NULL OR expires_at > ?4)
    RETURNING n, id, status, workspace_id, task_id, seq, tool, args, digest, asked, created_at,
        expires_at, decided_at, decided_by, note, why, principal";
const INSERT: &str = "INSERT INTO approvals
    (id, status, workspace_id, task_id, seq, tool, args, digest, asked, created_at, expires_at,
        principal)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";

const COUNT: &str = "SELECT count(*) FILTER (WHERE status = 'pending'), count(*) FROM approvals
    WHERE workspace_id = ?1";

pub(super) async fn insert(
    connection: &mut SqliteConnection,
    approval: &Approval,
) -> Result<(), sqlx::Error> {
    let encoded = |error| sqlx::Error::Encode(Box::new(error));
    let asked = serde_json::to_string(&approval.asked).map_err(encoded)?;
    let principal = serde_json::to_string(&approval.principal).map_err(encoded)?;
    sqlx::query(INSERT)
        .bind(approval.id.to_string())
        .bind(approval.status.as_str())
        .bind(&approval.principal.workspace_id)
        .bind(approval.task_id.to_string())
        .bind(approval.seq)
        .bind(&approval.tool)
        .bind(&approval.args)
        .bind(&approval.digest)
        .bind(asked)
        .bind(nanoseconds(approval.created_at))
        .bind(nanoseconds(approval.expires_at))
        .bind(principal)
        .execute(connection)
        .await
        .map(drop)
}

pub(super) async fn decide(
    connection: &mut SqliteConnection,
    workspace_id: &str,
    change: &ApprovalChange,
) -> Result<Decided, sqlx::Error> {
    let changed = sqlx::query(DECIDE)
        .bind(change.id.to_string())
        .bind(change.from.as_str())
        .bind(change.to.as_str())
        .bind(nanoseconds(change.at))
        .bind(&change.by)
        .bind(&change.note)
        .bind(&change.why)
        .bind(workspace_id)
        .fetch_optional(&mut *connection)
        .await?;
    if let Some(row) = changed {
        return Ok(Decided::Changed(Box::new(approval(&row)?)));
    }
    let mut query = one(workspace_id, change.id);
    let row = query.build().fetch_optional(connection).await?;
    Ok(match row {
        Some(row) => Decided::Refused(Box::new(approval(&row)?)),
        None => Decided::Absent,
    })
}

pub(super) async fn approval_of(
    pool: &SqlitePool,
    workspace_id: &str,
    id: ApprovalId,
) -> Result<Option<Approval>, StoreError> {
    let row = one(workspace_id, id).build().fetch_optional(pool).await.map_err(failed)?;
    row.map(|row| approval(&row)).transpose().map_err(failed)
}

pub(super) async fn list(
    pool: &SqlitePool,
    workspace_id: &str,
    filter: ApprovalFilter,
) -> Result<ApprovalPage, StoreError> {
    let before = filter.cursor.as_deref().map(decode_cursor).transpose()?;
    let limit = filter.limit.clamp(1, APPROVALS_LIST_MAX) as usize;
    let mut query = QueryBuilder::<Sqlite>::new("SELECT ");
    query
        .push(COLUMNS)
        .push(" FROM approvals WHERE workspace_id = ")
        .push_bind(workspace_id.to_owned());
    if let Some(status) = filter.status {
        query.push(" AND status = ").push_bind(status.as_str());
    }
    if filter.past {
        query.push(" AND status <> 'pending'");
    }
    if let Some(task) = filter.task_id {
        query.push(" AND task_id = ").push_bind(task.to_string());
    }
    if let Some(before) = before {
        query.push(" AND n < ").push_bind(before);
    }
    query.push(" ORDER BY n DESC LIMIT ").push_bind(limit as i64 + 1);
    let mut page = ApprovalPage { approvals: Vec::new(), next_cursor: None };
    let (mut last, mut bytes) = (0, 0);
    let mut rows = query.build().fetch(pool);
    while let Some(row) = futures::TryStreamExt::try_next(&mut rows).await.map_err(failed)? {
        if page.approvals.len() == limit || bytes >= LIST_BYTES_MAX {
            page.next_cursor = Some(encode_cursor(last));
            break;
        }
        let approval = approval(&row).map_err(failed)?;
        last = row.try_get(0).map_err(failed)?;
        bytes += approval.args.len();
        page.approvals.push(approval);
    }
    Ok(page)
}

pub(super) async fn count(
    pool: &SqlitePool,
    workspace_id: &str,
) -> Result<ApprovalCounts, StoreError> {
    let row = sqlx::query(COUNT).bind(workspace_id).fetch_one(pool).await.map_err(failed)?;
    let number = |at: usize| {
        let number = row.try_get::<i64, _>(at).map_err(failed)?;
        Ok::<_, StoreError>(u64::try_from(number).unwrap_or(0))
    };
    let waiting = number(0)?;
    Ok(ApprovalCounts { waiting, past: number(1)?.saturating_sub(waiting) })
}

fn one(workspace_id: &str, id: ApprovalId) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::<Sqlite>::new("SELECT ");
    query.push(COLUMNS).push(" FROM approvals WHERE id = ").push_bind(id.to_string());
    query.push(" AND workspace_id = ").push_bind(workspace_id.to_owned());
    query
}

fn approval(row: &SqliteRow) -> Result<Approval, sqlx::Error> {
    let unreadable = |error: Box<dyn std::error::Error + Send + Sync>| sqlx::Error::Decode(error);
    Ok(Approval {
        id: row
            .try_get::<&str, _>(1)?
            .parse::<ApprovalId>()
            .map_err(|error| unreadable(error.into()))?,
        status: ApprovalStatus::parse(row.try_get(2)?)
            .ok_or_else(|| unreadable("a status of an approval".into()))?,
        principal: rows::json(row, 16)?
            .ok_or_else(|| unreadable("an approval without a principal".into()))?,
        task_id: rows::parsed(row.try_get(4)?)?,
        seq: row.try_get(5)?,
        tool: row.try_get(6)?,
        args: row.try_get(7)?,
        digest: row.try_get(8)?,
        asked: rows::json(row, 9)?.unwrap_or_default(),
        created_at: rows::moment(row.try_get(10)?)?,
        expires_at: rows::moment(row.try_get(11)?)?,
        decided_at: row.try_get::<Option<i64>, _>(12)?.map(rows::moment).transpose()?,
        decided_by: row.try_get(13)?,
        note: row.try_get(14)?,
        why: row.try_get(15)?,
    })
}
