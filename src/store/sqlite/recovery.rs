//! What an instance ends of the others when it starts. Each step is a transaction of its own: where
//! one fails, the next start goes on.

use sqlx::SqliteConnection;

use super::{error::failed, rows::nanoseconds};
use crate::{
    model::{InstanceId, TaskEnded, TaskId},
    store::{Recovered, Recovery, StoreError},
};

const FAIL_UNFINISHED: &str = include_str!("sql/fail_unfinished.sql");
const VOID_APPROVALS: &str = "UPDATE approvals
    SET status = 'void', decided_at = coalesce(decided_at, ?1), why = ?2
    WHERE status IN ('pending', 'approved') AND NOT EXISTS
        (SELECT 1 FROM tasks t WHERE t.id = approvals.task_id AND t.instance_id = ?3)";
const REMOVE_ARTIFACTS: &str = "UPDATE artifacts SET expires_at = 0
    WHERE whole = 0 AND expires_at > 0 AND NOT EXISTS
        (SELECT 1 FROM tasks t WHERE t.id = artifacts.task_id AND t.instance_id = ?1)";

const ADOPT: &str = "UPDATE tasks SET instance_id = ?2
    WHERE completed_at IS NULL AND id IN (SELECT value FROM json_each(?1))";

pub(super) async fn adopt(
    connection: &mut SqliteConnection,
    tasks: &[TaskId],
    instance_id: InstanceId,
) -> Result<(), StoreError> {
    let adopted = sqlx::query(ADOPT).bind(text(&tasks)).bind(instance_id.to_string());
    adopted.execute(connection).await.map(drop).map_err(failed)
}

pub(super) async fn recover(
    connection: &mut SqliteConnection,
    recovery: &Recovery,
) -> Result<Recovered, StoreError> {
    let instance = recovery.instance_id.to_string();
    let approvals = sqlx::query(VOID_APPROVALS)
        .bind(nanoseconds(recovery.at))
        .bind(&recovery.why)
        .bind(&instance)
        .execute(&mut *connection)
        .await
        .map_err(failed)?
        .rows_affected();
    let artifacts = sqlx::query(REMOVE_ARTIFACTS)
        .bind(&instance)
        .execute(&mut *connection)
        .await
        .map_err(failed)?
        .rows_affected();
    let tasks = fail_unfinished(connection, recovery).await?;
    Ok(Recovered { tasks, approvals, artifacts })
}

/// If it fails the caller rolls back.
async fn fail_unfinished(
    connection: &mut SqliteConnection,
    recovery: &Recovery,
) -> Result<u64, StoreError> {
    let counts = sqlx::query_scalar::<_, i64>(FAIL_UNFINISHED)
        .bind(nanoseconds(recovery.at))
        .bind(text(&recovery.under_way))
        .bind(text(&TaskEnded::at_recovery(&recovery.under_way)))
        .bind(text(&recovery.idle))
        .bind(text(&TaskEnded::at_recovery(&recovery.idle)))
        .bind(recovery.instance_id.to_string())
        .fetch_all(connection)
        .await
        .map_err(failed)?;
    Ok(counts.first().map_or(0, |count| count.unsigned_abs()))
}

fn text(data: &impl serde::Serialize) -> String {
    serde_json::to_string(data).expect("plain data with text keys has a JSON form")
}
