//! The owner's pages: the inbox of approvals, one approval with everything that must be seen, and
//! signing in.
//!
//! Plain HTML without scripts, everything inside the binary. Only a signed-in browser sees or
//! changes anything; a change takes the session's form token as well.

mod approval_page;
mod inbox;
mod layout;
mod refused;
mod visible;

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, Query, State, rejection::BytesRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use maud::{DOCTYPE, html};
use serde::Deserialize;

use self::layout::{harden, page};
use super::error;
use crate::{
    model::ApprovalStatus,
    service::{ApprovalDecision, ApprovalGet, ApprovalList, Service, ServiceError},
    transport::auth::{Authenticator, OwnerAuth},
};

pub(super) use self::refused::for_browsers;

/// Bytes of a form, at most: a note of 2000 characters, each of up to twelve bytes, and the token.
const FORM_BYTES_MAX: usize = 32 * 1024;
const STYLE: &str = include_str!("airlock.css");

#[derive(Clone)]
struct Pages {
    service: Arc<Service>,
    authenticator: Arc<Authenticator>,
}

/// The pages.
pub(super) fn routes(service: Arc<Service>, authenticator: Arc<Authenticator>) -> Router {
    Router::new()
        .route("/approvals", get(inbox_page))
        .route("/approvals/{id}", get(show_approval))
        .route("/approvals/{id}/{verb}", post(decide))
        .route("/sign-in/{secret}", get(enter))
        .route("/sign-out", post(leave))
        .route(
            "/assets/airlock.css",
            get(async || ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE)),
        )
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .layer(middleware::map_response(harden))
        .with_state(Pages { service, authenticator })
}

fn signed_out() -> Response {
    let content = html! {
        h1 { "Sign in" }
        p { "These pages are for the owner of this server. On its machine, run" }
        pre { "airlock open" }
        p { "and follow the link that it prints. It works once, within five minutes." }
    };
    (StatusCode::UNAUTHORIZED, page("Sign in", None, None, &content)).into_response()
}

fn failed(error: &ServiceError, form: &str, back: &str) -> Response {
    let status = error::status(error);
    let content = html! {
        h1 { "That did not work" }
        p.bad { (visible::visible(&error.message, true)) }
        @if let Some(hint) = &error.hint { p { (hint) } }
        p { a href=(back) { "Go back" } }
    };
    (status, page("Refused", Some(form), None, &content)).into_response()
}

/// Query of the inbox.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct InboxQuery {
    status: Option<ApprovalStatus>,
    cursor: Option<String>,
}

async fn inbox_page(
    State(pages): State<Pages>,
    headers: HeaderMap,
    query: Query<InboxQuery>,
) -> Response {
    let Some(session) = pages.authenticator.sessions.find(&headers) else { return signed_out() };
    let Query(InboxQuery { status, cursor }) = query;
    let first = cursor.is_none();
    let status = status.unwrap_or(ApprovalStatus::Pending);
    let request = ApprovalList { status: Some(status), cursor, ..ApprovalList::default() };
    match pages.service.call(&session.principal, request).await {
        Ok(answer) => page(
            "Approvals",
            Some(&session.form),
            first.then_some(inbox::AGAIN_SECONDS),
            &inbox::content(&answer, status),
        ),
        Err(error) => failed(&error, &session.form, "/approvals"),
    }
}

async fn show_approval(
    State(pages): State<Pages>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Response {
    let Some(session) = pages.authenticator.sessions.find(&headers) else { return signed_out() };
    let form = &session.form;
    match pages.service.call(&session.principal, ApprovalGet { id }).await {
        Ok(approval) => {
            page(&approval.tool, Some(form), None, &approval_page::content(&approval, form))
        }
        Err(error) => failed(&error, form, "/approvals"),
    }
}

/// The fields of a form: its token and a note, and nothing else.
#[derive(Debug, Default)]
struct Form {
    csrf: String,
    note: Option<String>,
}

impl Form {
    fn read(body: Result<Bytes, BytesRejection>) -> Option<Self> {
        let mut form = Self::default();
        for (name, value) in url::form_urlencoded::parse(&body.ok()?) {
            match &*name {
                "csrf" => form.csrf = value.into_owned(),
                "note" => form.note = Some(value.into_owned()),
                _ => return None,
            }
        }
        Some(form)
    }
}

async fn decide(
    State(pages): State<Pages>,
    headers: HeaderMap,
    Path((id, verb)): Path<(String, String)>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let sessions = &pages.authenticator.sessions;
    let Some(session) = sessions.find(&headers) else { return signed_out() };
    let approve = match verb.as_str() {
        "approve" => true,
        "deny" => false,
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    let back = format!(
        "/approvals/{}",
        url::form_urlencoded::byte_serialize(id.as_bytes()).collect::<String>()
    );
    let Some(form) = Form::read(body).filter(|form| sessions.is_form(&headers, &form.csrf)) else {
        tracing::warn!("a form without its session's token was refused");
        return forged(&session.form, &back);
    };
    let decided_by = OwnerAuth::Session.name().to_owned();
    let decision = ApprovalDecision { id, approve, note: form.note, decided_by };
    match pages.service.call(&session.principal, decision).await {
        Ok(approval) => Redirect::to(&format!("/approvals/{}", approval.id)).into_response(),
        Err(error) => failed(&error, &session.form, &back),
    }
}

fn forged(form: &str, back: &str) -> Response {
    let content = html! {
        h1 { "That did not work" }
        p.bad { "The form did not come from this session's page." }
        p { a href=(back) { "Open the page again" } }
    };
    (StatusCode::FORBIDDEN, page("Refused", Some(form), None, &content)).into_response()
}

/// Signs a browser in. The cookie is for this site alone, and a browser that follows a redirect
/// from another site would not send it: so the page that sets it loads the next one itself.
async fn enter(State(pages): State<Pages>, Path(secret): Path<String>) -> Response {
    let Some(cookie) = pages.authenticator.sessions.enter(&secret) else { return signed_out() };
    let content = html! {
        h1 { "Signed in" }
        p { a href="/approvals" { "Go to the approvals" } }
    };
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="refresh" content="0; url=/approvals";
                title { "Signed in · Airlock" }
                link rel="stylesheet" href="/assets/airlock.css";
            }
            body { main { (content) } }
        }
    };
    let headers = [
        (header::SET_COOKIE, cookie),
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
    ];
    (headers, page.into_string()).into_response()
}

async fn leave(
    State(pages): State<Pages>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let sessions = &pages.authenticator.sessions;
    if Form::read(body).is_some_and(|form| sessions.is_form(&headers, &form.csrf)) {
        sessions.leave(&headers);
    }
    Redirect::to("/approvals").into_response()
}
