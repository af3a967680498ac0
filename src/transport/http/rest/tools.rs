//! `/v1/tools`: the tools that code may call.

use std::sync::Arc;

use axum::{
    Extension, Json, Router,
    extract::{Path, State},
    http::header,
    response::IntoResponse,
    routing::{get, post},
};

use super::extract::{Answer, Api, By, MaybeQuery, query};
use crate::service::{Service, ToolDescribe, ToolList, ToolRefresh, ToolTypes};

/// The routes of tools, without the authentication in front of them.
pub(super) fn routes() -> Router<Arc<Service>> {
    Router::new()
        .route("/tools", get(list))
        .route("/tools/types", get(types))
        .route("/tools/refresh", post(refresh))
        .route("/tools/{*path}", get(one))
}

async fn list(State(service): Api, Extension(owner): By, asked: MaybeQuery<ToolList>) -> Answer {
    Ok(Json(service.call(&owner.principal, query(asked)?).await?).into_response())
}

async fn one(State(service): Api, Extension(owner): By, Path(path): Path<String>) -> Answer {
    Ok(Json(service.call(&owner.principal, ToolDescribe { path }).await?).into_response())
}

async fn types(State(service): Api, Extension(owner): By, asked: MaybeQuery<ToolTypes>) -> Answer {
    let declarations = service.call(&owner.principal, query(asked)?).await?;
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], declarations).into_response())
}

async fn refresh(
    State(service): Api,
    Extension(owner): By,
    asked: MaybeQuery<ToolRefresh>,
) -> Answer {
    Ok(Json(service.call(&owner.principal, query(asked)?).await?).into_response())
}
