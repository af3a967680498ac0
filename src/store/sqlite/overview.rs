//! How much is on record, and ids by their first characters.

use sqlx::{QueryBuilder, Row, Sqlite, SqlitePool};

use super::{artifacts::there, error::failed};
use crate::{
    model::{ApprovalStatus, IdBeginning, IdKind, TaskStatus, Timestamp},
    store::{Counts, IDS_MAX, StoreError},
};

pub(super) async fn ids(
    pool: &SqlitePool,
    workspace_id: &str,
    at: Timestamp,
    beginning: IdBeginning,
) -> Result<Vec<String>, StoreError> {
    let mut query = QueryBuilder::<Sqlite>::new("SELECT a.id FROM ");
    match beginning.kind() {
        IdKind::Task => {
            query.push("tasks a WHERE a.workspace_id = ").push_bind(workspace_id.to_owned());
        }
        IdKind::Approval => {
            query.push("approvals a WHERE a.workspace_id = ").push_bind(workspace_id.to_owned());
        }
        IdKind::Artifact => {
            query.push("artifacts a WHERE");
            there(&mut query, workspace_id, at);
        }
    }
    // Every character of an id is below `~`.
    query.push(" AND a.id >= ").push_bind(beginning.as_str().to_owned());
    query.push(" AND a.id < ").push_bind(format!("{}~", beginning.as_str()));
    query.push(" ORDER BY a.id DESC LIMIT ").push_bind(i64::from(IDS_MAX));
    query.build_query_scalar::<String>().fetch_all(pool).await.map_err(failed)
}

pub(super) async fn counts(
    pool: &SqlitePool,
    workspace_id: &str,
    at: Timestamp,
) -> Result<Counts, StoreError> {
    let mut query = QueryBuilder::<Sqlite>::new("SELECT (SELECT count(*) FROM tasks WHERE");
    query.push(" workspace_id = ").push_bind(workspace_id.to_owned());
    query
        .push("), (SELECT count(*) FROM tasks WHERE workspace_id = ")
        .push_bind(workspace_id.to_owned());
    query.push(" AND status IN (");
    let mut statuses = query.separated(", ");
    for status in TaskStatus::ALL.iter().filter(|status| !status.is_terminal()) {
        statuses.push_bind(status.as_str());
    }
    query.push(")), (SELECT count(*) FROM approvals WHERE workspace_id = ");
    query.push_bind(workspace_id.to_owned()).push(" AND status = ");
    query.push_bind(ApprovalStatus::Pending.as_str());
    query.push("), (SELECT count(*) FROM artifacts a WHERE");
    there(&mut query, workspace_id, at);
    query.push(")");
    let row = query.build().fetch_one(pool).await.map_err(failed)?;
    let count = |column: usize| {
        row.try_get::<i64, _>(column).map_err(failed).map(|count| u64::try_from(count).unwrap_or(0))
    };
    Ok(Counts {
        tasks: count(0)?,
        unfinished_tasks: count(1)?,
        pending_approvals: count(2)?,
        artifacts: count(3)?,
    })
}
