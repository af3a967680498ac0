//! `/v1/tasks`: tasks, run and read.

use std::sync::Arc;

use axum::{
    Extension, Json, Router,
    extract::{Path, State},
    response::IntoResponse,
    routing::{get, post},
};
use serde::Deserialize;

use super::extract::{Answer, Api, By, MaybeBody, MaybeQuery, json, query, unambiguous};
use crate::{
    model::{ErrorCode, JsonObject, TaskStatus},
    service::{
        Execute, Execution, Service, ServiceError, TaskCancel, TaskEvents, TaskGet, TaskList,
        WaitPolicy,
    },
};

/// The routes of tasks, without the authentication in front of them.
pub(super) fn routes() -> Router<Arc<Service>> {
    Router::new()
        .route("/tasks", get(list).post(execute))
        .route("/tasks/{id}", get(one))
        .route("/tasks/{id}/cancel", post(cancel))
        .route("/tasks/{id}/events", get(events))
}

async fn execute(State(service): Api, Extension(owner): By, body: MaybeBody) -> Answer {
    let arguments: Execute = json(body, "an execution")?;
    let execution = Execution::unwatched(arguments, WaitPolicy::Full);
    Ok(Json(service.call(&owner.principal, execution).await?).into_response())
}

/// Query of one task.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct GetQuery {
    wait_ms: Option<u64>,
    result_offset: Option<u64>,
    result_limit: Option<u64>,
}

async fn one(
    State(service): Api,
    Extension(owner): By,
    Path(task_id): Path<String>,
    asked: MaybeQuery<GetQuery>,
) -> Answer {
    let GetQuery { wait_ms, result_offset, result_limit } = query(asked)?;
    let request = TaskGet { task_id, wait_ms, result_offset, result_limit };
    Ok(Json(service.call(&owner.principal, request).await?).into_response())
}

/// Query of a list; `metadata` is a JSON object.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ListQuery {
    status: Option<TaskStatus>,
    session_id: Option<String>,
    metadata: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

async fn list(State(service): Api, Extension(owner): By, asked: MaybeQuery<ListQuery>) -> Answer {
    let ListQuery { status, session_id, metadata, limit, cursor } = query(asked)?;
    if let Some(metadata) = &metadata {
        unambiguous(metadata.as_bytes(), "`metadata`")?;
    }
    let metadata = metadata.as_deref().map(serde_json::from_str::<JsonObject>).transpose();
    let metadata = metadata.map_err(|_| {
        ServiceError::new(ErrorCode::InvalidArgument, "`metadata` must be a JSON object")
    })?;
    let request = TaskList { status, session_id, metadata, limit, cursor };
    Ok(Json(service.call(&owner.principal, request).await?).into_response())
}

async fn cancel(State(service): Api, Extension(owner): By, Path(task_id): Path<String>) -> Answer {
    Ok(Json(service.call(&owner.principal, TaskCancel { task_id }).await?).into_response())
}

/// Query of a history.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EventsQuery {
    #[serde(default)]
    after: u64,
    limit: Option<u32>,
}

async fn events(
    State(service): Api,
    Extension(owner): By,
    Path(task_id): Path<String>,
    asked: MaybeQuery<EventsQuery>,
) -> Answer {
    let EventsQuery { after, limit } = query(asked)?;
    let request = TaskEvents { task_id, after, limit };
    Ok(Json(service.call(&owner.principal, request).await?).into_response())
}
