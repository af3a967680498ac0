//! `/v1/overview` and `/v1/ids`: how much is on record, and ids by their first characters.

use std::sync::Arc;

use axum::{Extension, Json, Router, extract::State, response::IntoResponse, routing::get};

use super::extract::{Answer, Api, By, MaybeQuery, query};
use crate::service::{IdList, OverviewGet, Service};

/// The routes, without the authentication in front of them.
pub(super) fn routes() -> Router<Arc<Service>> {
    Router::new().route("/overview", get(overview)).route("/ids", get(ids))
}

async fn overview(State(service): Api, Extension(owner): By) -> Answer {
    Ok(Json(service.call(&owner.principal, OverviewGet).await?).into_response())
}

async fn ids(State(service): Api, Extension(owner): By, asked: MaybeQuery<IdList>) -> Answer {
    Ok(Json(service.call(&owner.principal, query(asked)?).await?).into_response())
}
