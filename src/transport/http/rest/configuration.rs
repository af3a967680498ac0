//! `/v1/config`: the configuration of the server.

use std::sync::Arc;

use axum::{Extension, Json, Router, extract::State, response::IntoResponse, routing::post};

use super::extract::{Answer, Api, By};
use crate::service::{ConfigReload, Service};

/// The routes of the configuration, without the authentication in front of them.
pub(super) fn routes() -> Router<Arc<Service>> {
    Router::new().route("/config/reload", post(reload))
}

async fn reload(State(service): Api, Extension(owner): By) -> Answer {
    Ok(Json(service.call(&owner.principal, ConfigReload).await?).into_response())
}
