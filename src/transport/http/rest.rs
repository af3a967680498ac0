//! `/v1`: the same things for the commands of this machine's owner, who shows the owner's token.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{
        DefaultBodyLimit, Path, Query, Request, State,
        rejection::{BytesRejection, QueryRejection},
    },
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post},
};
use serde::Deserialize;
use tokio::sync::watch;

use super::{
    approvals, artifacts,
    error::{self, Failure},
    policy,
    sign_in::{OwnerAuth, SignIn},
};
use crate::{
    model::{ErrorCode, JsonObject, Principal, RawJson, TaskStatus},
    service::{
        Execute, Patience, ServiceError, TaskCancel, TaskEvents, TaskGet, TaskList, ToolList,
    },
    transport::{
        Port, handoff,
        mcp::answer::{self, Detail},
    },
};

pub(super) type Api = State<Arc<dyn Port>>;
pub(super) type Answer = Result<Response, Failure>;

/// The routes under `/v1`, `pipe` among them. A body has at most `body_max` bytes.
pub(super) fn routes(
    port: Arc<dyn Port>,
    gate: Arc<SignIn>,
    body_max: usize,
    pipe: MethodRouter<Arc<dyn Port>>,
) -> Router {
    Router::new()
        .route(handoff::PATH, pipe)
        .route("/tasks", get(task_list).post(execute))
        .route("/tasks/{id}", get(task_get))
        .route("/tasks/{id}/cancel", post(task_cancel))
        .route("/tasks/{id}/events", get(task_events))
        .route("/tools", get(tools))
        .route("/tools/types", get(tool_types))
        .route("/tools/refresh", post(tools_refresh))
        .route("/tools/{*path}", get(tool))
        .merge(approvals::routes())
        .merge(artifacts::routes())
        .merge(policy::routes())
        .with_state(port)
        .merge(approvals::sign_in(gate.clone()))
        .fallback(error::route_not_found)
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(DefaultBodyLimit::max(body_max))
        .layer(middleware::from_fn_with_state(gate, admit))
}

/// Lets only the owner in: with the token, or signed in. Marks the request with who it is.
async fn admit(State(gate): State<Arc<SignIn>>, mut request: Request, next: Next) -> Response {
    if let Some(shown) = gate.shown(&request) {
        request.extensions_mut().insert::<OwnerAuth>(shown);
        return next.run(request).await;
    }
    let hint = "show the owner's token: `Authorization: Bearer …`; the server keeps it in a file \
        that only its owner can read";
    let mut response = error::refuse(
        StatusCode::UNAUTHORIZED,
        ErrorCode::Unauthorized,
        "`/v1` is for the server's owner",
        Some(hint),
        None,
    );
    response
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, http::HeaderValue::from_static("Bearer"));
    response
}

pub(super) fn owner() -> Principal {
    Principal::owner("cli")
}

async fn execute(State(port): Api, body: Result<Bytes, BytesRejection>) -> Answer {
    let body = match body {
        Ok(body) => body,
        Err(refused) => return Ok(error::unread(&refused)),
    };
    let request: Execute = serde_json::from_slice(&body).map_err(|error| {
        ServiceError::new(
            ErrorCode::InvalidArgument,
            format!("the body is not an execution: {error}"),
        )
    })?;
    let who = owner();
    let answer = port.execute(&who, request, Patience::Long, watch::channel(None).0).await?;
    Ok(Json(answer::structured(&answer, Detail::Record)).into_response())
}

async fn task_get(State(port): Api, Path(task_id): Path<String>, query: Asked<GetQuery>) -> Answer {
    let GetQuery { wait_ms, result_offset, result_limit } = asked(query)?;
    let answer =
        port.task_get(&owner(), TaskGet { task_id, wait_ms, result_offset, result_limit }).await?;
    Ok(Json(answer::structured(&answer, Detail::Record)).into_response())
}

async fn task_list(State(port): Api, query: Asked<ListQuery>) -> Answer {
    let ListQuery { status, session_id, metadata, limit, cursor } = asked(query)?;
    let metadata = match metadata.as_deref().map(serde_json::from_str::<JsonObject>).transpose() {
        Ok(metadata) => metadata,
        Err(_) => {
            return Err(ServiceError::new(
                ErrorCode::InvalidArgument,
                "`metadata` is no JSON object",
            )
            .into());
        }
    };
    let request = TaskList { status, session_id, metadata, limit, cursor };
    Ok(Json(answer::list_structured(&port.task_list(&owner(), request).await?)).into_response())
}

async fn task_cancel(State(port): Api, Path(task_id): Path<String>) -> Answer {
    let answer = port.task_cancel(&owner(), TaskCancel { task_id }).await?;
    Ok(Json(answer::structured(&answer, Detail::Record)).into_response())
}

async fn task_events(
    State(port): Api,
    Path(task_id): Path<String>,
    query: Asked<EventsQuery>,
) -> Answer {
    let EventsQuery { after, limit } = asked(query)?;
    Ok(Json(port.task_events(&owner(), TaskEvents { task_id, after, limit }).await?)
        .into_response())
}

async fn tools(State(port): Api, query: Asked<ToolList>) -> Answer {
    Ok(raw(port.tools(&owner(), asked(query)?).await?))
}

async fn tool(State(port): Api, Path(path): Path<String>) -> Answer {
    Ok(raw(port.tool(&owner(), path).await?))
}

async fn tool_types(State(port): Api, query: Asked<TypesQuery>) -> Answer {
    let declared = port.tool_types(&owner(), asked(query)?.namespace).await?;
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], declared).into_response())
}

async fn tools_refresh(State(port): Api, query: Asked<RefreshQuery>) -> Answer {
    Ok(raw(port.tools_refresh(&owner(), asked(query)?.upstream).await?))
}

pub(super) type Asked<T> = Result<Query<T>, QueryRejection>;

/// How to read a task.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct GetQuery {
    wait_ms: Option<u64>,
    result_offset: Option<u64>,
    result_limit: Option<u64>,
}

/// Which tasks; `metadata` is a JSON object.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ListQuery {
    status: Option<TaskStatus>,
    session_id: Option<String>,
    metadata: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

/// Which events.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EventsQuery {
    #[serde(default)]
    after: u64,
    limit: Option<u32>,
}

/// Which tools to declare.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TypesQuery {
    namespace: Option<String>,
}

/// Which upstream to ask; all without one.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RefreshQuery {
    upstream: Option<String>,
}

pub(super) fn asked<T>(query: Asked<T>) -> Result<T, Failure> {
    match query {
        Ok(Query(asked)) => Ok(asked),
        Err(refused) => {
            Err(ServiceError::new(ErrorCode::InvalidArgument, refused.body_text()).into())
        }
    }
}

/// JSON that is forwarded as it is.
fn raw(json: RawJson) -> Response {
    let text: Box<str> = json.into();
    ([(header::CONTENT_TYPE, "application/json")], String::from(text)).into_response()
}
