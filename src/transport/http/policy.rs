//! `/v1/policy`: what the owner asks about policy.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State, rejection::BytesRejection},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    error,
    rest::{Answer, Api, Asked, asked},
};
use crate::{
    model::ErrorCode,
    service::{PolicyQuestion, ServiceError},
    transport::Port,
};

/// Bytes of a question, at most: policy files travel in it.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The routes, without the gate that stands before them.
pub(super) fn routes() -> Router<Arc<dyn Port>> {
    Router::new()
        .route("/policy", get(standing))
        .route("/policy/tools", get(tools))
        .route("/policy/explain", post(explain))
        .route("/policy/lint", post(lint))
        .route("/policy/test", post(test))
        .route("/policy/replay", post(replay))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
}

/// Of which upstream.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ToolsQuery {
    upstream: Option<String>,
}

async fn standing(State(port): Api) -> Answer {
    Ok(Json(port.policy(PolicyQuestion::Standing).await?).into_response())
}

async fn tools(State(port): Api, query: Asked<ToolsQuery>) -> Answer {
    Ok(Json(port.policy(PolicyQuestion::Tools(asked(query)?.upstream)).await?).into_response())
}

async fn explain(State(port): Api, body: Result<Bytes, BytesRejection>) -> Answer {
    answer(port, body, PolicyQuestion::Explain).await
}

async fn lint(State(port): Api, body: Result<Bytes, BytesRejection>) -> Answer {
    answer(port, body, PolicyQuestion::Lint).await
}

async fn test(State(port): Api, body: Result<Bytes, BytesRejection>) -> Answer {
    answer(port, body, PolicyQuestion::Test).await
}

async fn replay(State(port): Api, body: Result<Bytes, BytesRejection>) -> Answer {
    answer(port, body, PolicyQuestion::Replay).await
}

async fn answer<T: DeserializeOwned>(
    port: Arc<dyn Port>,
    body: Result<Bytes, BytesRejection>,
    question: impl FnOnce(T) -> PolicyQuestion,
) -> Result<Response, error::Failure> {
    let body = match body {
        Ok(body) => body,
        Err(refused) => return Ok(error::unread(&refused)),
    };
    let asked = serde_json::from_slice(&body).map_err(|error| {
        ServiceError::new(
            ErrorCode::InvalidArgument,
            format!("the body is not this question: {error}"),
        )
    })?;
    Ok(Json(port.policy(question(asked)).await?).into_response())
}
