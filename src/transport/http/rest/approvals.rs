//! `/v1/approvals` and `/v1/sign-in`: the calls that wait for the owner's decision, and the
//! decision itself.

use std::sync::Arc;

use axum::{
    Extension, Json, Router,
    extract::{Path, Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::json;

use super::{
    super::error,
    extract::{Answer, Api, By, MaybeBody, MaybeQuery, bytes, query, unambiguous},
};
use crate::{
    model::{ErrorCode, JsonObject, Timestamp},
    service::{ApprovalDecision, ApprovalGet, ApprovalList, Service, ServiceError},
    transport::auth::{Authenticator, LINK_LIFE, Owner, OwnerAuth},
};

/// The routes of approvals, without the authentication in front of them.
pub(super) fn routes() -> Router<Arc<Service>> {
    Router::new()
        .route("/approvals", get(list))
        .route("/approvals/{id}", get(one))
        .route("/approvals/{id}/approve", post(approve))
        .route("/approvals/{id}/deny", post(deny))
}

/// The route that makes a link to sign in.
pub(super) fn sign_in(authenticator: Arc<Authenticator>) -> Router {
    Router::new().route("/sign-in", post(link)).with_state(authenticator)
}

/// The body of a decision. Who decides is known from the token or the session: a name in the body
/// is refused.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct DecisionBody {
    #[serde(default)]
    note: Option<String>,
}

async fn list(
    State(service): Api,
    Extension(owner): By,
    asked: MaybeQuery<ApprovalList>,
) -> Answer {
    Ok(Json(service.call(&owner.principal, query(asked)?).await?).into_response())
}

async fn one(State(service): Api, Extension(owner): By, Path(id): Path<String>) -> Answer {
    Ok(Json(service.call(&owner.principal, ApprovalGet { id }).await?).into_response())
}

async fn approve(
    State(service): Api,
    Path(id): Path<String>,
    Extension(owner): By,
    body: MaybeBody,
) -> Answer {
    decide(&service, id, true, &owner, body).await
}

async fn deny(
    State(service): Api,
    Path(id): Path<String>,
    Extension(owner): By,
    body: MaybeBody,
) -> Answer {
    decide(&service, id, false, &owner, body).await
}

async fn decide(
    service: &Service,
    id: String,
    approve: bool,
    owner: &Owner,
    body: MaybeBody,
) -> Answer {
    let body = bytes(body)?;
    unambiguous(&body, "the body")?;
    let DecisionBody { note } = match body.trim_ascii().is_empty() {
        true => DecisionBody::default(),
        // An object first: a list of values would do for the fields of a struct.
        false => serde_json::from_slice(&body)
            .and_then(|body: JsonObject| serde_json::from_value(body.into()))
            .map_err(|error| {
                ServiceError::new(
                    ErrorCode::InvalidArgument,
                    format!("the body is not `{{\"note\": …}}`: {error}"),
                )
                .hint("who decides is known from the token or the session and cannot be named")
            })?,
    };
    let decided_by = owner.auth.name().to_owned();
    let decision = ApprovalDecision { id, approve, note, decided_by };
    Ok(Json(service.call(&owner.principal, decision).await?).into_response())
}

/// Only the token makes links: a session cannot prolong itself.
async fn link(
    State(authenticator): State<Arc<Authenticator>>,
    Extension(owner): By,
    Query(_): Query<()>,
) -> Response {
    if owner.auth != OwnerAuth::Token {
        let hint = Some("`airlock open` makes one");
        return error::refuse(
            StatusCode::FORBIDDEN,
            ErrorCode::Unauthorized,
            "only the owner's token makes links to sign in",
            hint,
            None,
        );
    }
    let Some(secret) = authenticator.sessions.link() else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let life = jiff::SignedDuration::from_secs(LINK_LIFE.as_secs() as i64);
    let answer =
        json!({ "path": format!("/sign-in/{secret}"), "expiresAt": Timestamp::now() + life });
    ([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response()
}
