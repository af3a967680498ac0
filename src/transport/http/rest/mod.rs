//! `/v1`: the service for the commands of this machine's owner, who sends the owner's token.

mod approvals;
mod artifacts;
mod configuration;
mod extract;
mod overview;
mod policy;
mod tasks;
mod tools;

use std::sync::Arc;

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::Response,
    routing::MethodRouter,
};

use super::error;
use crate::{
    model::ErrorCode,
    service::Service,
    transport::{
        auth::{Authenticator, Owner},
        handoff,
    },
};

/// The routes under `/v1`, `handoff` among them. A body has at most `body_max` bytes.
pub(super) fn routes(
    service: Arc<Service>,
    authenticator: Arc<Authenticator>,
    body_max: usize,
    handoff: MethodRouter<Arc<Service>>,
) -> Router {
    Router::new()
        .route(handoff::PATH, handoff)
        .merge(tasks::routes())
        .merge(tools::routes())
        .merge(approvals::routes())
        .merge(artifacts::routes())
        .merge(overview::routes())
        .merge(policy::routes())
        .merge(configuration::routes())
        .with_state(service)
        .merge(approvals::sign_in(authenticator.clone()))
        .fallback(error::route_not_found)
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(DefaultBodyLimit::max(body_max))
        .layer(middleware::from_fn_with_state(authenticator, admit))
}

/// Lets only the owner in: with the token, or signed in. Marks the request with who it is.
async fn admit(
    State(authenticator): State<Arc<Authenticator>>,
    mut request: Request,
    next: Next,
) -> Response {
    if let Some(owner) = authenticator.owner(&request) {
        request.extensions_mut().insert::<Owner>(owner);
        return next.run(request).await;
    }
    let hint = "send the owner's token: `Authorization: Bearer …`; the server keeps it in a file \
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
