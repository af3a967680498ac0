//! `/v1/approvals` and `/v1/sign-in`: what waits for the owner's word, and the word itself.

use std::sync::Arc;

use axum::{
    Extension, Json, Router,
    body::Bytes,
    extract::{Path, Query, State, rejection::BytesRejection},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    error,
    rest::{Answer, Api, Asked, asked, owner},
    sign_in::{LINK_LIFE, OwnerAuth, SignIn},
};
use crate::{
    model::{ErrorCode, JsonObject, Timestamp},
    service::{ApprovalAnswer, ApprovalList, ServiceError, Word},
    transport::Port,
};

/// The routes of approvals, without the gate that stands before them.
pub(super) fn routes() -> Router<Arc<dyn Port>> {
    Router::new()
        .route("/approvals", get(list))
        .route("/approvals/{id}", get(one))
        .route("/approvals/{id}/approve", post(approve))
        .route("/approvals/{id}/deny", post(deny))
}

/// The route that makes a link to sign in.
pub(super) fn sign_in(gate: Arc<SignIn>) -> Router {
    Router::new().route("/sign-in", post(link)).with_state(gate)
}

/// What may stand beside a word. Who says it is known from the token or the session: a name in here
/// is refused.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WordBody {
    #[serde(default)]
    note: Option<String>,
}

async fn list(State(port): Api, query: Asked<ApprovalList>) -> Answer {
    let answer = port.approvals(&owner(), asked(query)?).await?;
    let approvals: Vec<Value> = answer.approvals.iter().map(ApprovalAnswer::object).collect();
    let mut object = json!({ "approvals": approvals });
    if let Some(cursor) = answer.next_cursor {
        object["nextCursor"] = cursor.into();
    }
    Ok(Json(object).into_response())
}

async fn one(State(port): Api, Path(id): Path<String>) -> Answer {
    Ok(Json(port.approval(&owner(), &id).await?.object()).into_response())
}

async fn approve(
    State(port): Api,
    Path(id): Path<String>,
    Extension(shown): Extension<OwnerAuth>,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    decide(port, id, true, shown, body).await
}

async fn deny(
    State(port): Api,
    Path(id): Path<String>,
    Extension(shown): Extension<OwnerAuth>,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    decide(port, id, false, shown, body).await
}

async fn decide(
    port: Arc<dyn Port>,
    id: String,
    approve: bool,
    shown: OwnerAuth,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let body = match body {
        Ok(body) => body,
        Err(refused) => return Ok(error::unread(&refused)),
    };
    let WordBody { note } = match body.trim_ascii().is_empty() {
        true => WordBody::default(),
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
    let word = Word { id, approve, note, by: shown.name().to_owned() };
    Ok(Json(port.decide_approval(&owner(), word).await?.object()).into_response())
}

/// Only the token makes links: a session cannot prolong itself.
async fn link(
    State(gate): State<Arc<SignIn>>,
    Extension(shown): Extension<OwnerAuth>,
    Query(_): Query<()>,
) -> Response {
    if shown != OwnerAuth::Token {
        let hint = Some("`airlock open` makes one");
        return error::refuse(
            StatusCode::FORBIDDEN,
            ErrorCode::Unauthorized,
            "only the owner's token makes links to sign in",
            hint,
            None,
        );
    }
    let Some(secret) = gate.link() else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let life = jiff::SignedDuration::from_secs(LINK_LIFE.as_secs() as i64);
    let answer =
        json!({ "path": format!("/sign-in/{secret}"), "expiresAt": Timestamp::now() + life });
    ([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response()
}
