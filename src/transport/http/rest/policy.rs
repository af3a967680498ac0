//! `/v1/policy`: questions about policy.

use std::sync::Arc;

use axum::{
    Extension, Json, Router,
    extract::{DefaultBodyLimit, State},
    response::IntoResponse,
    routing::{get, post},
};
use serde::{Serialize, de::DeserializeOwned};

use super::extract::{Answer, Api, By, MaybeBody, MaybeQuery, json, query};
use crate::{
    service::{
        PolicyExplain, PolicyLint, PolicyReplay, PolicyShow, PolicyTest, PolicyTools, Request,
        Service,
    },
    transport::auth::Owner,
};

/// Bytes of a request, at most: policy files travel in it.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The routes, without the authentication in front of them.
pub(super) fn routes() -> Router<Arc<Service>> {
    Router::new()
        .route("/policy", get(show))
        .route("/policy/tools", get(tools))
        .route("/policy/explain", post(explain))
        .route("/policy/lint", post(lint))
        .route("/policy/test", post(test))
        .route("/policy/replay", post(replay))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
}

async fn show(State(service): Api, Extension(owner): By) -> Answer {
    Ok(Json(service.call(&owner.principal, PolicyShow).await?).into_response())
}

async fn tools(
    State(service): Api,
    Extension(owner): By,
    asked: MaybeQuery<PolicyTools>,
) -> Answer {
    Ok(Json(service.call(&owner.principal, query(asked)?).await?).into_response())
}

async fn explain(State(service): Api, Extension(owner): By, body: MaybeBody) -> Answer {
    answer::<PolicyExplain>(&service, &owner, body).await
}

async fn lint(State(service): Api, Extension(owner): By, body: MaybeBody) -> Answer {
    answer::<PolicyLint>(&service, &owner, body).await
}

async fn test(State(service): Api, Extension(owner): By, body: MaybeBody) -> Answer {
    answer::<PolicyTest>(&service, &owner, body).await
}

async fn replay(State(service): Api, Extension(owner): By, body: MaybeBody) -> Answer {
    answer::<PolicyReplay>(&service, &owner, body).await
}

async fn answer<R>(service: &Service, owner: &Owner, body: MaybeBody) -> Answer
where
    R: Request<Reply: Serialize> + DeserializeOwned,
{
    let request: R = json(body, "this request")?;
    Ok(Json(service.call(&owner.principal, request).await?).into_response())
}
